// One employee of a simulation, with a thin client, a token, and habits; now and then a thief of
// codes and tickets too.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "broker/node/broker_node.h"
#include "tests/sim/client.h"

namespace werkplek::sim {

class World;

class User {
 public:
  User(World& world, int index, std::string seed, std::string seed_id,
       std::vector<std::string> groups);

  const std::string& name() const { return name_; }
  std::string password() const { return "secret-of-" + name_; }
  const std::vector<std::string>& groups() const { return groups_; }
  const std::string& machine() const { return client_.machine(); }

  // Begins the day, `after` from now.
  void Begin(absl::Duration after);
  // Ends what there is and does nothing more.
  void GoHome();
  bool home() const { return home_; }
  // What this person is at, for complaints: "waits for pool-0 since 3m".
  std::string Doing() const;
  // At the very end: sign in, get a desktop, see its screen; `done(true)` when that worked.
  void Probe(std::function<void(bool)> done);

  // A new token was enrolled for this person.
  void NewToken(const std::string& uri, const std::string& seed_id);

 private:
  void Act();
  void ActSoon(absl::Duration least, absl::Duration most);
  void Say(const std::string& what);

  void SignIn();
  void TrySignIn(const v1::SignInRequest& request, size_t attempt, int tries);
  void SignedIn(const v1::SignInRequest& request, size_t attempt,
                const v1::SignInResponse& response);
  // Tries the same code again, as a thief would who looked over the shoulder.
  void ReplayCode(const v1::SignInRequest& request, size_t attempt);

  void Connect();
  void TryConnect(const v1::ConnectRequest& request, int tries);
  void NoteReady(const v1::Ready& ready);
  void OnUpdate(const v1::ConnectRequest& request, int tries, const BrokerProcess::Update& update,
                bool last);
  void OpenDisplay(const v1::Ready& ready, int tries);
  void ShowDisplay(const v1::Ready& ready, uint64_t channel);
  void DisplayGone(uint64_t display);
  // Shows a ticket that is spent, late or somebody else's.
  void AbuseTicket(const v1::Ready& ready);
  void CloseDisplay();

  void Work();
  void Disconnect();
  void EndSession(int tries);
  void SignOut(int tries);
  // Uses a token that was signed out.
  void UseDeadToken(const std::string& token_sha256);
  void HeadHome();
  void DropToken();
  std::string RequestId();

  World& world_;
  const std::string name_;
  const std::vector<std::string> groups_;
  std::string seed_;
  std::string seed_id_;
  Caller caller_;
  Client client_;
  uint64_t next_request_ = 1;
  uint64_t next_viewer_ = 1;
  // Every later plan makes the earlier ones void.
  uint64_t plan_ = 0;

  int64_t last_step_ = 0;
  bool signed_in_ = false;
  std::string session_;
  std::string session_pool_;
  std::string desktop_;
  std::string host_;
  // The display that is open; 0: none.
  uint64_t display_ = 0;
  uint64_t next_display_ = 1;
  uint64_t channel_ = 0;
  std::string channel_host_;

  std::string doing_ = "sleeps";
  absl::Duration doing_since_;
  bool going_home_ = false;
  bool home_ = false;
  std::function<void(bool)> probe_;
};

}  // namespace werkplek::sim
