// What is going on: pool status, watch, explain, audit.
#pragma once

#include <cstdint>
#include <string>

#include "client/ctl/command.h"

namespace werkplek {

// `pool status`.
class PoolStatusCommand : public Command {
 public:
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;
};

// `watch [--changes]`: a line per thing, then per change, until it is interrupted.
class WatchCommand : public Command {
 public:
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;

 private:
  bool changes_only_ = false;
  uint32_t limit_ = 0;
};

// `explain ID`.
class ExplainCommand : public Command {
 public:
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;

 private:
  std::string id_;
};

// `audit list [--after SEQUENCE] [--limit N]`, `audit list --last N`.
class ListAuditCommand : public Command {
 public:
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;

 private:
  uint64_t after_ = 0;
  uint32_t limit_ = 0;
  uint32_t last_ = 0;
};

// An explanation for people.
void ShowExplanation(const v1::Explanation& explanation, std::ostream& out, int width);

// A change in one line: "desktop  kantoor-7f3a  assigned  hv-a1".
std::string DescribeChange(const v1::WatchEvent& event);

}  // namespace werkplek
