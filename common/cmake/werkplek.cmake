# How this project makes libraries, programs and tests. One folder is one library.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

add_library(werkplek_flags INTERFACE)
target_include_directories(werkplek_flags INTERFACE "${CMAKE_SOURCE_DIR}")
target_compile_definitions(werkplek_flags INTERFACE WERKPLEK_VERSION="${PROJECT_VERSION}")
target_compile_options(
  werkplek_flags
  INTERFACE -Wall
            -Wextra
            -Wpedantic
            # g++ also calls a lambda's local a shadow of what it does not capture.
            $<$<CXX_COMPILER_ID:Clang>:-Wshadow>
            -Wnon-virtual-dtor
            -Werror
            -fstack-protector-strong
            -fcf-protection
            $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>
            # As clang does: a designated initialiser may leave members at their defaults.
            $<$<CXX_COMPILER_ID:GNU>:-Wno-missing-field-initializers>
            # False alarms of g++ 12 at each std::string that a literal is assigned to (its PR105651).
            $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
            $<$<CXX_COMPILER_ID:Clang>:-Wimplicit-fallthrough>
            $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE>)
# Not a generator expression: the comma of "address,undefined" would split it.
if(NOT WERKPLEK_SANITIZER)
  target_compile_options(werkplek_flags INTERFACE $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=2>)
endif()
target_link_options(werkplek_flags INTERFACE -pie -Wl,-z,relro,-z,now)
if(WERKPLEK_SANITIZER)
  add_compile_options(-fsanitize=${WERKPLEK_SANITIZER} -fno-omit-frame-pointer
                      -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${WERKPLEK_SANITIZER})
endif()

# werkplek_library(NAME [SOURCES file...] [DEPS target...]): the library of this folder.
function(werkplek_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  if(ARG_SOURCES)
    add_library(${name} STATIC ${ARG_SOURCES})
    target_link_libraries(${name} PUBLIC werkplek_flags ${ARG_DEPS})
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE werkplek_flags ${ARG_DEPS})
  endif()
  werkplek_precompiled(${name} DEPS ${ARG_DEPS})
endfunction()

# werkplek_program(NAME SOURCES file... [DEPS target...]): an executable in build/PRESET/bin.
function(werkplek_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE werkplek_flags ${ARG_DEPS})
  werkplek_precompiled(${name} DEPS ${ARG_DEPS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
endfunction()

# werkplek_test(NAME SOURCES file... [DEPS target...] [LABELS label...] [TIMEOUT seconds]): a
# GoogleTest binary, registered with CTest. Labels say what it needs or how long it takes.
function(werkplek_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE werkplek_flags ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  werkplek_precompiled(${name} TEST DEPS ${ARG_DEPS})
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(
    ${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}"
                       ENVIRONMENT "WERKPLEK_SOURCE_DIR=${CMAKE_SOURCE_DIR};WERKPLEK_BIN_DIR=${CMAKE_BINARY_DIR}/bin")
endfunction()
