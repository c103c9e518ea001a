// A configuration file, read strictly: every complaint of the whole file is collected, each as
// `FILE:LINE: FIELD: what is wrong; what to do`.
//
//   auto file = ConfigFile::Load(path);
//   ConfigSection root = file->Root();
//   root.Duration("heartbeat", &settings.heartbeat, {.min = absl::Milliseconds(100)});
//   RETURN_IF_ERROR(file->Finish());   // nothing of `settings` counts before this
//
// What a read call cannot take leaves its target as it was, so defaults are set beforehand.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/crypto.h"
#include "common/config/units.h"
#include "common/config/yaml_tree.h"

namespace werkplek {

class ConfigFile;

struct TextRule {
  bool required = false;
  size_t max_bytes = 1024;
  // A further judge of the text; its message is shown.
  std::function<absl::Status(const std::string&)> check;
};
struct DurationRule {
  bool required = false;
  absl::Duration min = absl::ZeroDuration();
  absl::Duration max = absl::InfiniteDuration();
};
struct NumberRule {
  bool required = false;
  int64_t min = 0;
  int64_t max = std::numeric_limits<int64_t>::max();
};
struct SizeRule {
  bool required = false;
  uint64_t min = 0;
  uint64_t max = std::numeric_limits<uint64_t>::max();
};
struct ListRule {
  bool required = false;
  size_t min_items = 0;
  size_t max_items = 1000;
  // For each item; `required` counts for nothing there.
  TextRule item;
};

// One map of the file. Cheap to copy; valid as long as its file. A section that is absent reads as
// one without keys, but misses nothing.
class ConfigSection {
 public:
  // Whether the section is in the file; for optional sections.
  bool present() const { return node_ != nullptr; }
  // Whether the key is there, whatever its value.
  bool Has(absl::string_view key) const;

  // Each returns whether the target was set. A key that no call has asked for is unknown.
  bool Text(absl::string_view key, std::string* target, const TextRule& rule = {});
  bool Boolean(absl::string_view key, bool* target, bool required = false);
  bool Duration(absl::string_view key, absl::Duration* target, const DurationRule& rule = {});
  // Bytes.
  bool Size(absl::string_view key, uint64_t* target, const SizeRule& rule = {});
  bool TextList(absl::string_view key, std::vector<std::string>* target, const ListRule& rule = {});
  // "ADDRESS:PORT" as written.
  bool Address(absl::string_view key, std::string* target, bool required = false);
  bool AddressList(absl::string_view key, std::vector<std::string>* target,
                   const ListRule& rule = {});
  // Networks as in CheckNetworkText.
  bool NetworkList(absl::string_view key, std::vector<std::string>* target);
  // A path; one that is relative is taken from the folder of the configuration file.
  bool Path(absl::string_view key, std::string* target, bool required = false);
  // A path to a file that must be there and readable.
  bool ExistingFile(absl::string_view key, std::string* target, bool required = false);
  // A path to a file that must be there and closed to others; reads it, without one final newline.
  bool SecretFile(absl::string_view key, Secret* target, bool required = false,
                  size_t max_bytes = 4096);

  // An integer type of any width.
  template <typename Integer>
  bool Number(absl::string_view key, Integer* target, NumberRule rule = {}) {
    static_assert(std::is_integral_v<Integer> && !std::is_same_v<Integer, bool>);
    if constexpr (sizeof(Integer) < sizeof(int64_t)) {
      rule.max = std::min<int64_t>(rule.max, std::numeric_limits<Integer>::max());
    }
    int64_t value = 0;
    if (!ReadNumber(key, &value, rule)) return false;
    *target = static_cast<Integer>(value);
    return true;
  }

  // One of a few words.
  template <typename T>
  bool Choice(absl::string_view key, T* target,
              std::initializer_list<std::pair<absl::string_view, T>> choices,
              bool required = false) {
    std::vector<absl::string_view> words;
    for (const auto& choice : choices) words.push_back(choice.first);
    const int index = ReadChoice(key, words, required);
    if (index < 0) return false;
    *target = (choices.begin() + index)->second;
    return true;
  }

  ConfigSection Section(absl::string_view key, bool required = false);
  // A list of maps.
  std::vector<ConfigSection> Sections(absl::string_view key, const ListRule& rule = {});
  // A map from free names to maps, in the order of the file; `name_check` judges each name.
  std::vector<std::pair<std::string, ConfigSection>> NamedSections(
      absl::string_view key, std::function<absl::Status(const std::string&)> name_check = {});

  // A complaint about the key (or about the whole section: ""), at its line; for rules between
  // fields. The message says what to do.
  void Complain(absl::string_view key, absl::string_view message);

 private:
  friend class ConfigFile;
  ConfigSection(ConfigFile* file, const YamlNode* node, std::string path)
      : file_(file), node_(node), path_(std::move(path)) {}

  // The value, when the key is there and not null; complains of a required one that is not.
  const YamlNode* Value(absl::string_view key, bool required);
  // As Value, and a scalar; `wanted` is what a complaint asks for.
  const YamlNode* Scalar(absl::string_view key, bool required, absl::string_view wanted);
  bool ReadNumber(absl::string_view key, int64_t* target, const NumberRule& rule);
  int ReadChoice(absl::string_view key, const std::vector<absl::string_view>& words, bool required);
  std::string KeyPath(absl::string_view key) const;
  int KeyLine(absl::string_view key) const;

  ConfigFile* file_;
  // nullptr: absent.
  const YamlNode* node_;
  // "brokers[2].tls"; empty: the root.
  std::string path_;
};

// Thread-compatible. Outlives its sections.
class ConfigFile {
 public:
  // A file that cannot be read is a complaint too.
  static std::unique_ptr<ConfigFile> Load(const std::string& path);
  // `name` stands for the file in complaints, and tells the folder of relative paths.
  static std::unique_ptr<ConfigFile> Parse(std::string name, const std::string& text);

  ConfigSection Root();

  // OK, or INVALID_ARGUMENT with every complaint, a line each, in the order of the file. Call it
  // once all is read: keys that nobody asked for are unknown.
  absl::Status Finish();

 private:
  friend class ConfigSection;
  explicit ConfigFile(std::string name) : name_(std::move(name)) {}
  void Complain(int line, absl::string_view field, absl::string_view message);
  void ComplainOfUnknownKeys();

  struct Complaint {
    int line = 0;
    std::string text;
  };
  // A map that was opened, and the keys that were asked for.
  struct Opened {
    const YamlNode* node = nullptr;
    std::string path;
    std::set<std::string> known;
  };

  const std::string name_;
  YamlDocument document_;
  std::vector<Complaint> complaints_;
  std::deque<Opened> opened_;
  bool finished_ = false;
};

}  // namespace werkplek
