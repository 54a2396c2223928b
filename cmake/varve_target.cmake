# How every target of the project is built: C++20, one warning set, one sanitizer switch.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()
# Assertions of the standard library stay on in release: bad input must never be undefined behaviour.
add_compile_definitions(_GLIBCXX_ASSERTIONS)
# Bit-equal results across code paths need one rounding per written operation; kernels that want a
# fused multiply-add write it.
add_compile_options(-ffp-contract=off)

if(VARVE_SANITIZE)
  add_compile_options(-fsanitize=${VARVE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g1)
  add_link_options(-fsanitize=${VARVE_SANITIZE})
  if(VARVE_SANITIZE MATCHES thread AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    add_compile_options(-Wno-tsan)  # of fences in the standard library and Boost
  endif()
endif()

# varve_library(NAME SOURCES ... DEPENDS ...): a static library called varve_NAME.
function(varve_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  add_library(varve_${name} STATIC ${ARG_SOURCES})
  varve_options(varve_${name})
  target_link_libraries(varve_${name} PUBLIC ${ARG_DEPENDS})
endfunction()

function(varve_options target)
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR})
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wcast-align
    -Woverloaded-virtual -Wnull-dereference)
  if(VARVE_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
endfunction()

# tests_LABEL builds the tests that carry that label.
foreach(label unit threads mpi slow cuda gpu)
  add_custom_target(tests_${label})
endforeach()

# Test code is most of what CI compiles, and what it tests is compiled apart from it: let the compiler
# be quick about it.
set(VARVE_TEST_OPTIONS -O1)
if(VARVE_SANITIZE)
  set(VARVE_TEST_OPTIONS -O0)
elseif(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # GCC does not know that precompiled headers are the system's, and reports what it takes for
  # mistakes in them.
  list(APPEND VARVE_TEST_OPTIONS -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread
    -Wno-restrict)
endif()

# Half of the time that a test takes to compile is GoogleTest's headers.
function(varve_precompile_gtest target)
  if(NOT TARGET varve_gtest_headers)
    file(WRITE ${PROJECT_BINARY_DIR}/gtest_headers.cc "")
    add_library(varve_gtest_headers OBJECT ${PROJECT_BINARY_DIR}/gtest_headers.cc)
    varve_options(varve_gtest_headers)
    target_compile_options(varve_gtest_headers PRIVATE ${VARVE_TEST_OPTIONS})
    target_link_libraries(varve_gtest_headers PRIVATE GTest::gmock GTest::gtest)
    target_precompile_headers(varve_gtest_headers PRIVATE <gmock/gmock.h> <gtest/gtest.h>)
  endif()
  target_precompile_headers(${target} REUSE_FROM varve_gtest_headers)
endfunction()

# varve_test(NAME LABEL l SOURCES ... DEPENDS ...): one GoogleTest binary, one ctest entry per file.
function(varve_test name)
  cmake_parse_arguments(ARG "" "LABEL;TIMEOUT" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  varve_options(${name})
  target_compile_options(${name} PRIVATE ${VARVE_TEST_OPTIONS})
  target_link_libraries(${name} PRIVATE ${ARG_DEPENDS} GTest::gmock GTest::gtest_main)
  varve_precompile_gtest(${name})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_dependencies(tests_${ARG_LABEL} ${name})
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABEL}" TIMEOUT ${ARG_TIMEOUT})
  target_compile_definitions(${name} PRIVATE VARVE_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
    VARVE_BINARY_DIR="${PROJECT_BINARY_DIR}")
endfunction()

set(VARVE_MPIEXEC_FLAGS --oversubscribe --allow-run-as-root CACHE STRING
  "What the tests pass to mpiexec; the default is for Open MPI")

# varve_mpi_test(NAME NP n... LABEL l SOURCES ... DEPENDS ... [TIMEOUT s]): one GoogleTest binary whose
# processes are ranks (tests/support/mpi_main.h), one ctest entry NAME_npN per number of ranks.
function(varve_mpi_test name)
  cmake_parse_arguments(ARG "" "LABEL;TIMEOUT" "NP;SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  varve_options(${name})
  target_compile_options(${name} PRIVATE ${VARVE_TEST_OPTIONS})
  target_link_libraries(${name} PRIVATE ${ARG_DEPENDS} varve_test_mpi_main GTest::gmock GTest::gtest)
  varve_precompile_gtest(${name})
  target_compile_definitions(${name} PRIVATE VARVE_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
    VARVE_BINARY_DIR="${PROJECT_BINARY_DIR}")
  add_dependencies(tests_${ARG_LABEL} ${name})
  foreach(np ${ARG_NP})
    varve_mpi_run(${name} NP ${np} LABEL ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT})
  endforeach()
endfunction()

# varve_mpi_run(TARGET NP n LABEL l [SUFFIX s] [TIMEOUT s] [LAUNCH ...] [ARGS ...]): a ctest entry
# TARGET_npN[_s] that runs the target on n ranks. Any rank's failure is mpiexec's.
function(varve_mpi_run target)
  cmake_parse_arguments(ARG "" "NP;LABEL;SUFFIX;TIMEOUT" "LAUNCH;ARGS" ${ARGN})
  set(test ${target}_np${ARG_NP})
  if(ARG_SUFFIX)
    string(APPEND test _${ARG_SUFFIX})
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_test(NAME ${test} COMMAND ${MPIEXEC_EXECUTABLE} ${VARVE_MPIEXEC_FLAGS} ${ARG_LAUNCH}
    ${MPIEXEC_NUMPROC_FLAG} ${ARG_NP} $<TARGET_FILE:${target}> ${ARG_ARGS})
  # Ranks of several such tests at once would only take each other's cores.
  set_tests_properties(${test} PROPERTIES LABELS "${ARG_LABEL}" TIMEOUT ${ARG_TIMEOUT}
    PROCESSORS ${ARG_NP})
endfunction()
