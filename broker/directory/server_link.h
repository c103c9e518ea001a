// The connections to one LDAP server and the requests on them. Lives on the directory's loop
// thread; only the making of connections, which blocks, runs on threads of its own.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "broker/directory/circuit_breaker.h"
#include "broker/directory/directory_settings.h"
#include "broker/directory/ldap_connection.h"
#include "common/base/worker_pool.h"

namespace werkplek {

// The clock of everything here: one that never jumps.
absl::Duration SteadyNow();

// One search or bind, from waiting for a connection to its end.
struct DirectoryRequest {
  // Who wait for it; 0: not any more.
  std::vector<uint64_t> calls;
  // Of a search for people: the name that each of the calls wants.
  std::vector<std::string> names;
  ConnectionUse use = ConnectionUse::kSearch;
  LdapSearch search;
  // Whom a bind is for, or whose groups a search is for.
  std::string dn;
  std::shared_ptr<const Secret> password;

  std::vector<LdapEntry> entries;
  BindReply reply;

  bool sent = false;
  absl::Duration queued_at;
  absl::Duration sent_at;
  // Where it was sent.
  uint64_t connection = 0;
  int message_id = 0;
  size_t bytes = 0;

  // Whether a call still waits for it.
  bool wanted() const;
};
using RequestPointer = std::shared_ptr<DirectoryRequest>;

enum class RequestEnd {
  // `reply` is the server's word.
  kDone,
  // The connection went; the server may well answer on another one.
  kLost,
  kTimedOut,
  // No connection could be made.
  kNotConnected,
};

struct RequestEnded {
  RequestPointer request;
  RequestEnd end = RequestEnd::kDone;
  // Why, unless kDone.
  absl::Status status;
};

struct Opened {
  size_t link = 0;
  ConnectionUse use = ConnectionUse::kSearch;
  absl::StatusOr<std::unique_ptr<LdapConnection>> connection;
};

class ServerLink {
 public:
  // `epoll`: where sockets are watched, with (index << 32 | connection) as their data. `opened` is
  // called on a connecting thread.
  ServerLink(std::shared_ptr<const DirectorySettings> settings,
             std::shared_ptr<const LdapTlsContext> tls, size_t index, int epoll,
             std::function<void(Opened)> opened);
  // Gives up what is connecting; `opened` is not called any more after this.
  ~ServerLink();

  const std::string& name() const { return settings_->servers[index_]; }
  const CircuitBreaker& circuit() const { return circuit_; }
  bool HasConnection(ConnectionUse use) const;

  // Sends the request as soon as a connection has room for it. At a server that was given up it
  // ends at once.
  void Send(RequestPointer request, absl::Duration now);
  // The call does not wait for it any more.
  void Cancel(const RequestPointer& request, uint64_t call);

  void OnOpened(Opened opened, absl::Duration now);
  // False: there may be more that was read from the socket already; call again.
  bool OnReadable(uint64_t connection, absl::Duration now);
  // Sends what was gathered since the last call.
  void Flush(absl::Duration now);
  void Tick(absl::Duration now);

  // What ended since the last call.
  std::vector<RequestEnded> TakeEnded();

 private:
  struct Connection {
    std::unique_ptr<LdapConnection> ldap;
    absl::Duration last_used;
    absl::Duration last_received;
    std::map<int, RequestPointer> in_flight;
  };
  using Connections = std::map<uint64_t, Connection>;
  struct Kind {
    Connections connections;
    // Binds: connections without a request, the one used last at the back.
    std::vector<uint64_t> idle;
    std::deque<RequestPointer> waiting;
    int connecting = 0;
  };

  Kind& KindOf(ConnectionUse use) { return use == ConnectionUse::kSearch ? search_ : bind_; }
  // The kind and place of a connection; end() of the bind kind when there is none.
  std::pair<Kind*, Connections::iterator> FindConnection(uint64_t id);
  uint64_t PickConnection(Kind& kind, ConnectionUse use);
  void ServeWaiting(ConnectionUse use, absl::Duration now);
  bool SendOn(Connections::iterator place, const RequestPointer& request, absl::Duration now);
  void ConnectWhereNeeded(ConnectionUse use);
  void StartConnecting(ConnectionUse use);
  // False: no answer to what was asked; the connection is not to be trusted any further.
  bool Take(Connection& connection, LdapMessage message, absl::Duration now);
  void Drop(Kind& kind, Connections::iterator place, const absl::Status& why);
  void DropAll(const absl::Status& why);
  void FailWaiting(Kind& kind, RequestEnd end, const absl::Status& why);
  void TickKind(Kind& kind, absl::Duration now);
  void TickConnection(Kind& kind, Connections::iterator place, absl::Duration now);
  void NoteTimeOut(absl::Duration now);
  void End(RequestPointer request, RequestEnd end, absl::Status why);

  const std::shared_ptr<const DirectorySettings> settings_;
  const std::shared_ptr<const LdapTlsContext> tls_;
  const size_t index_;
  const int epoll_;
  const std::function<void(Opened)> opened_;
  CircuitBreaker circuit_;
  Kind search_;
  Kind bind_;
  // Connections with something to send.
  std::vector<uint64_t> to_flush_;
  uint64_t next_connection_ = 1;
  std::vector<RequestEnded> ended_;
  std::vector<std::shared_ptr<ConnectionAttempt>> attempts_;
  std::shared_ptr<std::atomic<bool>> stopping_;
  // Last: its threads use what is above.
  WorkerPool connecting_;
};

}  // namespace werkplek
