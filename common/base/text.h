// Text that came from elsewhere (a guest, libvirt, a file's name), told apart from mere bytes.
// Pure.
#pragma once

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace werkplek {

// Length of the printable UTF-8 character at the front of `text`, which is not empty; 0: there is
// none. Control characters are not printable.
size_t PrintableUnit(absl::string_view text);

// `text` as at most `max_bytes` of printable UTF-8, cut between characters: a control character of
// one byte becomes a space, every other byte that belongs to no printable character a '?'. One bad
// byte in a string field makes the whole protobuf message unreadable for whoever gets it.
std::string PrintableText(absl::string_view text, size_t max_bytes);

}  // namespace werkplek
