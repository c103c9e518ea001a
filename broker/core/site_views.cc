#include "broker/core/site_views.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/core/rehearsal.h"
#include "broker/model/desktop_machine.h"

namespace werkplek {
namespace {

std::string LossWord(const v1::SiteLoss* loss) {
  if (loss == nullptr) return "";
  switch (loss->state()) {
    case v1::SITE_LOSS_STATE_BRAKED:
      return "braked";
    case v1::SITE_LOSS_STATE_LOST:
      return "lost";
    case v1::SITE_LOSS_STATE_RETURNED:
      return "returned";
    default:
      return "";
  }
}

constexpr uint32_t kDefaultPeople = 500;
constexpr uint32_t kMostPeople = 1000;
constexpr size_t kMaxPageBytes = 48 << 10;

}  // namespace

v1::SiteStatus SiteStatusOf(const ViewContext& context, const std::string& site) {
  const Fleet& fleet = context.fleet;
  v1::SiteStatus status;
  status.set_site(site);
  if (const v1::Resource* record = fleet.sites.Find(site)) {
    status.set_schedulability(record->site().schedulability());
  }
  const v1::SiteLoss* loss = fleet.site_losses.Find(site);
  status.set_loss(LossWord(loss));
  if (loss != nullptr) {
    status.set_reason(loss->reason());
    status.set_since_unix_ms(loss->since_unix_ms());
  }
  std::set<std::string> hosts;
  for (const auto& entry : fleet.hosts) {
    if (entry.record->host().site() != site) continue;
    hosts.insert(entry.key);
    const HostSoft* soft = fleet.host_soft.Find(entry.key);
    if (soft != nullptr && soft->liveness == v1::LIVENESS_UP) {
      status.set_hosts_up(status.hosts_up() + 1);
    }
  }
  status.set_hosts(static_cast<uint32_t>(hosts.size()));
  for (const auto& entry : fleet.desktops) {
    if (hosts.count(entry.record->host()) == 0) continue;
    status.set_desktops(status.desktops() + 1);
    if (!entry.record->session().empty()) status.set_sessions(status.sessions() + 1);
    if (IsStarting(entry.record->state()))
      status.set_starts_in_flight(status.starts_in_flight() + 1);
  }
  status.set_would_wait(RehearseLoss(fleet, context.settings, site).wait);
  return status;
}

absl::StatusOr<v1::ListSitesResponse> View(const ViewContext& context,
                                           const v1::ListSitesRequest&) {
  v1::ListSitesResponse response;
  for (const auto& entry : context.fleet.sites) {
    *response.add_sites() = SiteStatusOf(context, entry.key);
  }
  return response;
}

absl::StatusOr<v1::RehearseSiteLossResponse> View(const ViewContext& context,
                                                  const v1::RehearseSiteLossRequest& request) {
  if (context.fleet.sites.Find(request.site()) == nullptr) {
    return absl::NotFoundError(absl::StrCat("there is no site \"", request.site(), "\""));
  }
  Rehearsal rehearsal = RehearseLoss(context.fleet, context.settings, request.site());
  v1::RehearseSiteLossResponse response;
  response.set_fit(rehearsal.fit);
  response.set_wait(rehearsal.wait);
  response.set_all_ready_after_s(rehearsal.all_ready_after_s);
  const size_t limit =
      request.limit() == 0 ? kDefaultPeople : std::min(request.limit(), kMostPeople);
  size_t bytes = 0;
  for (size_t i = request.skip(); i < rehearsal.people.size(); ++i) {
    v1::RehearsedPerson& person = rehearsal.people[i];
    bytes += person.ByteSizeLong() + 8;
    const auto given = static_cast<size_t>(response.people_size());
    if (given == limit || (given > 0 && bytes > kMaxPageBytes)) {
      response.set_more(true);
      break;
    }
    *response.add_people() = std::move(person);
  }
  return response;
}

}  // namespace werkplek
