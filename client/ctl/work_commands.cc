#include "client/ctl/work_commands.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/ctl/report_commands.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

std::string Since(CommandContext& context, int64_t unix_ms) {
  if (unix_ms == 0) return "-";
  return FormatSpan(context.now() - absl::FromUnixMillis(unix_ms));
}

std::string PowerWord(const v1::DesktopStatus& status) {
  if (status.reported_power() == v1::POWER_UNSPECIFIED) return "unknown";
  return EnumWord(status.reported_power());
}

// What is wrong now, or else what failed last.
const std::string& ErrorCell(const v1::DesktopStatus& status) {
  return status.reported_error().empty() ? status.desktop().last_error() : status.reported_error();
}

// "hv-a1", or "hv-a1 > hv-a2" while it moves.
std::string HostCell(const v1::Desktop& desktop) {
  if (desktop.moving_to().empty()) return desktop.host();
  return absl::StrCat(desktop.host(), " > ", desktop.moving_to());
}

}  // namespace

void ListDesktopsCommand::Define(CLI::App& app) {
  app.add_option("--pool", pool_, "Only of this pool")->type_name("POOL");
  app.add_option("--host", host_, "Only on this host")->type_name("HOST");
}

absl::Status ListDesktopsCommand::Run(CommandContext& context) {
  v1::ListDesktopsRequest request;
  request.set_pool(pool_);
  request.set_host(host_);
  ASSIGN_OR_RETURN(
      const v1::ListDesktopsResponse all,
      CallAllPages(context, &v1::AdminService::Stub::ListDesktops, request,
                   [](const v1::ListDesktopsResponse& page, v1::ListDesktopsRequest& next) {
                     if (!page.desktops().empty()) {
                       next.set_after(page.desktops().rbegin()->desktop().id());
                     }
                   }));
  Show(context, all, [&](std::ostream& out, int width) {
    if (all.desktops().empty()) {
      out << "There is no such desktop.\n";
      return;
    }
    Table table({"DESKTOP", "POOL", "HOST", "STATE", "POWER", "USER", "SCREEN", "SINCE", "ERROR"},
                {"ERROR"});
    for (const v1::DesktopStatus& status : all.desktops()) {
      const v1::Desktop& desktop = status.desktop();
      table.AddRow({desktop.id(), desktop.pool(), HostCell(desktop), EnumWord(desktop.state()),
                    PowerWord(status), status.user().empty() ? desktop.owner() : status.user(),
                    status.viewer_connected() ? "open" : "-",
                    Since(context, desktop.state_since_unix_ms()), ErrorCell(status)});
    }
    out << table.Render(width);
  });
  return absl::OkStatus();
}

void GetDesktopCommand::Define(CLI::App& app) {
  app.add_option("ID", id_, "As `desktop list` shows it")->required()->type_name("");
}

absl::Status GetDesktopCommand::Run(CommandContext& context) {
  v1::GetDesktopRequest request;
  request.set_desktop(id_);
  ASSIGN_OR_RETURN(const v1::DesktopStatus status,
                   CallAdmin(context, &v1::AdminService::Stub::GetDesktop, request));
  Show(context, status, [&](std::ostream& out, int) {
    const v1::Desktop& desktop = status.desktop();
    ShowFacts(
        out,
        {{"desktop", desktop.id()},
         {"pool", desktop.pool()},
         {"image", desktop.image()},
         {"host", desktop.host().empty()
                      ? ""
                      : absl::StrCat(desktop.host(), " (", EnumWord(status.host_liveness()), ")")},
         {"moving to", desktop.moving_to()},
         {"state", absl::StrCat(EnumWord(desktop.state()), ", since ",
                                FormatTime(desktop.state_since_unix_ms()))},
         {"power", absl::StrCat(PowerWord(status), ", wanted ", EnumWord(desktop.wanted_power()))},
         {"generation", absl::StrCat(desktop.generation())},
         {"clean", desktop.has_proof()
                       ? absl::StrCat("proved for generation ", desktop.proof().generation())
                       : "no proof"},
         {"owner", desktop.owner()},
         {"copies", status.fence()},
         {"session", desktop.session()},
         {"user", status.user()},
         {"screen", status.viewer_connected() ? "open" : "closed"},
         {"memory", absl::StrCat(desktop.memory_mib(), " MiB, ", desktop.vcpus(), " cpus")},
         {"failures", desktop.failures() == 0 ? "" : absl::StrCat(desktop.failures(), " in a row")},
         {"last error", desktop.last_error()},
         {"host says", status.reported_error()}});
  });
  return absl::OkStatus();
}

