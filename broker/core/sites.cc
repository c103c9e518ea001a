#include "broker/core/sites.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/core/desktops.h"
#include "broker/core/fences.h"
#include "broker/core/hosts.h"
#include "broker/core/moves.h"
#include "broker/core/pools.h"
#include "broker/core/sessions.h"
#include "broker/core/site_views.h"
#include "broker/model/kept.h"
#include "broker/model/pool_sites.h"
#include "broker/reconcile/site_loss.h"

namespace werkplek {
namespace {

// One turn loses so many desktops at most, so that a commit stays small; the next tick goes on.
constexpr int kMostLostPerTurn = 200;
constexpr size_t kMaxReason = 256;

bool IsGone(v1::DesktopState state) {
  return state == v1::DESKTOP_STATE_STOPPING || state == v1::DESKTOP_STATE_LOST;
}

// A host that goes down takes nothing with it of what is known to run nowhere.
bool IsNotLost(const v1::Desktop& desktop) {
  return IsGone(desktop.state()) || IsFencedOff(desktop);
}

// Whether something may run on the host that goes with it; `stopping_too`: also what is being
// stopped there.
bool HasToLose(const BrokerState& state, const std::string& host, bool stopping_too) {
  const auto own = state.hosts.find(host);
  if (own == state.hosts.end()) return false;
  return std::any_of(own->second.desktops.begin(), own->second.desktops.end(),
                     [&](const std::string& id) {
                       const v1::Desktop* desktop = state.fleet.desktops.Find(id);
                       if (desktop == nullptr) return false;
                       return !IsNotLost(*desktop) ||
                              (stopping_too && desktop->state() == v1::DESKTOP_STATE_STOPPING);
                     });
}

bool IsBraked(const Fleet& fleet, const std::string& site) {
  const v1::SiteLoss* loss = fleet.site_losses.Find(site);
  return loss != nullptr && loss->state() == v1::SITE_LOSS_STATE_BRAKED;
}

// Whether the host has worked: this broker heard it, or desktops stand on it (those that are lost
// already only when `lost_too`).
bool HasWorked(const BrokerState& state, const std::string& host, const HostSoft& soft,
               bool lost_too) {
  if (soft.last_heard != absl::InfinitePast()) return true;
  const auto own = state.hosts.find(host);
  if (own == state.hosts.end()) return false;
  return std::any_of(own->second.desktops.begin(), own->second.desktops.end(),
                     [&](const std::string& id) {
                       const v1::Desktop* desktop = state.fleet.desktops.Find(id);
                       return desktop != nullptr && (lost_too || !IsGone(desktop->state()));
                     });
}

bool IsJudgedDown(const BrokerState& state, const std::string& host) {
  const auto own = state.hosts.find(host);
  return own != state.hosts.end() && own->second.judged_down;
}

// Hosts that are down and whose silence was not followed through, by site.
std::map<std::string, std::vector<std::string>> NewlyDown(const BrokerState& state) {
  std::map<std::string, std::vector<std::string>> sites;
  for (const auto& entry : state.fleet.hosts) {
    const HostSoft* soft = state.fleet.host_soft.Find(entry.key);
    if (soft == nullptr || soft->liveness != v1::LIVENESS_DOWN) continue;
    if (IsJudgedDown(state, entry.key)) continue;
    sites[entry.record->host().site()].push_back(entry.key);
  }
  return sites;
}

std::vector<HostPresence> Present(const BrokerState& state) {
  std::vector<HostPresence> hosts;
  for (const auto& entry : state.fleet.hosts) {
    const v1::Host& host = entry.record->host();
    const HostSoft* soft = state.fleet.host_soft.Find(entry.key);
    if (soft == nullptr || IsJudgedDown(state, entry.key)) continue;
    const bool open = host.schedulability() == v1::SCHEDULABILITY_OPEN;
    if (!open && soft->liveness == v1::LIVENESS_UP) continue;
    // One that takes no work is missed for what stands on it: emptied, it may be switched off.
    // While the brake holds, no word on a host's work makes its silence mean less.
    const bool braked = IsBraked(state.fleet, host.site());
    const bool missed = (open || braked) && HasWorked(state, entry.key, *soft, false);
    if (!missed && !HasToLose(state, entry.key, braked)) continue;
    hosts.push_back({entry.key, host.site(), soft->liveness});
  }
  return hosts;
}

void RefreshSite(Turn& turn, const std::string& site) {
  for (const auto& entry : turn.fleet().hosts) {
    if (entry.record->host().site() == site) RefreshHost(turn, entry.key);
  }
  ++turn.state().capacity_version;
  turn.TouchAllPools();
}

uint32_t PriorityOf(const Turn& turn, const std::string& pool) {
  const v1::Resource* record = turn.fleet().pools.Find(pool);
  return record == nullptr ? 0 : record->pool().priority();
}

// Their desktops are to be lost: people before spares, important pools first, then by the age of
// the session.
void LoseHosts(Turn& turn, const std::vector<std::string>& hosts) {
  using Rank = std::tuple<bool, int64_t, int64_t, std::string>;
  std::set<Rank> order;
  for (const std::string& host : hosts) {
    HostState& own = turn.state().hosts[host];
    own.judged_down = true;
    for (const std::string& id : own.desktops) {
      const v1::Desktop* desktop = turn.fleet().desktops.Find(id);
      if (desktop == nullptr || IsNotLost(*desktop)) continue;
      const v1::Session* session = turn.fleet().sessions.Find(desktop->session());
      order.insert({session == nullptr, -int64_t{PriorityOf(turn, desktop->pool())},
                    session == nullptr ? 0 : session->created_unix_ms(), id});
    }
  }
  for (const Rank& rank : order) turn.state().to_lose.push_back(std::get<3>(rank));
}

void LoseSome(Turn& turn) {
  std::deque<std::string>& to_lose = turn.state().to_lose;
  std::deque<std::string> later;
  for (int lost = 0; lost < kMostLostPerTurn && !to_lose.empty();) {
    const std::string id = std::move(to_lose.front());
    to_lose.pop_front();
    const v1::Desktop* desktop = turn.fleet().desktops.Find(id);
    if (desktop != nullptr && IsJudgedDown(turn.state(), desktop->host()) &&
        LossWaitsForFence(turn, *desktop)) {
      later.push_back(id);
      continue;
    }
    lost += LoseNow(turn, id) ? 1 : 0;
  }
  to_lose.insert(to_lose.begin(), later.begin(), later.end());
}

void Record(Turn& turn, const std::string& site, v1::SiteLossState state, const std::string& reason,
            const std::string& confirmed_by) {
  v1::SiteLoss loss;
  loss.set_site(site);
  loss.set_state(state);
  loss.set_since_unix_ms(turn.now_ms());
  loss.set_reason(reason);
  loss.set_confirmed_by(confirmed_by);
  turn.Put(std::move(loss));
}

std::string Silent(const Turn& turn, const SiteVerdict& verdict) {
  return absl::StrCat(verdict.down, " of ", verdict.hosts, " hosts silent for ",
                      absl::FormatDuration(turn.settings().down_after));
}

void LoseSite(Turn& turn, const std::string& site, const std::string& reason,
              const std::vector<std::string>& hosts, const std::string& confirmed_by) {
  Record(turn, site, v1::SITE_LOSS_STATE_LOST, reason, confirmed_by);
  LoseHosts(turn, hosts);
  RefreshSite(turn, site);
}

void Brake(Turn& turn, const std::string& site, const SiteVerdict& verdict) {
  const std::string reason =
      absl::StrCat(Silent(turn, verdict), ", but ", verdict.all_gone, " of all ", verdict.all_hosts,
                   " hosts are gone, more than ",
                   std::lround(turn.settings().site_loss.brake_share * 100), " %");
  turn.Audit("broker", "site-loss", absl::StrCat("site:", site), "braked", "", {{"why", reason}});
  Record(turn, site, v1::SITE_LOSS_STATE_BRAKED, reason, "");
  RefreshSite(turn, site);
}

void JudgeSite(Turn& turn, const std::string& site, const SiteVerdict& verdict, bool braked,
               const std::vector<std::string>& down) {
  const v1::SiteLoss* loss = turn.fleet().site_losses.Find(site);
  // What was judged (or confirmed) stays so, also for the broker that leads next.
  if (loss != nullptr && loss->state() == v1::SITE_LOSS_STATE_LOST) return LoseHosts(turn, down);
  switch (verdict.finding) {
    case SiteFinding::kBraked:
      if (loss == nullptr) Brake(turn, site, verdict);
      return;
    case SiteFinding::kWait:
      return;
    case SiteFinding::kLost: {
      const std::string reason = Silent(turn, verdict);
      turn.Audit("broker", "site-loss", absl::StrCat("site:", site), "lost", "", {{"why", reason}});
      return LoseSite(turn, site, reason, down, "");
    }
    case SiteFinding::kInOrder:
    case SiteFinding::kSingleHosts:
      break;
  }
  if (braked) return;
  for (const std::string& host : down) {
    turn.Audit("broker", "host-down", absl::StrCat("host:", host), "silent", "");
  }
  LoseHosts(turn, down);
}

void ReleaseBrakes(Turn& turn, const std::map<std::string, SiteVerdict>& verdicts) {
  // With why.
  std::vector<std::pair<std::string, std::string>> released;
  for (const auto& entry : turn.fleet().site_losses) {
    if (entry.record->state() != v1::SITE_LOSS_STATE_BRAKED) continue;
    const auto at = verdicts.find(entry.key);
    const SiteVerdict verdict = at == verdicts.end() ? SiteVerdict() : at->second;
    if (verdict.finding == SiteFinding::kSingleHosts ||
        (verdict.finding == SiteFinding::kInOrder && verdict.gone == 0)) {
      released.emplace_back(
          entry.key,
          absl::StrCat(verdict.gone, " of its ", verdict.hosts, " hosts that count are gone, ",
                       verdict.all_gone, " of all ", verdict.all_hosts));
    }
  }
  for (const auto& [site, why] : released) {
    turn.Audit("broker", "site-loss", absl::StrCat("site:", site), "released", "", {{"why", why}});
    turn.EraseSiteLoss(site);
    RefreshSite(turn, site);
  }
}

absl::Status NoSuchSite(const std::string& site) {
  return absl::NotFoundError(absl::StrCat("there is no site \"", site, "\""));
}

// The answer to those who changed how the site stands.
CallAnswer StatusOf(Turn& turn, const std::string& site) {
  ServeTouched(turn);
  const ViewContext context{turn.fleet(), turn.settings(), turn.now()};
  return std::make_shared<const v1::SiteStatus>(SiteStatusOf(context, site));
}

}  // namespace

absl::Status CheckReason(const std::string& reason) {
  const bool printable = std::none_of(reason.begin(), reason.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (!reason.empty() && reason.size() <= kMaxReason && printable) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("reason: give 1 to ", kMaxReason, " bytes on one line, for the audit"));
}

std::string SiteLossText(const Fleet& fleet, const std::string& site) {
  const v1::SiteLoss* loss = fleet.site_losses.Find(site);
  if (loss == nullptr) return "";
  if (loss->state() == v1::SITE_LOSS_STATE_LOST) {
    return absl::StrCat("site ", site, " is lost: ", loss->reason());
  }
  if (loss->state() == v1::SITE_LOSS_STATE_RETURNED) {
    return absl::StrCat("site ", site, " is back after its loss; an administrator must readmit it");
  }
  return "";
}

v1::Schedulability WorkAllowed(const Fleet& fleet, const std::string& host) {
  const v1::Resource* record = fleet.hosts.Find(host);
  if (record == nullptr) return v1::SCHEDULABILITY_DRAINING;
  const std::string& site = record->host().site();
  const v1::Resource* of_site = fleet.sites.Find(site);
  const v1::Schedulability own = record->host().schedulability();
  const v1::Schedulability above =
      of_site == nullptr ? v1::SCHEDULABILITY_OPEN : of_site->site().schedulability();
  if (own == v1::SCHEDULABILITY_DRAINING || above == v1::SCHEDULABILITY_DRAINING ||
      !SiteLossText(fleet, site).empty()) {
    return v1::SCHEDULABILITY_DRAINING;
  }
  return own != v1::SCHEDULABILITY_OPEN ? own : above;
}

std::vector<std::string> SiteTroubles(const Fleet& fleet, const v1::Pool& pool) {
  std::vector<std::string> troubles;
  for (const auto& entry : fleet.site_losses) {
    if (!MayStandIn(pool, entry.key)) continue;
    std::string text = SiteLossText(fleet, entry.key);
    if (text.empty()) {
      text = absl::StrCat("site ", entry.key, " does not answer (", entry.record->reason(),
                          "); an administrator must say whether it is lost");
    }
    troubles.push_back(std::move(text));
  }
  return troubles;
}

void JudgeSilence(Turn& turn) {
  const auto down = NewlyDown(turn.state());
  if (!down.empty() || !turn.fleet().site_losses.empty()) {
    const auto verdicts = JudgeSites(Present(turn.state()), turn.settings().site_loss);
    const bool braked = std::any_of(verdicts.begin(), verdicts.end(), [](const auto& entry) {
      return entry.second.finding == SiteFinding::kBraked;
    });
    ReleaseBrakes(turn, verdicts);
    for (const auto& [site, hosts] : down) {
      const auto at = verdicts.find(site);
      JudgeSite(turn, site, at == verdicts.end() ? SiteVerdict() : at->second, braked, hosts);
    }
  }
  LoseSome(turn);
}

void JudgeReturns(Turn& turn) {
  std::vector<std::string> back;
  for (const auto& loss : turn.fleet().site_losses) {
    if (loss.record->state() != v1::SITE_LOSS_STATE_LOST) continue;
    uint32_t up = 0;
    uint32_t hosts = 0;
    for (const auto& entry : turn.fleet().hosts) {
      const v1::Host& host = entry.record->host();
      const HostSoft* soft = turn.fleet().host_soft.Find(entry.key);
      if (soft == nullptr || host.site() != loss.key) continue;
      // One that answers counts, whatever work it takes.
      const bool is_up = soft->liveness == v1::LIVENESS_UP;
      const bool missed = host.schedulability() == v1::SCHEDULABILITY_OPEN &&
                          HasWorked(turn.state(), entry.key, *soft, true);
      if (!is_up && !missed) continue;
      ++hosts;
      up += is_up ? 1 : 0;
    }
    if (SiteAnswers(up, hosts, turn.settings().site_loss)) back.push_back(loss.key);
  }
  for (const std::string& site : back) {
    const v1::Resource* record = turn.fleet().sites.Find(site);
    const bool by_admin =
        record != nullptr && record->site().on_return() == v1::SITE_RETURN_BY_ADMIN;
    turn.Audit("broker", "site-return", absl::StrCat("site:", site),
               by_admin ? "waits for an administrator" : "ok", "");
    if (by_admin) {
      Record(turn, site, v1::SITE_LOSS_STATE_RETURNED,
             "its hosts answer again; it takes no work until it is readmitted", "");
    } else {
      turn.EraseSiteLoss(site);
    }
    RefreshSite(turn, site);
  }
}

void HostAnswers(Turn& turn, const std::string& host) {
  turn.state().hosts[host].judged_down = false;
  if (!turn.fleet().site_losses.empty()) JudgeReturns(turn);
}

bool LoseNow(Turn& turn, const std::string& id) {
  const auto desktop = turn.fleet().desktops.FindShared(id);
  if (desktop == nullptr || IsNotLost(*desktop)) return false;
  if (!IsJudgedDown(turn.state(), desktop->host())) return false;
  if (ArrivedMeanwhile(turn, *desktop)) return false;
  if (LossWaitsForFence(turn, *desktop)) return false;
  if (!desktop->session().empty()) {
    const v1::Resource* host = turn.fleet().hosts.Find(desktop->host());
    const bool with_site =
        host != nullptr && !SiteLossText(turn.fleet(), host->host().site()).empty();
    LoseSession(turn, desktop->session(),
                with_site ? absl::StrCat("site ", host->host().site(), " lost") : "host lost");
  }
  LoseDesktop(turn, *desktop);
  return true;
}

std::string BrakeText(const Turn& turn, const std::string& id) {
  const v1::Desktop* desktop = turn.fleet().desktops.Find(id);
  if (desktop == nullptr) return "";
  const HostSoft* soft = turn.fleet().host_soft.Find(desktop->host());
  const v1::Resource* host = turn.fleet().hosts.Find(desktop->host());
  if (soft == nullptr || host == nullptr || soft->liveness != v1::LIVENESS_DOWN) return "";
  const std::string& site = host->host().site();
  if (!IsBraked(turn.fleet(), site)) return "";
  const v1::SiteLoss* loss = turn.fleet().site_losses.Find(site);
  return absl::StrCat("your desktop is on a host of site ", site, " that does not answer (",
                      loss->reason(), "); an administrator must say whether it is lost");
}

void SiteDeclared(Turn& turn, const std::string& site) {
  const v1::Resource* record = turn.fleet().sites.Find(site);
  RefreshSite(turn, site);
  if (record == nullptr || record->site().schedulability() != v1::SCHEDULABILITY_DRAINING) return;
  for (const auto& entry : Fleet(turn.fleet()).hosts) {
    if (entry.record->host().site() == site) DrainHost(turn, entry.key);
  }
}

CallAnswer ConfirmSiteLoss(Turn& turn, const CallRequested& event,
                           const v1::ConfirmSiteLossRequest& request, const std::string& actor) {
  const std::string& site = request.site();
  if (turn.fleet().sites.Find(site) == nullptr) return NoSuchSite(site);
  if (absl::Status status = CheckReason(request.reason()); !status.ok()) return status;
  const v1::SiteLoss* loss = turn.fleet().site_losses.Find(site);
  if (loss != nullptr && loss->state() == v1::SITE_LOSS_STATE_LOST) return StatusOf(turn, site);
  const auto down = NewlyDown(turn.state());
  const auto hosts = down.find(site);
  if (hosts == down.end()) {
    return absl::FailedPreconditionError(
        absl::StrCat("site \"", site,
                     "\": no host waits for a word on its silence; there is "
                     "nothing to confirm"));
  }
  const std::string reason =
      absl::StrCat(hosts->second.size(), " hosts silent; confirmed: ", request.reason());
  turn.Audit(actor, "site-loss", absl::StrCat("site:", site), "ok", Origin(event.caller),
             {{"why", request.reason()}});
  LoseSite(turn, site, reason, hosts->second, actor);
  LoseSome(turn);
  return StatusOf(turn, site);
}

CallAnswer ReadmitSite(Turn& turn, const CallRequested& event,
                       const v1::ReadmitSiteRequest& request, const std::string& actor) {
  const std::string& site = request.site();
  if (turn.fleet().sites.Find(site) == nullptr) return NoSuchSite(site);
  const v1::SiteLoss* loss = turn.fleet().site_losses.Find(site);
  if (loss == nullptr) return StatusOf(turn, site);
  if (loss->state() == v1::SITE_LOSS_STATE_BRAKED) {
    return absl::FailedPreconditionError(
        absl::StrCat("site \"", site, "\" is not judged lost; it is back as soon as it answers"));
  }
  if (SiteStatusOf({turn.fleet(), turn.settings(), turn.now()}, site).hosts_up() == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("site \"", site, "\": no host of it answers; bring one up first"));
  }
  turn.Audit(actor, "site-readmit", absl::StrCat("site:", site), "ok", Origin(event.caller));
  turn.EraseSiteLoss(site);
  RefreshSite(turn, site);
  return StatusOf(turn, site);
}

}  // namespace werkplek
