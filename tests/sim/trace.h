// What happened in a simulation, line by line, as one hash.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace werkplek::sim {

class Trace {
 public:
  // `print`: write each line to standard output as well.
  explicit Trace(bool print) : print_(print) {}

  void Add(absl::Duration at, absl::string_view line);

  uint64_t events() const { return events_; }
  // SHA-256 over all lines, hexadecimal.
  std::string Hash() const;
  // The last lines, oldest first.
  const std::deque<std::string>& last() const { return last_; }

 private:
  const bool print_;
  uint64_t events_ = 0;
  std::string digest_;
  std::string pending_;
  std::deque<std::string> last_;
};

}  // namespace werkplek::sim
