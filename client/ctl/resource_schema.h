// Resources as flags and as words, from the API's own descriptors. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"
#include "werkplek/v1/resources.pb.h"

namespace werkplek {

// A field of a kind of resource that a flag can set.
struct FieldFlag {
  // "--suspend-after-s".
  std::string flag;
  // What the value looks like: "NUMBER", "TEXT", "floating|dedicated".
  std::string value_name;
  std::string help;
  bool repeated = false;
  // From the kind's message down to the field.
  std::vector<const google::protobuf::FieldDescriptor*> path;
};

// All fields of `kind`, in the order of the proto; nested messages are flattened.
std::vector<FieldFlag> FlagsOf(v1::ResourceKind kind);

// Sets the field in the resource's message of its kind; a list is given with commas. An error names
// the flag.
absl::Status ApplyFlag(const FieldFlag& flag, absl::string_view value, v1::Resource& resource);

// "site", "host", "image", "pool", "entitlement".
std::string KindWord(v1::ResourceKind kind);
v1::ResourceKind KindOf(const v1::Resource& resource);
// An empty resource of the kind.
v1::Resource NewResource(v1::ResourceKind kind, absl::string_view name);

// All kinds, each after those that it refers to.
const std::vector<v1::ResourceKind>& AllKinds();

}  // namespace werkplek
