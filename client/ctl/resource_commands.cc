#include "client/ctl/resource_commands.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/api/exit_code.h"
#include "client/ctl/resource_changes.h"
#include "client/ctl/resource_file.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

constexpr int kUpdateAttempts = 5;

// A flag for each field; what is given lands in `values`, by the flag's index.
void DefineFlags(CLI::App& app, const std::vector<FieldFlag>& flags,
                 std::map<size_t, std::string>& values) {
  for (size_t i = 0; i < flags.size(); ++i) {
    CLI::Option* option = app.add_option_function<std::string>(
        flags[i].flag, [&values, i](const std::string& value) { values[i] = value; },
        flags[i].help);
    option->type_name(flags[i].value_name)->group("Fields");
  }
}

absl::Status ApplyFlags(const std::vector<FieldFlag>& flags,
                        const std::map<size_t, std::string>& values, v1::Resource& resource) {
  for (const auto& [index, value] : values) {
    RETURN_IF_ERROR(ApplyFlag(flags[index], value, resource));
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::Resource> GetOne(CommandContext& context, v1::ResourceKind kind,
                                    const std::string& name) {
  v1::GetResourceRequest request;
  request.set_kind(kind);
  request.set_name(name);
  return CallAdmin(context, &v1::AdminService::Stub::GetResource, request);
}

absl::StatusOr<v1::Resource> CreateOne(CommandContext& context, const v1::Resource& resource) {
  v1::CreateResourceRequest request;
  request.set_request_id(NewRequestId());
  *request.mutable_resource() = resource;
  request.mutable_resource()->set_version(0);
  return CallAdmin(context, &v1::AdminService::Stub::CreateResource, request);
}

absl::StatusOr<v1::Resource> UpdateOne(CommandContext& context, const v1::Resource& resource) {
  v1::UpdateResourceRequest request;
  request.set_request_id(NewRequestId());
  *request.mutable_resource() = resource;
  return CallAdmin(context, &v1::AdminService::Stub::UpdateResource, request);
}

absl::StatusOr<v1::ListResourcesResponse> ListAll(CommandContext& context, v1::ResourceKind kind) {
  v1::ListResourcesRequest request;
  request.set_kind(kind);
  return CallAllPages(context, &v1::AdminService::Stub::ListResources, request,
                      [](const v1::ListResourcesResponse& page, v1::ListResourcesRequest& next) {
                        if (!page.resources().empty()) {
                          next.set_after(page.resources().rbegin()->name());
                        }
                      });
}

// The result of a change: one line for people, the resource for scripts.
void ShowChanged(CommandContext& context, const v1::Resource& resource, absl::string_view what) {
  Show(context, resource, [&](std::ostream& out, int) {
    out << KindWord(KindOf(resource)) << " " << Printable(resource.name()) << " " << what;
    if (resource.version() > 0) out << " (version " << resource.version() << ")";
    out << "\n";
  });
}

// "updated: max_desktops 4 -> 8".
std::string WithChanges(absl::string_view what, const v1::Resource& before,
                        const v1::Resource& after) {
  const std::vector<std::string> changes = DescribeChanges(before, after);
  if (changes.empty()) return std::string(what);
  return absl::StrCat(what, ": ", Printable(absl::StrJoin(changes, ", ")));
}

std::string NumberOr(uint64_t number, absl::string_view when_zero) {
  return number == 0 ? std::string(when_zero) : absl::StrCat(number);
}

std::string AfterDisconnect(const v1::DisconnectPolicy& policy) {
  std::vector<std::string> parts;
  if (policy.suspend_after_s() > 0) {
    parts.push_back(absl::StrCat("suspend ", FormatSpan(absl::Seconds(policy.suspend_after_s()))));
  }
  if (policy.end_after_s() > 0) {
    parts.push_back(absl::StrCat("end ", FormatSpan(absl::Seconds(policy.end_after_s()))));
  }
  return parts.empty() ? "keep" : absl::StrJoin(parts, ", ");
}

std::vector<std::string> Headers(v1::ResourceKind kind) {
  switch (kind) {
    case v1::RESOURCE_KIND_SITE:
      return {"NAME", "DESCRIPTION", "STARTS", "VERSION"};
    case v1::RESOURCE_KIND_HOST:
      return {"NAME", "SITE", "WORK", "MEMORY MIB", "DESKTOPS", "STARTS", "VERSION"};
    case v1::RESOURCE_KIND_IMAGE:
      return {"NAME", "FORMAT", "AGENT", "SOURCE", "SHA256", "VERSION"};
    case v1::RESOURCE_KIND_POOL:
      return {"NAME", "KIND",       "IMAGE",
              "MIN",  "MAX",        "SPARES",
              "CPUS", "MEMORY MIB", "AFTER SCREEN CLOSED",
              "WORK", "SITES",      "DESCRIPTION"};
    default:
      return {"NAME", "POOL", "GROUP", "USER", "VERSION"};
  }
}

// See Table.
std::vector<std::string> FreeText(v1::ResourceKind kind) {
  switch (kind) {
    case v1::RESOURCE_KIND_SITE:
      return {"DESCRIPTION"};
    case v1::RESOURCE_KIND_IMAGE:
      return {"SOURCE", "SHA256"};
    case v1::RESOURCE_KIND_POOL:
      return {"AFTER SCREEN CLOSED", "DESCRIPTION"};
    case v1::RESOURCE_KIND_ENTITLEMENT:
      return {"GROUP"};
    default:
      return {};
  }
}

std::vector<std::string> Cells(const v1::Resource& resource) {
  const std::string version = absl::StrCat(resource.version());
  switch (resource.kind_case()) {
    case v1::Resource::kSite:
      return {resource.name(), resource.site().description(),
              NumberOr(resource.site().max_starts_in_flight(), "default"), version};
    case v1::Resource::kHost: {
      const v1::Host& host = resource.host();
      return {resource.name(),
              host.site(),
              EnumWord(host.schedulability()),
              NumberOr(host.memory_limit_mib(), "all"),
              NumberOr(host.max_desktops(), "by memory"),
              NumberOr(host.max_starts_in_flight(), "default"),
              version};
    }
    case v1::Resource::kImage: {
      const v1::Image& image = resource.image();
      return {resource.name(), image.format(), image.guest_agent() ? "yes" : "no",
              image.source(),  image.sha256(), version};
    }
    case v1::Resource::kPool: {
      const v1::Pool& pool = resource.pool();
      return {resource.name(),
              EnumWord(pool.kind()),
              pool.image(),
              absl::StrCat(pool.min_desktops()),
              absl::StrCat(pool.max_desktops()),
              absl::StrCat(pool.running_spares()),
              absl::StrCat(pool.vcpus()),
              absl::StrCat(pool.memory_mib()),
              AfterDisconnect(pool.disconnect()),
              EnumWord(pool.schedulability()),
              pool.sites().empty() ? "all" : absl::StrJoin(pool.sites(), ","),
              pool.description()};
    }
    default:
      return {resource.name(), resource.entitlement().pool(), resource.entitlement().group(),
              resource.entitlement().user(), version};
  }
}

}  // namespace

void ShowResources(v1::ResourceKind kind,
                   const google::protobuf::RepeatedPtrField<v1::Resource>& resources,
                   std::ostream& out, int width) {
  if (resources.empty()) {
    out << "There is no " << KindWord(kind) << " yet.\n";
    return;
  }
  Table table(Headers(kind), FreeText(kind));
  for (const v1::Resource& resource : resources) table.AddRow(Cells(resource));
  out << table.Render(width);
}

void CreateResourceCommand::Define(CLI::App& app) {
  app.add_option("NAME", name_, "1 to 63 of [a-z0-9.-]")->type_name("");
  app.add_option("-f,--file", file_, "YAML file with one or many; '-' is standard input")
      ->type_name("FILE");
  DefineFlags(app, flags_, values_);
}

absl::Status CreateResourceCommand::Run(CommandContext& context) {
  if (name_.empty() == file_.empty() || (!file_.empty() && !values_.empty())) {
    return UsageProblem(
        absl::InvalidArgumentError("give either a NAME with the fields as flags, or -f FILE"));
  }
  std::vector<v1::Resource> resources = {NewResource(kind_, name_)};
  if (!file_.empty()) {
    ASSIGN_OR_RETURN(const std::vector<ResourceFromFile> read,
                     ReadResourceFile(file_, context.terminal));
    resources.clear();
    for (const auto& [resource, says] : read) {
      resources.push_back(resource);
      if (KindOf(resource) != kind_) {
        return UsageProblem(absl::InvalidArgumentError(
            absl::StrCat(file_, ": ", resource.name(), " is a ", KindWord(KindOf(resource)),
                         ", not a ", KindWord(kind_), "; use: werkplekctl apply -f ", file_)));
      }
    }
  } else {
    RETURN_IF_ERROR(ApplyFlags(flags_, values_, resources.front()));
  }
  for (const v1::Resource& resource : resources) {
    ASSIGN_OR_RETURN(const v1::Resource made, CreateOne(context, resource));
    ShowChanged(context, made, "created");
  }
  return absl::OkStatus();
}

void GetResourceCommand::Define(CLI::App& app) {
  app.add_option("NAME", names_, "Their names; without one: all")->type_name("");
}

// Every field matters here, also to people; the table of a list shows only some.
absl::Status GetResourceCommand::Run(CommandContext& context) {
  if (names_.empty()) {
    ASSIGN_OR_RETURN(const v1::ListResourcesResponse all, ListAll(context, kind_));
    Show(context, all, [&](std::ostream& out, int) { out << ToYaml(all); });
    return absl::OkStatus();
  }
  for (const std::string& name : names_) {
    ASSIGN_OR_RETURN(const v1::Resource resource, GetOne(context, kind_, name));
    Show(context, resource, [&](std::ostream& out, int) {
      out << (context.shown > 0 ? "---\n" : "") << ToYaml(resource);
    });
  }
  return absl::OkStatus();
}

void ListResourcesCommand::Define(CLI::App&) {}

absl::Status ListResourcesCommand::Run(CommandContext& context) {
  ASSIGN_OR_RETURN(const v1::ListResourcesResponse all, ListAll(context, kind_));
  Show(context, all,
       [&](std::ostream& out, int width) { ShowResources(kind_, all.resources(), out, width); });
  return absl::OkStatus();
}

void UpdateResourceCommand::Define(CLI::App& app) {
  app.add_option("NAME", name_, "Its name")->required()->type_name("");
  app.add_option("--version", version_, "Only when this is still the current version")
      ->type_name("NUMBER");
  DefineFlags(app, flags_, values_);
}

absl::StatusOr<v1::Resource> UpdateResourceCommand::Once(CommandContext& context) {
  ASSIGN_OR_RETURN(v1::Resource resource, GetOne(context, kind_, name_));
  RETURN_IF_ERROR(ApplyFlags(flags_, values_, resource));
  if (version_ != 0) resource.set_version(version_);
  return UpdateOne(context, resource);
}

absl::Status UpdateResourceCommand::Run(CommandContext& context) {
  if (values_.empty()) {
    return UsageProblem(absl::InvalidArgumentError(
        "nothing to change; give at least one field as a flag (see --help)"));
  }
  absl::StatusOr<v1::Resource> updated = Once(context);
  for (int attempt = 1;
       attempt < kUpdateAttempts && version_ == 0 && absl::IsAborted(updated.status()); ++attempt) {
    updated = Once(context);
  }
  if (!updated.ok()) return updated.status();
  ShowChanged(context, *updated, "updated");
  return absl::OkStatus();
}

void DeleteResourceCommand::Define(CLI::App& app) {
  app.add_option("NAME", names_, "One or more names")->required()->type_name("");
  app.add_option("--version", version_, "Only when this is still the current version")
      ->type_name("NUMBER");
}

absl::Status DeleteResourceCommand::Run(CommandContext& context) {
  RETURN_IF_ERROR(Confirm(
      context, absl::StrCat("Delete ", KindWord(kind_), " ", absl::StrJoin(names_, ", "), "?")));
  for (const std::string& name : names_) {
    v1::DeleteResourceRequest request;
    request.set_request_id(NewRequestId());
    request.set_kind(kind_);
    request.set_name(name);
    request.set_version(version_);
    RETURN_IF_ERROR(CallAdmin(context, &v1::AdminService::Stub::DeleteResource, request).status());
    Tell(context, absl::StrCat(KindWord(kind_), " ", name, " deleted"));
  }
  return absl::OkStatus();
}

void SchedulabilityCommand::Define(CLI::App& app) {
  app.add_option("NAME", names_, "One or more names")->required()->type_name("");
}

absl::Status SchedulabilityCommand::Run(CommandContext& context) {
  for (const std::string& name : names_) {
    v1::SetSchedulabilityRequest request;
    request.set_request_id(NewRequestId());
    request.set_kind(kind_);
    request.set_name(name);
    request.set_schedulability(wanted_);
    ASSIGN_OR_RETURN(const v1::Resource resource,
                     CallAdmin(context, &v1::AdminService::Stub::SetSchedulability, request));
    ShowChanged(context, resource, absl::StrCat("is ", EnumWord(wanted_)));
  }
  return absl::OkStatus();
}

void ApplyCommand::Define(CLI::App& app) {
  app.add_option("-f,--file", files_, "YAML files with resources; '-' is standard input")
      ->required()
      ->type_name("FILE");
  app.add_flag("--dry-run", dry_run_, "Only say what would be changed");
}

absl::Status ApplyCommand::Create(CommandContext& context, const v1::Resource& wanted) {
  if (dry_run_) {
    ShowChanged(context, wanted, "would be created");
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const v1::Resource made, CreateOne(context, wanted));
  ShowChanged(context, made, "created");
  return absl::OkStatus();
}

absl::Status ApplyCommand::Update(CommandContext& context, const v1::Resource& present,
                                  const v1::Resource& wanted) {
  if (wanted.SerializeAsString() == present.SerializeAsString()) {
    ShowChanged(context, present, "unchanged");
    return absl::OkStatus();
  }
  if (dry_run_) {
    ShowChanged(
        context, wanted,
        wanted.version() == present.version()
            ? WithChanges("would be updated", present, wanted)
            : absl::StrCat("would be refused: it is at version ", present.version(), " now"));
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const v1::Resource updated, UpdateOne(context, wanted));
  ShowChanged(context, updated, WithChanges("updated", present, wanted));
  return absl::OkStatus();
}

absl::Status ApplyCommand::Run(CommandContext& context) {
  std::vector<ResourceFromFile> all;
  for (const std::string& file : files_) {
    ASSIGN_OR_RETURN(const std::vector<ResourceFromFile> some,
                     ReadResourceFile(file, context.terminal));
    all.insert(all.end(), some.begin(), some.end());
  }
  // What is referred to comes first, whatever the order in the files.
  std::stable_sort(all.begin(), all.end(),
                   [](const ResourceFromFile& a, const ResourceFromFile& b) {
                     return KindOf(a.resource) < KindOf(b.resource);
                   });
  for (auto& [wanted, says_schedulability] : all) {
    const absl::StatusOr<v1::Resource> present = GetOne(context, KindOf(wanted), wanted.name());
    if (absl::IsNotFound(present.status())) {
      RETURN_IF_ERROR(Create(context, wanted));
      continue;
    }
    if (!present.ok()) return present.status();
    if (wanted.version() == 0) wanted.set_version(present->version());
    if (!says_schedulability) CopySchedulability(*present, wanted);
    RETURN_IF_ERROR(Update(context, *present, wanted));
  }
  return absl::OkStatus();
}

}  // namespace werkplek
