# Where CUDA is, and rules for what nvcc makes. Nothing here needs a GPU.
#
# VARVE_CUDA=auto|on|off: on is an error where headers, libraries or nvcc are missing; off leaves out
# all of it, the checks without a GPU too. Sets
#   VARVE_CUDA_INCLUDE    the headers of the runtime, cuBLASLt and NCCL; empty if they are not there
#   VARVE_NVCC            empty if it is not there
#   VARVE_CUDA_COMPLETE   whether a product with CUDA can be linked: all of that and the libraries
# They are looked for in CUDA_HOME, in PATH, in /usr/local/cuda and where cluster/fetch_cuda puts them.

include_guard(DIRECTORY)
set(VARVE_CUDA auto CACHE STRING "CUDA: auto, on or off")
set_property(CACHE VARVE_CUDA PROPERTY STRINGS auto on off)

set(VARVE_CUDA_WARNINGS -Wall,-Wextra CACHE STRING "Warnings of the host compiler in CUDA sources")

set(VARVE_CUDA_INCLUDE "")
set(VARVE_CUDA_COMPLETE FALSE)
if(VARVE_CUDA STREQUAL off)
  return()
elseif(NOT VARVE_CUDA MATCHES "^(auto|on)$")
  message(FATAL_ERROR "VARVE_CUDA is '${VARVE_CUDA}'; auto, on or off would be right")
endif()

if(DEFINED ENV{VARVE_CACHE})
  set(fetched $ENV{VARVE_CACHE}/cuda)
else()
  set(fetched ${PROJECT_SOURCE_DIR}/.cache/cuda)
endif()
find_program(VARVE_NVCC nvcc HINTS $ENV{CUDA_HOME}/bin PATHS /usr/local/cuda/bin ${fetched}/bin)
set(roots)
if(VARVE_NVCC)
  get_filename_component(folder ${VARVE_NVCC} REALPATH)
  get_filename_component(folder ${folder} DIRECTORY)
  get_filename_component(folder ${folder} DIRECTORY)
  list(APPEND roots ${folder})
endif()
list(APPEND roots /usr/local/cuda ${fetched})
foreach(header cuda_runtime_api cublasLt nccl)
  find_path(VARVE_${header}_INCLUDE ${header}.h HINTS $ENV{CUDA_HOME} PATHS ${roots}
    PATH_SUFFIXES include targets/x86_64-linux/include)
  mark_as_advanced(VARVE_${header}_INCLUDE)
endforeach()
foreach(library cudart cublasLt nccl)
  find_library(VARVE_${library}_LIBRARY ${library} HINTS $ENV{CUDA_HOME} PATHS ${roots}
    PATH_SUFFIXES lib64 lib targets/x86_64-linux/lib)
  mark_as_advanced(VARVE_${library}_LIBRARY)
endforeach()

if(VARVE_cuda_runtime_api_INCLUDE AND VARVE_cublasLt_INCLUDE AND VARVE_nccl_INCLUDE)
  set(VARVE_CUDA_INCLUDE ${VARVE_cuda_runtime_api_INCLUDE} ${VARVE_cublasLt_INCLUDE}
    ${VARVE_nccl_INCLUDE})
  list(REMOVE_DUPLICATES VARVE_CUDA_INCLUDE)
  if(VARVE_NVCC AND VARVE_cudart_LIBRARY AND VARVE_cublasLt_LIBRARY AND VARVE_nccl_LIBRARY)
    set(VARVE_CUDA_COMPLETE TRUE)
  endif()
endif()
if(VARVE_CUDA STREQUAL on AND NOT VARVE_CUDA_COMPLETE)
  message(FATAL_ERROR "VARVE_CUDA=on, but not all of CUDA is here: nvcc '${VARVE_NVCC}', "
    "headers '${VARVE_cuda_runtime_api_INCLUDE}' '${VARVE_cublasLt_INCLUDE}' "
    "'${VARVE_nccl_INCLUDE}', libraries '${VARVE_cudart_LIBRARY}' '${VARVE_cublasLt_LIBRARY}' "
    "'${VARVE_nccl_LIBRARY}'")
endif()

