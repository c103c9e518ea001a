#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/config/config_file.h"
#include "common/tls/tls_files.h"

namespace werkplek {
namespace {

std::string Shown(const YamlNode& node) {
  if (node.kind != YamlNode::Kind::kScalar) return std::string(KindWord(node.kind));
  return absl::StrCat("\"", absl::CHexEscape(node.text.substr(0, 64)), "\"");
}

// Empty: good.
std::string TextProblem(const YamlNode& node, const TextRule& rule) {
  if (node.kind != YamlNode::Kind::kScalar) {
    return absl::StrCat("must be a text, not ", KindWord(node.kind));
  }
  if (node.text.empty()) return "must not be empty";
  if (node.text.size() > rule.max_bytes) {
    return absl::StrCat("longer than ", rule.max_bytes, " bytes");
  }
  if (rule.check) {
    if (const absl::Status status = rule.check(node.text); !status.ok()) {
      return absl::StrCat(Shown(node), ": ", status.message());
    }
  }
  return "";
}

}  // namespace

bool ConfigSection::Has(absl::string_view key) const {
  return node_ != nullptr && node_->Find(key) != nullptr;
}

std::string ConfigSection::KeyPath(absl::string_view key) const {
  return absl::StrCat(path_, path_.empty() || key.empty() ? "" : ".", key);
}

int ConfigSection::KeyLine(absl::string_view key) const {
  if (node_ == nullptr) return 0;
  for (const auto& [name, line] : node_->keys) {
    if (name == key) return line;
  }
  return node_->line;
}

void ConfigSection::Complain(absl::string_view key, absl::string_view message) {
  file_->Complain(KeyLine(key), KeyPath(key), message);
}

const YamlNode* ConfigSection::Value(absl::string_view key, bool required) {
  if (node_ == nullptr) return nullptr;
  for (auto& opened : file_->opened_) {
    if (opened.node == node_) opened.known.insert(std::string(key));
  }
  const YamlNode* value = node_->Find(key);
  if (value == nullptr) {
    if (required) Complain(key, "missing; it must be set");
    return nullptr;
  }
  if (value->kind == YamlNode::Kind::kNull) {
    Complain(key, "has no value; give one, or remove the key");
    return nullptr;
  }
  return value;
}

const YamlNode* ConfigSection::Scalar(absl::string_view key, bool required,
                                      absl::string_view wanted) {
  const YamlNode* value = Value(key, required);
  if (value == nullptr || value->kind == YamlNode::Kind::kScalar) return value;
  Complain(key, absl::StrCat("must be ", wanted, ", not ", KindWord(value->kind)));
  return nullptr;
}

bool ConfigSection::Text(absl::string_view key, std::string* target, const TextRule& rule) {
  const YamlNode* value = Value(key, rule.required);
  if (value == nullptr) return false;
  if (const std::string problem = TextProblem(*value, rule); !problem.empty()) {
    Complain(key, problem);
    return false;
  }
  *target = value->text;
  return true;
}

bool ConfigSection::Boolean(absl::string_view key, bool* target, bool required) {
  const YamlNode* value = Scalar(key, required, "true or false");
  if (value == nullptr) return false;
  if (value->quoted || (value->text != "true" && value->text != "false")) {
    Complain(key, absl::StrCat(Shown(*value), ": must be true or false, without quotes"));
    return false;
  }
  *target = value->text == "true";
  return true;
}

bool ConfigSection::Duration(absl::string_view key, absl::Duration* target,
                             const DurationRule& rule) {
  const YamlNode* value = Scalar(key, rule.required, "a duration such as 30s");
  if (value == nullptr) return false;
  const absl::StatusOr<absl::Duration> duration = ParseDurationText(value->text);
  if (!duration.ok()) {
    Complain(key, absl::StrCat(Shown(*value), ": ", duration.status().message()));
  } else if (*duration < rule.min) {
    Complain(key, absl::StrCat(value->text, " is too short; at least ", DurationText(rule.min)));
  } else if (*duration > rule.max) {
    Complain(key, absl::StrCat(value->text, " is too long; at most ", DurationText(rule.max)));
  } else {
    *target = *duration;
    return true;
  }
  return false;
}

bool ConfigSection::Size(absl::string_view key, uint64_t* target, const SizeRule& rule) {
  const YamlNode* value = Scalar(key, rule.required, "a size such as 64MiB");
  if (value == nullptr) return false;
  const absl::StatusOr<uint64_t> size = ParseSizeText(value->text);
  if (!size.ok()) {
    Complain(key, absl::StrCat(Shown(*value), ": ", size.status().message()));
  } else if (*size < rule.min || *size > rule.max) {
    Complain(key, absl::StrCat(value->text, ": must be ", rule.min, " to ", rule.max, " bytes"));
  } else {
    *target = *size;
    return true;
  }
  return false;
}

bool ConfigSection::ReadNumber(absl::string_view key, int64_t* target, const NumberRule& rule) {
  const YamlNode* value = Scalar(key, rule.required, "a whole number");
  if (value == nullptr) return false;
  int64_t number = 0;
  const absl::string_view digits = absl::StripPrefix(value->text, "-");
  const bool plain = !value->quoted && !digits.empty() && digits.size() <= 18 &&
                     digits.find_first_not_of("0123456789") == absl::string_view::npos;
  if (!plain || !absl::SimpleAtoi(value->text, &number)) {
    Complain(key, absl::StrCat(Shown(*value), ": must be a whole number, without quotes"));
    return false;
  }
  if (number < rule.min || number > rule.max) {
    Complain(key, rule.max == std::numeric_limits<int64_t>::max()
                      ? absl::StrCat(number, ": must be ", rule.min, " or more")
                      : absl::StrCat(number, ": must be ", rule.min, " to ", rule.max));
    return false;
  }
  *target = number;
  return true;
}

int ConfigSection::ReadChoice(absl::string_view key, const std::vector<absl::string_view>& words,
                              bool required) {
  const YamlNode* value =
      Scalar(key, required, absl::StrCat("one of ", absl::StrJoin(words, ", ")));
  if (value == nullptr) return -1;
  for (size_t i = 0; i < words.size(); ++i) {
    if (value->text == words[i]) return int(i);
  }
  Complain(key, absl::StrCat(Shown(*value), ": must be one of ", absl::StrJoin(words, ", ")));
  return -1;
}

bool ConfigSection::TextList(absl::string_view key, std::vector<std::string>* target,
                             const ListRule& rule) {
  const YamlNode* value = Value(key, rule.required);
  if (value == nullptr) return false;
  if (value->kind != YamlNode::Kind::kList) {
    Complain(key, absl::StrCat("must be a list, not ", KindWord(value->kind)));
    return false;
  }
  if (value->children.size() < rule.min_items || value->children.size() > rule.max_items) {
    Complain(key, absl::StrCat("has ", value->children.size(), " items; must have ", rule.min_items,
                               " to ", rule.max_items));
    return false;
  }
  std::vector<std::string> texts;
  bool good = true;
  for (size_t i = 0; i < value->children.size(); ++i) {
    const YamlNode& item = value->children[i];
    std::string problem = TextProblem(item, rule.item);
    for (size_t j = 0; j < i && problem.empty(); ++j) {
      if (value->children[j].text == item.text) {
        problem = absl::StrCat(Shown(item), ": is there twice; keep one");
      }
    }
    if (!problem.empty()) {
      file_->Complain(item.line, absl::StrCat(KeyPath(key), "[", i, "]"), problem);
      good = false;
    }
    texts.push_back(item.text);
  }
  if (good) *target = std::move(texts);
  return good;
}

bool ConfigSection::Address(absl::string_view key, std::string* target, bool required) {
  return Text(key, target, {.required = required, .max_bytes = 300, .check = [](const auto& text) {
                              return ParseHostPort(text).status();
                            }});
}

bool ConfigSection::AddressList(absl::string_view key, std::vector<std::string>* target,
                                const ListRule& rule) {
  ListRule addresses = rule;
  addresses.item.check = [](const std::string& text) { return ParseHostPort(text).status(); };
  return TextList(key, target, addresses);
}

bool ConfigSection::NetworkList(absl::string_view key, std::vector<std::string>* target) {
  ListRule rule;
  rule.item.check = [](const std::string& text) { return CheckNetworkText(text); };
  return TextList(key, target, rule);
}

bool ConfigSection::Path(absl::string_view key, std::string* target, bool required) {
  std::string path;
  if (!Text(key, &path, {.required = required, .max_bytes = 4000})) return false;
  if (!absl::StartsWith(path, "/")) {
    const size_t slash = file_->name_.rfind('/');
    if (slash != std::string::npos) path = file_->name_.substr(0, slash + 1) + path;
  }
  *target = std::move(path);
  return true;
}

bool ConfigSection::ExistingFile(absl::string_view key, std::string* target, bool required) {
  std::string path;
  if (!Path(key, &path, required)) return false;
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) {
    Complain(key, absl::StrCat(path, " is not there; make it, or name another file"));
  } else if (!S_ISREG(status.st_mode)) {
    Complain(key, absl::StrCat(path, " is not a file"));
  } else if (access(path.c_str(), R_OK) != 0) {
    Complain(key, absl::StrCat(path, " may not be read by this user; change its owner or mode"));
  } else {
    *target = std::move(path);
    return true;
  }
  return false;
}

