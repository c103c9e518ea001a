#include "broker/directory/server_link.h"

#include <signal.h>
#include <sys/epoll.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"

namespace werkplek {
namespace {

constexpr int kConnectThreads = 4;
// Searches under way on one connection. slapd takes 1,000 of a bound client.
constexpr size_t kSearchesPerConnection = 128;
constexpr absl::Duration kCloseIdleAfter = absl::Minutes(2);
// What one answer may bring, over all its entries.
constexpr size_t kMaxAnswerBytes = 8 << 20;
// Messages taken from one connection before the others get their turn.
constexpr int kMessagesPerTurn = 64;

}  // namespace

absl::Duration SteadyNow() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return absl::DurationFromTimespec(now);
}

bool DirectoryRequest::wanted() const {
  return std::any_of(calls.begin(), calls.end(), [](uint64_t call) { return call != 0; });
}

namespace {

size_t SizeOf(const LdapEntry& entry) {
  size_t bytes = entry.dn.size();
  for (const auto& [name, values] : entry.attributes) {
    bytes += name.size();
    for (const std::string& value : values) bytes += value.size() + sizeof(std::string);
  }
  return bytes;
}

}  // namespace

ServerLink::ServerLink(std::shared_ptr<const DirectorySettings> settings,
                       std::shared_ptr<const LdapTlsContext> tls, size_t index, int epoll,
                       std::function<void(Opened)> opened)
    : settings_(std::move(settings)),
      tls_(std::move(tls)),
      index_(index),
      epoll_(epoll),
      opened_(std::move(opened)),
      stopping_(std::make_shared<std::atomic<bool>>(false)),
      connecting_(absl::StrCat("ldap-connect-", index), kConnectThreads,
                  /*max_queued=*/2 * kConnectThreads + 32) {
  ConnectWhereNeeded(ConnectionUse::kSearch);
}

ServerLink::~ServerLink() {
  stopping_->store(true);
  for (const std::shared_ptr<ConnectionAttempt>& attempt : attempts_) attempt->GiveUp();
}

bool ServerLink::HasConnection(ConnectionUse use) const {
  return !(use == ConnectionUse::kSearch ? search_ : bind_).connections.empty();
}

void ServerLink::Send(RequestPointer request, absl::Duration now) {
  const ConnectionUse use = request->use;
  if (circuit_.open()) {
    // Chosen before it was given up: nothing would serve the request before a probe succeeds.
    End(std::move(request), RequestEnd::kNotConnected,
        absl::UnavailableError(absl::StrCat(name(), " was given up")));
    return;
  }
  request->queued_at = now;
  KindOf(use).waiting.push_back(std::move(request));
  ServeWaiting(use, now);
}

void ServerLink::Cancel(const RequestPointer& request, uint64_t call) {
  std::replace(request->calls.begin(), request->calls.end(), call, uint64_t{0});
  if (request->wanted() || !request->sent || request->use != ConnectionUse::kSearch) return;
  const auto found = search_.connections.find(request->connection);
  if (found == search_.connections.end()) return;
  if (found->second.in_flight.erase(request->message_id) > 0) {
    found->second.ldap->Abandon(request->message_id);
    to_flush_.push_back(request->connection);
  }
}

std::vector<RequestEnded> ServerLink::TakeEnded() { return std::exchange(ended_, {}); }

void ServerLink::End(RequestPointer request, RequestEnd end, absl::Status why) {
  ended_.push_back({std::move(request), end, std::move(why)});
}

std::pair<ServerLink::Kind*, ServerLink::Connections::iterator> ServerLink::FindConnection(
    uint64_t id) {
  for (Kind* kind : {&search_, &bind_}) {
    const auto found = kind->connections.find(id);
    if (found != kind->connections.end()) return {kind, found};
  }
  return {nullptr, bind_.connections.end()};
}

// 0: none has room.
uint64_t ServerLink::PickConnection(Kind& kind, ConnectionUse use) {
  if (use == ConnectionUse::kBind) {
    if (kind.idle.empty()) return 0;
    const uint64_t id = kind.idle.back();
    kind.idle.pop_back();
    return id;
  }
  uint64_t best = 0;
  size_t least = kSearchesPerConnection;
  for (const auto& [id, connection] : kind.connections) {
    if (connection.in_flight.size() < least) {
      least = connection.in_flight.size();
      best = id;
    }
  }
  return best;
}