# What every call of nvcc gets. -lineinfo: whoever reads PTX or a profile wants the source's lines.
# fmt 9 takes nvcc's host compiler for one without constexpr, and then does not compile as C++20.
set(VARVE_NVCC_FLAGS -std=c++20 -O3 -lineinfo --expt-relaxed-constexpr -DFMT_USE_CONSTEXPR=1
  -I${PROJECT_SOURCE_DIR} -I${PROJECT_SOURCE_DIR}/kernels/cuda/device)
foreach(folder ${VARVE_CUDA_INCLUDE})
  # Of the compiler's own headers nvcc brings the right ones itself.
  if(NOT folder STREQUAL VARVE_cuda_runtime_api_INCLUDE)
    list(APPEND VARVE_NVCC_FLAGS -isystem ${folder})
  endif()
endforeach()

# varve_nvcc(SOURCE s OUTPUT o FLAGS ... [REPORT file]): a command that makes o of s with nvcc, again
# when a header changes. REPORT keeps what the compiler says.
function(varve_nvcc)
  cmake_parse_arguments(ARG "" "SOURCE;OUTPUT;REPORT" "FLAGS" ${ARGN})
  get_filename_component(source ${ARG_SOURCE} ABSOLUTE)
  get_filename_component(folder ${ARG_OUTPUT} DIRECTORY)
  file(MAKE_DIRECTORY ${folder})
  set(command ${VARVE_NVCC} ${VARVE_NVCC_FLAGS} ${ARG_FLAGS} -MD -MF ${ARG_OUTPUT}.d
    -MT ${ARG_OUTPUT} -o ${ARG_OUTPUT} ${source})
  if(ARG_REPORT)
    # No semicolons: CMake would split the list there. On failure what was kept is shown.
    set(command sh -c "\"$@\" >'${ARG_REPORT}' 2>&1 || ! cat '${ARG_REPORT}' >&2" sh
      ${command})
  endif()
  file(RELATIVE_PATH shown ${PROJECT_BINARY_DIR} ${ARG_OUTPUT})
  add_custom_command(OUTPUT ${ARG_OUTPUT} BYPRODUCTS ${ARG_REPORT} COMMAND ${command}
    DEPENDS ${source} DEPFILE ${ARG_OUTPUT}.d COMMENT "nvcc ${shown}" VERBATIM)
endfunction()

# varve_ptx(TARGET SOURCES ... ARCH sm_80|sm_90 [FMAD on|off] [FLAGS ...]): the sources' PTX in the
# folder ${CMAKE_CURRENT_BINARY_DIR}/TARGET. FMAD off: a * b + c is rounded twice, as on the host.
function(varve_ptx target)
  cmake_parse_arguments(ARG "" "ARCH;FMAD" "SOURCES;FLAGS" ${ARGN})
  if(ARG_FMAD STREQUAL off)
    list(APPEND ARG_FLAGS -fmad=false)
  endif()
  set(outputs)
  foreach(source ${ARG_SOURCES})
    get_filename_component(name ${source} NAME_WE)
    set(output ${CMAKE_CURRENT_BINARY_DIR}/${target}/${name}.ptx)
    varve_nvcc(SOURCE ${source} OUTPUT ${output} FLAGS -ptx -x cu -arch=${ARG_ARCH} ${ARG_FLAGS})
    list(APPEND outputs ${output})
  endforeach()
  add_custom_target(${target} DEPENDS ${outputs})
endfunction()

# varve_cubin_report(TARGET SOURCES ... [FLAGS ...]): compiles for sm_80 and sm_90 and keeps what
# ptxas says of registers and spills: ${CMAKE_CURRENT_BINARY_DIR}/TARGET/NAME.sm_80.txt and so on,
# whose list is the target's property VARVE_REPORTS.
function(varve_cubin_report target)
  cmake_parse_arguments(ARG "" "" "SOURCES;FLAGS" ${ARGN})
  set(outputs)
  set(reports)
  foreach(source ${ARG_SOURCES})
    get_filename_component(name ${source} NAME_WE)
    foreach(arch sm_80 sm_90)
      set(output ${CMAKE_CURRENT_BINARY_DIR}/${target}/${name}.${arch})
      varve_nvcc(SOURCE ${source} OUTPUT ${output}.cubin REPORT ${output}.txt
        FLAGS -cubin -x cu -arch=${arch} -Xptxas -v ${ARG_FLAGS})
      list(APPEND outputs ${output}.cubin)
      list(APPEND reports ${output}.txt)
    endforeach()
  endforeach()
  add_custom_target(${target} ALL DEPENDS ${outputs})
  set_target_properties(${target} PROPERTIES VARVE_REPORTS "${reports}")
