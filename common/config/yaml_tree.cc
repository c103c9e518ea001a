#include "common/config/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <sstream>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace werkplek {
namespace {

constexpr size_t kMaxDepth = 16;
constexpr size_t kMaxNodes = 20'000;
constexpr size_t kMaxComplaints = 50;

// Ends the parse from inside of yaml-cpp, which knows no other way out of a handler. Caught below.
struct TooMuch {};

// Builds the tree from yaml-cpp's events.
class Builder : public YAML::EventHandler {
 public:
  explicit Builder(YamlDocument& document) : document_(document) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnAnchor(const YAML::Mark& mark, const std::string& name) override {
    Complain(mark,
             absl::StrCat("anchor &", name, ": anchors are not accepted; write the value out"));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    Complain(mark, "aliases are not accepted; write the value out");
    Add(mark, YamlNode{});
  }
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { Add(mark, YamlNode{}); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                const std::string& value) override {
    if (tag != "?" && tag != "!") RefuseTag(mark, tag);
    YamlNode node;
    // What YAML takes for null without quotes (YAML 1.2, 10.3.2).
    const bool null = tag == "?" && (value.empty() || value == "~" || value == "null");
    node.kind = null ? YamlNode::Kind::kNull : YamlNode::Kind::kScalar;
    node.text = value;
    node.quoted = tag == "!";
    Add(mark, std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    Open(mark, tag, YamlNode::Kind::kList);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    Open(mark, tag, YamlNode::Kind::kMap);
  }
  void OnMapEnd() override { Close(); }

 private:
  struct Frame {
    YamlNode node;
    // A map's key that waits for its value.
    bool has_key = false;
    std::pair<std::string, int> key;
  };

  void Complain(const YAML::Mark& mark, std::string message) {
    if (document_.complaints.size() >= kMaxComplaints) throw TooMuch();
    document_.complaints.push_back({mark.line + 1, std::move(message)});
  }

  void RefuseTag(const YAML::Mark& mark, const std::string& tag) {
    if (!tag.empty() && tag != "?" && tag != "!") {
      Complain(mark, absl::StrCat("tag ", tag, ": tags are not accepted"));
    }
  }

  void Open(const YAML::Mark& mark, const std::string& tag, YamlNode::Kind kind) {
    RefuseTag(mark, tag);
    if (frames_.size() >= kMaxDepth) {
      Complain(mark, absl::StrCat("nested deeper than ", kMaxDepth, " levels"));
      throw TooMuch();
    }
    Frame frame;
    frame.node.kind = kind;
    frame.node.line = mark.line + 1;
    frames_.push_back(std::move(frame));
  }

  void Close() {
    YamlNode node = std::move(frames_.back().node);
    frames_.pop_back();
    Attach(std::move(node));
  }

  void Add(const YAML::Mark& mark, YamlNode node) {
    node.line = mark.line + 1;
    Attach(std::move(node));
  }

  void Attach(YamlNode node) {
    if (++nodes_ > kMaxNodes) {
      document_.complaints.push_back({node.line, absl::StrCat("more than ", kMaxNodes, " values")});
      throw TooMuch();
    }
    if (frames_.empty()) {
      document_.root = std::move(node);
      return;
    }
    Frame& frame = frames_.back();
    if (frame.node.kind == YamlNode::Kind::kMap && !frame.has_key) {
      TakeKey(frame, node);
      return;
    }
    if (frame.node.kind == YamlNode::Kind::kMap) {
      frame.has_key = false;
      frame.node.keys.push_back(std::move(frame.key));
    }
    frame.node.children.push_back(std::move(node));
  }

  void TakeKey(Frame& frame, const YamlNode& key) {
    const YAML::Mark mark = [&] {
      YAML::Mark at;
      at.line = key.line - 1;
      return at;
    }();
    if (key.kind != YamlNode::Kind::kScalar) {
      Complain(mark, absl::StrCat("a key must be a text, not ", KindWord(key.kind)));
    } else if (key.text == "<<") {
      Complain(mark, "merge keys (<<) are not accepted; write the values out");
    }
    for (const auto& [name, line] : frame.node.keys) {
      if (name != key.text) continue;
      Complain(mark, absl::StrCat("\"", absl::CHexEscape(key.text),
                                  "\" is set twice, first on line ", line, "; keep one"));
      break;
    }
    frame.has_key = true;
    frame.key = {key.text, key.line};
  }

  YamlDocument& document_;
  std::vector<Frame> frames_;
  size_t nodes_ = 0;
};

// What yaml-cpp would take silently, or complain of unclearly.
std::vector<YamlComplaint> CheckBytes(absl::string_view text) {
  if (text.size() > kMaxYamlBytes) {
    return {{1, absl::StrCat("larger than ", kMaxYamlBytes / 1024, " KiB; is it the right file?")}};
  }
  if (text.substr(0, 3) == "\xef\xbb\xbf" || text.substr(0, 2) == "\xff\xfe" ||
      text.substr(0, 2) == "\xfe\xff") {
    return {{1, "begins with a byte order mark; save it as UTF-8 without one"}};
  }
  std::vector<YamlComplaint> complaints;
  int line = 1;
  bool indenting = true;
  for (const char c : text) {
    const unsigned char byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      ++line;
      indenting = true;
    } else if (c == '\t' && indenting) {
      complaints.push_back({line, "indented with a tab; use spaces"});
      indenting = false;
    } else if ((byte < ' ' && c != '\t' && c != '\r') || byte == 0x7f) {
      complaints.push_back({line, absl::StrCat("holds the control byte 0x",
                                               absl::Hex(byte, absl::kZeroPad2), "; remove it")});
    } else if (c != ' ') {
      indenting = false;
    }
    if (complaints.size() >= kMaxComplaints) break;
  }
  return complaints;
}

// Empty: good.
std::string Utf8Problem(absl::string_view text, int& line) {
  line = 1;
  for (size_t i = 0; i < text.size();) {
    const auto byte = [&](size_t at) {
      return at < text.size() ? static_cast<unsigned char>(text[at]) : 0u;
    };
    const unsigned lead = byte(i);
    if (lead == '\n') ++line;
    const size_t length = lead < 0x80                   ? 1
                          : lead >= 0xc2 && lead < 0xe0 ? 2
                          : (lead & 0xf0) == 0xe0       ? 3
                          : lead >= 0xf0 && lead < 0xf5 ? 4
                                                        : 0;
    bool good = length > 0;
    for (size_t k = 1; k < length; ++k) good = good && (byte(i + k) & 0xc0) == 0x80;
    if (!good) return "not UTF-8; save it as UTF-8";
    i += length;
  }
  return "";
}

}  // namespace

