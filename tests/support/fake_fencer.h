// The fake Fencer: switches off what it is told to, and says what it is told to.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "broker/node/ports.h"

namespace werkplek {

class FakeFencer : public Fencer {
 public:
  explicit FakeFencer(Executor* executor) : executor_(executor) {}

  void Fence(const std::string& host, absl::AnyInvocable<void(absl::Status)> done) override {
    asked.push_back(host);
    const auto scripted = answers.find(host);
    const absl::Status status = scripted == answers.end() ? absl::OkStatus() : scripted->second;
    if (status.ok() && switch_off) switch_off(host);
    executor_->PostAfter(delay, [status, done = std::move(done)]() mutable { done(status); });
  }

  std::vector<std::string> asked;
  // What it says of a host; others are switched off.
  std::map<std::string, absl::Status> answers;
  std::function<void(const std::string& host)> switch_off;
  absl::Duration delay = absl::Milliseconds(1);

 private:
  Executor* const executor_;
};

}  // namespace werkplek