endfunction()

# varve_check_registers(NAME REPORT target CEILINGS file [PROGRAM p...]): a test that the kernels of a
# varve_cubin_report need no more registers than the file says, and do not spill; and, with PROGRAM,
# that they all were launched when these ran, one after the other.
function(varve_check_registers name)
  cmake_parse_arguments(ARG "" "REPORT;CEILINGS" "PROGRAM" ${ARGN})
  find_package(Python3 COMPONENTS Interpreter)
  if(NOT Python3_FOUND)
    message(STATUS "${name} is left out: no Python")
    return()
  endif()
  get_filename_component(ceilings ${ARG_CEILINGS} ABSOLUTE)
  get_target_property(reports ${ARG_REPORT} VARVE_REPORTS)
  set(check ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tests/cuda_on_cpu/ptx/check_registers
    --ceilings ${ceilings})
  if(ARG_PROGRAM)
    set(log ${CMAKE_CURRENT_BINARY_DIR}/${name}.launched)
    set(run "rm -f '${log}'")
    foreach(program ${ARG_PROGRAM})
      string(APPEND run " && VARVE_KERNEL_LOG='${log}' $<TARGET_FILE:${program}> >/dev/null")
    endforeach()
    add_test(NAME ${name} COMMAND sh -c "${run} && exec \"$@\"" sh ${check} --launched ${log}
      ${reports})
  else()
    add_test(NAME ${name} COMMAND ${check} ${reports})
  endif()
  set_tests_properties(${name} PROPERTIES LABELS cuda TIMEOUT 300)
  add_dependencies(tests_cuda ${ARG_REPORT} ${ARG_PROGRAM})
endfunction()

# varve_cuda_library(NAME SOURCES x.cu ... y.cc ... DEPENDS ...): a static library called varve_NAME
# of CUDA and C++ sources, with the runtime, cuBLASLt and NCCL behind it. CMake's own CUDA language is
# not used: it wants to try the compiler on every configuration, and knows less of -gencode.
# Code for sm_80 and sm_90, and PTX from which drivers make code for what comes later.
function(varve_cuda_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  set(host -ffp-contract=off,-fPIC,-D_GLIBCXX_ASSERTIONS,${VARVE_CUDA_WARNINGS})
  if(VARVE_WERROR)
    string(APPEND host ,-Werror)
    set(werror -Werror all-warnings)
  endif()
  string(REPLACE "," ";" sanitizers "${VARVE_SANITIZE}")
  foreach(sanitizer ${sanitizers})
    string(APPEND host ,-fsanitize=${sanitizer})
  endforeach()
  set(sources ${ARG_SOURCES})
  list(FILTER sources EXCLUDE REGEX "\\.cu$")
  foreach(source ${ARG_SOURCES})
    if(source MATCHES "\\.cu$")
      get_filename_component(stem ${source} NAME_WE)
      set(object ${CMAKE_CURRENT_BINARY_DIR}/varve_${name}.nvcc/${stem}.o)
      varve_nvcc(SOURCE ${source} OUTPUT ${object} FLAGS -c ${werror}
        -gencode arch=compute_80,code=sm_80 -gencode arch=compute_90,code=sm_90
        -gencode arch=compute_90,code=compute_90 -Xcompiler ${host})
      set_source_files_properties(${object} PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
      list(APPEND sources ${object})
    endif()
  endforeach()
  add_library(varve_${name} STATIC ${sources})
  set_target_properties(varve_${name} PROPERTIES LINKER_LANGUAGE CXX)
  varve_options(varve_${name})
  target_include_directories(varve_${name} SYSTEM PUBLIC ${VARVE_CUDA_INCLUDE})
  target_link_libraries(varve_${name} PUBLIC ${ARG_DEPENDS} ${VARVE_cudart_LIBRARY}
    ${VARVE_cublasLt_LIBRARY} ${VARVE_nccl_LIBRARY})
endfunction()
