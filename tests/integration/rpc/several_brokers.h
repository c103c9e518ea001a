// A group of brokers with an administrator's machine and a client, and what both do with them.
#pragma once

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/crypto.h"
#include "gtest/gtest.h"
#include "tests/support/loopback_broker/broker_group.h"
#include "werkplek/v1/admin.grpc.pb.h"
#include "werkplek/v1/session.grpc.pb.h"

namespace werkplek {

inline constexpr char kListPools[] = "/werkplek.v1.SessionService/ListPools";
inline constexpr int kCrowd = 210;
// What a caller may wait at most for "there is no leader".
inline constexpr absl::Duration kNoLeaderLimit = absl::Seconds(2);

inline GroupOptions Options(size_t brokers = 2) {
  GroupOptions options;
  options.brokers = brokers;
  options.people = {{"jan"}, {"piet"}, {"beheer", v1::ROLE_ADMINISTRATOR}};
  for (int i = 0; i < kCrowd; ++i) options.people.push_back({absl::StrCat("p", i)});
  options.rpc.machine_sign_ins = {.per_second = 1000, .burst = 1000};
  return options;
}

inline std::string NewId() { return HexEncode(RandomBytes(16)); }

// A machine with a connection to each broker.
struct Machine {
  Machine(BrokerGroup& group, v1::Identity identity, const std::string& name, size_t brokers = 2)
      : files(group.pki().Issue(identity, name)) {
    for (size_t i = 0; i < brokers; ++i) channels.push_back(group.AtClientPort(i, files));
  }
  const std::shared_ptr<grpc::Channel>& operator[](size_t broker) const { return channels[broker]; }

  TlsFiles files;
  std::vector<std::shared_ptr<grpc::Channel>> channels;
};

class SeveralBrokers : public testing::Test {
 protected:
  explicit SeveralBrokers(GroupOptions options = Options())
      : brokers_(std::move(options)),
        admin_(brokers_, v1::IDENTITY_ADMIN, "a1"),
        client_(brokers_, v1::IDENTITY_CLIENT, "tc-1") {}

  // Signs the administrator in, at the follower.
  std::string AdminToken() {
    const auto token = BrokerGroup::SignIn(admin_[1], "beheer");
    EXPECT_TRUE(token.ok()) << token.status();
    return token.value_or("none");
  }

  static grpc::Status CreateSite(const std::shared_ptr<grpc::Channel>& channel,
                                 const std::string& token, const std::string& name,
                                 const std::string& request_id, v1::Resource* created) {
    grpc::ClientContext context;
    Prepare(context, token);
    v1::CreateResourceRequest request;
    request.set_request_id(request_id);
    request.mutable_resource()->set_name(name);
    request.mutable_resource()->mutable_site()->set_description("a datacenter");
    return v1::AdminService::NewStub(channel)->CreateResource(&context, request, created);
  }

  static grpc::Status Create(const std::shared_ptr<grpc::Channel>& channel,
                             const std::string& token, const v1::Resource& resource) {
    grpc::ClientContext context;
    Prepare(context, token);
    v1::CreateResourceRequest request;
    request.set_request_id(NewId());
    *request.mutable_resource() = resource;
    v1::Resource created;
    return v1::AdminService::NewStub(channel)->CreateResource(&context, request, &created);
  }

  // A pool without a host: who connects waits.
  void CreatePool(const std::string& token) {
    v1::Resource image;
    image.set_name("debian");
    image.mutable_image()->set_source("/images/debian.qcow2");
    image.mutable_image()->set_sha256(std::string(64, 'a'));
    image.mutable_image()->set_format("qcow2");
    const grpc::Status made_image = Create(admin_[0], token, image);
    ASSERT_TRUE(made_image.ok()) << made_image.error_message();
    v1::Resource pool;
    pool.set_name("kantoor");
    pool.mutable_pool()->set_kind(v1::POOL_KIND_FLOATING);
    pool.mutable_pool()->set_image("debian");
    pool.mutable_pool()->set_max_desktops(200);
    pool.mutable_pool()->set_memory_mib(512);
    pool.mutable_pool()->set_vcpus(1);
    pool.mutable_pool()->set_queue_limit(1000);
    const grpc::Status made_pool = Create(admin_[1], token, pool);
    ASSERT_TRUE(made_pool.ok()) << made_pool.error_message();
    v1::Resource entitlement;
    entitlement.set_name("kantoor-all");
    entitlement.mutable_entitlement()->set_pool("kantoor");
    entitlement.mutable_entitlement()->set_group("employees");
    const grpc::Status made = Create(admin_[0], token, entitlement);
    ASSERT_TRUE(made.ok()) << made.error_message();
  }

  uint32_t Waiting() {
    const Picture picture = brokers_.node(0).picture();
    const PoolSoft* pool = picture == nullptr ? nullptr : picture->pool_soft.Find("kantoor");
    return pool == nullptr ? 0 : pool->waiting;
  }
  bool WaitingBecomes(uint32_t count) {
    const absl::Time until = absl::Now() + absl::Seconds(10);
    while (Waiting() != count && absl::Now() < until) std::this_thread::yield();
    return Waiting() == count;
  }

  BrokerGroup brokers_;
  Machine admin_;
  Machine client_;
};

// One Connect.
struct Connecting {
  Connecting(const std::shared_ptr<grpc::Channel>& channel, const std::string& token,
             const std::string& request_id = NewId()) {
    Prepare(context, token, absl::Seconds(60));
    v1::ConnectRequest request;
    request.set_request_id(request_id);
    request.set_pool("kantoor");
    reader = v1::SessionService::NewStub(channel)->Connect(&context, request);
  }
  bool Queued() { return reader->Read(&update) && update.has_queued(); }
  grpc::Status End() {
    while (reader->Read(&update)) {
    }
    return reader->Finish();
  }
  grpc::ClientContext context;
  v1::ConnectUpdate update;
  std::unique_ptr<grpc::ClientReader<v1::ConnectUpdate>> reader;
};

}  // namespace werkplek