void ResetDesktopCommand::Define(CLI::App& app) {
  app.add_option("ID", ids_, "One or more desktops")->required()->type_name("");
}

absl::Status ResetDesktopCommand::Run(CommandContext& context) {
  for (const std::string& id : ids_) {
    v1::GetDesktopRequest get;
    get.set_desktop(id);
    ASSIGN_OR_RETURN(const v1::DesktopStatus before,
                     CallAdmin(context, &v1::AdminService::Stub::GetDesktop, get));
    std::string loses = before.user().empty()
                            ? ""
                            : absl::StrCat(" This ends the session of ", Printable(before.user()),
                                           ", who loses open work.");
    if (const std::string& owner = before.desktop().owner(); !owner.empty()) {
      absl::StrAppend(&loses, " Everything that ", Printable(owner), " keeps on it is lost.");
    }
    RETURN_IF_ERROR(Confirm(context, absl::StrCat(remove_ ? "Delete" : "Reset", " desktop ",
                                                  Printable(id), "?", loses)));
    v1::ResetDesktopRequest request;
    request.set_request_id(NewRequestId());
    request.set_desktop(id);
    request.set_remove(remove_);
    ASSIGN_OR_RETURN(const v1::DesktopStatus after,
                     CallAdmin(context, &v1::AdminService::Stub::ResetDesktop, request));
    Show(context, after, [&](std::ostream& out, int) {
      out << "desktop " << Printable(id) << " is " << EnumWord(after.desktop().state()) << "\n";
    });
  }
  return absl::OkStatus();
}

void AssignDesktopCommand::Define(CLI::App& app) {
  app.add_option("USER", user_, "As the directory spells it")->required()->type_name("");
  app.add_option("--pool", pool_, "A dedicated pool")->required()->type_name("POOL");
}

absl::Status AssignDesktopCommand::Run(CommandContext& context) {
  v1::AssignDesktopRequest request;
  request.set_request_id(NewRequestId());
  request.set_user(user_);
  request.set_pool(pool_);
  ASSIGN_OR_RETURN(const v1::DesktopStatus status,
                   CallAdmin(context, &v1::AdminService::Stub::AssignDesktop, request));
  Show(context, status, [&](std::ostream& out, int) {
    out << "desktop " << Printable(status.desktop().id()) << " is kept for " << Printable(user_)
        << "\n";
  });
  return absl::OkStatus();
}

void OverrideFenceCommand::Define(CLI::App& app) {
  app.add_option("ID", id_, "A desktop whose host is silent")->required()->type_name("");
  app.add_option("--reason", reason_, "How you know, for the audit")->required()->type_name("TEXT");
}

absl::Status OverrideFenceCommand::Run(CommandContext& context) {
  v1::GetDesktopRequest get;
  get.set_desktop(id_);
  ASSIGN_OR_RETURN(const v1::DesktopStatus before,
                   CallAdmin(context, &v1::AdminService::Stub::GetDesktop, get));
  const v1::Desktop& desktop = before.desktop();
  Tell(context, Printable(before.fence()));
  RETURN_IF_ERROR(Confirm(
      context,
      absl::StrCat("Do you know that desktop ", Printable(id_), ", generation ",
                   desktop.generation(), ", does not run on host ", Printable(desktop.host()),
                   " any more? If it does, two copies write to one disk and destroy it.")));
  v1::OverrideFenceRequest request;
  request.set_request_id(NewRequestId());
  request.set_desktop(id_);
  request.set_generation(desktop.generation());
  request.set_reason(reason_);
  ASSIGN_OR_RETURN(const v1::DesktopStatus after,
                   CallAdmin(context, &v1::AdminService::Stub::OverrideFence, request));
  Show(context, after, [&](std::ostream& out, int) {
    out << "desktop " << Printable(id_) << " is " << EnumWord(after.desktop().state())
        << "; its owner may start it elsewhere\n";
  });
  return absl::OkStatus();
}

