// What is at hand of the things that a host's configuration names: its shared storages, or its
// networks. Asked for again and again; while an answer is overdue, nothing is. Pure.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace werkplek {

class AtHand {
 public:
  // Nothing is asked when `configured` is empty. An answer that takes longer than `patience` is
  // overdue; after an answer the next question waits until `interval` has passed since the last.
  AtHand(std::vector<std::string> configured, absl::Duration interval, absl::Duration patience);

  enum class Step {
    kNothing,
    // To be answered by Answered().
    kAsk,
    // The answer is overdue: what was at hand is not any more.
    kGaveUp,
  };
  Step Due(absl::Duration now);
  // True: that is news.
  bool Answered(const std::vector<std::string>& names);

  // True for the empty name: nothing is needed.
  bool Has(const std::string& name) const { return name.empty() || names_.count(name) > 0; }
  // In byte order; never one that is not configured.
  const std::set<std::string>& names() const { return names_; }
  // When Due() has something to do next.
  absl::Duration wake_at(absl::Duration now) const;

 private:
  std::set<std::string> configured_;
  absl::Duration interval_;
  absl::Duration patience_;
  std::set<std::string> names_;
  bool asking_ = false;
  absl::Duration asked_ = -absl::InfiniteDuration();
};

}  // namespace werkplek