void ServerLink::ServeWaiting(ConnectionUse use, absl::Duration now) {
  Kind& kind = KindOf(use);
  while (!kind.waiting.empty()) {
    if (!kind.waiting.front()->wanted()) {
      kind.waiting.pop_front();
      continue;
    }
    const uint64_t id = PickConnection(kind, use);
    if (id == 0) break;
    const auto place = kind.connections.find(id);
    if (SendOn(place, kind.waiting.front(), now)) kind.waiting.pop_front();
  }
  ConnectWhereNeeded(use);
}

// False: the connection was gone, and the request waits on.
bool ServerLink::SendOn(Connections::iterator place, const RequestPointer& request,
                        absl::Duration now) {
  Connection& connection = place->second;
  absl::StatusOr<int> id =
      request->use == ConnectionUse::kSearch
          ? connection.ldap->StartSearch(request->search)
          : connection.ldap->StartBind(request->dn, request->password->Reveal());
  if (!id.ok()) {
    if (absl::IsFailedPrecondition(id.status())) {
      if (request->use == ConnectionUse::kBind) bind_.idle.push_back(place->first);
      End(request, RequestEnd::kNotConnected, id.status());
      return true;
    }
    Drop(KindOf(request->use), place, id.status());
    return false;
  }
  request->sent = true;
  request->sent_at = now;
  request->connection = place->first;
  request->message_id = *id;
  request->entries.clear();
  request->bytes = 0;
  connection.last_used = now;
  connection.in_flight[*id] = request;
  to_flush_.push_back(place->first);
  return true;
}

void ServerLink::Flush(absl::Duration now) {
  for (const uint64_t id : std::exchange(to_flush_, {})) {
    const auto [kind, place] = FindConnection(id);
    if (kind == nullptr) continue;
    LdapConnection& ldap = *place->second.ldap;
    if (const absl::Status sent = ldap.Flush(); !sent.ok()) {
      const ConnectionUse use = ldap.use();
      Drop(*kind, place, sent);
      ServeWaiting(use, now);
    } else if (ldap.NeedsFlush()) {
      to_flush_.push_back(id);
    }
  }
}

void ServerLink::ConnectWhereNeeded(ConnectionUse use) {
  Kind& kind = KindOf(use);
  const size_t have = kind.connections.size() + static_cast<size_t>(kind.connecting);
  size_t want = 0;
  if (use == ConnectionUse::kSearch) {
    const auto all = static_cast<size_t>(settings_->search_connections);
    want = all > have ? all - have : 0;
  } else {
    const auto all = static_cast<size_t>(settings_->max_bind_connections);
    const auto coming = static_cast<size_t>(kind.connecting);
    want = kind.waiting.size() > coming ? kind.waiting.size() - coming : 0;
    want = std::min(want, all > have ? all - have : 0);
  }
  // One try at a time at a server that just failed, and only for somebody who waits.
  if (circuit_.suspect()) want = kind.connecting == 0 && !kind.waiting.empty() ? 1 : 0;
  for (; want > 0 && kind.connecting < kConnectThreads; --want) StartConnecting(use);
}

void ServerLink::StartConnecting(ConnectionUse use) {
  auto attempt = std::make_shared<ConnectionAttempt>();
  auto connect = [settings = settings_, tls = tls_, index = index_, use, opened = opened_, attempt,
                  stopping = stopping_] {
    if (stopping->load()) return;
    // A server that closes while libldap writes must not end the process.
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    attempt->Begin(SteadyNow());
    opened({index, use,
            LdapConnection::Open(*settings, *tls, settings->servers[index], use, *attempt)});
  };
  if (!connecting_.Submit(std::move(connect)).ok()) return;
  ++KindOf(use).connecting;
  attempts_.push_back(std::move(attempt));
}

