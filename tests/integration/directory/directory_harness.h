// An LdapDirectory with a loop of its own, asked from a test that waits for the answers.
#pragma once

#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "broker/directory/ldap_directory.h"
#include "common/base/loop_executor.h"
#include "tests/support/slapd/slapd.h"

namespace werkplek {

// Settings for servers of the Slapd fixture. Quick timeouts, so that tests of silence are short.
inline DirectorySettings SettingsFor(const std::vector<std::string>& servers,
                                     const std::string& ca_file) {
  DirectorySettings settings;
  settings.servers = servers;
  settings.ca_file = ca_file;
  settings.bind_dn = Slapd::kServiceDn;
  settings.bind_password = Secret(Slapd::kServicePassword);
  settings.user_base = Slapd::kPeople;
  settings.group_base = Slapd::kGroups;
  return settings;
}

class DirectoryHarness {
 public:
  explicit DirectoryHarness(const DirectorySettings& settings) : executor_("test-loop") {
    auto made = LdapDirectory::Create(settings, &executor_);
    status_ = made.status();
    if (made.ok()) directory_ = *std::move(made);
  }

  const absl::Status& status() const { return status_; }
  LdapDirectory& directory() { return *directory_; }

  DirectoryAnswer Authenticate(const std::string& user, const std::string& password) {
    std::promise<DirectoryAnswer> result;
    directory_->Authenticate(user, Secret(password),
                             [&](DirectoryAnswer answer) { result.set_value(std::move(answer)); });
    return result.get_future().get();
  }

  // All of them (user, password) at once.
  std::vector<DirectoryAnswer> AuthenticateAll(
      const std::vector<std::pair<std::string, std::string>>& people) {
    std::vector<std::promise<DirectoryAnswer>> results(people.size());
    for (size_t i = 0; i < people.size(); ++i) {
      directory_->Authenticate(
          people[i].first, Secret(people[i].second),
          [&result = results[i]](DirectoryAnswer answer) { result.set_value(std::move(answer)); });
    }
    std::vector<DirectoryAnswer> answers;
    answers.reserve(people.size());
    for (std::promise<DirectoryAnswer>& result : results) {
      answers.push_back(result.get_future().get());
    }
    return answers;
  }

  absl::StatusOr<DirectoryPerson> Find(const std::string& user) {
    std::promise<absl::StatusOr<DirectoryPerson>> result;
    directory_->Find(
        user, [&](absl::StatusOr<DirectoryPerson> found) { result.set_value(std::move(found)); });
    return result.get_future().get();
  }

 private:
  LoopExecutor executor_;
  absl::Status status_;
  std::unique_ptr<LdapDirectory> directory_;
};

}  // namespace werkplek
