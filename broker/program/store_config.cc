#include "broker/program/store_config.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "broker/etcd/etcd_credentials.h"
#include "common/config/units.h"

namespace werkplek {
namespace {

// More members make every write slower, and no cluster needs them.
constexpr size_t kMaxEndpoints = 9;

absl::Status CheckPrefix(const std::string& prefix) {
  constexpr absl::string_view kWanted =
      "must begin and end with / and hold only [A-Za-z0-9._-] and / in between, for example "
      "/werkplek/";
  if (prefix.size() < 3 || prefix.front() != '/' || prefix.back() != '/' ||
      absl::StrContains(prefix, "//")) {
    return absl::InvalidArgumentError(kWanted);
  }
  const bool good = std::all_of(prefix.begin(), prefix.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-' || c == '/';
  });
  return good ? absl::OkStatus() : absl::InvalidArgumentError(kWanted);
}

absl::Status CheckEndpoint(const std::string& text) {
  if (absl::StrContains(text, "://")) {
    return absl::InvalidArgumentError("must be HOST:PORT, without https://; TLS is always used");
  }
  const auto address = ParseHostPort(text);
  if (!address.ok()) return address.status();
  return address->port != 0 ? absl::OkStatus() : absl::InvalidArgumentError("needs a port");
}

bool IsEveryAddress(const std::string& address) {
  return absl::StartsWith(address, "0.0.0.0:") || absl::StartsWith(address, "[::]:");
}

void ReadFiles(ConfigSection& section, bool files, EtcdSettings& etcd) {
  bool whole = true;
  const std::pair<const char*, std::string*> all[] = {
      {"certificate", &etcd.certificate}, {"key", &etcd.key}, {"ca", &etcd.ca}};
  for (const auto& [key, target] : all) {
    whole &= files ? section.ExistingFile(key, target, /*required=*/true)
                   : section.Path(key, target, /*required=*/true);
  }
  if (!files || !whole || !section.present()) return;
  if (const absl::Status good = CheckEtcdFiles(etcd, absl::Now()); !good.ok()) {
    section.Complain("certificate", good.message());
  }
}

}  // namespace

void ReadStore(ConfigSection section, bool files, StoreConfig& config) {
  if (!section.present()) return;
  if (!section.Has("etcd")) {
    section.Complain("", "needs `etcd`; leave the whole section out to keep the fleet in a file");
    return;
  }
  ConfigSection etcd = section.Section("etcd");
  config.in_etcd = true;
  std::vector<std::string>& endpoints = config.etcd.endpoints;
  etcd.TextList("endpoints", &endpoints,
                {.required = true,
                 .min_items = 1,
                 .max_items = kMaxEndpoints,
                 .item = {.max_bytes = 262, .check = CheckEndpoint}});
  ReadFiles(etcd, files, config.etcd);
  etcd.Text("prefix", &config.etcd.prefix, {.max_bytes = 128, .check = CheckPrefix});
  if (etcd.Duration("lease_ttl", &config.lease_ttl,
                    {.min = absl::Seconds(2), .max = absl::Minutes(1)}) &&
      config.lease_ttl % absl::Seconds(1) != absl::ZeroDuration()) {
    etcd.Complain("lease_ttl", "must be whole seconds: etcd counts no others");
  }
  etcd.Duration("request_timeout", &config.etcd.attempt_timeout,
                {.min = absl::Milliseconds(100), .max = absl::Seconds(10)});
  etcd.Number("max_operations", &config.etcd_store.max_operations, {.min = 16, .max = 10'000});
  uint64_t bytes = config.etcd_store.max_request_bytes;
  if (etcd.Size("max_request_size", &bytes, {.min = 64 << 10, .max = 4 << 20})) {
    config.etcd_store.max_request_bytes = bytes;
  }
  const absl::Duration all = config.etcd.attempt_timeout * static_cast<int64_t>(endpoints.size());
  if (!endpoints.empty() && all > config.lease_ttl) {
    etcd.Complain("request_timeout",
                  absl::StrCat("the times break endpoints x request_timeout <= lease_ttl (",
                               DurationText(all), " > ", DurationText(config.lease_ttl),
                               "): members that are silent would cost the lead before the next "
                               "one is asked"));
  }
}

void ReadAdvertised(ConfigSection listen, const std::string& clients, const std::string& agents,
                    StoreConfig& config) {
  struct Advertised {
    const char* key;
    const std::string& listens;
    std::string* target;
  };
  const Advertised all[] = {
      {"advertise_clients", clients, &config.own.client_address},
      {"advertise_agents", agents, &config.own.agent_address},
  };
  for (const Advertised& one : all) {
    *one.target = one.listens;
    const bool given = listen.Text(one.key, one.target, {.max_bytes = 262, .check = CheckEndpoint});
    if (given || listen.Has(one.key) || !config.in_etcd) continue;
    if (IsEveryAddress(one.listens) || absl::EndsWith(one.listens, ":0")) {
      listen.Complain(one.key, absl::StrCat("missing: with a store in etcd other brokers must be "
                                            "told where this one is, and ",
                                            one.listens, " says nothing; set it to HOST:PORT"));
    }
  }
}

}  // namespace werkplek
