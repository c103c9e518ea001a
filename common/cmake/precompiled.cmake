# What most files of this project spend their compile time on, parsed once. Clang only: g++ builds without, so a
# file that forgets an include is found there.
#
# A target takes the largest set that its libraries allow: `base`; `messages` when it links the messages of
# proto/; `services` when it links the services too. Tests have GoogleTest besides.

set(werkplek_precompiled_base
    <algorithm> <atomic> <chrono> <cstdint> <deque> <filesystem> <fstream> <functional> <future> <map> <memory>
    <mutex> <optional> <set> <sstream> <string> <thread> <utility> <variant> <vector>
    <absl/functional/any_invocable.h> <absl/status/status.h> <absl/status/statusor.h> <absl/strings/escaping.h>
    <absl/strings/match.h> <absl/strings/numbers.h> <absl/strings/str_cat.h> <absl/strings/str_format.h>
    <absl/strings/str_join.h> <absl/strings/str_split.h> <absl/strings/string_view.h> <absl/time/clock.h>
    <absl/time/time.h>)
set(werkplek_precompiled_messages
    <werkplek/v1/access.pb.h> <werkplek/v1/admin.pb.h> <werkplek/v1/agent.pb.h> <werkplek/v1/resources.pb.h>
    <werkplek/v1/session.pb.h> <werkplek/v1/stored.pb.h>)
set(werkplek_precompiled_services
    <grpcpp/grpcpp.h> <grpcpp/generic/generic_stub.h> <werkplek/v1/admin.grpc.pb.h> <werkplek/v1/agent.grpc.pb.h>
    <werkplek/v1/session.grpc.pb.h>)
set(werkplek_precompiled_test <gmock/gmock.h> <gtest/gtest.h>)

# The set that comes with a library; what links it inherits it.
set_target_properties(werkplek_proto PROPERTIES WERKPLEK_PRECOMPILED 1)
set_target_properties(werkplek_grpc PROPERTIES WERKPLEK_PRECOMPILED 2)

function(werkplek_make_precompiled set)
  cmake_parse_arguments(ARG "" "" "HEADERS;DEPS;OPTIONS" ${ARGN})
  file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/precompiled/${set}.cc" CONTENT "")
  add_library(werkplek_precompiled_${set} OBJECT "${CMAKE_BINARY_DIR}/precompiled/${set}.cc")
  target_link_libraries(werkplek_precompiled_${set} PRIVATE werkplek_flags ${ARG_DEPS})
  target_compile_options(werkplek_precompiled_${set} PRIVATE ${ARG_OPTIONS})
  target_precompile_headers(werkplek_precompiled_${set} PRIVATE ${ARG_HEADERS})
endfunction()

if(CMAKE_CXX_COMPILER_ID STREQUAL Clang)
  # The same input makes the same file, so that a compiler cache knows it again.
  add_compile_options(-Xclang -fno-pch-timestamp -pthread)
  set(headers ${werkplek_precompiled_base})
  werkplek_make_precompiled(base HEADERS ${headers} DEPS absl::statusor absl::time)
  list(APPEND headers ${werkplek_precompiled_messages})
  werkplek_make_precompiled(messages HEADERS ${headers} DEPS werkplek_proto)
  list(APPEND headers ${werkplek_precompiled_services})
  werkplek_make_precompiled(services HEADERS ${headers} DEPS werkplek_grpc)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL Clang AND WERKPLEK_TESTS)
  list(APPEND headers ${werkplek_precompiled_test})
  # What a test asserts is run once: optimising it takes longer than running it.
  set(werkplek_test_options -O0)
  werkplek_make_precompiled(services_test OPTIONS ${werkplek_test_options} HEADERS ${headers} DEPS werkplek_grpc GTest::gmock)
  set(headers ${werkplek_precompiled_base} ${werkplek_precompiled_test})
  werkplek_make_precompiled(base_test OPTIONS ${werkplek_test_options} HEADERS ${headers} DEPS absl::statusor absl::time GTest::gmock)
  list(APPEND headers ${werkplek_precompiled_messages})
  werkplek_make_precompiled(messages_test OPTIONS ${werkplek_test_options} HEADERS ${headers} DEPS werkplek_proto GTest::gmock)
endif()

# werkplek_precompiled(NAME DEPS target... [TEST]): gives the target its set.
function(werkplek_precompiled name)
  cmake_parse_arguments(ARG "TEST" "" "DEPS" ${ARGN})
  set(level 0)
  foreach(dep IN LISTS ARG_DEPS)
    if(TARGET ${dep})
      get_target_property(of_dep ${dep} WERKPLEK_PRECOMPILED)
      if(of_dep AND of_dep GREATER level)
        set(level ${of_dep})
      endif()
    endif()
  endforeach()
  set_target_properties(${name} PROPERTIES WERKPLEK_PRECOMPILED ${level})
  get_target_property(type ${name} TYPE)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL Clang OR type STREQUAL INTERFACE_LIBRARY)
    return()
  endif()
  if(type STREQUAL EXECUTABLE)
    # The sets are compiled as libraries are; clang takes them for no other kind of position independence.
    set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(${name} PRIVATE -fPIC)
  endif()
  if(ARG_TEST)
    target_compile_options(${name} PRIVATE ${werkplek_test_options})
    set(sets base_test messages_test services_test)
  else()
    set(sets base messages services)
  endif()
  list(GET sets ${level} set)
  target_precompile_headers(${name} REUSE_FROM werkplek_precompiled_${set})
endfunction()
