// What one watcher is told, in order: first all that is there, then each commit. Makes one event at
// a time, so that a fleet of 20,000 desktops is never in a queue. Pure; not thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "broker/node/broker_node.h"
#include "werkplek/v1/admin.pb.h"

namespace werkplek {

class WatchSource {
 public:
  // At most `max_waiting` commits wait for their watcher.
  explicit WatchSource(size_t max_waiting) : max_waiting_(max_waiting) {}

  // A commit, in order. Those that `Begin`'s picture has already are left out. False: too many
  // wait.
  bool Add(const Committed& committed);

  // Tells of everything in the picture before the commits. Commits may have been added before.
  void Begin(Picture picture);

  // The next event; nullopt: nothing to tell now.
  std::optional<v1::WatchEvent> Next();

 private:
  bool NextOfPicture(v1::WatchEvent& event);
  bool NextOfCommits(v1::WatchEvent& event);
  // False: all of the table was told.
  template <typename Record>
  bool NextOfTable(const Table<Record>& table, v1::WatchEvent& event);

  size_t max_waiting_;
  bool begun_ = false;
  // Set while it is being told.
  Picture picture_;
  int table_ = 0;
  std::string after_;
  uint64_t told_revision_ = 0;
  std::deque<Committed> commits_;
  size_t change_ = 0;
};

}  // namespace werkplek
