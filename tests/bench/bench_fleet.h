// A fleet of ready spares and people who are signed in, and the hosts that carry the spares.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "broker/model/fleet.h"
#include "broker/node/broker_node.h"
#include "broker/node/ports.h"
#include "broker/store/sqlite_store.h"
#include "common/base/mutex.h"

namespace werkplek {

inline constexpr char kBenchPool[] = "kantoor";

// The whole as the store would hold it: `count` desktops over `hosts` hosts, all ready, and as many
// people.
ChangeSet MakeBenchFleet(int count, int hosts, absl::Time now);

// Puts that into a new store.
absl::Status FillBenchStore(SqliteStore& store, int count, int hosts, absl::Time now);

// The caller that is signed in as the person of that number.
Caller BenchCaller(int number);

// Hosts that do what they are told at once. Thread-safe.
class BenchHosts : public AgentLinks {
 public:
  // As in MakeBenchFleet.
  BenchHosts(int count, int hosts);

  std::vector<std::string> names();
  // What the host says next.
  v1::AgentReport NextReport(const std::string& host);
  // The host does it.
  void Obey(const std::string& host, const v1::AgentCommand& command);

  // Opens every host's stream.
  void Attach(BrokerNode& node);
  // One report of each host.
  void Report(BrokerNode& node);

  void Send(const std::string& host, uint64_t link, const v1::AgentCommand& command) override;
  void Close(const std::string&, uint64_t, const absl::Status&) override {}

 private:
  struct Host {
    uint64_t link = 0;
    v1::AgentReport report;
    std::map<std::string, int> places;
  };

  Mutex mutex_;
  std::map<std::string, Host> hosts_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace werkplek
