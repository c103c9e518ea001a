#include "broker/rpc/grpc_server.h"

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "broker/rpc/admin_service.h"
#include "broker/rpc/agent_service.h"
#include "broker/rpc/gateway_service.h"
#include "broker/rpc/listener.h"
#include "broker/rpc/peer_service.h"
#include "broker/rpc/pending_calls.h"
#include "broker/rpc/polling_threads.h"
#include "broker/rpc/session_service.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

// Calls that are with the node get this long to be answered at a stop.
constexpr absl::Duration kStopGrace = absl::Milliseconds(500);

ListenerSettings Common(const RpcSettings& settings) {
  ListenerSettings listener;
  listener.handshake_limit = settings.handshake_limit;
  listener.max_streams_per_connection = settings.max_streams_per_connection;
  listener.metadata_bytes = settings.metadata_bytes;
  listener.memory_quota_bytes = settings.memory_quota_bytes;
  listener.keepalive_timeout = settings.keepalive_timeout;
  return listener;
}

ListenerSettings ForClients(const RpcSettings& settings) {
  ListenerSettings listener = Common(settings);
  listener.name = "rpc-clients";
  listener.address = settings.client_address;
  listener.message_bytes = settings.client_message_bytes;
  listener.keepalive = settings.client_keepalive;
  listener.connection_age = settings.client_connection_age;
  listener.connection_grace = settings.client_connection_grace;
  return listener;
}

ListenerSettings ForAgents(const RpcSettings& settings) {
  ListenerSettings listener = Common(settings);
  listener.name = "rpc-agents";
  listener.address = settings.agent_address;
  listener.message_bytes = settings.agent_message_bytes;
  listener.keepalive = settings.agent_keepalive;
  listener.least_ping_interval = settings.agent_keepalive / 2;
  return listener;
}

GateParts GateFor(const RpcParts& parts, const std::string& listener,
                  std::vector<v1::Identity> identities, ConnectionLimits* connections) {
  return {.listener = listener,
          .identities = std::move(identities),
          .settings = parts.broker,
          .picture = [node = parts.node] { return node->picture(); },
          .now = parts.now,
          .connections = connections,
          .observe = parts.observe,
          .leader = parts.leader};
}

GateParts ClientGate(const RpcParts& parts, ConnectionLimits* connections) {
  GateParts gate =
      GateFor(parts, "clients", {v1::IDENTITY_CLIENT, v1::IDENTITY_GATEWAY, v1::IDENTITY_ADMIN},
              connections);
  gate.forwards = true;
  return gate;
}

}  // namespace

struct GrpcServer::Parts {
  Parts(const RpcSettings& settings, RpcParts given)
      : outside(std::move(given)),
        client_connections(settings.connections),
        agent_connections(settings.connections),
        client_gate(ClientGate(outside, &client_connections)),
        agent_gate(GateFor(outside, "agents", {v1::IDENTITY_HOST, v1::IDENTITY_BROKER},
                           &agent_connections)),
        pending(settings.unary_limit, [this] { Sweep(); }),
        sessions(OfClients(), settings, &gateway_book),
        admin(OfClients(), settings, outside.add_join_code),
        client_renewals(OfClients(), settings, outside.links, outside.renew_certificate),
        gateways(OfClients(), &gateway_book),
        agents(OfAgents(), settings, outside.links, outside.renew_certificate),
        peers(OfAgents()) {}

  ServiceParts OfClients() {
    return {
        .gate = &client_gate, .pending = &pending, .node = outside.node, .leader = outside.leader};
  }
  ServiceParts OfAgents() {
    return {
        .gate = &agent_gate, .pending = &pending, .node = outside.node, .leader = outside.leader};
  }

