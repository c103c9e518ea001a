#include "broker/core/desktop_calls.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/core/dedicated.h"
#include "broker/core/desktops.h"
#include "broker/core/moves.h"
#include "broker/core/pools.h"
#include "broker/core/sessions.h"
#include "broker/core/sites.h"
#include "broker/core/views.h"
#include "broker/model/kept.h"
#include "broker/model/names.h"
#include "common/base/status_macros.h"
#include "common/base/words.h"

namespace werkplek {
namespace {

std::string Object(const v1::Desktop& desktop) { return absl::StrCat("desktop:", desktop.id()); }

CallAnswer StatusAfter(Turn& turn, const v1::Desktop& before) {
  ServeTouched(turn);
  const auto after = turn.fleet().desktops.FindShared(before.id());
  const ViewContext context{turn.fleet(), turn.settings(), turn.now()};
  if (after != nullptr) {
    return std::make_shared<const v1::DesktopStatus>(DesktopStatusOf(context, *after));
  }
  auto gone = std::make_shared<v1::DesktopStatus>();
  gone->mutable_desktop()->set_id(before.id());
  gone->mutable_desktop()->set_pool(before.pool());
  return std::shared_ptr<const google::protobuf::Message>(std::move(gone));
}

// One that nobody owns is made for the user. OK: its id.
absl::StatusOr<std::string> MakeFor(Turn& turn, const std::string& pool_name, const v1::Pool& pool,
                                    const Home& home, const std::string& user) {
  const PoolState& own = turn.state().pools[pool_name];
  if (Existing(own) >= pool.max_desktops()) {
    return absl::FailedPreconditionError(
        absl::StrCat("pool \"", pool_name, "\" has ", CountOf(Existing(own), "desktop"),
                     ", at most ", pool.max_desktops(), "; raise pool.max_desktops"));
  }
  if (own.breaker.tripped()) {
    return absl::FailedPreconditionError(
        absl::StrCat("pool \"", pool_name, "\" makes no new desktops: ", own.breaker.reason()));
  }
  const Placement placement = PlaceFor(turn, pool, home);
  if (!placement.host.empty()) return CreateDesktop(turn, pool_name, pool, placement.host, user);
  std::string why = "no host is declared";
  if (!placement.verdicts.empty()) {
    const v1::HostVerdict& first = placement.verdicts.front();
    why = absl::StrCat(first.host(), ": ", first.reason());
  }
  return absl::FailedPreconditionError(
      absl::StrCat("no host can take a desktop of pool \"", pool_name, "\" now; ", why));
}

CallAnswer Remove(Turn& turn, const CallRequested& event, v1::Desktop desktop,
                  const std::string& actor) {
  if (desktop.state() == v1::DESKTOP_STATE_ASSIGNED) {
    return absl::FailedPreconditionError(
        absl::StrCat("desktop \"", desktop.id(), "\" is in use; end its session first"));
  }
  turn.Audit(actor, "desktop-delete", Object(desktop), "ok", Origin(event.caller),
             {{"owner", desktop.owner()}, {"host", desktop.host()}});
  const v1::Desktop before = desktop;
  // From here on nobody keeps it.
  desktop.clear_owner();
  if (desktop.state() == v1::DESKTOP_STATE_LOST || desktop.host().empty()) {
    // What is left of it is out of reach.
    turn.EraseDesktop(desktop.id());
  } else if (desktop.state() != v1::DESKTOP_STATE_STOPPING) {
    turn.Put(desktop);
    RemoveDesktop(turn, std::move(desktop));
  }
  return StatusAfter(turn, before);
}

// Its owner's session, when there is one, is over at once: the guest is powered off anyway.
void EndAtOnce(Turn& turn, const v1::Desktop& desktop, const std::string& actor,
               const std::string& origin) {
  const v1::Session* session = turn.fleet().sessions.Find(desktop.session());
  if (session == nullptr) return;
  const std::string id = session->id();
  BeginEnding(turn, *session, "an admin reset the desktop", actor, origin);
  if (!IsKept(desktop)) return;
  session = turn.fleet().sessions.Find(id);
  if (session != nullptr && session->state() == v1::SESSION_STATE_ENDING) FinishSession(turn, id);
}

// A kept desktop is made fresh only where it stands, and until then it starts nowhere. Not OK: its
// host does nothing for it now.
absl::Status MayResetThere(const Turn& turn, const v1::Desktop& desktop) {
  if (!IsKept(desktop) || HostGivesOut(turn, desktop.host())) return absl::OkStatus();
  absl::string_view why;
  switch (WorkAllowed(turn.fleet(), desktop.host())) {
    case v1::SCHEDULABILITY_DRAINING:
      why = "is being drained";
      break;
    case v1::SCHEDULABILITY_MAINTENANCE:
      why = "is in maintenance";
      break;
    default:
      why = "does not answer";
  }
  const v1::Resource* pool = turn.fleet().pools.Find(desktop.pool());
  const bool movable = pool != nullptr && !pool->pool().storage().empty();
  return absl::FailedPreconditionError(
      absl::StrCat("host \"", desktop.host(), "\" ", why, "; desktop \"", desktop.id(),
                   "\" is reset when that is over",
                   movable ? ", or after its owner has started it on another host" : ""));
}

}  // namespace

CallAnswer AssignDesktop(Turn& turn, const CallRequested& event,
                         const v1::AssignDesktopRequest& request, const std::string& actor) {
  const auto record = turn.fleet().pools.FindShared(request.pool());
  if (record == nullptr) {
    return absl::NotFoundError(absl::StrCat("there is no pool \"", request.pool(), "\""));
  }
  const v1::Pool& pool = record->pool();
  if (pool.kind() != v1::POOL_KIND_DEDICATED) {
    return absl::InvalidArgumentError(absl::StrCat(
        "pool: \"", request.pool(), "\" is floating; only a dedicated pool's desktops are kept"));
  }
  if (!IsUserName(request.user())) {
    return absl::InvalidArgumentError(
        "user: is no sign-in name; use 1 to 64 of A-Z, a-z, 0-9, '.', '_', '@' and '-'");
  }
  const PoolState& own = turn.state().pools[request.pool()];
  const auto has = own.owned.find(OwnerKey(request.user()));
  if (has != own.owned.end()) {
    return absl::AlreadyExistsError(absl::StrCat("user \"", request.user(), "\" has desktop \"",
                                                 has->second, "\" in this pool already"));
  }
  if (pool.schedulability() != v1::SCHEDULABILITY_OPEN) {
    return absl::FailedPreconditionError(
        absl::StrCat("pool \"", request.pool(), "\" takes no new work; open it first"));
  }
  const Home home = HomeOfUser(turn.fleet(), request.user(), request.pool(), pool);
  std::string id = PickSpare(turn, request.pool(), home);
  if (!id.empty()) {
    GiveSpare(turn, id, request.user());
  } else {
    auto made = MakeFor(turn, request.pool(), pool, home, request.user());
    if (!made.ok()) return made.status();
    id = *std::move(made);
  }
  const v1::Desktop given = *turn.fleet().desktops.Find(id);
  turn.Audit(actor, "desktop-assign", Object(given), "ok", Origin(event.caller),
             {{"owner", request.user()}});
  return StatusAfter(turn, given);
}

CallAnswer ResetDesktopCall(Turn& turn, const CallRequested& event,
                            const v1::ResetDesktopRequest& request, const std::string& actor) {
  const auto desktop = turn.fleet().desktops.FindShared(request.desktop());
  if (desktop == nullptr) {
    return absl::NotFoundError(absl::StrCat("there is no desktop \"", request.desktop(), "\""));
  }
  if (IsMoving(*desktop) && (request.remove() || IsKept(*desktop))) {
    return absl::FailedPreconditionError(
        absl::StrCat("desktop \"", desktop->id(), "\" is being moved to host \"",
                     desktop->moving_to(), "\"; wait until that is over"));
  }
  if (request.remove()) return Remove(turn, event, *desktop, actor);
  const v1::DesktopState state = desktop->state();
  if (state == v1::DESKTOP_STATE_STOPPING || state == v1::DESKTOP_STATE_LOST) {
    return absl::FailedPreconditionError(
        state == v1::DESKTOP_STATE_LOST
            ? absl::StrCat("host \"", desktop->host(), "\" is down; it is reset when that returns")
            : "the desktop is being removed");
  }
  if (desktop->host().empty()) {
    return absl::FailedPreconditionError(
        "the desktop has no host now; it is reset after its owner has started it once more");
  }
  RETURN_IF_ERROR(MayResetThere(turn, *desktop));
  turn.Audit(actor, "desktop-reset", Object(*desktop), "ok", Origin(event.caller));
  if (state == v1::DESKTOP_STATE_ASSIGNED) {
    EndAtOnce(turn, *desktop, actor, Origin(event.caller));
  }
  v1::Desktop again = *turn.fleet().desktops.Find(request.desktop());
  // A floating one that was in use is dirty without this, as soon as its session is over.
  if (again.state() != v1::DESKTOP_STATE_DIRTY && again.state() != v1::DESKTOP_STATE_ASSIGNED) {
    again.set_failures(0);
    SpoilOnRequest(turn, std::move(again));
  }
  return StatusAfter(turn, *desktop);
}

}  // namespace werkplek
