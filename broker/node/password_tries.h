// How many wrong passwords may be tried in one name before the directory would lock the account: a
// stranger who knows names must not be able to lock people out. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "broker/core/event.h"

namespace werkplek {

struct PasswordLimits {
  // Wrong passwords since the last right one, from anywhere.
  uint32_t all = 8;
  // Tries of strangers that ended in no sign-in, whatever came between. Fewer than `all`, so that
  // some are left to the person.
  uint32_t strangers = 4;
  // Those of a name count until there was none for so long.
  absl::Duration remembered = absl::Minutes(30);
};

// For a directory that locks an account at `locks_after` wrong passwords (4 or more) with less than
// `lock_window` between them: two fewer, and half of that for strangers, rounded up.
PasswordLimits LimitsFor(uint32_t locks_after, absl::Duration lock_window);

// What a try came to.
struct TryOutcome {
  // Of name and password.
  DirectoryOutcome said = DirectoryOutcome::kUnavailable;
  // The code fitted, too.
  bool code_right = false;
};

class PasswordTries {
 public:
  // Over all names; beyond, strangers wait who try a name of which nothing is known yet. What is
  // known of another name is not forgotten for that, or it could be washed out.
  static constexpr size_t kMostRemembered = 200'000;
  // A try of which nothing is heard for so long counts as wrong, as the directory may have.
  static constexpr absl::Duration kLongestTry = absl::Seconds(30);

  enum class Verdict {
    // It may be tried; it counts as under way until Ended.
    kTry,
    // Not before the tries that are under way have ended.
    kOthersFirst,
    // Not within `wait`.
    kPaused,
    // Too much is remembered (kMostRemembered).
    kFull,
  };
  struct Answer {
    Verdict verdict = Verdict::kTry;
    absl::Duration wait;
  };
  // Whether the person has signed in from that place; asked only when it matters.
  using IsKnown = absl::FunctionRef<bool(const std::string& place)>;

  explicit PasswordTries(const PasswordLimits& limits) : limits_(limits) {}

  // Whether a password may be tried in this name, from there. `now`: a clock that never jumps.
  Answer Begin(const std::string& user, const std::string& place, IsKnown is_known,
               absl::Duration now);

  // What came of a try. Of a stranger a right password with a wrong code counts all the same, or
  // the pause would tell who has no code whether a password is right. kUnavailable and kOverloaded
  // do not count. True: with this wrong one the name is paused, for strangers or everywhere.
  bool Ended(const std::string& user, const std::string& place, const TryOutcome& outcome,
             IsKnown is_known, absl::Duration now);

  // Everything.
  void Forget();

 private:
  struct Try {
    absl::Duration at;
    std::string place;
  };
  struct Name {
    // In the order in which they ended.
    std::vector<Try> failed;
    // Those that are under way, in the order in which they began.
    std::vector<Try> open;
    absl::Duration right_at = -absl::InfiniteDuration();
  };
  using Names = std::map<std::string, Name>;

  void AddFailed(const std::string& key, Name& name, const std::string& place, absl::Duration now);
  void CloseOld(absl::Duration now);
  void ForgetOld(absl::Duration now);
  void EraseIfEmpty(Names::iterator name);
  // Whether there is room for one more from such a place beside those that failed and `more`.
  bool HasRoom(const Name& name, bool known, IsKnown is_known, size_t more) const;

  const PasswordLimits limits_;
  // By OwnerKey.
  Names names_;
  // Every try that failed, and every one that began, with its name.
  std::deque<std::pair<absl::Duration, std::string>> failed_by_age_;
  std::deque<std::pair<absl::Duration, std::string>> begun_by_age_;
};

}  // namespace werkplek