  // On the sweep's thread.
  void Sweep() {
    const Picture picture = outside.node->picture();
    TellHealth(picture != nullptr);
    if (picture == nullptr) {
      // Agents go where the lead went.
      if (outside.leader == nullptr || outside.links->size() == 0) return;
      const absl::Status elsewhere = NotLeading(outside.leader->leader());
      outside.links->CloseUnwelcome([&elsewhere](const Caller&) { return elsewhere; });
    } else if (!picture->revocations.empty()) {
      // Calls are judged as they come; a stream that runs is judged here.
      outside.links->CloseUnwelcome([&picture](const Caller& caller) {
        return IsRevoked(*picture, caller)
                   ? absl::PermissionDeniedError("the certificates of this machine were revoked")
                   : absl::OkStatus();
      });
    }
  }

  // People are served wherever the leader can be asked; agents by the leader only.
  void TellHealth(bool leads) {
    const bool serves = leads || (outside.leader != nullptr && outside.leader->usable());
    MutexLock lock(mutex);
    if (!listening) return;
    if (serves != told_clients) client_listener->SetServing(serves);
    if (leads != told_agents) agent_listener->SetServing(leads);
    told_clients = serves;
    told_agents = leads;
  }

  const RpcParts outside;
  ConnectionLimits client_connections;
  ConnectionLimits agent_connections;
  Gate client_gate;
  Gate agent_gate;
  Mutex mutex;
  // Both listeners are there.
  bool listening ABSL_GUARDED_BY(mutex) = false;
  bool told_clients ABSL_GUARDED_BY(mutex) = false;
  bool told_agents ABSL_GUARDED_BY(mutex) = false;
  PendingCalls pending;
  GatewayBook gateway_book;
  SessionRpc sessions;
  AdminRpc admin;
  // Clients renew their certificates at their own port.
  AgentRpc client_renewals;
  GatewayRpc gateways;
  AgentRpc agents;
  // At the port for agents, which takes larger messages.
  PeerRpc peers;
  // After the services, so that they go first.
  std::unique_ptr<Listener> client_listener;
  std::unique_ptr<Listener> agent_listener;
  std::unique_ptr<PollingThreads> polling;
  std::atomic<bool> stopped{false};
};

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(const RpcSettings& settings,
                                                              RpcParts given) {
  // Debian builds abseil with the search for lock cycles on, which every lock of gRPC's then pays
  // for under one global lock.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  auto parts = std::make_unique<Parts>(settings, std::move(given));
  std::unique_ptr<GrpcServer> server(new GrpcServer(std::move(parts)));
  Parts& p = *server->parts_;
  ASSIGN_OR_RETURN(p.client_listener,
                   Listener::Start(ForClients(settings), p.outside.credentials,
                                   {&p.sessions, &p.admin, &p.client_renewals, &p.gateways},
                                   &p.client_connections));
  ASSIGN_OR_RETURN(p.agent_listener, Listener::Start(ForAgents(settings), p.outside.credentials,
                                                     {&p.agents, &p.peers}, &p.agent_connections));
  p.polling = std::make_unique<PollingThreads>(p.client_listener->server());
  MutexLock lock(p.mutex);
  p.listening = true;
  return server;
}

GrpcServer::GrpcServer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

GrpcServer::~GrpcServer() { Stop(); }

int GrpcServer::client_port() const { return parts_->client_listener->port(); }
int GrpcServer::agent_port() const { return parts_->agent_listener->port(); }

AcceptorCounts GrpcServer::client_connections() const { return parts_->client_listener->counts(); }
AcceptorCounts GrpcServer::agent_connections() const { return parts_->agent_listener->counts(); }
size_t GrpcServer::calls_waiting() const { return parts_->pending.size(); }

void GrpcServer::Stop() {
  Parts& p = *parts_;
  if (p.stopped.exchange(true)) return;
  {
    MutexLock lock(p.mutex);
    p.listening = false;
  }
  p.pending.EndAll(absl::UnavailableError("the broker is stopping; try again"));
  p.polling.reset();
  if (p.client_listener != nullptr) p.client_listener->Stop(kStopGrace);
  if (p.agent_listener != nullptr) p.agent_listener->Stop(kStopGrace);
}

}  // namespace werkplek
