// An ordered map from names to immutable records that shares its structure between copies.
//
// A copy costs one reference count, however many records there are: the node publishes such a copy
// after each commit, and readers keep it as long as they like. A write copies one chunk (at most
// kMaxChunk pointers) and the list of chunks. Iteration is in the byte order of the keys.
// Thread-compatible; copies are independent.
#pragma once

#include <algorithm>
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
  using Chunk = std::vector<Entry>;  // Sorted, never empty inside a table.
  using Chunks = std::vector<std::shared_ptr<const Chunk>>;

 public:
  // Forward iteration over (key, record) in key order.
  class Iterator {
   public:
    const Entry& operator*() const { return (*(*chunks_)[chunk_])[index_]; }
    const Entry* operator->() const { return &**this; }
    Iterator& operator++() {
      if (++index_ == (*chunks_)[chunk_]->size()) {
        ++chunk_;
        index_ = 0;
      }
      return *this;
    }
    bool operator==(const Iterator& other) const {
      return chunk_ == other.chunk_ && index_ == other.index_;
    }

   private:
    friend class Table;
    Iterator(const Chunks* chunks, size_t chunk, size_t index)
        : chunks_(chunks), chunk_(chunk), index_(index) {}
    const Chunks* chunks_;
    size_t chunk_;
    size_t index_;
  };

  Table() : chunks_(std::make_shared<const Chunks>()) {}

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  Iterator begin() const { return Iterator(chunks_.get(), 0, 0); }
  Iterator end() const { return Iterator(chunks_.get(), chunks_->size(), 0); }

  // The first entry whose key is greater than `key`; pages start here.
  Iterator After(absl::string_view key) const {
    size_t chunk = ChunkFor(key);
    if (chunk == chunks_->size()) return end();
    const Chunk& entries = *(*chunks_)[chunk];
    size_t index = std::upper_bound(entries.begin(), entries.end(), key,
                                    [](absl::string_view k, const Entry& e) { return k < e.key; }) -
                   entries.begin();
    if (index == entries.size()) {
      ++chunk;
      index = 0;
    }
    return Iterator(chunks_.get(), chunk, index);
  }

  // nullptr when there is none. Valid as long as this table, or a copy that holds the record,
  // lives.
  const Record* Find(absl::string_view key) const { return FindShared(key).get(); }

  Pointer FindShared(absl::string_view key) const {
    const size_t chunk = ChunkFor(key);
    if (chunk == chunks_->size()) return nullptr;
    const Chunk& entries = *(*chunks_)[chunk];
    const auto at = LowerBound(entries, key);
    return at != entries.end() && at->key == key ? at->record : nullptr;
  }

  // Adds the record, or replaces the one under `key`.
  void Put(std::string key, Pointer record) {
    Chunks chunks = *chunks_;
    if (chunks.empty()) chunks.push_back(std::make_shared<const Chunk>());
    const size_t at_chunk = std::min(ChunkFor(key), chunks.size() - 1);
    Chunk entries = *chunks[at_chunk];
    const auto at = entries.begin() + (LowerBound(entries, key) - entries.cbegin());
    if (at != entries.end() && at->key == key) {
      at->record = std::move(record);
    } else {
      entries.insert(at, Entry{std::move(key), std::move(record)});
      ++size_;
    }
    if (entries.size() > kMaxChunk) {
      const auto middle = entries.begin() + entries.size() / 2;
      chunks[at_chunk] = std::make_shared<const Chunk>(entries.begin(), middle);
      chunks.insert(chunks.begin() + at_chunk + 1,
                    std::make_shared<const Chunk>(middle, entries.end()));
    } else {
      chunks[at_chunk] = std::make_shared<const Chunk>(std::move(entries));
    }
    chunks_ = std::make_shared<const Chunks>(std::move(chunks));
  }

  // False when there was none.
  bool Erase(absl::string_view key) {
    const size_t at_chunk = ChunkFor(key);
    if (at_chunk == chunks_->size()) return false;
    const auto found = LowerBound(*(*chunks_)[at_chunk], key);
    if (found == (*chunks_)[at_chunk]->end() || found->key != key) return false;
    Chunk entries = *(*chunks_)[at_chunk];
    entries.erase(entries.begin() + (found - (*chunks_)[at_chunk]->begin()));
    Chunks chunks = *chunks_;
    if (entries.empty()) {
      chunks.erase(chunks.begin() + at_chunk);
    } else {
      chunks[at_chunk] = std::make_shared<const Chunk>(std::move(entries));
    }
    chunks_ = std::make_shared<const Chunks>(std::move(chunks));
    --size_;
    return true;
  }

 private:
  static constexpr size_t kMaxChunk = 64;

  static typename Chunk::const_iterator LowerBound(const Chunk& entries, absl::string_view key) {
    return std::lower_bound(entries.begin(), entries.end(), key,
                            [](const Entry& e, absl::string_view k) { return e.key < k; });
  }

  // The chunk whose range holds `key`: the first whose last key is not less.
  size_t ChunkFor(absl::string_view key) const {
    return std::lower_bound(chunks_->begin(), chunks_->end(), key,
                            [](const std::shared_ptr<const Chunk>& chunk, absl::string_view k) {
                              return chunk->back().key < k;
                            }) -
           chunks_->begin();
  }

  std::shared_ptr<const Chunks> chunks_;
  size_t size_ = 0;
};

}  // namespace werkplek