void ServerLink::OnOpened(Opened opened, absl::Duration now) {
  Kind& kind = KindOf(opened.use);
  --kind.connecting;
  if (!opened.connection.ok()) {
    const absl::Status why =
        absl::UnavailableError(absl::StrCat(name(), ": ", opened.connection.status().message()));
    if (!circuit_.suspect()) {
      Log(Severity::kWarning, "directory-server-failed",
          {{"server", name()}, {"reason", std::string(why.message())}});
    }
    if (circuit_.ConnectFailed(now)) DropAll(why);
    if (kind.connections.empty() && kind.connecting == 0) {
      FailWaiting(kind, RequestEnd::kNotConnected, why);
    }
    return;
  }
  if (circuit_.suspect()) Log(Severity::kInfo, "directory-server-back", {{"server", name()}});
  circuit_.Connected();
  const auto wanted = static_cast<size_t>(settings_->search_connections);
  if (opened.use == ConnectionUse::kSearch && kind.connections.size() >= wanted) {
    // A probe's, while those that were there live on. It has shown that the server is back.
    ServeWaiting(ConnectionUse::kSearch, now);
    ServeWaiting(ConnectionUse::kBind, now);
    return;
  }
  const uint64_t id = next_connection_++;
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.u64 = static_cast<uint64_t>(index_) << 32 | id;
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, (*opened.connection)->descriptor(), &event) != 0) return;
  kind.connections[id] = {*std::move(opened.connection), now, now, {}};
  if (opened.use == ConnectionUse::kBind) kind.idle.push_back(id);
  ServeWaiting(opened.use, now);
}

bool ServerLink::OnReadable(uint64_t id, absl::Duration now) {
  const auto [kind, place] = FindConnection(id);
  if (kind == nullptr) return true;
  const ConnectionUse use = place->second.ldap->use();
  Connection& connection = place->second;
  const bool was_busy = !connection.in_flight.empty();
  bool drained = false;
  connection.ldap->Fill();
  for (int i = 0; i < kMessagesPerTurn && !drained; ++i) {
    absl::StatusOr<std::optional<LdapMessage>> message = connection.ldap->Poll();
    if (message.ok() && message->has_value()) {
      connection.last_received = now;
      if (Take(connection, **std::move(message), now)) {
        // Asking libldap when there is nothing left would be a call of the system.
        drained = !connection.ldap->HasMore();
        continue;
      }
      message = absl::UnavailableError("the server sent what was not asked for");
    }
    // A TLS record may hold no message, and what comes behind it was read with it.
    drained = !connection.ldap->HasMore();
    if (!message.ok()) {
      Drop(*kind, place, message.status());
      ServeWaiting(use, now);
      return true;
    }
  }
  if (use == ConnectionUse::kBind && was_busy && connection.in_flight.empty()) {
    kind->idle.push_back(id);
  }
  if (!kind->waiting.empty()) ServeWaiting(use, now);
  return drained;
}

bool ServerLink::Take(Connection& connection, LdapMessage message, absl::Duration now) {
  const auto found = connection.in_flight.find(message.id);
  if (found == connection.in_flight.end()) return true;
  DirectoryRequest& request = *found->second;
  if (message.kind == LdapMessage::Kind::kEntry) {
    if (request.use != ConnectionUse::kSearch) return false;
    request.bytes += SizeOf(message.entry);
    request.entries.push_back(std::move(message.entry));
    return request.entries.size() <= static_cast<size_t>(request.search.size_limit) &&
           request.bytes <= kMaxAnswerBytes;
  }
  if (message.kind == LdapMessage::Kind::kOther) return true;
  // "Success" of another kind of operation is no success of this one.
  const bool is_bind = message.kind == LdapMessage::Kind::kBindDone;
  if (is_bind != (request.use == ConnectionUse::kBind)) return false;
  request.reply = std::move(message.reply);
  connection.last_used = now;
  End(std::move(found->second), RequestEnd::kDone, absl::OkStatus());
  connection.in_flight.erase(found);
  return true;
}

