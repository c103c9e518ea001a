#include "agent/image/image_record.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "agent/image/image_declaration.h"

namespace werkplek {

std::string DigestOf(const std::string& path) {
  const std::string name = std::filesystem::path(path).filename().string();
  return name.substr(0, name.find('.'));
}

absl::StatusOr<ImageRecord> ReadRecord(const std::string& path) {
  std::ifstream file(path);
  const auto json = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
  const auto text = [&](const char* key) {
    return json.is_object() && json.contains(key) && json[key].is_string()
               ? json[key].get<std::string>()
               : "";
  };
  const auto number = [&](const char* key) -> int64_t {
    return json.is_object() && json.contains(key) && json[key].is_number_integer()
               ? json[key].get<int64_t>()
               : 0;
  };
  ImageRecord record;
  record.sha256 = text("sha256");
  record.format = text("format");
  record.facts.size_bytes = static_cast<uint64_t>(number("size_bytes"));
  record.facts.modified_unix_ns = number("modified_unix_ns");
  if (!IsSha256(record.sha256) || (record.format != "qcow2" && record.format != "raw")) {
    return absl::DataLossError(absl::StrCat(path, " is no image record"));
  }
  return record;
}

absl::Status WriteRecord(const std::string& path, const ImageRecord& record) {
  const nlohmann::json json = {{"sha256", record.sha256},
                               {"format", record.format},
                               {"size_bytes", record.facts.size_bytes},
                               {"modified_unix_ns", record.facts.modified_unix_ns}};
  return WriteWhole(path, json.dump(2) + "\n");
}

}  // namespace werkplek
