#include "client/ctl/report_commands.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/api/exit_code.h"
#include "client/ctl/resource_schema.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

// One stream; a longer watch opens a new one by itself.
constexpr absl::Duration kWatchTimeout = absl::Hours(24);

}  // namespace

void PoolStatusCommand::Define(CLI::App&) {}

absl::Status PoolStatusCommand::Run(CommandContext& context) {
  ASSIGN_OR_RETURN(
      const v1::ListPoolStatusResponse all,
      CallAdmin(context, &v1::AdminService::Stub::ListPoolStatus, v1::ListPoolStatusRequest()));
  Show(context, all, [&](std::ostream& out, int width) {
    if (all.pools().empty()) {
      out << "There is no pool yet. Make one with: werkplekctl pool create NAME --kind floating "
             "--image IMAGE ...\n";
      return;
    }
    Table table({"POOL", "WORK", "DESKTOPS", "ASSIGNED", "SPARES", "STARTING", "ERRORS", "WAITING",
                 "MAKES NEW ONES"},
                {"MAKES NEW ONES"});
    for (const v1::PoolStatus& pool : all.pools()) {
      table.AddRow({pool.pool(), EnumWord(pool.schedulability()), absl::StrCat(pool.desktops()),
                    absl::StrCat(pool.assigned()), absl::StrCat(pool.spares()),
                    absl::StrCat(pool.starting()), absl::StrCat(pool.errors()),
                    absl::StrCat(pool.waiting()),
                    pool.breaker().empty() ? "yes" : absl::StrCat("no: ", pool.breaker())});
    }
    out << table.Render(width);
    // A table may have cut the reason; this is what an admin looks for.
    for (const v1::PoolStatus& pool : all.pools()) {
      if (!pool.breaker().empty()) {
        out << "\n"
            << Printable(pool.pool()) << " makes no new desktops: " << Printable(pool.breaker())
            << "\n";
      }
    }
  });
  return absl::OkStatus();
}

std::string DescribeChange(const v1::WatchEvent& event) {
  const auto line = [](absl::string_view kind, absl::string_view id, absl::string_view rest) {
    return absl::StrFormat("%-11s  %-28s  %s", kind, Printable(id), Printable(rest));
  };
  switch (event.changed_case()) {
    case v1::WatchEvent::kResource:
      return line(KindWord(KindOf(event.resource())), event.resource().name(),
                  absl::StrCat("version ", event.resource().version()));
    case v1::WatchEvent::kDesktop: {
      const v1::Desktop& desktop = event.desktop();
      return line("desktop", desktop.id(),
                  absl::StrCat(EnumWord(desktop.state()), desktop.host().empty() ? "" : " on ",
                               desktop.host(), desktop.last_error().empty() ? "" : ": ",
                               desktop.last_error()));
    }
    case v1::WatchEvent::kSession: {
      const v1::Session& session = event.session();
      return line(
          "session", session.id(),
          absl::StrCat(EnumWord(session.state()), ": ", session.user(), " on ", session.desktop(),
                       session.end_reason().empty() ? "" : ", ended by ", session.end_reason()));
    }
    case v1::WatchEvent::kDeleted:
      return line("deleted", event.deleted(), "");
    case v1::WatchEvent::kCaughtUp:
      return "-- this is all there is; changes follow --";
    default:
      return line("other", "-", "a change that this version does not know");
  }
}

void WatchCommand::Define(CLI::App& app) {
  app.add_flag("--changes", changes_only_, "Leave out what is there when the watch begins");
  app.add_option("--limit", limit_, "Stop after so many lines")->type_name("NUMBER");
}

absl::Status WatchCommand::Run(CommandContext& context) {
  ASSIGN_OR_RETURN(BrokerClient * broker, context.broker());
  bool caught_up = false;
  uint32_t lines = 0;
  const auto on_event = [&](const v1::WatchEvent& event) {
    caught_up = caught_up || event.caught_up();
    if (changes_only_ && (!caught_up || event.caught_up())) return true;
    if (context.output == OutputFormat::kJson) {
      context.out << ToJson(event, /*one_line=*/true);
    } else if (context.output == OutputFormat::kYaml) {
      context.out << "---\n" << ToYaml(event);
    } else {
      std::string line = DescribeChange(event);
      line.erase(line.find_last_not_of(' ') + 1);
      const int width = context.terminal.Width();
      context.out << (width > 0 ? CutToWidth(line, width) : line) << "\n";
    }
    context.out << std::flush;
    ++lines;
    // Nobody reads on behind a pipe that was closed.
    return context.out.good() && (limit_ == 0 || lines < limit_);
  };
  return broker->Stream(&v1::AdminService::Stub::Watch, v1::WatchRequest(), kWatchTimeout,
                        {.on_message = on_event, .on_open = [&] { caught_up = false; }});
}

