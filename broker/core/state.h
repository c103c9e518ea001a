// What the core keeps beside the fleet: indexes over it, the queues, and what is in flight. All of
// it is soft: a new leader builds the indexes from the fleet and begins the rest empty.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/container/btree_map.h"
#include "absl/time/time.h"
#include "broker/core/balance_state.h"
#include "broker/core/event.h"
#include "broker/core/homes.h"
#include "broker/core/settings.h"
#include "broker/core/timers.h"
#include "broker/model/desktop_machine.h"
#include "broker/model/fleet.h"
#include "broker/reconcile/breaker.h"

namespace werkplek {

// A Connect call, from its arrival until its last answer.
struct ConnectCall {
  CallId call = 0;
  std::string user;
  std::string sign_in;
  std::string pool;
  // As the certificate names the client, and where it is.
  std::string peer;
  std::string address;
  std::string certificate_sha256;
  std::string ticket;
  std::string ticket_sha256;
  absl::Time arrived;
  // As it stood when the call came.
  Home home;
  // The end of its wait in the queue.
  absl::Time deadline;
  bool queued = false;
  // What it was told last, so that it is told only what is new.
  uint32_t told_position = 0;
  std::string told_starting;
  // Dedicated pools: why the own desktop is not there yet, and what was told of that.
  std::string reason;
  std::string told_reason;
  bool told_preparing = false;
};

// A session's soft part.
struct SessionSoft {
  // The call that waits for the display of this session.
  std::optional<ConnectCall> opening;
  bool resumed = false;
  absl::Time opening_since = absl::InfinitePast();
  // The newest ticket that was granted, by its SHA-256. Empty: none since this broker leads.
  std::string ticket_sha256;
  // The display is to be closed; a viewer that is reported is the old one.
  bool closing = false;
  // When the guest was first told of the session; InfinitePast: not yet.
  absl::Time begun = absl::InfinitePast();
};

struct PoolState {
  // Ids of desktops by state, and of those READY ones that are suspended.
  std::array<std::set<std::string>, kDesktopStates> by_state;
  std::set<std::string> suspended;
  // Dedicated pools: desktops by OwnerKey of whose they are, how many of them are in each state,
  // and those kept ones of which it is not sure that they run nowhere although nobody uses them.
  std::map<std::string, std::string> owned;
  std::array<uint32_t, kDesktopStates> owned_count = {};
  std::set<std::string> unsure;
  std::list<ConnectCall> queue;
  Breaker breaker;
  // Desktops may stand on an older image or size than declared, or outside the pool's sites.
  bool stale = true;
  // BrokerState::capacity_version when placement last found nothing; nothing new can fit before it
  // changes.
  uint64_t blocked_at = 0;

  const std::set<std::string>& In(v1::DesktopState state) const {
    return by_state[static_cast<size_t>(state)];
  }
  uint32_t Count(v1::DesktopState state) const { return static_cast<uint32_t>(In(state).size()); }
  // Those that nobody owns.
  uint32_t Unowned(v1::DesktopState state) const {
    return Count(state) - owned_count[static_cast<size_t>(state)];
  }
};

// Desktops of one pool on one host that nobody owns.
struct IdleCounts {
  // READY.
  uint32_t ready = 0;
  // On their way there: waiting for a reset, and starting.
  uint32_t dirty = 0;
  uint32_t starting = 0;
};

struct HostState {
  std::set<std::string> desktops;
  // Desktops that are being moved here; they stand elsewhere until they have arrived.
  std::set<std::string> incoming;
  // Of both.
  uint64_t memory_committed_mib = 0;
  uint32_t starts = 0;
  // By pool.
  std::map<std::string, IdleCounts> idle;
  absl::Time images_checked = absl::InfinitePast();
  // When its agent was told last that it is heard, on the stream that it has now.
  absl::Time told_heard = absl::InfinitePast();
  // It is down, and what follows from that was done or is under way (BrokerState::to_lose).
  bool judged_down = false;
  // Switching it off: an answer is awaited, failures in a row, not to be asked again before.
  bool fence_asked = false;
  uint32_t fence_failures = 0;
  absl::Time fence_again_at = absl::InfinitePast();
};

// The last command of one verb to one desktop.
struct SentCommand {
  uint64_t generation = 0;
  absl::Time at;
};

// Where a Connect call stands: in its pool's queue, or opening a session.
struct CallPlace {
  std::string pool;
  // Empty: in the queue.
  std::string session;
};

struct BrokerState {
  BrokerSettings settings;
  Fleet fleet;
  uint64_t epoch = 0;

