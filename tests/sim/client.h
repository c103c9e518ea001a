// A client program on one machine: several brokers' addresses, and the next one whenever one does
// not answer.
#pragma once

#include <string>
#include <utility>

#include "tests/sim/broker_process.h"

namespace werkplek::sim {

class World;

class Client {
 public:
  // Begins with the address of that number.
  Client(World& world, std::string machine, size_t first)
      : world_(world), machine_(std::move(machine)), next_(first) {}

  const std::string& machine() const { return machine_; }
  // UNAVAILABLE and the like: it may or may not have been done; the same id may be sent again.
  static bool MayRetry(const absl::Status& status);

  void SignIn(const Caller& caller, const v1::SignInRequest& request, BrokerProcess::Served served,
              BrokerProcess::Done done);
  void Call(const Caller& caller, MessagePointer request, BrokerProcess::Served served,
            BrokerProcess::Done done);
  void Connect(const Caller& caller, const v1::ConnectRequest& request,
               BrokerProcess::ServedUpdate served, BrokerProcess::OnUpdate update);

 private:
  BrokerProcess& Target();
  void NoteOutcome(const absl::Status& status) {
    if (MayRetry(status)) ++next_;
  }

  World& world_;
  const std::string machine_;
  size_t next_;
};

}  // namespace werkplek::sim