void ShowExplanation(const v1::Explanation& explanation, std::ostream& out, int width) {
  ShowFacts(out, {{"decision", explanation.decision()},
                  {"decided", FormatTime(explanation.decided_at_unix_ms())}});
  for (const std::string& step : explanation.steps()) out << "  - " << Printable(step) << "\n";
  if (explanation.hosts().empty()) return;
  Table table({"HOST", "FITS", "SCORE", "WHY"}, {"WHY"});
  for (const v1::HostVerdict& host : explanation.hosts()) {
    const bool fits = host.rejected_by().empty();
    table.AddRow({host.host(), fits ? "yes" : absl::StrCat("no: ", host.rejected_by()),
                  fits ? absl::StrFormat("%.2f", host.score()) : "", host.reason()});
  }
  out << "\n" << table.Render(width);
}

void ExplainCommand::Define(CLI::App& app) {
  app.add_option("ID", id_, "A session, a desktop, or the number that a refusal showed")
      ->required()
      ->type_name("");
}

absl::Status ExplainCommand::Run(CommandContext& context) {
  v1::ExplainRequest request;
  request.set_id(id_);
  ASSIGN_OR_RETURN(const v1::Explanation explanation,
                   CallAdmin(context, &v1::AdminService::Stub::Explain, request));
  Show(context, explanation,
       [&](std::ostream& out, int width) { ShowExplanation(explanation, out, width); });
  return absl::OkStatus();
}

void ListAuditCommand::Define(CLI::App& app) {
  app.add_option("--after", after_, "Only records after this number")->type_name("NUMBER");
  app.add_option("--limit", limit_, "At most so many records; 0: all")->type_name("NUMBER");
  app.add_option("--last", last_, "Only the newest so many records")
      ->type_name("NUMBER")
      ->check(CLI::PositiveNumber.description(""));
}

absl::Status ListAuditCommand::Run(CommandContext& context) {
  if (last_ > 0 && (after_ > 0 || limit_ > 0)) {
    return UsageProblem(absl::InvalidArgumentError("give --last alone, or --after and --limit"));
  }
  v1::ListAuditRequest request;
  request.set_after_sequence(after_);
  request.set_last(last_);
  // What is added while the newest are read is not among them.
  const uint32_t limit = last_ > 0 ? last_ : limit_;
  request.set_limit(limit);
  const auto next_page = [limit](const v1::ListAuditResponse& page, v1::ListAuditRequest& next) {
    const auto got = static_cast<uint32_t>(page.entries_size());
    // A request that stays as it is ends the list.
    if (got == 0 || (limit > 0 && got >= next.limit())) return;
    next.set_after_sequence(page.entries().rbegin()->sequence());
    next.clear_last();
    if (limit > 0) next.set_limit(next.limit() - got);
  };
  ASSIGN_OR_RETURN(const v1::ListAuditResponse all,
                   CallAllPages(context, &v1::AdminService::Stub::ListAudit, request, next_page));
  Show(context, all, [&](std::ostream& out, int width) {
    if (all.entries().empty()) {
      out << "There are no records.\n";
      return;
    }
    Table table({"NUMBER", "TIME", "WHO", "WHAT", "ON", "RESULT", "FROM"}, {"RESULT", "FROM"});
    for (const v1::AuditEntry& entry : all.entries()) {
      table.AddRow({absl::StrCat(entry.sequence()), TimeCell(context, entry.time_unix_ms(), width),
                    entry.actor(), entry.action(), entry.object(), entry.result(), entry.origin()});
    }
    out << table.Render(width);
  });
  return absl::OkStatus();
}

}  // namespace werkplek
