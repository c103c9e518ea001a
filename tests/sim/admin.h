// The administrator and the help desk of a simulation: declares the world, changes it, puts it
// right again. Each request is repeated under its id until it is answered.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "broker/node/broker_node.h"
#include "tests/sim/client.h"

namespace werkplek::sim {

class World;

class Admin {
 public:
  static constexpr char kUser[] = "beheer";
  static constexpr char kPassword[] = "beheer-password";
  static constexpr char kMachine[] = "beheer-1";

  // `seed` is the bytes of the token.
  Admin(World& world, std::string seed);

  // Signs in, declares everything, then calls `done`.
  void SetUp(std::function<void()> done);

  // One request after another; `then` (may be empty) gets the definitive answer.
  using Then = std::function<void(const BrokerProcess::Answer&)>;
  void Do(MessagePointer request, Then then);

  void SetHostOpen(const std::string& host, v1::Schedulability schedulability);
  void SetPoolOpen(const std::string& pool, v1::Schedulability schedulability);
  void ResizePool(const std::string& pool, uint32_t least, uint32_t most, uint32_t spares);
  void TakeEntitlement(const std::string& name);
  void GiveEntitlement(const std::string& name);
  void Rebalance(const std::string& site);
  void EndSomeSession();
  void ResetSomeDesktop(bool only_errors);
  void RevokeSignInsOf(const std::string& user);
  // A new token for the user: `enrolled` gets the otpauth URI when it is active.
  void EnrolAnew(const std::string& user, std::function<void(const std::string& uri)> enrolled);

  // Signs in anew and asks again for so many things that were answered before, oldest first, under
  // the same request ids.
  void RepeatOldCalls(size_t calls);

  // Everything as it was declared, all errors reset.
  void PutRight();

  const std::map<std::string, v1::Resource>& declared() const { return declared_; }

 private:
  void EnrolAgain(const std::string& user,
                  const std::function<void(const std::string& uri)>& enrolled);
  void SignIn();
  void Next();
  void Try();
  void Declare(const v1::Resource& resource);
  v1::Resource MakeHost(int index) const;
  v1::Resource MakePool(int index) const;
  v1::Resource MakeEntitlement(const std::string& name, const std::string& pool,
                               const std::string& group) const;
  void NoteAcknowledged(const MessagePointer& request, const BrokerProcess::Answer& answer);

  struct Wish {
    MessagePointer request;
    Then then;
  };

  World& world_;
  const std::string seed_;
  Caller caller_;
  Client client_;
  bool signed_in_ = false;
  bool working_ = false;
  int64_t last_step_ = 0;
  uint64_t next_request_ = 1;
  std::deque<Wish> wishes_;
  // Answered with OK.
  std::vector<MessagePointer> answered_;
  std::set<std::string> enrolling_;
  // By "KIND/NAME", as declared at first.
  std::map<std::string, v1::Resource> declared_;
};

}  // namespace werkplek::sim
