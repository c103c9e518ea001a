# werkplek_embed(TARGET FUNCTION FILE...): makes files part of a library. FUNCTION, of namespace werkplek, gives them as
# `absl::Span<const EmbeddedFile>` (common/base/embedded_file.h), by their names without folders.
function(werkplek_embed target function)
  set(source "${CMAKE_CURRENT_BINARY_DIR}/${function}.cc")
  list(TRANSFORM ARGN PREPEND "${CMAKE_CURRENT_SOURCE_DIR}/" OUTPUT_VARIABLE files)
  string(REPLACE ";" "|" joined "${files}")
  add_custom_command(
    OUTPUT "${source}"
    COMMAND "${CMAKE_COMMAND}" "-DFILES=${joined}" "-DFUNCTION=${function}" "-DOUTPUT=${source}" -P
            "${CMAKE_SOURCE_DIR}/common/cmake/write_embedded.cmake"
    DEPENDS ${files} "${CMAKE_SOURCE_DIR}/common/cmake/write_embedded.cmake"
    VERBATIM)
  target_sources(${target} PRIVATE "${source}")
endfunction()
