#include "client/api/message_text.h"

#include <yaml-cpp/yaml.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "google/protobuf/util/json_util.h"

namespace werkplek {
namespace {

using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// "PoolKind" -> "POOL_KIND_".
std::string EnumPrefix(const EnumDescriptor& type) {
  std::string prefix;
  for (const char c : type.name()) {
    if (absl::ascii_isupper(c) && !prefix.empty()) prefix.push_back('_');
    prefix.push_back(absl::ascii_toupper(c));
  }
  return prefix + "_";
}

// Whether YAML would read the bare text as this same text.
bool IsPlain(const std::string& text) {
  if (text.empty() || !absl::ascii_isalpha(text.front())) return false;
  for (const char c : text) {
    if (!absl::ascii_isalnum(c) && !absl::StrContains("_-./ ", std::string(1, c))) return false;
  }
  if (text.back() == ' ') return false;
  for (absl::string_view word : {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}) {
    if (absl::EqualsIgnoreCase(text, word)) return false;
  }
  return true;
}

void EmitYaml(const nlohmann::ordered_json& value, YAML::Emitter& out) {
  if (value.is_object()) {
    if (value.empty()) out << YAML::Flow;
    out << YAML::BeginMap;
    for (const auto& [key, item] : value.items()) {
      out << YAML::Key << key << YAML::Value;
      EmitYaml(item, out);
    }
    out << YAML::EndMap;
  } else if (value.is_array()) {
    if (value.empty()) out << YAML::Flow;
    out << YAML::BeginSeq;
    for (const auto& item : value) EmitYaml(item, out);
    out << YAML::EndSeq;
  } else if (value.is_string()) {
    const std::string text = value.get<std::string>();
    if (!IsPlain(text)) out << YAML::DoubleQuoted;
    out << text;
  } else {
    out << value.dump();
  }
}

template <typename Number>
absl::StatusOr<Number> ParseNumber(absl::string_view text) {
  Number number = 0;
  if (absl::SimpleAtoi(text, &number)) return number;
  return absl::InvalidArgumentError(
      absl::StrCat("must be a whole number from ", std::numeric_limits<Number>::min(), " to ",
                   std::numeric_limits<Number>::max(), ", not \"", text, "\""));
}

absl::StatusOr<const EnumValueDescriptor*> ParseEnum(const EnumDescriptor& type,
                                                     absl::string_view text) {
  std::vector<std::string> words;
  for (int i = 0; i < type.value_count(); ++i) {
    const EnumValueDescriptor* value = type.value(i);
    const std::string word = EnumWord(*value);
    if (text == value->name() || text == word) return value;
    if (word != "unspecified") words.push_back(word);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("must be one of ", absl::StrJoin(words, ", "), ", not \"", text, "\""));
}

}  // namespace

std::string ToJson(const Message& message, bool one_line) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = !one_line;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string json;
  // Fails only for messages with google.protobuf.Any, which this API has not.
  (void)google::protobuf::util::MessageToJsonString(message, &json, options);
  if (!absl::EndsWith(json, "\n")) json.push_back('\n');
  return json;
}

std::string ToYaml(const Message& message) {
  const auto json = nlohmann::ordered_json::parse(ToJson(message, true), nullptr, false);
  YAML::Emitter out;
  EmitYaml(json, out);
  return absl::StrCat(out.c_str(), "\n");
}

std::string EnumWord(const EnumValueDescriptor& value) {
  absl::string_view name = value.name();
  const std::string prefix = EnumPrefix(*value.type());
  if (absl::StartsWith(name, prefix)) name.remove_prefix(prefix.size());
  return absl::StrReplaceAll(absl::AsciiStrToLower(name), {{"_", "-"}});
}

absl::Status SetField(Message& message, const FieldDescriptor& field, absl::string_view text) {
  const Reflection& reflection = *message.GetReflection();
  const auto set = [&](auto setter, auto adder, auto value) {
    if (field.is_repeated()) {
      (reflection.*adder)(&message, &field, value);
    } else {
      (reflection.*setter)(&message, &field, value);
    }
    return absl::OkStatus();
  };
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return set(&Reflection::SetString, &Reflection::AddString, std::string(text));
    case FieldDescriptor::CPPTYPE_UINT32: {
      const absl::StatusOr<uint32_t> number = ParseNumber<uint32_t>(text);
      if (!number.ok()) return number.status();
      return set(&Reflection::SetUInt32, &Reflection::AddUInt32, *number);
    }
    case FieldDescriptor::CPPTYPE_UINT64: {
      const absl::StatusOr<uint64_t> number = ParseNumber<uint64_t>(text);
      if (!number.ok()) return number.status();
      return set(&Reflection::SetUInt64, &Reflection::AddUInt64, *number);
    }
    case FieldDescriptor::CPPTYPE_BOOL: {
      if (text != "true" && text != "false") {
        return absl::InvalidArgumentError(
            absl::StrCat("must be true or false, not \"", text, "\""));
      }
      return set(&Reflection::SetBool, &Reflection::AddBool, text == "true");
    }
    case FieldDescriptor::CPPTYPE_ENUM: {
      const absl::StatusOr<const EnumValueDescriptor*> value = ParseEnum(*field.enum_type(), text);
      if (!value.ok()) return value.status();
      return set(&Reflection::SetEnum, &Reflection::AddEnum, *value);
    }
    default:
      return absl::UnimplementedError(
          absl::StrCat("this program cannot set fields of the type ", field.cpp_type_name()));
  }
}

std::string FormatTime(int64_t unix_ms) {
  if (unix_ms == 0) return "-";
  return absl::FormatTime("%Y-%m-%d %H:%M:%S", absl::FromUnixMillis(unix_ms),
                          absl::LocalTimeZone());
}

std::string FormatMinute(int64_t unix_ms, absl::Time now) {
  if (unix_ms == 0) return "-";
  const absl::TimeZone zone = absl::LocalTimeZone();
  const absl::Time time = absl::FromUnixMillis(unix_ms);
  const bool today = absl::ToCivilDay(time, zone) == absl::ToCivilDay(now, zone);
  return absl::FormatTime(today ? "%H:%M" : "%Y-%m-%d %H:%M", time, zone);
}

std::string FormatSpan(absl::Duration span) {
  const int64_t seconds = std::max<int64_t>(0, absl::ToInt64Seconds(span));
  const int64_t minutes = seconds / 60;
  const int64_t hours = minutes / 60;
  const int64_t days = hours / 24;
  if (days > 0) return absl::StrCat(days, "d ", hours % 24, "h");
  if (hours > 0) return absl::StrCat(hours, "h ", minutes % 60, "m");
  if (minutes > 0) return absl::StrCat(minutes, "m ", seconds % 60, "s");
  return absl::StrCat(seconds, "s");
}

}  // namespace werkplek
