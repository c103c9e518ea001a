#include "client/ctl/site_commands.h"

#include "absl/strings/str_cat.h"
#include "client/ctl/resource_schema.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

void ShowSite(CommandContext& context, const v1::SiteStatus& site, absl::string_view line) {
  Show(context, site, [&](std::ostream& out, int) {
    out << "Site " << Printable(site.site()) << " " << line << ".\n";
  });
}

}  // namespace

void ListSitesCommand::Define(CLI::App&) {}

absl::Status ListSitesCommand::Run(CommandContext& context) {
  ASSIGN_OR_RETURN(const v1::ListSitesResponse all,
                   CallAdmin(context, &v1::AdminService::Stub::ListSites, v1::ListSitesRequest()));
  Show(context, all, [&](std::ostream& out, int width) {
    if (all.sites().empty()) {
      out << "There is no site yet.\n";
      return;
    }
    Table table(
        {"SITE", "WORK", "HOSTS UP", "DESKTOPS", "SESSIONS", "STARTING", "WOULD WAIT", "LOSS"},
        {"LOSS"});
    for (const v1::SiteStatus& site : all.sites()) {
      table.AddRow({site.site(), EnumWord(site.schedulability()),
                    absl::StrCat(site.hosts_up(), "/", site.hosts()), absl::StrCat(site.desktops()),
                    absl::StrCat(site.sessions()), absl::StrCat(site.starts_in_flight()),
                    absl::StrCat(site.would_wait()),
                    site.loss().empty()
                        ? "-"
                        : absl::StrCat(site.loss(), " since ", FormatTime(site.since_unix_ms()))});
    }
    out << table.Render(width);
    for (const v1::SiteStatus& site : all.sites()) {
      if (site.loss().empty()) continue;
      out << "\n"
          << Printable(site.site()) << " is " << site.loss() << ": " << Printable(site.reason())
          << "\n";
      if (site.loss() == "braked") {
        out << "If it is truly gone: werkplekctl site confirm-loss " << Printable(site.site())
            << " --reason TEXT\n";
      } else if (site.loss() == "returned") {
        out << "To use it again: werkplekctl site readmit " << Printable(site.site()) << "\n";
      }
    }
  });
  return absl::OkStatus();
}

void ConfirmSiteLossCommand::Define(CLI::App& app) {
  app.add_option("SITE", site_, "The site's name")->required()->type_name("");
  app.add_option("--reason", reason_, "Why, for the audit")->required()->type_name("TEXT");
}

absl::Status ConfirmSiteLossCommand::Run(CommandContext& context) {
  v1::ConfirmSiteLossRequest request;
  request.set_request_id(NewRequestId());
  request.set_site(site_);
  request.set_reason(reason_);
  RETURN_IF_ERROR(
      Confirm(context, absl::StrCat("Give up every session on the silent hosts of site ",
                                    Printable(site_), "? Their people get desktops elsewhere.")));
  ASSIGN_OR_RETURN(const v1::SiteStatus site,
                   CallAdmin(context, &v1::AdminService::Stub::ConfirmSiteLoss, request));
  ShowSite(context, site, "is lost; its people get desktops elsewhere at their next connect");
  return absl::OkStatus();
}

void ReadmitSiteCommand::Define(CLI::App& app) {
  app.add_option("SITE", site_, "The site's name")->required()->type_name("");
}

absl::Status ReadmitSiteCommand::Run(CommandContext& context) {
  v1::ReadmitSiteRequest request;
  request.set_request_id(NewRequestId());
  request.set_site(site_);
  ASSIGN_OR_RETURN(const v1::SiteStatus site,
                   CallAdmin(context, &v1::AdminService::Stub::ReadmitSite, request));
  ShowSite(context, site, "takes work again");
  return absl::OkStatus();
}

void RebalanceCommand::Define(CLI::App& app) {
  app.add_option("SITE", site_, "The site's name")->required()->type_name("");
  app.add_flag("--dry-run", dry_run_, "Only say what would be moved");
}

absl::Status RebalanceCommand::Run(CommandContext& context) {
  v1::RebalanceRequest request;
  request.set_request_id(NewRequestId());
  request.set_site(site_);
  request.set_dry_run(dry_run_);
  if (!dry_run_) {
    RETURN_IF_ERROR(Confirm(
        context, absl::StrCat("Move desktops of site ", Printable(site_),
                              " between its hosts? A display that is open closes for a moment.")));
  }
  ASSIGN_OR_RETURN(const v1::RebalanceResponse plan,
                   CallAdmin(context, &v1::AdminService::Stub::Rebalance, request));
  Show(context, plan, [&](std::ostream& out, int width) {
    if (!plan.moves().empty()) {
      Table table({"DESKTOP", "FROM", "TO", "HOW", "WHY"}, {"WHY"});
      for (const v1::Move& move : plan.moves()) {
        table.AddRow({move.desktop(), move.from(), move.to(), move.how(), move.reason()});
      }
      out << table.Render(width) << "\n";
    }
    out << "Then: " << Printable(plan.reason()) << ".\n";
    if (dry_run_) {
      out << "Nothing was moved.\n";
    } else if (!plan.moves().empty()) {
      out << "They are moved a few at a time; `werkplekctl explain DESKTOP` tells how one "
             "stands.\n";
    }
  });
  return absl::OkStatus();
}

void FailoverCommand::Define(CLI::App& app) {
  app.add_option("--dry-run", site_, "The site that would be lost; nothing is changed")
      ->required()
      ->type_name("SITE");
}

absl::Status FailoverCommand::Run(CommandContext& context) {
  v1::RehearseSiteLossRequest request;
  request.set_site(site_);
  v1::RehearseSiteLossResponse all;
  // Each page is a rehearsal of its own; the sums are those of the last.
  while (true) {
    ASSIGN_OR_RETURN(const v1::RehearseSiteLossResponse page,
                     CallAdmin(context, &v1::AdminService::Stub::RehearseSiteLoss, request));
    all.set_fit(page.fit());
    all.set_wait(page.wait());
    all.set_all_ready_after_s(page.all_ready_after_s());
    all.mutable_people()->MergeFrom(page.people());
    if (!page.more() || page.people().empty()) break;
    request.set_skip(static_cast<uint32_t>(all.people_size()));
  }
  Show(context, all, [&](std::ostream& out, int width) {
    if (!all.people().empty()) {
      Table table({"ORDER", "USER", "POOL", "HOST", "READY AFTER", "WHY NOT"}, {"WHY NOT"});
      for (const v1::RehearsedPerson& person : all.people()) {
        table.AddRow(
            {absl::StrCat(person.order()), person.user(), person.pool(),
             person.host().empty() ? "-" : person.host(),
             person.ready_after_s() < 0 ? "waits" : absl::StrCat(person.ready_after_s(), " s"),
             person.reason()});
      }
      out << table.Render(width) << "\n";
    }
    out << "Without site " << Printable(site_) << ": " << all.fit() << " would get a desktop, "
        << all.wait() << " would wait. The last one who fits is ready after "
        << all.all_ready_after_s() << " s.\n"
        << "A start is reckoned at what the pool's spares took, 30 s where none tells. Nothing was "
           "changed.\n";
  });
  return absl::OkStatus();
}

}  // namespace werkplek
