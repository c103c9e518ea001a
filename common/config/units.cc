#include "common/config/units.h"

#include <arpa/inet.h>

#include <array>
#include <limits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace werkplek {
namespace {

struct Unit {
  absl::string_view word;
  int64_t milliseconds;
};
// From large to small, the order in which parts must come.
constexpr std::array<Unit, 5> kUnits = {
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr int64_t kMaxMilliseconds = 100LL * 366 * 86'400'000;

absl::Status BadDuration(absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat(why, "; write a whole number with a unit, as in 250ms, 30s, 5m, 12h or 30d"));
}

absl::Status BadAddress() {
  return absl::InvalidArgumentError(
      "not ADDRESS:PORT; write it as in 127.0.0.1:7443 or [2001:db8::1]:7443");
}

bool IsHostText(absl::string_view host) {
  if (host.empty() || host.size() > 253) return false;
  for (const char c : host) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '.' && c != '-') return false;
  }
  return host.front() != '-' && host.front() != '.';
}

}  // namespace

absl::StatusOr<absl::Duration> ParseDurationText(absl::string_view text) {
  if (text.empty()) return BadDuration("no duration");
  int64_t total = 0;
  size_t next_unit = 0;
  while (!text.empty()) {
    size_t digits = 0;
    while (digits < text.size() && absl::ascii_isdigit(static_cast<unsigned char>(text[digits]))) {
      ++digits;
    }
    int64_t count = 0;
    if (digits == 0 || digits > 15 || !absl::SimpleAtoi(text.substr(0, digits), &count)) {
      return BadDuration("not a duration");
    }
    text.remove_prefix(digits);
    size_t letters = 0;
    while (letters < text.size() &&
           absl::ascii_isalpha(static_cast<unsigned char>(text[letters]))) {
      ++letters;
    }
    if (letters == 0) return BadDuration("a duration without a unit");
    size_t unit = next_unit;
    while (unit < kUnits.size() && kUnits[unit].word != text.substr(0, letters)) ++unit;
    if (unit == kUnits.size()) return BadDuration("not a unit of time");
    text.remove_prefix(letters);
    next_unit = unit + 1;
    if (count > (kMaxMilliseconds - total) / kUnits[unit].milliseconds) {
      return BadDuration("a duration of more than 100 years");
    }
    total += count * kUnits[unit].milliseconds;
  }
  return absl::Milliseconds(total);
}

std::string DurationText(absl::Duration duration) {
  int64_t rest = absl::ToInt64Milliseconds(duration);
  if (rest == 0) return "0s";
  std::string text;
  if (rest < 0) {
    text = "-";
    rest = -rest;
  }
  for (const Unit& unit : kUnits) {
    if (rest >= unit.milliseconds) absl::StrAppend(&text, rest / unit.milliseconds, unit.word);
    rest %= unit.milliseconds;
  }
  return text;
}

absl::StatusOr<uint64_t> ParseSizeText(absl::string_view text) {
  constexpr std::array<std::pair<absl::string_view, int>, 4> kSuffixes = {
      {{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}}};
  int shift = 0;
  for (const auto& [word, bits] : kSuffixes) {
    if (text.size() > word.size() && text.substr(text.size() - word.size()) == word) {
      shift = bits;
      text.remove_suffix(word.size());
      break;
    }
  }
  uint64_t count = 0;
  const bool digits = !text.empty() && text.size() <= 19 &&
                      text.find_first_not_of("0123456789") == absl::string_view::npos;
  if (!digits || !absl::SimpleAtoi(text, &count) ||
      count > (std::numeric_limits<uint64_t>::max() >> shift)) {
    return absl::InvalidArgumentError(
        "not a size; write a whole number of bytes, or with a unit as in 64KiB, 16MiB or 4GiB");
  }
  return count << shift;
}

absl::StatusOr<HostPort> ParseHostPort(absl::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) return BadAddress();
  const absl::string_view port_text = text.substr(colon + 1);
  absl::string_view host = text.substr(0, colon);
  uint32_t port = 0;
  if (port_text.empty() || port_text.size() > 5 ||
      port_text.find_first_not_of("0123456789") != absl::string_view::npos ||
      !absl::SimpleAtoi(port_text, &port) || port > 65535) {
    return BadAddress();
  }
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    const std::string inner(host.substr(1, host.size() - 2));
    in6_addr address{};
    if (inet_pton(AF_INET6, inner.c_str(), &address) != 1) return BadAddress();
    return HostPort{inner, uint16_t(port)};
  }
  if (!IsHostText(host)) return BadAddress();
  return HostPort{std::string(host), uint16_t(port)};
}

absl::Status CheckNetworkText(absl::string_view text) {
  const absl::Status bad =
      absl::InvalidArgumentError("not a network; write it as in 192.0.2.0/24 or 2001:db8::/32");
  const size_t slash = text.find('/');
  const std::string address_text(text.substr(0, slash));
  unsigned char bytes[16] = {};
  int bits = 0;
  if (inet_pton(AF_INET, address_text.c_str(), bytes) == 1) {
    bits = 32;
  } else if (inet_pton(AF_INET6, address_text.c_str(), bytes) == 1) {
    bits = 128;
  } else {
    return bad;
  }
  if (slash == absl::string_view::npos) return absl::OkStatus();
  const absl::string_view prefix_text = text.substr(slash + 1);
  int prefix = 0;
  if (prefix_text.empty() ||
      prefix_text.find_first_not_of("0123456789") != absl::string_view::npos ||
      !absl::SimpleAtoi(prefix_text, &prefix) || prefix > bits) {
    return bad;
  }
  for (int bit = prefix; bit < bits; ++bit) {
    if ((bytes[bit / 8] >> (7 - bit % 8)) & 1) {
      return absl::InvalidArgumentError(absl::StrCat("the address has bits below /", prefix,
                                                     "; write the network's first address"));
    }
  }
  return absl::OkStatus();
}

}  // namespace werkplek
