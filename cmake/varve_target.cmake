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

# varve_test(NAME LABEL l SOURCES ... DEPENDS ...): one GoogleTest binary, one ctest entry per file.
function(varve_test name)
  cmake_parse_arguments(ARG "" "LABEL;TIMEOUT" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  varve_options(${name})
  target_link_libraries(${name} PRIVATE ${ARG_DEPENDS} GTest::gmock GTest::gtest_main)
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABEL}" TIMEOUT ${ARG_TIMEOUT})
  target_compile_definitions(${name} PRIVATE VARVE_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
    VARVE_BINARY_DIR="${PROJECT_BINARY_DIR}")
endfunction()
