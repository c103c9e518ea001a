# See embed.cmake.
string(REPLACE "|" ";" files "${FILES}")
set(arrays "")
set(entries "")
set(number 0)
foreach(file ${files})
  get_filename_component(name "${file}" NAME)
  file(READ "${file}" hex HEX)
  string(REGEX REPLACE "(..)" "'\\\\x\\1'," bytes "${hex}")
  string(APPEND arrays "constexpr char kFile${number}[] = {${bytes}};\n")
  string(APPEND entries "    {\"${name}\", {kFile${number}, sizeof(kFile${number})}},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE "${OUTPUT}"
  "#include \"common/base/embedded_file.h\"\n\nnamespace werkplek {\nnamespace {\n${arrays}constexpr EmbeddedFile kFiles[] = {\n${entries}};\n}  // namespace\n\n"
  "absl::Span<const EmbeddedFile> ${FUNCTION}();\nabsl::Span<const EmbeddedFile> ${FUNCTION}() { return kFiles; }\n\n}  // namespace werkplek\n")
