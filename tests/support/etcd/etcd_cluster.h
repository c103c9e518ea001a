// Real etcd members for tests: free loopback ports, a temporary folder, TLS with client
// certificates among them and towards clients; stopped when the object goes. Not thread-safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "broker/etcd/etcd_client.h"
#include "tests/support/pki/test_pki.h"
#include "tests/support/process/child_process.h"

namespace werkplek {

struct EtcdClusterOptions {
  int members = 1;
  // Added to each member's arguments.
  std::vector<std::string> arguments;
};

// Any failure to start ends the test program, with the members' output.
class EtcdCluster {
 public:
  explicit EtcdCluster(EtcdClusterOptions options = {});
  ~EtcdCluster();

  // How a broker reaches the cluster, under a prefix that nobody has used.
  EtcdSettings Settings();
  // The same for one prefix; through other endpoints when some are given.
  EtcdSettings Settings(const std::string& prefix, std::vector<std::string> endpoints = {});
  std::unique_ptr<EtcdClient> Client(const EtcdSettings& settings);

  // "127.0.0.1:PORT".
  std::vector<std::string> endpoints() const;
  int members() const { return static_cast<int>(members_.size()); }
  ChildProcess& process(int member) { return *members_[member].process; }
  // The member that leads etcd.
  int Leader();
  void Kill(int member);
  // Starts a member again that was killed.
  void Restart(int member);
  // Until it takes writes.
  void WaitUntilReady();
  // Runs etcdctl against the members and gives what it writes.
  std::string Ctl(std::vector<std::string> arguments);

  TestPki& pki() { return pki_; }

 private:
  struct Member {
    std::string name;
    int client_port = 0;
    int peer_port = 0;
    std::unique_ptr<ChildProcess> process;
  };
  void Start(Member& member, const std::string& state);

  const EtcdClusterOptions options_;
  TestPki pki_;
  TemporaryFolder folder_;
  TlsFiles server_;
  TlsFiles client_;
  std::string initial_cluster_;
  std::vector<Member> members_;
  int prefixes_ = 0;
};

}  // namespace werkplek
