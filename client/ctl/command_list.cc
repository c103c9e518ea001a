#include <utility>

#include "absl/strings/str_cat.h"
#include "client/ctl/certificate_commands.h"
#include "client/ctl/machine_commands.h"
#include "client/ctl/people_commands.h"
#include "client/ctl/program.h"
#include "client/ctl/report_commands.h"
#include "client/ctl/resource_commands.h"
#include "client/ctl/site_commands.h"
#include "client/ctl/store_commands.h"
#include "client/ctl/work_commands.h"

namespace werkplek {
namespace {

class CommandList {
 public:
  template <typename C, typename... Arguments>
  void Add(std::string noun, std::string verb, std::string summary, Arguments&&... arguments) {
    entries_.push_back({std::move(noun), std::move(verb), std::move(summary),
                        std::make_unique<C>(std::forward<Arguments>(arguments)...)});
  }
  std::vector<CommandEntry> Take() { return std::move(entries_); }

 private:
  std::vector<CommandEntry> entries_;
};

void AddKind(CommandList& list, v1::ResourceKind kind) {
  const std::string noun = KindWord(kind);
  list.Add<CreateResourceCommand>(noun, "create", "Declare a new one, by flags or from a file",
                                  kind);
  list.Add<GetResourceCommand>(noun, "get", "Show all fields of one", kind);
  if (kind == v1::RESOURCE_KIND_HOST) {
    list.Add<ListHostsCommand>(noun, "list", "Show all hosts, with liveness and load");
  } else if (kind == v1::RESOURCE_KIND_SITE) {
    list.Add<ListSitesCommand>(noun, "list", "Show all sites, with hosts, people and losses");
  } else {
    list.Add<ListResourcesCommand>(noun, "list", "Show all", kind);
  }
  list.Add<UpdateResourceCommand>(noun, "update", "Change fields of one", kind);
  list.Add<DeleteResourceCommand>(noun, "delete", "Delete one or more", kind);
}

void AddWork(CommandList& list, v1::ResourceKind kind) {
  const std::string noun = KindWord(kind);
  list.Add<SchedulabilityCommand>(noun, "drain", "No new work; move or wait out what is there",
                                  kind, v1::SCHEDULABILITY_DRAINING);
  list.Add<SchedulabilityCommand>(noun, "maintenance", "No new work; leave alone what is there",
                                  kind, v1::SCHEDULABILITY_MAINTENANCE);
  list.Add<SchedulabilityCommand>(noun, "open", "New work may come again", kind,
                                  v1::SCHEDULABILITY_OPEN);
}

}  // namespace

std::vector<CommandEntry> AllCommands() {
  CommandList list;
  list.Add<SignInCommand>("sign-in", "", "Sign in yourself; list and revoke sign-ins");
  list.Add<ListSignInsCommand>("sign-in", "list", "Show who is signed in");
  list.Add<RevokeSignInsCommand>("sign-in", "revoke", "Sign people out");
  list.Add<SignOutCommand>("", "sign-out", "Sign out yourself");
  list.Add<JoinAdminCommand>("", "join", "Make this an admin machine, with a code of `admin add`");
  list.Add<ApplyCommand>("", "apply", "Create or update everything in YAML files");
  AddKind(list, v1::RESOURCE_KIND_SITE);
  AddWork(list, v1::RESOURCE_KIND_SITE);
  list.Add<ConfirmSiteLossCommand>("site", "confirm-loss", "Say that a silent site is truly lost");
  list.Add<ReadmitSiteCommand>("site", "readmit", "Use a site again that is back after its loss");
  list.Add<FailoverCommand>("", "failover", "Rehearse the loss of a site; changes nothing");
  list.Add<RebalanceCommand>("", "rebalance", "Make the hosts of a site even by moving desktops");
  list.Add<AddHostCommand>("host", "add", "Declare a host and print the code with which it joins");
  AddKind(list, v1::RESOURCE_KIND_HOST);
  AddWork(list, v1::RESOURCE_KIND_HOST);
  AddKind(list, v1::RESOURCE_KIND_IMAGE);
  list.Add<PoolStatusCommand>("pool", "status", "Show desktops, spares, queue and breaker");
  AddKind(list, v1::RESOURCE_KIND_POOL);
  AddWork(list, v1::RESOURCE_KIND_POOL);
  AddKind(list, v1::RESOURCE_KIND_ENTITLEMENT);
  for (const v1::Identity identity :
       {v1::IDENTITY_CLIENT, v1::IDENTITY_ADMIN, v1::IDENTITY_GATEWAY}) {
    list.Add<AddMachineCommand>(EnumWord(identity), "add",
                                "Print the code with which a machine joins", identity);
  }
  list.Add<ListDesktopsCommand>("desktop", "list", "Show desktops");
  list.Add<GetDesktopCommand>("desktop", "get", "Show one desktop");
  list.Add<AssignDesktopCommand>("desktop", "assign", "Give a user a dedicated desktop");
  list.Add<ResetDesktopCommand>("desktop", "reset", "Make desktops fresh; ends their sessions",
                                false);
  list.Add<ResetDesktopCommand>("desktop", "delete", "Remove desktops, with what is kept on them",
                                true);
  list.Add<OverrideFenceCommand>("desktop", "override-fence",
                                 "Say that a silent host's desktop runs no more");
  list.Add<ListSessionsCommand>("session", "list", "Show sessions");
  list.Add<GetSessionCommand>("session", "get", "Show one session and why it got its desktop");
  list.Add<EndSessionCommand>("session", "end", "End sessions");
  list.Add<EnrolTokenCommand>("token", "enrol", "Make a one-time token for a user (QR code)");
  list.Add<ConfirmTokenCommand>("token", "confirm", "Activate it with the first code");
  list.Add<RevokeTokenCommand>("token", "revoke", "Make a user's token worthless");
  list.Add<ListTokensCommand>("token", "list", "Show who has a token");
  list.Add<RevokeCertificatesCommand>("certificate", "revoke",
                                      "Refuse all certificates that a machine has now");
  list.Add<ListRevocationsCommand>("certificate", "list", "Show whose were revoked, and why");
  list.Add<WatchCommand>("", "watch", "Show each change as it happens");
  list.Add<ExplainCommand>("", "explain", "Why a session got its desktop, or why not");
  list.Add<ListAuditCommand>("audit", "list", "Show who did what");
  list.Add<StoreCommand>("store", "backup", "Write a broker's whole store to a file",
                         StoreCommand::Way::kBackup);
  list.Add<StoreCommand>("store", "restore", "Put a backup in place of a stopped broker's store",
                         StoreCommand::Way::kRestore);
  list.Add<StoreCommand>("store", "export", "Write a stopped broker's whole store to a file",
                         StoreCommand::Way::kExport);
  list.Add<StoreCommand>("store", "import", "Fill a broker's empty store from such a file",
                         StoreCommand::Way::kImport);
  return list.Take();
}

}  // namespace werkplek
