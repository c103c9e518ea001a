// The fake Directory: people in memory, answers after a delay, outages when the test says so.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "broker/node/ports.h"

namespace werkplek {

// Callbacks run on the executor. One thread.
class FakeDirectory : public Directory {
 public:
  struct Person {
    std::string password;
    DirectoryPerson facts;
  };

  explicit FakeDirectory(Executor* executor) : executor_(executor) {}

  // `groups` are cn values; their DNs are made here.
  void AddPerson(const std::string& user, const std::string& password,
                 const std::vector<std::string>& groups) {
    Person person;
    person.password = password;
    person.facts.user = user;
    person.facts.dn = "uid=" + user + ",ou=people,dc=example,dc=nl";
    person.facts.display_name = "Person " + user;
    for (const std::string& group : groups) {
      person.facts.groups.push_back("cn=" + group + ",ou=groups,dc=example,dc=nl");
    }
    people_[user] = std::move(person);
  }

  // The person who is found under this name has another spelling in the directory.
  void Rename(const std::string& typed, const std::string& spelling) {
    people_.at(typed).facts.user = spelling;
  }

  // Nobody is found under this name any more.
  void RemovePerson(const std::string& user) { people_.erase(user); }

  // What is said to everybody instead of the truth; kOk: the truth.
  void SetOutage(DirectoryOutcome outcome) { outage_ = outcome; }
  void SetDelay(absl::Duration delay) { delay_ = delay; }
  int asked() const { return asked_; }
  const std::string& last_asked() const { return last_asked_; }
  // Without a password.
  int looked_for() const { return looked_for_; }

  void Authenticate(const std::string& user, const Secret& password,
                    absl::AnyInvocable<void(DirectoryAnswer)> done) override {
    ++asked_;
    last_asked_ = user;
    DirectoryAnswer answer;
    const auto at = people_.find(user);
    if (outage_ != DirectoryOutcome::kOk) {
      answer.outcome = outage_;
      answer.detail = "outage";
    } else if (at == people_.end()) {
      answer.detail = "unknown user";
    } else if (password.empty() || at->second.password != password.Reveal()) {
      answer.detail = "wrong password";
    } else {
      answer.outcome = DirectoryOutcome::kOk;
      answer.person = at->second.facts;
    }
    executor_->PostAfter(delay_, [answer = std::move(answer), done = std::move(done)]() mutable {
      done(std::move(answer));
    });
  }

  void Find(const std::string& user,
            absl::AnyInvocable<void(absl::StatusOr<DirectoryPerson>)> done) override {
    ++looked_for_;
    absl::StatusOr<DirectoryPerson> found = absl::NotFoundError("no such user");
    const auto at = people_.find(user);
    if (outage_ != DirectoryOutcome::kOk) {
      found = absl::UnavailableError("the directory does not answer");
    } else if (at != people_.end()) {
      found = at->second.facts;
    }
    executor_->PostAfter(delay_, [found = std::move(found), done = std::move(done)]() mutable {
      done(std::move(found));
    });
  }

 private:
  Executor* const executor_;
  std::map<std::string, Person> people_;
  DirectoryOutcome outage_ = DirectoryOutcome::kOk;
  absl::Duration delay_ = absl::Milliseconds(1);
  int asked_ = 0;
  int looked_for_ = 0;
  std::string last_asked_;
};

}  // namespace werkplek
