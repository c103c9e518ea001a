// create, get, list, update, delete, apply, and opening and closing for work, of declared things.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "client/ctl/command.h"
#include "client/ctl/resource_schema.h"

namespace werkplek {

// `KIND create NAME --flags` or `-f FILE`.
class CreateResourceCommand : public Command {
 public:
  explicit CreateResourceCommand(v1::ResourceKind kind) : kind_(kind), flags_(FlagsOf(kind)) {}
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;

 private:
  const v1::ResourceKind kind_;
  const std::vector<FieldFlag> flags_;
  std::map<size_t, std::string> values_;
  std::string name_;
  std::string file_;
};

// `KIND get [NAME...]`: everything that was declared, of these or of all.
class GetResourceCommand : public Command {
 public:
  explicit GetResourceCommand(v1::ResourceKind kind) : kind_(kind) {}
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;

 private:
  const v1::ResourceKind kind_;
  std::vector<std::string> names_;
};

// `KIND list`.
class ListResourcesCommand : public Command {
 public:
  explicit ListResourcesCommand(v1::ResourceKind kind) : kind_(kind) {}
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;

 private:
  const v1::ResourceKind kind_;
};

// `KIND update NAME --flags`: reads it, changes the fields that are given, writes it back; tries
// again when someone else wrote between, unless --version says which one is meant.
class UpdateResourceCommand : public Command {
 public:
  explicit UpdateResourceCommand(v1::ResourceKind kind) : kind_(kind), flags_(FlagsOf(kind)) {}
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;

 private:
  absl::StatusOr<v1::Resource> Once(CommandContext& context);

  const v1::ResourceKind kind_;
  const std::vector<FieldFlag> flags_;
  std::map<size_t, std::string> values_;
  std::string name_;
  uint64_t version_ = 0;
};

// `KIND delete NAME...`.
class DeleteResourceCommand : public Command {
 public:
  explicit DeleteResourceCommand(v1::ResourceKind kind) : kind_(kind) {}
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;

 private:
  const v1::ResourceKind kind_;
  std::vector<std::string> names_;
  uint64_t version_ = 0;
};

// `site|host|pool drain|open|maintenance NAME...`.
class SchedulabilityCommand : public Command {
 public:
  SchedulabilityCommand(v1::ResourceKind kind, v1::Schedulability wanted)
      : kind_(kind), wanted_(wanted) {}
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;

 private:
  const v1::ResourceKind kind_;
  const v1::Schedulability wanted_;
  std::vector<std::string> names_;
};

// `apply -f FILE... [--dry-run]`: creates what is not there, updates what differs, leaves the rest.
class ApplyCommand : public Command {
 public:
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;

 private:
  absl::Status Create(CommandContext& context, const v1::Resource& wanted);
  // Makes `present` what is `wanted`.
  absl::Status Update(CommandContext& context, const v1::Resource& present,
                      const v1::Resource& wanted);

  std::vector<std::string> files_;
  bool dry_run_ = false;
};

// The table of resources of one kind, for people.
void ShowResources(v1::ResourceKind kind,
                   const google::protobuf::RepeatedPtrField<v1::Resource>& resources,
                   std::ostream& out, int width);

}  // namespace werkplek
