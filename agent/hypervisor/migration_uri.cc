#include "agent/hypervisor/migration_uri.h"

#include <algorithm>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace werkplek {
namespace {

constexpr size_t kMaxBytes = 256;

// The host, when the rest of the URI is as it should be.
std::optional<absl::string_view> Parse(absl::string_view uri) {
  if (uri.size() > kMaxBytes) return std::nullopt;
  if (!absl::ConsumePrefix(&uri, "qemu+tls://") && !absl::ConsumePrefix(&uri, "qemu+tcp://")) {
    return std::nullopt;
  }
  if (!absl::ConsumeSuffix(&uri, "/system")) return std::nullopt;
  absl::string_view host = uri;
  absl::string_view port;
  const size_t bracket = uri.rfind(']');
  const size_t colon = uri.rfind(':');
  if (colon != absl::string_view::npos && (bracket == absl::string_view::npos || colon > bracket)) {
    host = uri.substr(0, colon);
    port = uri.substr(colon + 1);
    uint32_t number = 0;
    if (!absl::SimpleAtoi(port, &number) || number == 0 || number > 65535) return std::nullopt;
  }
  const bool six = !host.empty() && host.front() == '[';
  if (six && host.back() != ']') return std::nullopt;
  const absl::string_view name = six ? host.substr(1, host.size() - 2) : host;
  const bool plain = !name.empty() && std::all_of(name.begin(), name.end(), [six](char c) {
    return absl::ascii_isalnum(c) || c == '.' || (six ? c == ':' : c == '-');
  });
  return plain ? std::optional<absl::string_view>(host) : std::nullopt;
}

}  // namespace

absl::Status CheckMigrationUri(absl::string_view uri) {
  if (Parse(uri).has_value()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "'", uri, "': must be qemu+tls://HOST[:PORT]/system (qemu+tcp in a laboratory)"));
}

std::string HostOfMigrationUri(absl::string_view uri) {
  return std::string(Parse(uri).value_or(""));
}

}  // namespace werkplek