  std::map<std::string, PoolState> pools;
  std::map<std::string, HostState> hosts;
  std::map<std::string, uint32_t> site_starts;
  // Hosts whose spares are not given out: not up, without a stream, draining or in maintenance.
  std::set<std::string> closed_hosts;
  // By OwnerKey.
  std::map<std::string, std::set<std::string>> sign_ins_by_user;
  // The newest sign-in that was made under a request id, by "PEER/REQUEST_ID".
  absl::btree_map<std::string, std::string> sign_in_by_request;
  std::map<std::string, SessionSoft> sessions;
  std::map<CallId, CallPlace> calls;
  std::map<std::pair<std::string, int>, SentCommand> sent;
  // Commands of this epoch that are not in `sent` were sent before this, if at all.
  absl::Time sent_before = absl::InfinitePast();
  Timers timers;
  // In the order of time; every record of one of these kinds lives equally long.
  std::deque<std::pair<absl::Time, std::string>> answered;
  std::deque<std::pair<absl::Time, std::string>> ended_sessions;
  // How many of `fleet.answered` are each person's (`changes_per_person`).
  std::map<std::string, uint32_t> answered_by_user;
  std::deque<std::string> refusals;
  // Desktops that are being moved.
  std::set<std::string> moving;
  BalanceState balance;
  // Desktops on hosts that were judged down, in the order in which they are to be lost.
  std::deque<std::string> to_lose;
  // Grows when room for a start may have come about.
  uint64_t capacity_version = 1;
};

// The person for whom a desktop or a sign-in is: names are compared without regard to case.
std::string OwnerKey(const std::string& user);

// Adds (or takes away) a desktop in the indexes.
void IndexDesktop(const v1::Desktop& desktop, bool add, BrokerState& state);

// Makes a new enrolment known by its name in lower case.
void IndexToken(const v1::TokenEnrolment& token, Fleet& fleet);

// The person's enrolment, however the name is typed; nullptr: none.
const v1::TokenEnrolment* TokenOf(const Fleet& fleet, const std::string& user);

// Adds (or takes away) a sign-in in the indexes.
void IndexSignIn(const v1::SignIn& sign_in, bool add, BrokerState& state);

// Adds (or takes away) a kept answer in the indexes.
void IndexAnswered(const v1::AnsweredRequest& answered, bool add, BrokerState& state);

// The sign-in that was made under a request id ("PEER/REQUEST_ID") and may be given again; nullptr:
// none.
std::shared_ptr<const v1::SignIn> SignInByRequest(const BrokerState& state, const std::string& key,
                                                  absl::Time now);

// All indexes, timers and soft records, from the fleet as loaded.
void RebuildState(BrokerState& state, absl::Time now);

// When the session needs a look next, from its durable times.
absl::Time SessionDue(const BrokerState& state, const v1::Session& session);
// When the start of the desktop is late; InfiniteFuture when none is in flight.
absl::Time DesktopDue(const BrokerState& state, const v1::Desktop& desktop);

// Times of the pool with the broker's defaults.
absl::Duration StartDeadline(const BrokerState& state, const std::string& pool);

// How long a guest may take to be told that its session is over.
inline constexpr absl::Duration kEndDeadline = absl::Seconds(10);
// A report of the viewer may come this much later than the ticket's last chance.
inline constexpr absl::Duration kViewerGrace = absl::Seconds(5);
// A sign-in may be repeated under its request id for so long.
inline constexpr absl::Duration kSignInRepeat = absl::Minutes(10);
// A running spare that is not needed is suspended after so long.
inline constexpr absl::Duration kSpareRest = absl::Minutes(1);
inline constexpr size_t kRefusalsKept = 1000;
// Verdicts that an explanation carries.
inline constexpr int kVerdictsKept = 20;

// Keys of timers.
inline std::string DesktopTimer(const std::string& id) { return "d/" + id; }
inline std::string SessionTimer(const std::string& id) { return "s/" + id; }
inline std::string SignInTimer(const std::string& id) { return "i/" + id; }

}  // namespace werkplek
