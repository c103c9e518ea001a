// YAML, read into a small tree that knows its lines. A strict part of YAML: one document of maps
// with text keys, lists and scalars; no anchors, aliases, tags, merge keys or repeated keys.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace werkplek {

struct YamlNode {
  enum class Kind { kNull, kScalar, kList, kMap };
  Kind kind = Kind::kNull;
  // From 1.
  int line = 0;
  // kScalar. Quoted text is never a number or a truth value.
  std::string text;
  bool quoted = false;
  // kList, and the values of a kMap.
  std::vector<YamlNode> children;
  // kMap: the names of `children`, in their order, with their lines.
  std::vector<std::pair<std::string, int>> keys;

  // nullptr: no such key.
  const YamlNode* Find(absl::string_view key) const;
};

struct YamlComplaint {
  int line = 0;
  std::string message;
};

// Reads `text` (of at most kMaxYamlBytes). Without complaints, the root is a map.
struct YamlDocument {
  YamlNode root;
  std::vector<YamlComplaint> complaints;
};
inline constexpr size_t kMaxYamlBytes = 1 << 20;
YamlDocument ParseYaml(const std::string& text);

// "a map", "a list", "a text", "nothing".
absl::string_view KindWord(YamlNode::Kind kind);

}  // namespace werkplek
