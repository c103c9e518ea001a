// The directory of one broker's site. What another broker has judged already is taken from it, as
// the leader does with a sign-in that a follower forwards.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/support/fake_directory.h"

namespace werkplek::sim {

class SimDirectory : public Directory {
 public:
  explicit SimDirectory(Executor* executor) : executor_(executor), own_(executor) {}

  FakeDirectory& own() { return own_; }

  // The password to give in place of the true one, so that `answer` is what this directory says.
  std::string Judged(DirectoryAnswer answer) {
    const std::string ticket = absl::StrCat("\x01judged-", next_++);
    judged_[ticket] = std::move(answer);
    return ticket;
  }

  void Authenticate(const std::string& user, const Secret& password,
                    absl::AnyInvocable<void(DirectoryAnswer)> done) override {
    const auto at = judged_.find(password.Reveal());
    if (at == judged_.end()) return own_.Authenticate(user, password, std::move(done));
    executor_->Post([answer = std::move(at->second), done = std::move(done)]() mutable {
      done(std::move(answer));
    });
    judged_.erase(at);
  }
  void Find(const std::string& user,
            absl::AnyInvocable<void(absl::StatusOr<DirectoryPerson>)> done) override {
    own_.Find(user, std::move(done));
  }

 private:
  Executor* const executor_;
  FakeDirectory own_;
  uint64_t next_ = 1;
  std::map<std::string, DirectoryAnswer> judged_;
};

}  // namespace werkplek::sim
