#include "broker/rpc/gateway_book.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/config/units.h"
#include "common/tls/peer_name.h"

namespace werkplek {
namespace {

constexpr size_t kMaxAddressBytes = 255;

absl::Status Check(const v1::AnnounceGatewayRequest& said) {
  if (!IsPeerName(said.site())) return absl::InvalidArgumentError("site: no site's name");
  if (said.addresses().empty() || said.addresses_size() > GatewayBook::kMaxAddresses) {
    return absl::InvalidArgumentError(
        absl::StrCat("addresses: must be 1 to ", GatewayBook::kMaxAddresses));
  }
  for (const std::string& address : said.addresses()) {
    if (address.size() > kMaxAddressBytes) {
      return absl::InvalidArgumentError("addresses: one is too long");
    }
    if (absl::Status bad = ParseHostPort(address).status(); !bad.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("addresses: ", bad.message()));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status GatewayBook::Put(const std::string& peer, const v1::AnnounceGatewayRequest& said,
                              absl::Duration now) {
  RETURN_IF_ERROR(Check(said));
  MutexLock lock(mutex_);
  Forget(now);
  if (gateways_.count(peer) == 0) {
    if (gateways_.size() >= kMaxGateways) {
      return absl::ResourceExhaustedError("there are too many gateways");
    }
    Log(Severity::kInfo, "gateway-there", {{"gateway", peer}, {"site", said.site()}});
  }
  gateways_[peer] = Entry{said, now};
  return absl::OkStatus();
}

void GatewayBook::Forget(absl::Duration now) {
  for (auto at = gateways_.begin(); at != gateways_.end();) {
    if (now - at->second.heard <= kHeardFor) {
      ++at;
      continue;
    }
    Log(Severity::kWarning, "gateway-silent",
        {{"gateway", at->first}, {"site", at->second.said.site()}});
    at = gateways_.erase(at);
  }
}

void GatewayBook::Tell(const std::string& site, absl::Duration now, v1::Ready& ready) {
  MutexLock lock(mutex_);
  Forget(now);
  std::vector<const v1::AnnounceGatewayRequest*> order;
  for (const auto& [name, entry] : gateways_) order.push_back(&entry.said);
  std::stable_sort(order.begin(), order.end(), [&site](const auto* a, const auto* b) {
    return std::make_tuple(a->site() != site, a->channels()) <
           std::make_tuple(b->site() != site, b->channels());
  });
  for (const auto* said : order) {
    for (const std::string& address : said->addresses()) ready.add_gateways(address);
  }
}

std::vector<std::string> GatewayBook::Names(absl::Duration now) {
  MutexLock lock(mutex_);
  Forget(now);
  std::vector<std::string> names;
  for (const auto& [name, entry] : gateways_) names.push_back(name);
  return names;
}

}  // namespace werkplek
