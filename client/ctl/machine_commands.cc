#include "client/ctl/machine_commands.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/api/client_config.h"
#include "client/api/exit_code.h"
#include "client/api/join.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

// What a person types on the new machine.
std::string JoinLine(v1::Identity identity, const v1::AddJoinCodeResponse& join,
                     const std::vector<std::string>& brokers) {
  absl::string_view program = "werkplek join";
  if (identity == v1::IDENTITY_HOST) program = "werkplek-agent join";
  if (identity == v1::IDENTITY_GATEWAY) program = "werkplek-gateway join";
  if (identity == v1::IDENTITY_ADMIN) program = "werkplekctl join";
  std::string line =
      absl::StrCat(program, " ", join.url(), " ", join.code(), " ", join.ca_sha256());
  // The brokers that this machine knows serve the newcomer as well; hosts have a port of their own.
  if (identity == v1::IDENTITY_CLIENT || identity == v1::IDENTITY_ADMIN) {
    for (const std::string& broker : brokers) absl::StrAppend(&line, " --broker ", broker);
  }
  return line;
}

absl::Status ShowJoinCode(CommandContext& context, v1::Identity identity, const std::string& name) {
  v1::AddJoinCodeRequest request;
  request.set_request_id(NewRequestId());
  request.set_identity(identity);
  request.set_name(name);
  ASSIGN_OR_RETURN(const v1::AddJoinCodeResponse join,
                   CallAdmin(context, &v1::AdminService::Stub::AddJoinCode, request));
  ASSIGN_OR_RETURN(const BrokerClient* broker, context.broker());
  const std::string line = JoinLine(identity, join, broker->addresses());
  Show(context, join, [&](std::ostream& out, int) {
    out << "Run this on " << Printable(name) << " within "
        << FormatSpan(absl::Seconds(join.lifetime_s())) << " (the code works once):\n\n  "
        << Printable(line) << "\n";
    if (identity == v1::IDENTITY_CLIENT) {
      out << "\nOr, for everybody in a group who uses that machine, as root there:\n\n  "
          << Printable(line) << " --config /etc/werkplek/client.yaml --group GROUP\n";
    }
  });
  return absl::OkStatus();
}

std::string Percent(double share) { return absl::StrFormat("%d%%", std::lround(share * 100)); }

std::string SilentFor(const v1::HostStatus& host) {
  if (host.silent_ms() < 0) return "never heard";
  return FormatSpan(absl::Milliseconds(host.silent_ms()));
}

}  // namespace

void AddHostCommand::Define(CLI::App& app) {
  app.add_option("NAME", name_, "1 to 63 of [a-z0-9.-]")->required()->type_name("");
  for (size_t i = 0; i < flags_.size(); ++i) {
    app.add_option_function<std::string>(
           flags_[i].flag, [this, i](const std::string& value) { values_[i] = value; },
           flags_[i].help)
        ->type_name(flags_[i].value_name)
        ->group("Fields");
  }
}

absl::Status AddHostCommand::Run(CommandContext& context) {
  v1::Resource host = NewResource(v1::RESOURCE_KIND_HOST, name_);
  for (const auto& [index, value] : values_) {
    RETURN_IF_ERROR(ApplyFlag(flags_[index], value, host));
  }
  v1::CreateResourceRequest create;
  create.set_request_id(NewRequestId());
  *create.mutable_resource() = host;
  const absl::Status created =
      CallAdmin(context, &v1::AdminService::Stub::CreateResource, create).status();
  // A host that lost its certificate joins again.
  const bool exists = absl::IsAlreadyExists(created);
  if (!created.ok() && !exists) return created;
  Tell(context, absl::StrCat("host ", name_, exists ? " exists already" : " created"));
  if (exists && !values_.empty()) {
    context.err << "werkplekctl: the flags were not used; change the host with: werkplekctl host "
                << "update " << name_ << "\n";
  }
  return ShowJoinCode(context, v1::IDENTITY_HOST, name_);
}

void AddMachineCommand::Define(CLI::App& app) {
  app.add_option("NAME", name_, "The name for its certificate, 1 to 63 of [a-z0-9.-]")
      ->required()
      ->type_name("");
}

absl::Status AddMachineCommand::Run(CommandContext& context) {
  return ShowJoinCode(context, identity_, name_);
}

void ListHostsCommand::Define(CLI::App&) {}

absl::Status ListHostsCommand::Run(CommandContext& context) {
  ASSIGN_OR_RETURN(const v1::ListHostsResponse all,
                   CallAdmin(context, &v1::AdminService::Stub::ListHosts, v1::ListHostsRequest()));
  Show(context, all, [&](std::ostream& out, int width) {
    if (all.hosts().empty()) {
      out << "There is no host yet. Add one with: werkplekctl host add NAME --site SITE\n";
      return;
    }
    Table table({"HOST", "SITE", "ALIVE", "WORK", "DESKTOPS", "STARTS", "MEMORY GIVEN", "CPU",
                 "DISK FREE", "LAST HEARD", "AGENT"});
    for (const v1::HostStatus& host : all.hosts()) {
      const bool known = host.silent_ms() >= 0;
      table.AddRow(
          {host.host(), host.site(), EnumWord(host.liveness()), EnumWord(host.schedulability()),
           absl::StrCat(host.desktops()), absl::StrCat(host.starts_in_flight()),
           absl::StrFormat("%d/%d MiB", host.memory_committed_mib(), host.memory_limit_mib()),
           known ? Percent(host.load().cpu_used()) : "",
           known ? absl::StrFormat("%.1f GiB", host.load().disk_free_mib() / 1024.0) : "",
           SilentFor(host), host.agent_version()});
    }
    out << table.Render(width);
  });
  return absl::OkStatus();
}

void JoinAdminCommand::Define(CLI::App& app) {
  app.add_option("URL", url_, "Where to join: https://ADDRESS:PORT/v1/join")
      ->required()
      ->type_name("");
  app.add_option("CODE", code_, "The one-time code; '-' asks for it")->required()->type_name("");
  app.add_option("CA-SHA256", ca_sha256_, "SHA-256 of the authority's certificate, hexadecimal")
      ->required()
      ->type_name("");
  app.add_option("--broker", brokers_, "A broker to call; repeat it for more")
      ->required()
      ->type_name("ADDRESS:PORT")
      ->expected(1)
      ->take_all();
}

absl::Status JoinAdminCommand::Run(CommandContext& context) {
  JoinRequest request;
  request.url = url_;
  request.code = Secret(code_);
  if (code_ == "-") {
    ASSIGN_OR_RETURN(request.code, context.terminal.AskHidden("One-time code: "));
  }
  request.ca_sha256 = ca_sha256_;
  request.identity = v1::IDENTITY_ADMIN;
  request.config_path = context.config_path;
  request.brokers = brokers_;
  if (request.config_path.empty()) {
    const std::string directory = OwnConfigDirectory();
    if (directory.empty()) {
      return UsageProblem(
          absl::InvalidArgumentError("say with --config where the configuration is to be written"));
    }
    request.config_path = directory + "/admin.yaml";
  }
  ASSIGN_OR_RETURN(const JoinResult result, JoinMachine(request));
  Tell(context, absl::StrCat("This machine is ", PeerLabel(result.own.name),
                             " now; its certificate is good until ",
                             FormatTime(absl::ToUnixMillis(result.own.not_after)), ".\nWrote ",
                             request.config_path, ". Sign in with: werkplekctl sign-in"));
  return absl::OkStatus();
}

}  // namespace werkplek
