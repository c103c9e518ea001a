#include "agent/image/qemu_img.h"

#include <nlohmann/json.hpp>

#include "common/base/status_macros.h"
#include "common/subprocess/subprocess.h"

namespace werkplek {
namespace {

using nlohmann::json;

constexpr absl::Duration kBound = absl::Seconds(20);

std::string TextOf(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

absl::StatusOr<DiskInfo> ParseOne(const json& object) {
  if (!object.is_object()) return absl::InternalError("qemu-img info: no object");
  DiskInfo info;
  info.path = TextOf(object, "filename");
  info.format = TextOf(object, "format");
  info.backing = TextOf(object, "full-backing-filename");
  if (info.backing.empty()) info.backing = TextOf(object, "backing-filename");
  const json specific = object.value("format-specific", json::object());
  if (specific.is_object()) {
    const json data = specific.value("data", json::object());
    if (data.is_object()) info.data_file = TextOf(data, "data-file");
  }
  if (info.path.empty() || info.format.empty()) {
    return absl::InternalError("qemu-img info: no file name or format");
  }
  return info;
}

}  // namespace

absl::StatusOr<std::vector<DiskInfo>> ParseDiskInfo(absl::string_view text) {
  const json answer = json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  std::vector<DiskInfo> disks;
  if (answer.is_array()) {
    for (const json& object : answer) {
      ASSIGN_OR_RETURN(DiskInfo info, ParseOne(object));
      disks.push_back(std::move(info));
    }
  } else {
    ASSIGN_OR_RETURN(DiskInfo info, ParseOne(answer));
    disks.push_back(std::move(info));
  }
  if (disks.empty()) return absl::InternalError("qemu-img info: an empty chain");
  return disks;
}

absl::StatusOr<DiskInfo> ReadDisk(const std::string& path, const std::string& format) {
  ASSIGN_OR_RETURN(
      const std::string text,
      RunSubprocessOrFail({"qemu-img", "info", "-U", "--output=json", "-f", format, path}, kBound));
  ASSIGN_OR_RETURN(std::vector<DiskInfo> disks, ParseDiskInfo(text));
  return std::move(disks[0]);
}

absl::StatusOr<std::vector<DiskInfo>> ReadChain(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text,
                   RunSubprocessOrFail({"qemu-img", "info", "-U", "--backing-chain",
                                        "--output=json", "-f", "qcow2", path},
                                       kBound));
  return ParseDiskInfo(text);
}

absl::Status MakeOverlay(const std::string& path, const std::string& backing,
                         const std::string& backing_format) {
  return RunSubprocessOrFail(
             {"qemu-img", "create", "-q", "-f", "qcow2", "-F", backing_format, "-b", backing, path},
             kBound)
      .status();
}

}  // namespace werkplek
