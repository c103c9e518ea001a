// An ordered map from names to immutable records that shares its structure between copies.
//
// A copy costs one reference count, however many records there are: the node publishes such a copy
// after each commit, and readers keep it as long as they like. It is a B+ tree that is never
// changed in place: a write copies the nodes on the way to its record (at most kMaxNode pointers
// each) and shares the rest. Iteration is in the byte order of the keys. Thread-compatible; copies
// are independent.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace werkplek {

template <typename Record>
class Table {
 public:
  using Pointer = std::shared_ptr<const Record>;

  struct Entry {
    std::string key;
    Pointer record;
  };

 private:
  struct Node;
  using NodePointer = std::shared_ptr<const Node>;
  using EntryPointer = std::shared_ptr<const Entry>;

  // Either a leaf with entries, or an inner node with children; never empty inside a table.
  struct Node {
    std::vector<EntryPointer> entries;
    std::vector<NodePointer> children;
    // The last key under each child; the child keeps it alive.
    std::vector<const std::string*> last_keys;

    bool leaf() const { return children.empty(); }
    size_t size() const { return leaf() ? entries.size() : children.size(); }
    const std::string& last_key() const { return leaf() ? entries.back()->key : *last_keys.back(); }
  };

  static constexpr size_t kMaxNode = 32;
  // Neighbours that fit into this together are made one.
  static constexpr size_t kMergedNode = 24;
  // Nodes are cut at kMaxNode only, so a tree of this depth has held more than any memory does.
  static constexpr size_t kMaxDepth = 16;

 public:
  // Forward iteration over (key, record) in key order. Valid as long as its table, or a copy of it,
  // lives unchanged.
  class Iterator {
   public:
    const Entry& operator*() const {
      const Step& step = path_[depth_ - 1];
      return *step.node->entries[step.index];
    }
    const Entry* operator->() const { return &**this; }
    Iterator& operator++() {
      ++path_[depth_ - 1].index;
      while (depth_ > 0 && path_[depth_ - 1].index == path_[depth_ - 1].node->size()) {
        --depth_;
        if (depth_ > 0) ++path_[depth_ - 1].index;
      }
      if (depth_ > 0) DescendFirst();
      return *this;
    }
    bool operator==(const Iterator& other) const {
      if (depth_ != other.depth_) return false;
      return depth_ == 0 || (path_[depth_ - 1].node == other.path_[depth_ - 1].node &&
                             path_[depth_ - 1].index == other.path_[depth_ - 1].index);
    }

   private:
    friend class Table;
    struct Step {
      const Node* node;
      size_t index;
    };

    void Push(const Node* node, size_t index) { path_[depth_++] = {node, index}; }
    void DescendFirst() {
      while (!path_[depth_ - 1].node->leaf()) {
        const Step& step = path_[depth_ - 1];
        Push(step.node->children[step.index].get(), 0);
      }
    }

    std::array<Step, kMaxDepth> path_;
    size_t depth_ = 0;  // 0: the end.
  };

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  Iterator begin() const {
    Iterator at;
    if (root_ == nullptr) return at;
    at.Push(root_.get(), 0);
    at.DescendFirst();
    return at;
  }
  Iterator end() const { return Iterator(); }

  // The first entry whose key is greater than `key`; pages start here.
  Iterator After(absl::string_view key) const {
    Iterator at;
    if (root_ == nullptr || root_->last_key() <= key) return at;
    const Node* node = root_.get();
    while (!node->leaf()) {
      const size_t index =
          std::upper_bound(node->last_keys.begin(), node->last_keys.end(), key,
                           [](absl::string_view k, const std::string* last) { return k < *last; }) -
          node->last_keys.begin();
      at.Push(node, index);
      node = node->children[index].get();
    }
    at.Push(node, std::upper_bound(node->entries.begin(), node->entries.end(), key,
                                   [](absl::string_view k, const EntryPointer& entry) {
                                     return k < entry->key;
                                   }) -
                      node->entries.begin());
    return at;
  }

  // nullptr when there is none. Valid as long as this table, or a copy that holds the record,
  // lives.
  const Record* Find(absl::string_view key) const {
    const Entry* entry = FindEntry(key);
    return entry == nullptr ? nullptr : entry->record.get();
  }

  Pointer FindShared(absl::string_view key) const {
    const Entry* entry = FindEntry(key);
    return entry == nullptr ? nullptr : entry->record;
  }

  // Adds the record, or replaces the one under `key`.
  void Put(std::string key, Pointer record) {
    auto entry = std::make_shared<const Entry>(Entry{std::move(key), std::move(record)});
    if (root_ == nullptr) {
      auto leaf = std::make_shared<Node>();
      leaf->entries.push_back(std::move(entry));
      root_ = std::move(leaf);
      size_ = 1;
      return;
    }
    auto [node, beside] = PutInto(*root_, std::move(entry));
    if (beside != nullptr) {
      auto root = std::make_shared<Node>();
      AddChild(std::move(node), *root);
      AddChild(std::move(beside), *root);
      node = std::move(root);
    }
    root_ = std::move(node);
  }

