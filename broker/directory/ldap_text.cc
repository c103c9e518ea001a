#include "broker/directory/ldap_text.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace werkplek {
namespace {

constexpr size_t kMaxPasswordBytes = 1024;

}  // namespace

std::string EscapeFilterValue(absl::string_view value) {
  std::string escaped;
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '*' || c == '(' || c == ')' || c == '\\' || byte < ' ' || byte >= 0x7f) {
      absl::StrAppendFormat(&escaped, "\\%02x", byte);
    } else {
      escaped += c;
    }
  }
  return escaped;
}

std::string EscapeDnValue(absl::string_view value) {
  std::string escaped;
  for (size_t i = 0; i < value.size(); ++i) {
    const char c = value[i];
    const bool edge_space = c == ' ' && (i == 0 || i + 1 == value.size());
    if (c == '\0') {
      escaped += "\\00";
    } else if (edge_space || (c == '#' && i == 0) ||
               absl::string_view("\\+<>,;\"=").find(c) != absl::string_view::npos) {
      escaped += '\\';
      escaped += c;
    } else {
      escaped += c;
    }
  }
  return escaped;
}

std::string FillFilter(absl::string_view filter, absl::string_view hole, absl::string_view value) {
  return absl::StrReplaceAll(filter, {{hole, EscapeFilterValue(value)}});
}

absl::string_view PasswordRefusal(absl::string_view password) {
  if (password.empty()) return "empty password";
  if (password.size() > kMaxPasswordBytes) return "password of more than 1024 bytes";
  if (password.find('\0') != absl::string_view::npos) return "password with a NUL byte";
  if (password.find_first_not_of(' ') == absl::string_view::npos) return "password of spaces";
  return "";
}

std::string LowerCase(absl::string_view text) { return absl::AsciiStrToLower(text); }

}  // namespace werkplek
