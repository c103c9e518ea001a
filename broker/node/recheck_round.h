// Whom the directory is asked about again, and when: everybody who is signed in or has a session,
// once in each round, evenly over its time. Pure.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "broker/model/fleet.h"

namespace werkplek {

class RecheckRound {
 public:
  // Questions that may be open at once. Where the directory needs longer for each, a round does.
  static constexpr size_t kMostOpen = 32;
  // People that may be unknown at once, or a tenth of the records when that is more.
  static constexpr size_t kMostGone = 20;

  explicit RecheckRound(absl::Duration length) : length_(length) {}

  // Whose turn has come since the last call, by a clock that never jumps; not those who signed in
  // less than a round before `wall_now`, as the directory was asked then. Each is to be answered
  // with one of the three below.
  std::vector<std::string> Take(const Fleet& fleet, absl::Duration now, absl::Time wall_now);

  // The directory knows the person.
  void Known(const std::string& user);
  // It does not. True: nor in the round before. Once may be a copy of the directory that is late;
  // and so many at once have not left, but the directory's answers are wrong (kMostGone).
  bool Gone(const std::string& user, absl::Duration now);
  // It did not answer; they are asked about again in the next round.
  void NoAnswer(const std::string& user);

  // Whether nobody is gone because so many are.
  bool Doubts() const;

  // No open question will be answered.
  void Forget();

 private:
  // By the clock of Take.
  struct Absence {
    absl::Duration since;
    absl::Duration last;
  };

  // The next person in the order of sign-ins, then of live sessions, then again from the start.
  // Empty: nobody stands there, or somebody too fresh.
  std::string Next(const Fleet& fleet, absl::Time wall_now);

  const absl::Duration length_;
  absl::Duration taken_at_ = -absl::InfiniteDuration();
  // Records whose turn has come, in parts of one.
  double owed_ = 0;
  // Where Next goes on: behind this key, of one table or the other.
  bool in_sessions_ = false;
  std::string last_key_;
  // Whose answer is still to come.
  std::set<std::string> open_;
  // Whom the directory does not know, as far as they were asked about lately.
  std::map<std::string, Absence> gone_;
  // Sign-ins and live sessions at the last Take.
  size_t records_ = 0;
};

}  // namespace werkplek
