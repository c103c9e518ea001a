#include "broker/core/gateway_views.h"

#include <algorithm>

namespace werkplek {
namespace {

constexpr size_t kDigestBytes = 32;

}  // namespace

absl::StatusOr<v1::FindDisplayResponse> View(const ViewContext& context,
                                             const v1::FindDisplayRequest& request) {
  if (request.ticket_sha256().size() != kDigestBytes) {
    return absl::InvalidArgumentError("ticket_sha256: must be 32 bytes");
  }
  // One answer for all that does not open: a gateway learns nothing about other people's desktops.
  const absl::Status none = absl::NotFoundError(
      "no such ticket opens this desktop: it is unknown, late, or was used; connect again");
  const v1::Desktop* desktop = context.fleet.desktops.Find(request.desktop());
  if (desktop == nullptr || desktop->host().empty()) return none;
  const HostSoft* host = context.fleet.host_soft.Find(desktop->host());
  const v1::DesktopReport* report =
      host == nullptr ? nullptr : host->FindDesktop(request.desktop());
  if (report == nullptr) return none;
  const auto& open = report->open_tickets();
  if (std::find(open.begin(), open.end(), request.ticket_sha256()) == open.end()) return none;
  v1::FindDisplayResponse response;
  response.set_host(desktop->host());
  *response.mutable_relays() = host->report->relays();
  return response;
}

std::string SiteOf(const Fleet& fleet, const std::string& host) {
  const v1::Resource* record = fleet.hosts.Find(host);
  return record == nullptr ? "" : record->host().site();
}

}  // namespace werkplek