const YamlNode* YamlNode::Find(absl::string_view key) const {
  for (size_t i = 0; i < keys.size(); ++i) {
    if (keys[i].first == key) return &children[i];
  }
  return nullptr;
}

absl::string_view KindWord(YamlNode::Kind kind) {
  switch (kind) {
    case YamlNode::Kind::kNull:
      return "nothing";
    case YamlNode::Kind::kScalar:
      return "a text";
    case YamlNode::Kind::kList:
      return "a list";
    case YamlNode::Kind::kMap:
      return "a map";
  }
  return "nothing";
}

YamlDocument ParseYaml(const std::string& text) {
  YamlDocument document;
  document.root.line = 1;
  document.complaints = CheckBytes(text);
  int line = 1;
  if (document.complaints.empty()) {
    if (const std::string problem = Utf8Problem(text, line); !problem.empty()) {
      document.complaints.push_back({line, problem});
    }
  }
  if (!document.complaints.empty()) return document;
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    Builder builder(document);
    parser.HandleNextDocument(builder);
    YamlDocument rest;
    Builder rest_builder(rest);
    if (document.complaints.empty() && parser.HandleNextDocument(rest_builder)) {
      document.complaints.push_back(
          {std::max(rest.root.line, 1), "a second document begins here (---); keep one"});
    }
  } catch (const TooMuch&) {
    // The complaint is there already.
  } catch (const YAML::Exception& error) {
    document.complaints.push_back({error.mark.line + 1, absl::StrCat("not YAML: ", error.msg)});
  }
  if (document.complaints.empty() && document.root.kind != YamlNode::Kind::kMap) {
    document.complaints.push_back(
        {document.root.line,
         absl::StrCat("must be a map (\"key: value\" lines), not ", KindWord(document.root.kind))});
  }
  return document;
}

}  // namespace werkplek
