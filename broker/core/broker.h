// The broker's decisions: the only thing that changes the fleet.
//
// Pure: no clock, no chance, no I/O, no threads. The same fleet and the same events give the same
// decisions on every machine. Not thread-safe; the node calls it from its loop.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/time/time.h"
#include "broker/core/effect.h"
#include "broker/core/event.h"
#include "broker/core/settings.h"
#include "broker/model/fleet.h"

namespace werkplek {

struct BrokerState;

class Broker {
 public:
  // `fleet` is what the store held; its soft tables are rebuilt. `epoch` goes with every command.
  // `again`: an earlier one has sent commands under this epoch.
  Broker(const BrokerSettings& settings, Fleet fleet, uint64_t epoch, absl::Time now,
         bool again = false);

  ~Broker();
  Broker(Broker&&) noexcept;
  Broker& operator=(Broker&&) noexcept;

  // Decides. The fleet has the decision's changes already when this returns; a node whose commit
  // fails drops this broker and loads anew.
  Decision Apply(const Event& event, absl::Time now);

  const Fleet& fleet() const;

 private:
  std::unique_ptr<BrokerState> state_;
};

}  // namespace werkplek