void ServerLink::Drop(Kind& kind, Connections::iterator place, const absl::Status& why) {
  for (auto& [id, request] : place->second.in_flight) {
    End(std::move(request), RequestEnd::kLost, why);
  }
  kind.idle.erase(std::remove(kind.idle.begin(), kind.idle.end(), place->first), kind.idle.end());
  const LdapConnection& ldap = *place->second.ldap;
  if (ldap.alive()) epoll_ctl(epoll_, EPOLL_CTL_DEL, ldap.descriptor(), nullptr);
  kind.connections.erase(place);
}

void ServerLink::DropAll(const absl::Status& why) {
  Log(Severity::kError, "directory-server-given-up",
      {{"server", name()}, {"reason", std::string(why.message())}});
  for (Kind* kind : {&search_, &bind_}) {
    while (!kind->connections.empty()) Drop(*kind, kind->connections.begin(), why);
    FailWaiting(*kind, RequestEnd::kNotConnected, why);
  }
}

void ServerLink::FailWaiting(Kind& kind, RequestEnd end, const absl::Status& why) {
  for (RequestPointer& request : std::exchange(kind.waiting, {})) {
    End(std::move(request), end, why);
  }
}

void ServerLink::NoteTimeOut(absl::Duration now) {
  if (circuit_.TimedOut(now)) {
    DropAll(absl::UnavailableError(absl::StrCat(name(), " does not answer in time")));
  }
}

void ServerLink::Tick(absl::Duration now) {
  attempts_.erase(std::remove_if(attempts_.begin(), attempts_.end(),
                                 [](const auto& attempt) { return attempt->ended(); }),
                  attempts_.end());
  for (const std::shared_ptr<ConnectionAttempt>& attempt : attempts_) {
    attempt->GiveUpAfter(settings_->network_timeout, now);
  }
  TickKind(search_, now);
  TickKind(bind_, now);
  if (circuit_.TakeProbe(now)) {
    if (search_.connecting == 0) StartConnecting(ConnectionUse::kSearch);
  } else if (!circuit_.open()) {
    // What timed out or was called off has left room.
    ServeWaiting(ConnectionUse::kSearch, now);
    ServeWaiting(ConnectionUse::kBind, now);
  }
}

void ServerLink::TickKind(Kind& kind, absl::Duration now) {
  std::vector<uint64_t> ids;
  for (const auto& [id, connection] : kind.connections) ids.push_back(id);
  for (const uint64_t id : ids) {
    const auto place = kind.connections.find(id);
    if (place != kind.connections.end()) TickConnection(kind, place, now);
  }
  // With connections there, those who wait do so for a slow server, until their own deadline.
  while (kind.connections.empty() && !kind.waiting.empty() &&
         kind.waiting.front()->queued_at + settings_->operation_timeout < now) {
    RequestPointer request = std::move(kind.waiting.front());
    kind.waiting.pop_front();
    if (!request->wanted()) continue;
    End(std::move(request), RequestEnd::kTimedOut,
        absl::UnavailableError(absl::StrCat(name(), ": no connection in time")));
    NoteTimeOut(now);
  }
}

void ServerLink::TickConnection(Kind& kind, Connections::iterator place, absl::Duration now) {
  Connection& connection = place->second;
  const bool is_bind = connection.ldap->use() == ConnectionUse::kBind;
  std::vector<RequestPointer> late;
  for (const auto& [id, request] : connection.in_flight) {
    if (request->sent_at + settings_->operation_timeout < now) late.push_back(request);
  }
  bool silent = is_bind;
  for (const RequestPointer& request : late) {
    silent = silent || connection.last_received <= request->sent_at;
    connection.in_flight.erase(request->message_id);
    if (!is_bind) {
      connection.ldap->Abandon(request->message_id);
      to_flush_.push_back(place->first);
    }
    End(request, RequestEnd::kTimedOut,
        absl::UnavailableError(absl::StrCat(name(), ": no answer in time")));
  }
  if (!late.empty() && silent) {
    Drop(kind, place, absl::UnavailableError(absl::StrCat(name(), ": no answer in time")));
  } else if (is_bind && connection.in_flight.empty() &&
             connection.last_used + kCloseIdleAfter < now) {
    Drop(kind, place, absl::OkStatus());
  }
  for (size_t i = 0; i < late.size(); ++i) NoteTimeOut(now);
}

}  // namespace werkplek
