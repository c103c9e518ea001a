// The thread behind LdapDirectory: takes calls through their stages (find the person, judge the
// password, collect the groups), from server to server, within their deadline.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "broker/directory/bind_verdict.h"
#include "broker/directory/directory_settings.h"
#include "broker/directory/found_person.h"
#include "broker/directory/gathering.h"
#include "broker/directory/group_cache.h"
#include "broker/directory/group_walk.h"
#include "broker/directory/server_link.h"
#include "broker/node/ports.h"
#include "common/base/mutex.h"

namespace werkplek {

// One Authenticate or Find.
struct DirectoryCall {
  enum class Stage { kPerson, kPassword, kGroups };

  std::string typed;
  // Authenticate only.
  std::shared_ptr<const Secret> password;
  absl::AnyInvocable<void(DirectoryAnswer)> on_authenticated;
  // Find only.
  absl::AnyInvocable<void(absl::StatusOr<DirectoryPerson>)> on_found;

  uint64_t id = 0;
  absl::Duration deadline;
  Stage stage = Stage::kPerson;
  // Not set at kPassword: nobody has that name.
  std::optional<FoundPerson> person;
  std::string not_found_detail;
  std::vector<std::string> notices;
  std::optional<GroupWalk> walk;
  // Whose direct groups are still to be asked for.
  std::vector<std::string> questions;

  size_t server = 0;
  std::vector<bool> tried;
  // The stage was repeated on this server after a connection was lost.
  bool repeated = false;
  // The person was asked for together with others, and the answer could not be told apart.
  bool alone = false;
  std::vector<RequestPointer> requests;
  std::string last_failure;
};

// Thread-safe: Start and Answer may be called from any thread.
class DirectoryLoop {
 public:
  DirectoryLoop(std::shared_ptr<const DirectorySettings> settings,
                const std::shared_ptr<const LdapTlsContext>& tls, Executor* executor);
  ~DirectoryLoop();
  DirectoryLoop(const DirectoryLoop&) = delete;
  DirectoryLoop& operator=(const DirectoryLoop&) = delete;

  void Start(std::unique_ptr<DirectoryCall> call);
  // Posts the answer to the executor.
  void Answer(std::unique_ptr<DirectoryCall> call, DirectoryAnswer answer);

 private:
  using Stage = DirectoryCall::Stage;
  // So many calls under way are many: more are likely to come in a moment.
  static constexpr size_t kPacedCalls = 8;

  void Run();
  void Wake() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // False: the loop is to end.
  bool TakeInbox();
  void ReadSockets();
  // Waits a moment when much is under way.
  void Pace();
  void Tick();
  void HandleEnded();
  // Sends what was asked and posts what was answered since the last call.
  void Flush();

  // --- stages (directory_stages.cc) ---
  // Asks for the people whose searches have waited for others long enough.
  void SearchGathered();
  // Of one server; of more than one person at once only where the answer tells whom it is for.
  void SearchPeople(const std::vector<DirectoryCall*>& calls);
  // Each of these may finish the call, which destroys it.
  void RunStage(DirectoryCall& call);
  void AskGroups(DirectoryCall& call);
  void Handle(DirectoryCall& call, const RequestEnded& ended);
  void HandleJoined(const RequestEnded& ended);
  void HandlePerson(DirectoryCall& call, const std::vector<LdapEntry>& entries,
                    const BindReply& reply);
  void HandlePassword(DirectoryCall& call, const DirectoryRequest& request);
  void HandleGroups(DirectoryCall& call, const DirectoryRequest& request);
  void StartGroups(DirectoryCall& call);
  void RepeatStage(DirectoryCall& call);
  void NextServer(DirectoryCall& call, std::string why);
  void Finish(DirectoryCall& call, DirectoryOutcome outcome, std::string detail);

  std::optional<size_t> PickServer(const DirectoryCall& call) const;
  void Send(const std::vector<DirectoryCall*>& calls, RequestPointer request);
  void CancelRequests(DirectoryCall& call);
  // Whether the call waits for a free connection of a server that answers, if slowly.
  bool WaitsForTurn(const DirectoryCall& call) const;

  const std::shared_ptr<const DirectorySettings> settings_;
  Executor* const executor_;
  const int epoll_;
  const int wake_;

  Mutex mutex_;
  std::vector<std::unique_ptr<DirectoryCall>> new_calls_ ABSL_GUARDED_BY(mutex_);
  std::vector<Opened> opened_ ABSL_GUARDED_BY(mutex_);
  int calls_under_way_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  // The loop thread's.
  absl::Duration now_;
  absl::Duration next_tick_;
  uint64_t next_call_ = 1;
  // By id: in the order of their deadlines.
  std::map<uint64_t, std::unique_ptr<DirectoryCall>> calls_;
  const std::vector<std::string> person_attributes_;
  const bool joins_searches_;
  GroupCache group_cache_;
  std::vector<std::unique_ptr<ServerLink>> links_;
  // For each link, the calls whose person is still to be asked for.
  std::vector<Gathering> gathering_;
  // Answers that are not yet posted.
  std::vector<Executor::Task> answers_;
  // (link, connection) that may hold more than their sockets show.
  std::vector<uint64_t> read_again_;
  std::thread thread_;
};

}  // namespace werkplek
