#include "gateway/program/gateway_program.h"

#include <sys/resource.h>

#include <atomic>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"
#include "common/config/units.h"
#include "common/metrics/metrics.h"
#include "common/program/self_probe.h"
#include "common/program/watchdog.h"
#include "common/renewal/certificate_renewer.h"
#include "common/tls/grpc_credentials.h"
#include "common/tls/ssl_context.h"
#include "gateway/link/broker_link.h"
#include "gateway/portal/portal_server.h"
#include "gateway/program/descriptors.h"
#include "gateway/relay/display_desk.h"

namespace werkplek {
namespace {

constexpr absl::Duration kProbeInterval = absl::Seconds(5);
constexpr absl::Duration kProbeLimit = absl::Seconds(4);
constexpr absl::Duration kRenewalCheck = absl::Minutes(10);

// Port 0 in what is told stands for the one that the system chose.
std::string WithPort(const std::string& address, int port) {
  const absl::StatusOr<HostPort> parsed = ParseHostPort(address);
  if (!parsed.ok() || parsed->port != 0) return address;
  return absl::StrCat(absl::string_view(address).substr(0, address.rfind(':') + 1), port);
}

}  // namespace

// In the order of their building; they go in reverse.
struct GatewayProgram::Parts {
  explicit Parts(GatewayConfig given) : config(std::move(given)) {}
  ~Parts() {
    // The link tells of the desk's channels, and the desk asks the link: neither may miss the
    // other.
    watchdog.reset();
    renewer.reset();
    metrics.StopServing();
    SetLink(nullptr);
    portal.reset();
    portal_dialer.reset();
    link.reset();
    desk.reset();
  }

  // Where the desk finds the link, while there is one.
  struct LinkBox {
    Mutex mutex;
    GatewayLink* link ABSL_GUARDED_BY(mutex) = nullptr;
  };

  void SetLink(GatewayLink* given) {
    MutexLock lock(box->mutex);
    box->link = given;
  }

  absl::Status BuildTrust();
  absl::Status Serve();
  absl::Status ServePortal();
  // For the watchdog, on its thread: whether the ports still answer.
  absl::Status Probe();
  // Displays that go through now.
  uint32_t channels() const { return desk->channels() + portal_displays; }

