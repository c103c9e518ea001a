// QR codes for terminals (libqrencode). Pure.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace werkplek {

// The dark modules, row by row, without a margin.
using QrModules = std::vector<std::vector<bool>>;

// INVALID_ARGUMENT: empty, or too long for a code (more than about 2 kB).
absl::StatusOr<QrModules> EncodeQr(absl::string_view text);

// Two modules per character, as half blocks, with the margin of four modules that readers need.
// `colours`: dark on light whatever the terminal's colours are; without them light is drawn, which
// suits dark terminals and files.
std::string DrawQr(const QrModules& modules, bool colours);

}  // namespace werkplek
