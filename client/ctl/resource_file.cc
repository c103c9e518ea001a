#include "client/ctl/resource_file.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/api/exit_code.h"
#include "client/api/message_text.h"
#include "client/ctl/resource_schema.h"
#include "common/base/status_macros.h"
#include "common/tls/tls_files.h"

namespace werkplek {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr size_t kMaxBytes = 4 * 1024 * 1024;
constexpr int kMaxDepth = 8;

absl::Status Bad(absl::string_view file, const YAML::Mark& mark, absl::string_view what) {
  return UsageProblem(
      absl::InvalidArgumentError(absl::StrCat(file, ":", mark.line + 1, ": ", what)));
}

std::string FieldNames(const Descriptor& type) {
  std::vector<std::string> names;
  names.reserve(type.field_count());
  for (int i = 0; i < type.field_count(); ++i) names.push_back(type.field(i)->name());
  return absl::StrJoin(names, ", ");
}

class Reader {
 public:
  explicit Reader(absl::string_view file) : file_(file) {}

  absl::Status Fill(const YAML::Node& node, const std::string& path, int depth, Message& message) {
    if (!node.IsMap() || depth > kMaxDepth) {
      return Bad(file_, node.Mark(), absl::StrCat(path, " must be a map of fields"));
    }
    std::vector<std::string> seen;
    for (const auto& item : node) {
      const std::string key = item.first.IsScalar() ? item.first.Scalar() : "";
      const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(key);
      if (field == nullptr) {
        return Bad(file_, item.first.Mark(),
                   absl::StrCat(path, " has no field \"", Printable(key), "\"; it has ",
                                FieldNames(*message.GetDescriptor())));
      }
      if (std::find(seen.begin(), seen.end(), key) != seen.end()) {
        return Bad(file_, item.first.Mark(), absl::StrCat(path, ".", key, " stands here twice"));
      }
      seen.push_back(key);
      RETURN_IF_ERROR(SetOne(item.second, absl::StrCat(path, ".", key), depth, *field, message));
    }
    return absl::OkStatus();
  }

 private:
  static std::string Printable(const std::string& text) { return text.substr(0, 64); }

  absl::Status SetOne(const YAML::Node& value, const std::string& path, int depth,
                      const FieldDescriptor& field, Message& message) {
    if (field.is_repeated()) {
      if (!value.IsSequence())
        return Bad(file_, value.Mark(), absl::StrCat(path, " must be a list"));
      for (const YAML::Node& item : value) {
        RETURN_IF_ERROR(SetScalar(item, path, field, message));
      }
      return absl::OkStatus();
    }
    if (field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
      return SetScalar(value, path, field, message);
    }
    // `site:` alone is a site without fields.
    if (value.IsNull()) {
      message.GetReflection()->MutableMessage(&message, &field);
      return absl::OkStatus();
    }
    return Fill(value, path, depth + 1, *message.GetReflection()->MutableMessage(&message, &field));
  }

  absl::Status SetScalar(const YAML::Node& value, const std::string& path,
                         const FieldDescriptor& field, Message& message) {
    if (!value.IsScalar())
      return Bad(file_, value.Mark(), absl::StrCat(path, " must be one value"));
    const absl::Status status = SetField(message, field, value.Scalar());
    if (status.ok()) return status;
    return Bad(file_, value.Mark(), absl::StrCat(path, " ", status.message()));
  }

  const absl::string_view file_;
};

bool SaysSchedulability(const YAML::Node& node, const v1::Resource& resource) {
  const YAML::Node body = node[KindWord(KindOf(resource))];
  return body.IsMap() && body["schedulability"].IsDefined();
}

absl::Status AddResource(const YAML::Node& node, absl::string_view file,
                         std::vector<ResourceFromFile>& resources) {
  v1::Resource resource;
  RETURN_IF_ERROR(Reader(file).Fill(node, "resource", 0, resource));
  if (resource.name().empty()) return Bad(file, node.Mark(), "the resource has no name");
  if (KindOf(resource) == v1::RESOURCE_KIND_UNSPECIFIED) {
    return Bad(file, node.Mark(),
               absl::StrCat("\"", resource.name(),
                            "\" has no kind: give it one of site:, host:, image:, pool:, ",
                            "entitlement:"));
  }
  const bool says = SaysSchedulability(node, resource);
  resources.push_back({.resource = std::move(resource), .says_schedulability = says});
  return absl::OkStatus();
}

// What `host list` and `site list` print tells how things are, not what was declared.
absl::Status RefuseReport(const YAML::Node& document, absl::string_view file) {
  for (const char* kind : {"host", "site"}) {
    const std::string key = absl::StrCat(kind, "s");
    if (!document.IsMap() || !document[key].IsDefined()) continue;
    return Bad(
        file, document[key].Mark(),
        absl::StrCat("this is what `", kind, " list` prints, which tells how they are; what ",
                     "was declared: werkplekctl ", kind, " get -o yaml"));
  }
  return absl::OkStatus();
}

absl::Status AddDocument(const YAML::Node& document, absl::string_view file,
                         std::vector<ResourceFromFile>& resources) {
  if (document.IsNull()) return absl::OkStatus();
  RETURN_IF_ERROR(RefuseReport(document, file));
  const bool wrapped = document.IsMap() && document["resources"].IsDefined();
  const YAML::Node list = wrapped ? document["resources"] : document;
  if (!list.IsSequence()) return AddResource(document, file, resources);
  for (const YAML::Node& item : list) RETURN_IF_ERROR(AddResource(item, file, resources));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<ResourceFromFile>> ParseResources(const std::string& text,
                                                             absl::string_view file) {
  std::vector<YAML::Node> documents;
  std::vector<ResourceFromFile> resources;
  // yaml-cpp reports by exceptions.
  try {
    documents = YAML::LoadAll(text);
    for (const YAML::Node& document : documents) {
      RETURN_IF_ERROR(AddDocument(document, file, resources));
    }
  } catch (const YAML::Exception& bad) {
    return Bad(file, bad.mark, bad.msg);
  }
  if (resources.empty()) {
    return UsageProblem(
        absl::InvalidArgumentError(absl::StrCat(file, ": there is no resource in it")));
  }
  return resources;
}

absl::StatusOr<std::vector<ResourceFromFile>> ReadResourceFile(const std::string& path,
                                                               Terminal& terminal) {
  if (path == "-") {
    const absl::StatusOr<std::string> text = terminal.ReadRest(kMaxBytes);
    if (!text.ok()) return text.status();
    return ParseResources(*text, "standard input");
  }
  const absl::StatusOr<std::string> text = ReadWholeFile(path, kMaxBytes);
  if (!text.ok()) return LocalProblem(text.status());
  return ParseResources(*text, path);
}

}  // namespace werkplek