  const GatewayConfig config;
  const std::shared_ptr<LinkBox> box = std::make_shared<LinkBox>();
  Metrics metrics;
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  std::unique_ptr<FollowingContext> client_context;
  std::unique_ptr<FollowingContext> probe_context;
  std::unique_ptr<DisplayDesk> desk;
  std::unique_ptr<GatewayLink> link;
  std::atomic<uint32_t> portal_displays = 0;
  std::unique_ptr<FollowingContext> portal_context;
  std::unique_ptr<FollowingContext> portal_probe_context;
  std::unique_ptr<HostDialer> portal_dialer;
  std::unique_ptr<PortalServer> portal;
  std::unique_ptr<CertificateRenewer> renewer;
  std::unique_ptr<Watchdog> watchdog;
};

absl::Status GatewayProgram::Parts::BuildTrust() {
  ASSIGN_OR_RETURN(credentials,
                   GrpcChannelCredentials(config.tls, ExpectIdentity({v1::IDENTITY_BROKER})));
  // Gateways, for the watchdog's own probe: no ticket is a gateway's.
  const auto is_client =
      ExpectIdentity({v1::IDENTITY_CLIENT, v1::IDENTITY_ADMIN, v1::IDENTITY_GATEWAY});
  ASSIGN_OR_RETURN(client_context,
                   FollowingContext::Create(config.tls, [is_client](const TlsMaterial& own) {
                     return MakeServerContext(own, is_client);
                   }));
  const auto is_this_gateway = ExpectPeer({v1::IDENTITY_GATEWAY, config.name});
  ASSIGN_OR_RETURN(probe_context,
                   FollowingContext::Create(config.tls, [is_this_gateway](const TlsMaterial& own) {
                     return MakeClientContext(own, is_this_gateway);
                   }));
  return absl::OkStatus();
}

absl::Status GatewayProgram::Parts::Serve() {
  GatewayLinkSettings settings;
  settings.brokers = config.brokers;
  settings.announcement.set_site(config.site);
  // The link announces the port, and the desk asks the link.
  DisplayDesk::Parts asks;
  asks.own = config.tls;
  asks.tls = client_context.get();
  asks.find = [box = box](v1::FindDisplayRequest request, GatewayLink::Found found) {
    MutexLock lock(box->mutex);
    if (box->link == nullptr) return found(absl::UnavailableError("the gateway is not ready"));
    box->link->Find(std::move(request), std::move(found));
  };
  asks.metrics = &metrics;
  ASSIGN_OR_RETURN(desk, DisplayDesk::Start(config.relay, std::move(asks)));
  for (const std::string& address : config.advertise) {
    settings.announcement.add_addresses(WithPort(address, desk->ports().front()));
  }
  link = std::make_unique<GatewayLink>(std::move(settings), credentials,
                                       [this] { return channels(); });
  SetLink(link.get());
  RETURN_IF_ERROR(ServePortal());
  if (!config.metrics_address.empty()) {
    metrics.BeforeScrape([this] {
      metrics.SetGauge("werkplek_gateway_channels", "Channels of displays that go through now.", {},
                       channels());
    });
    RETURN_IF_ERROR(metrics.Serve(config.metrics_address));
  }
  renewer = std::make_unique<CertificateRenewer>(
      RenewalTerms{config.tls, config.brokers, credentials}, kRenewalCheck);
  watchdog = std::make_unique<Watchdog>(
      kProbeInterval, [this] { return Probe(); }, nullptr);
  Log(Severity::kInfo, "gateway-started",
      {{"gateway", config.name},
       {"site", config.site},
       {"version", WERKPLEK_VERSION},
       {"port", absl::StrCat(desk->ports().front())}});
  return absl::OkStatus();
}

absl::Status GatewayProgram::Parts::Probe() {
  RETURN_IF_ERROR(ProbeTls(config.relay.addresses.front(), desk->ports().front(),
                           probe_context->Get(), kProbeLimit,
                           [this] { return desk->turned_away(); }));
  if (portal == nullptr) return absl::OkStatus();
  return ProbeTls(config.portal.addresses.front(), portal->ports().front(),
                  portal_probe_context->Get(), kProbeLimit,
                  [this] { return portal->turned_away(); });
}

absl::Status GatewayProgram::Parts::ServePortal() {
  if (config.portal.addresses.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(portal_probe_context, FollowingContext::Create(
                                             config.portal_tls, MakeOwnProbeContext,
                                             [] { return absl::Now(); }, LoadBrowserFacingFiles));
  ASSIGN_OR_RETURN(portal_context, FollowingContext::Create(
                                       config.portal_tls, MakeBrowserContext,
                                       [] { return absl::Now(); }, LoadBrowserFacingFiles));
  portal_dialer = std::make_unique<HostDialer>(config.tls);
  ASSIGN_OR_RETURN(portal, PortalServer::Start(config.portal,
                                               {portal_context.get(), &link->lines(),
                                                portal_dialer.get(), &metrics, &portal_displays}));
  Log(Severity::kInfo, "portal-started", {{"port", absl::StrCat(portal->ports().front())}});
  return absl::OkStatus();
}

GatewayProgram::GatewayProgram(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
GatewayProgram::~GatewayProgram() = default;

std::vector<int> GatewayProgram::ports() const { return parts_->desk->ports(); }

absl::StatusOr<std::unique_ptr<GatewayProgram>> GatewayProgram::Start(GatewayConfig config) {
  // HardenProcess has raised it to what the system grants.
  rlimit descriptors{};
  if (getrlimit(RLIMIT_NOFILE, &descriptors) == 0) {
    RETURN_IF_ERROR(FitDescriptors(descriptors.rlim_cur, config));
  }
  std::unique_ptr<GatewayProgram> program(
      new GatewayProgram(std::make_unique<Parts>(std::move(config))));
  RETURN_IF_ERROR(program->parts_->BuildTrust());
  RETURN_IF_ERROR(program->parts_->Serve());
  return program;
}

}  // namespace werkplek
