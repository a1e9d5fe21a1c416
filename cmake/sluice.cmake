# How Sluice's libraries, programs and tests are declared. Sources are listed by
# name; a *_test.cc that no test lists is an error when configuring.

add_library(sluice_options INTERFACE)
target_include_directories(sluice_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(sluice_options INTERFACE -Wall -Wextra -Wno-missing-field-initializers)
if(SLUICE_WERROR)
  target_compile_options(sluice_options INTERFACE -Werror)
endif()
if(SLUICE_FUZZ)
  # Every library is instrumented; a fuzz target adds libFuzzer's main.
  target_compile_options(sluice_options INTERFACE
    -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all)
  target_link_options(sluice_options INTERFACE -fsanitize=address,undefined)
endif()
# No Boost: msgpack-cxx only wants it for conversions that nobody here uses.
target_compile_definitions(sluice_options INTERFACE MSGPACK_NO_BOOST=1)

# The headers that nearly every file takes are parsed once, for all of them. A file includes what it needs all the same:
# presets that set CMAKE_DISABLE_PRECOMPILE_HEADERS (the sanitizers') don't compile otherwise.
set(SLUICE_COMMON_HEADERS <algorithm> <cerrno> <chrono> <cstdint> <functional> <map> <memory> <optional> <set>
  <string> <string_view> <unordered_map> <utility> <variant> <vector> <fmt/format.h> <tl/expected.hpp>)
set(pch ${CMAKE_BINARY_DIR}/pch.cc)
file(CONFIGURE OUTPUT ${pch} CONTENT "")
add_library(sluice_pch OBJECT ${pch})
target_link_libraries(sluice_pch PRIVATE sluice_options)
target_precompile_headers(sluice_pch PRIVATE ${SLUICE_COMMON_HEADERS})

# sluice_library(NAME SOURCES a.cc ... LINK lib ...): the static library sluice_NAME.
function(sluice_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_library(sluice_${name} STATIC ${arg_SOURCES})
  target_link_libraries(sluice_${name} PUBLIC sluice_options ${arg_LINK})
  target_precompile_headers(sluice_${name} REUSE_FROM sluice_pch)
endfunction()

# sluice_program(NAME DESTINATION dir SOURCES main.cc ... LINK lib ... [SHARED_CXX])
# SHARED_CXX: it uses a shared library that is C++ itself, and has the standard library in common with that.
function(sluice_program name)
  cmake_parse_arguments(arg "SHARED_CXX" "DESTINATION" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE sluice_options ${arg_LINK})
  target_precompile_headers(${name} REUSE_FROM sluice_pch)
  # Symbols of libraries are bound when used: a start costs what it uses.
  target_link_options(${name} PRIVATE -Wl,-z,lazy -Wl,--as-needed)
  if(NOT SLUICE_FUZZ AND NOT arg_SHARED_CXX)
    target_link_options(${name} PRIVATE -static-libstdc++ -static-libgcc)
  endif()
  if(arg_DESTINATION)
    install(TARGETS ${name} RUNTIME DESTINATION ${arg_DESTINATION})
  endif()
endfunction()

if(BUILD_TESTING)
  find_package(Catch2 2 REQUIRED)
  add_library(sluice_test_main OBJECT ${CMAKE_SOURCE_DIR}/tests/support/test_main.cc)
  target_link_libraries(sluice_test_main PUBLIC sluice_options Catch2::Catch2)
  add_library(sluice_test_pch OBJECT ${pch})
  target_link_libraries(sluice_test_pch PRIVATE sluice_options Catch2::Catch2)
  target_precompile_headers(sluice_test_pch PRIVATE ${SLUICE_COMMON_HEADERS} <catch2/catch.hpp>)
endif()

# With a sanitizer every test is run by tests/support/sanitized.py, so that no report is lost, and may take longer.
# Linked in, libasan and libubsan share the path of their reports; as shared libraries of GCC, only libasan has it.
if(CMAKE_CXX_FLAGS MATCHES "-fsanitize")
  set(SLUICE_SANITIZED ON)
  if(CMAKE_CXX_FLAGS MATCHES "address,undefined" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_link_options(-static-libasan -static-libubsan)
    set(SLUICE_SANITIZER_PROBE ON)
  endif()
endif()

# Seconds that the longest tests take where two processors run four at a time. SLUICE_LONG_TESTS has ctest start these first, so
# that none of them is left to run alone at the end; any other is taken for short.
set(SLUICE_LONG_TESTS
  differential.commands 328 remote_process 201 process.git.servers 180 differential.git 156 jobs_sandbox 144
  fault.together 86 fault.kill.cli 57 fault.kill.job 55 fault.kill.runner 54 fault.stop.scheduler 54 fault.stop.job 53
  differential.mirrors 52 fault.kill.session 52 fault.stop.broker 52 fault.resources 51 fault.kill.renderer 51
  fault.kill.scheduler 49 process.machines 49 fault.stop.session 48 bench.smoke 48 fault.stop.runner 47
  process.plugins.sources 46 fault.all 45 fault.checks 45 fault.stop.sandbox 44 fault.kill.loader 43 fault.stop.cli 40
  fault.stop.renderer 40 remote 38 model 36 fault.stop.loader 35 process.cli.packages 35 process.pipeline 33
  differential.golden 31 process.renderer 31 process.cli.outliving 30 fault.kill.sandbox 29 process.control 28
  process.cli.session_log 27 fault.kill.broker 26 process.docker.hostile 26 process.broker 26 process.git.ssh 25
  process.elsewhere 25 process.plugins.load 24 process.engines.ssh 23 process.cli.checkout 23 process.cli.told 22
  process.cli.remotes 22 process.cli.shell 21 process.runner 21)

# sluice_add_test(NAME seconds COMMAND...): one ctest entry.
function(sluice_add_test name timeout)
  if(SLUICE_SANITIZED)
    set(launcher ${CMAKE_SOURCE_DIR}/tests/support/sanitized.py ${CMAKE_BINARY_DIR}/Testing/reports/${name})
    math(EXPR timeout "${timeout} * 4")
  endif()
  add_test(NAME ${name} COMMAND ${launcher} ${ARGN})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${timeout})
  list(FIND SLUICE_LONG_TESTS ${name} at)
  if(NOT at EQUAL -1)
    math(EXPR at "${at} + 1")
    list(GET SLUICE_LONG_TESTS ${at} seconds)
    set_tests_properties(${name} PROPERTIES COST ${seconds})
  endif()
endfunction()

# sluice_test(NAME SOURCES a_test.cc ... LINK lib ... [TIMEOUT seconds]): one
# program of unit tests, one ctest entry.
function(sluice_test name)
  if(NOT BUILD_TESTING)
    return()
  endif()
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;LINK" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  add_executable(${name}_tests ${arg_SOURCES})
  target_link_libraries(${name}_tests PRIVATE sluice_test_main sluice_options Catch2::Catch2 ${arg_LINK})
  target_precompile_headers(${name}_tests REUSE_FROM sluice_test_pch)
  sluice_add_test(${name} ${arg_TIMEOUT} $<TARGET_FILE:${name}_tests>)
  foreach(source IN LISTS arg_SOURCES)
    get_filename_component(full ${source} ABSOLUTE)
    set_property(GLOBAL APPEND PROPERTY SLUICE_LISTED_TESTS ${full})
  endforeach()
endfunction()

# The system's Python: its packages of zmq and msgpack are what the tests use, and it runs plugins.
set(Python3_ROOT_DIR /usr)
set(Python3_FIND_STRATEGY LOCATION)
find_package(Python3 REQUIRED COMPONENTS Interpreter)

# sluice_script_test(NAME script.py [LABEL process] [TIMEOUT seconds] [PROGRAMS sluice ...]
# [ARGUMENTS word ...]): one ctest entry.
# Where one of PROGRAMS isn't built in this configuration (SLUICE_ONLY), ctest says of it that it did not run.
function(sluice_script_test name script)
  cmake_parse_arguments(arg "" "LABEL;TIMEOUT" "PROGRAMS;ARGUMENTS" ${ARGN})
  if(NOT BUILD_TESTING)
    return()
  endif()
  foreach(program IN LISTS arg_PROGRAMS)
    if(NOT TARGET ${program})
      message(STATUS "test ${name} is left out: ${program} is not built here")
      add_test(NAME ${name} COMMAND false)
      set_tests_properties(${name} PROPERTIES DISABLED TRUE)
      return()
    endif()
  endforeach()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  sluice_add_test(${name} ${arg_TIMEOUT} $<TARGET_FILE:Python3::Interpreter> ${CMAKE_CURRENT_SOURCE_DIR}/${script} ${arg_ARGUMENTS})
  set_tests_properties(${name} PROPERTIES ENVIRONMENT "SLUICE_BIN=${CMAKE_RUNTIME_OUTPUT_DIRECTORY};PYTHONDONTWRITEBYTECODE=1")
  if(arg_LABEL)
    set_tests_properties(${name} PROPERTIES LABELS ${arg_LABEL})
  endif()
endfunction()

# Called by the folder once its tests are declared.
function(sluice_check_tests_listed)
  if(NOT BUILD_TESTING)
    return()
  endif()
  get_property(listed GLOBAL PROPERTY SLUICE_LISTED_TESTS)
  file(GLOB_RECURSE present CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.cc)
  foreach(file IN LISTS present)
    if(NOT file IN_LIST listed)
      message(FATAL_ERROR "${file} is listed by no sluice_test()")
    endif()
  endforeach()
endfunction()