bool ConfigSection::SecretFile(absl::string_view key, Secret* target, bool required,
                               size_t max_bytes) {
  std::string path;
  if (!ExistingFile(key, &path, required)) return false;
  absl::StatusOr<Secret> secret = ReadSecretFile(path, max_bytes);
  if (!secret.ok()) {
    Complain(key, secret.status().message());
    return false;
  }
  absl::string_view content = secret->Reveal();
  if (absl::EndsWith(content, "\n")) content.remove_suffix(1);
  if (content.empty()) {
    Complain(key, absl::StrCat(path, " is empty; put the secret there"));
    return false;
  }
  *target = Secret(std::string(content));
  return true;
}

ConfigSection ConfigSection::Section(absl::string_view key, bool required) {
  const YamlNode* value = Value(key, required);
  if (value != nullptr && value->kind != YamlNode::Kind::kMap) {
    Complain(key, absl::StrCat("must be a map, not ", KindWord(value->kind)));
    value = nullptr;
  }
  if (value != nullptr) file_->opened_.push_back({value, KeyPath(key), {}});
  return ConfigSection(file_, value, KeyPath(key));
}

std::vector<ConfigSection> ConfigSection::Sections(absl::string_view key, const ListRule& rule) {
  std::vector<ConfigSection> sections;
  const YamlNode* value = Value(key, rule.required);
  if (value == nullptr) return sections;
  if (value->kind != YamlNode::Kind::kList) {
    Complain(key, absl::StrCat("must be a list, not ", KindWord(value->kind)));
    return sections;
  }
  if (value->children.size() < rule.min_items || value->children.size() > rule.max_items) {
    Complain(key, absl::StrCat("has ", value->children.size(), " items; must have ", rule.min_items,
                               " to ", rule.max_items));
  }
  for (size_t i = 0; i < value->children.size(); ++i) {
    const YamlNode& item = value->children[i];
    const std::string path = absl::StrCat(KeyPath(key), "[", i, "]");
    if (item.kind != YamlNode::Kind::kMap) {
      file_->Complain(item.line, path, absl::StrCat("must be a map, not ", KindWord(item.kind)));
      continue;
    }
    file_->opened_.push_back({&item, path, {}});
    sections.push_back(ConfigSection(file_, &item, path));
  }
  return sections;
}

std::vector<std::pair<std::string, ConfigSection>> ConfigSection::NamedSections(
    absl::string_view key, std::function<absl::Status(const std::string&)> name_check) {
  std::vector<std::pair<std::string, ConfigSection>> sections;
  ConfigSection all = Section(key);
  if (!all.present()) return sections;
  for (size_t i = 0; i < all.node_->keys.size(); ++i) {
    const std::string& name = all.node_->keys[i].first;
    if (name_check) {
      if (const absl::Status status = name_check(name); !status.ok()) {
        all.Complain(name, status.message());
        all.Value(name, false);
        continue;
      }
    }
    ConfigSection section = all.Section(name);
    if (section.present()) sections.emplace_back(name, std::move(section));
  }
  return sections;
}

}  // namespace werkplek
