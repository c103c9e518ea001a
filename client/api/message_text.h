// Messages of the API as text for people and scripts. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace werkplek {

enum class OutputFormat { kTable, kJson, kYaml };

// protobuf's JSON form with the proto's field names; every field is there, also when it is zero.
// `one_line` for streams. Ends in a newline.
std::string ToJson(const google::protobuf::Message& message, bool one_line = false);
// The same data as YAML. Ends in a newline.
std::string ToYaml(const google::protobuf::Message& message);

// "POOL_KIND_FLOATING" -> "floating"; "LIVENESS_UP" -> "up".
std::string EnumWord(const google::protobuf::EnumValueDescriptor& value);
// As EnumWord for the value of a generated enum: EnumWord(v1::LIVENESS_UP).
template <typename Enum>
std::string EnumWord(Enum value) {
  const auto* descriptor = google::protobuf::GetEnumDescriptor<Enum>();
  const auto* found = descriptor->FindValueByNumber(static_cast<int>(value));
  // A newer broker's value.
  return found == nullptr ? std::to_string(static_cast<int>(value)) : EnumWord(*found);
}

// Sets (or, when repeated, adds to) a field that is not a message, from what a person wrote.
// Enumerations are taken in both spellings. INVALID_ARGUMENT says what is accepted.
absl::Status SetField(google::protobuf::Message& message,
                      const google::protobuf::FieldDescriptor& field, absl::string_view text);

// "2026-01-02 03:04:05" in the zone of this machine; "-" for 0.
std::string FormatTime(int64_t unix_ms);
// The same to the minute: "03:04" when `now` is that day, else "2026-01-02 03:04".
std::string FormatMinute(int64_t unix_ms, absl::Time now);
// The two largest units: "3d 4h", "5m 6s", "7s".
std::string FormatSpan(absl::Duration span);

}  // namespace werkplek