  // False when there was none.
  bool Erase(absl::string_view key) {
    if (FindEntry(key) == nullptr) return false;
    root_ = EraseFrom(*root_, key);
    while (root_ != nullptr && !root_->leaf() && root_->children.size() == 1) {
      root_ = NodePointer(root_->children.front());
    }
    --size_;
    return true;
  }

 private:
  // The child that holds `key`, or the last one.
  static size_t ChildFor(const Node& node, absl::string_view key) {
    const size_t index =
        std::lower_bound(node.last_keys.begin(), node.last_keys.end(), key,
                         [](const std::string* last, absl::string_view k) { return *last < k; }) -
        node.last_keys.begin();
    return std::min(index, node.children.size() - 1);
  }

  static size_t EntryFor(const Node& node, absl::string_view key) {
    return std::lower_bound(
               node.entries.begin(), node.entries.end(), key,
               [](const EntryPointer& entry, absl::string_view k) { return entry->key < k; }) -
           node.entries.begin();
  }

  const Entry* FindEntry(absl::string_view key) const {
    const Node* node = root_.get();
    if (node == nullptr) return nullptr;
    while (!node->leaf()) node = node->children[ChildFor(*node, key)].get();
    const size_t index = EntryFor(*node, key);
    if (index == node->entries.size() || node->entries[index]->key != key) return nullptr;
    return node->entries[index].get();
  }

  static void AddChild(NodePointer child, Node& parent) {
    parent.last_keys.push_back(&child->last_key());
    parent.children.push_back(std::move(child));
  }

  static void SetChild(size_t index, NodePointer child, Node& parent) {
    parent.last_keys[index] = &child->last_key();
    parent.children[index] = std::move(child);
  }

  static void InsertChild(size_t index, NodePointer child, Node& parent) {
    parent.last_keys.insert(parent.last_keys.begin() + index, &child->last_key());
    parent.children.insert(parent.children.begin() + index, std::move(child));
  }

  static void RemoveChild(size_t index, Node& parent) {
    parent.last_keys.erase(parent.last_keys.begin() + index);
    parent.children.erase(parent.children.begin() + index);
  }

  // The node with the entry in it; a second one when it had to be cut.
  std::pair<NodePointer, NodePointer> PutInto(const Node& before, EntryPointer entry) {
    auto node = std::make_shared<Node>(before);
    if (node->leaf()) {
      const size_t index = EntryFor(*node, entry->key);
      if (index < node->entries.size() && node->entries[index]->key == entry->key) {
        node->entries[index] = std::move(entry);
      } else {
        node->entries.insert(node->entries.begin() + index, std::move(entry));
        ++size_;
      }
    } else {
      const size_t index = ChildFor(*node, entry->key);
      auto [child, beside] = PutInto(*node->children[index], std::move(entry));
      SetChild(index, std::move(child), *node);
      if (beside != nullptr) InsertChild(index + 1, std::move(beside), *node);
    }
    return Cut(std::move(node));
  }

  static std::pair<NodePointer, NodePointer> Cut(std::shared_ptr<Node> node) {
    if (node->size() <= kMaxNode) return {std::move(node), nullptr};
    const size_t middle = node->size() / 2;
    auto beside = std::make_shared<Node>();
    if (node->leaf()) {
      beside->entries.assign(node->entries.begin() + middle, node->entries.end());
      node->entries.resize(middle);
    } else {
      for (size_t i = middle; i < node->children.size(); ++i) {
        AddChild(node->children[i], *beside);
      }
      node->children.resize(middle);
      node->last_keys.resize(middle);
    }
    return {std::move(node), std::move(beside)};
  }

  // The node without the key, which is in it; nullptr when nothing is left.
  static NodePointer EraseFrom(const Node& before, absl::string_view key) {
    if (before.size() == 1 && before.leaf()) return nullptr;
    auto node = std::make_shared<Node>(before);
    if (node->leaf()) {
      node->entries.erase(node->entries.begin() + EntryFor(*node, key));
      return node;
    }
    const size_t index = ChildFor(*node, key);
    NodePointer child = EraseFrom(*node->children[index], key);
    if (child == nullptr) {
      RemoveChild(index, *node);
      return node->children.empty() ? nullptr : NodePointer(std::move(node));
    }
    SetChild(index, std::move(child), *node);
    if (index + 1 < node->children.size() && MergeNext(index, *node)) return node;
    if (index > 0) MergeNext(index - 1, *node);
    return node;
  }

  // Makes the child and its next neighbour one when they are small.
  static bool MergeNext(size_t index, Node& parent) {
    const Node& left = *parent.children[index];
    const Node& right = *parent.children[index + 1];
    if (left.size() + right.size() > kMergedNode) return false;
    auto merged = std::make_shared<Node>(left);
    merged->entries.insert(merged->entries.end(), right.entries.begin(), right.entries.end());
    merged->children.insert(merged->children.end(), right.children.begin(), right.children.end());
    merged->last_keys.insert(merged->last_keys.end(), right.last_keys.begin(),
                             right.last_keys.end());
    SetChild(index, std::move(merged), parent);
    RemoveChild(index + 1, parent);
    return true;
  }

  NodePointer root_;  // nullptr: empty.
  size_t size_ = 0;
};

}  // namespace werkplek