void ListSessionsCommand::Define(CLI::App& app) {
  app.add_option("--pool", pool_, "Only of this pool")->type_name("POOL");
  app.add_option("--user", user_, "Only of this user")->type_name("USER");
  app.add_flag("--ended", ended_, "Ended sessions of the last day too");
}

absl::Status ListSessionsCommand::Run(CommandContext& context) {
  v1::ListSessionsRequest request;
  request.set_pool(pool_);
  request.set_user(user_);
  request.set_ended(ended_);
  ASSIGN_OR_RETURN(
      const v1::ListSessionsResponse all,
      CallAllPages(context, &v1::AdminService::Stub::ListSessions, request,
                   [](const v1::ListSessionsResponse& page, v1::ListSessionsRequest& next) {
                     if (!page.sessions().empty()) next.set_after(page.sessions().rbegin()->id());
                   }));
  Show(context, all, [&](std::ostream& out, int width) {
    if (all.sessions().empty()) {
      out << "There is no such session.\n";
      return;
    }
    Table table(
        {"SESSION", "USER", "POOL", "DESKTOP", "STATE", "SINCE", "AGE", "CLIENT", "ENDED BY"},
        {"CLIENT", "ENDED BY"});
    for (const v1::Session& session : all.sessions()) {
      table.AddRow({session.id(), session.user(), session.pool(), session.desktop(),
                    EnumWord(session.state()), Since(context, session.state_since_unix_ms()),
                    Since(context, session.created_unix_ms()), session.client(),
                    session.end_reason()});
    }
    out << table.Render(width);
  });
  return absl::OkStatus();
}

void GetSessionCommand::Define(CLI::App& app) {
  app.add_option("ID", id_, "As `session list` shows it")->required()->type_name("");
}

absl::Status GetSessionCommand::Run(CommandContext& context) {
  v1::GetSessionRequest request;
  request.set_session(id_);
  ASSIGN_OR_RETURN(const v1::Session session,
                   CallAdmin(context, &v1::AdminService::Stub::GetSession, request));
  Show(context, session, [&](std::ostream& out, int width) {
    ShowFacts(out,
              {{"session", session.id()},
               {"user", session.user()},
               {"pool", session.pool()},
               {"desktop", absl::StrCat(session.desktop(), ", generation ", session.generation())},
               {"state", absl::StrCat(EnumWord(session.state()), ", since ",
                                      FormatTime(session.state_since_unix_ms()))},
               {"began", FormatTime(session.created_unix_ms())},
               {"client", session.client()},
               {"sign-in", session.sign_in()},
               {"ended by", session.end_reason()}});
    if (session.has_explanation()) {
      out << "\n";
      ShowExplanation(session.explanation(), out, width);
    }
  });
  return absl::OkStatus();
}

void EndSessionCommand::Define(CLI::App& app) {
  app.add_option("ID", ids_, "One or more sessions")->required()->type_name("");
  app.add_option("--reason", reason_, "For the audit and the user")->type_name("TEXT");
}

absl::Status EndSessionCommand::Run(CommandContext& context) {
  for (const std::string& id : ids_) {
    v1::GetSessionRequest get;
    get.set_session(id);
    ASSIGN_OR_RETURN(const v1::Session before,
                     CallAdmin(context, &v1::AdminService::Stub::GetSession, get));
    RETURN_IF_ERROR(
        Confirm(context, absl::StrCat("End the session of ", Printable(before.user()), " in ",
                                      Printable(before.pool()), " (", EnumWord(before.state()),
                                      ")? Open work on a floating desktop is lost.")));
    v1::EndAnySessionRequest request;
    request.set_request_id(NewRequestId());
    request.set_session(id);
    request.set_reason(reason_);
    ASSIGN_OR_RETURN(const v1::Session after,
                     CallAdmin(context, &v1::AdminService::Stub::EndAnySession, request));
    Show(context, after, [&](std::ostream& out, int) {
      out << "session " << Printable(id) << " is " << EnumWord(after.state()) << "\n";
    });
  }
  return absl::OkStatus();
}

}  // namespace werkplek
