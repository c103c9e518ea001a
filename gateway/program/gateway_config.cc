#include "gateway/program/gateway_config.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "common/base/status_macros.h"
#include "common/config/address_checks.h"
#include "common/config/config_file.h"
#include "common/config/rate_section.h"
#include "common/config/units.h"
#include "common/tls/peer_name.h"
#include "gateway/portal/page_book.h"

namespace werkplek {
namespace {

// As many clients' and as many browsers' fit the unit's LimitNOFILE (descriptors.h) and MemoryMax.
constexpr int kMostChannels = 5'000;
constexpr int kMostWaiting = 4'096;
constexpr int kMostBrowsers = 8'192;

void ReadListen(ConfigSection section, GatewayConfig& config) {
  const ListRule listens = {.required = true,
                            .min_items = 1,
                            .max_items = 8,
                            .item = {.max_bytes = 64, .check = CheckNumericAddress}};
  section.TextList("clients", &config.relay.addresses, listens);
  section.TextList("portal", &config.portal.addresses,
                   {.max_items = 8, .item = {.max_bytes = 64, .check = CheckNumericAddress}});
  section.AddressList("advertise", &config.advertise, {.max_items = 8});
  section.Text("metrics", &config.metrics_address, {.max_bytes = 64, .check = CheckLoopback});
  if (!config.advertise.empty()) return;
  for (const std::string& address : config.relay.addresses) {
    if (absl::StartsWith(address, "0.0.0.0:") || absl::StartsWith(address, "[::]:")) {
      section.Complain("advertise", absl::StrCat(address,
                                                 " is no address that a client can use; say with "
                                                 "`advertise` which one clients are told"));
    }
  }
  config.advertise = config.relay.addresses;
}

void ReadTls(ConfigSection section, GatewayConfig& config) {
  section.Path("certificate", &config.tls.certificate, /*required=*/true);
  section.Path("key", &config.tls.key, /*required=*/true);
  section.Path("ca", &config.tls.ca, /*required=*/true);
  if (config.tls.certificate.empty() || config.tls.key.empty() || config.tls.ca.empty()) return;
  const absl::StatusOr<TlsMaterial> material = LoadTlsFiles(config.tls, absl::Now());
  if (!material.ok()) {
    section.Complain("certificate", material.status().message());
  } else if (material->own.name != PeerName{v1::IDENTITY_GATEWAY, config.name}) {
    section.Complain("certificate",
                     absl::StrCat(config.tls.certificate, " is of ", PeerLabel(material->own.name),
                                  ", not of gateway/", config.name, "; set `name`, or join again"));
  }
}

// "https://werkplek.example.nl", with a port when it is not 443: as browsers write it.
absl::Status CheckOrigin(const std::string& text) {
  absl::string_view host = text;
  if (absl::ConsumePrefix(&host, "https://")) {
    const bool has_port = host.find(':', host.rfind(']') + 1) != absl::string_view::npos;
    const auto parsed = ParseHostPort(has_port ? std::string(host) : absl::StrCat(host, ":443"));
    const bool plain = std::all_of(host.begin(), host.end(), [](char c) {
      return absl::ascii_islower(c) || absl::ascii_isdigit(c) || absl::StrContains(".-:[]", c);
    });
    // As written: no port that browsers leave out, and no zeros before it.
    const bool as_browsers = parsed.ok() && parsed->port != 0 &&
                             (parsed->port != 443) == has_port &&
                             (!has_port || absl::EndsWith(host, absl::StrCat(":", parsed->port)));
    if (plain && as_browsers && (absl::ascii_isalnum(host.front()) || host.front() == '[')) {
      return absl::OkStatus();
    }
  }
  return absl::InvalidArgumentError(absl::StrCat(
      text,
      " is no origin as browsers write it: https://, the name in lower case, and :PORT "
      "only when it is not 443; no path"));
}

void ReadPortal(ConfigSection section, GatewayConfig& config) {
  if (section.present() && config.portal.addresses.empty()) {
    section.Complain("", "there is no `listen.portal` that it is for; add that, or leave this out");
  }
  section.TextList("origins", &config.portal.origins,
                   {.required = true,
                    .min_items = 1,
                    .max_items = 16,
                    .item = {.max_bytes = 256, .check = CheckOrigin}});
  section.Path("certificate", &config.portal_tls.certificate, /*required=*/true);
  section.Path("key", &config.portal_tls.key, /*required=*/true);
  section.Path("novnc", &config.portal.novnc);
  if (config.portal_tls.certificate.empty() || config.portal_tls.key.empty()) return;
  const absl::StatusOr<TlsMaterial> material =
      LoadBrowserFacingFiles(config.portal_tls, absl::Now());
  if (!material.ok()) section.Complain("certificate", material.status().message());
  const absl::StatusOr<PageBook> pages = PageBook::Load(config.portal.novnc);
  if (!pages.ok()) section.Complain("novnc", pages.status().message());
}

// How many connections may wait at one port, and how many of them from one address.
void ReadWaiting(ConfigSection& section, const std::string& name, int most, size_t& in_all,
                 size_t& from_one) {
  const std::string per_address = absl::StrCat(name, "_per_address");
  section.Number(name, &in_all, {.min = 1, .max = most});
  section.Number(per_address, &from_one, {.min = 1, .max = most});
  if (from_one > in_all) {
    section.Complain(per_address, absl::StrCat("must be at most `", name, "`, ", in_all));
  }
}

void ReadLimits(ConfigSection section, GatewayConfig& config) {
  RelayOptions& relay = config.relay;
  int channels = static_cast<int>(relay.max_channels);
  config.names_channels = section.Number("channels", &channels, {.min = 1, .max = kMostChannels});
  ReadWaiting(section, "waiting", kMostWaiting, relay.max_waiting, relay.max_waiting_per_address);
  ReadWaiting(section, "browsers", kMostBrowsers, config.portal.max_waiting,
              config.portal.max_waiting_per_address);
  section.Duration("head_deadline", &relay.head_deadline,
                   {.min = absl::Seconds(1), .max = absl::Minutes(1)});
  ReadRate(section.Section("sign_ins_per_address"), config.portal.sign_ins_per_address);
  ReadRate(section.Section("requests_per_address"), config.portal.requests_per_address);
  relay.max_channels = static_cast<size_t>(channels);
}

}  // namespace

absl::StatusOr<GatewayConfig> LoadGatewayConfig(const std::string& path) {
  const std::unique_ptr<ConfigFile> file = ConfigFile::Load(path);
  ConfigSection root = file->Root();
  GatewayConfig config;
  root.Text("name", &config.name, {.required = true, .check = CheckName});
  root.Text("site", &config.site, {.required = true, .check = CheckName});
  root.AddressList("brokers", &config.brokers, {.required = true, .min_items = 1, .max_items = 16});
  root.Choice("log", &config.log_severity,
              {{"debug", Severity::kDebug},
               {"info", Severity::kInfo},
               {"warning", Severity::kWarning},
               {"error", Severity::kError}});
  ReadListen(root.Section("listen", /*required=*/true), config);
  ReadTls(root.Section("tls", /*required=*/true), config);
  ReadPortal(root.Section("portal", /*required=*/!config.portal.addresses.empty()), config);
  ReadLimits(root.Section("limits"), config);
  config.portal.max_displays = config.relay.max_channels;
  RETURN_IF_ERROR(file->Finish());
  return config;
}

}  // namespace werkplek
