// A node with the real core, a memory store that fails as told, and fakes around it, on virtual
// time; and an administrator and an employee who can sign in.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/node/broker_node.h"
#include "broker/token/one_time_code.h"
#include "broker/token/token_authority.h"
#include "common/base/crypto.h"
#include "common/base/log.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_agent_links.h"
#include "tests/support/fake_directory.h"
#include "tests/support/fake_election.h"
#include "tests/support/faulty_store.h"
#include "tests/support/manual_executor.h"

namespace werkplek {

// What a unary call got; nothing while it waits. `times` must never exceed 1.
struct Got {
  std::optional<absl::StatusOr<MessagePointer>> answer;
  int times = 0;

  ReplyCallback Callback() {
    return [this](absl::StatusOr<MessagePointer> given) {
      answer = std::move(given);
      ++times;
    };
  }
  absl::StatusCode code() const {
    return answer.has_value() ? answer->status().code() : absl::StatusCode::kCancelled;
  }
};

class NodeHarness : public ::testing::Test {
 protected:
  void SetUp() override {
    SetLogSink([](const std::string&) {});
    tokens_ = *TokenAuthority::Create(Secret(std::string(32, 'k')), "Werkplek");
    directory_.AddPerson("beheer", "beheer-password", {"admins"});
    directory_.AddPerson("jan", "jan-password", {"staff"});
    faulty_.committed = [this](const ChangeSet& changes) { committed_.push_back(changes); };
    settings_.role_groups = {{v1::ROLE_ADMINISTRATOR, "admins"}};
    ChangeSet enrolments;
    for (const char* user : {"beheer", "jan"}) enrolments.push_back(Enrolment(user));
    memory_.Commit(0, enrolments, [](const absl::Status&) {});
  }
  void TearDown() override {
    node_.reset();
    SetLogSink(nullptr);
  }

  v1::Change Enrolment(const std::string& user) {
    const SealedSeed sealed = tokens_->NewSeed(user, executor_.RandomBytes(64));
    v1::TokenEnrolment token;
    token.set_user(user);
    token.set_seed_id(sealed.seed_id);
    token.set_sealed_seed(sealed.sealed);
    token.set_state(v1::TOKEN_STATE_ACTIVE);
    enrolments_[user] = token;
    v1::Change change;
    change.set_table("token");
    change.set_key(user);
    change.set_value(token.SerializeAsString());
    return change;
  }

  void Make() {
    NodeParts parts;
    parts.executor = &executor_;
    parts.store = &faulty_;
    parts.election = &election_;
    parts.directory = &directory_;
    parts.agents = &links_;
    parts.tokens = tokens_.get();
    parts.fencer = fencer_part_;
    parts.leader = leader_;
    parts.clock_good = [this] { return clock_good_; };
    parts.observe = [this](const Effect& effect) {
      if (const auto* stage = std::get_if<StageTook>(&effect)) stages_.push_back(stage->stage);
    };
    node_ = std::make_unique<BrokerNode>(settings_, parts);
  }
  void StartLeading() {
    Make();
    node_->Start();
    executor_.RunUntilIdle();
    ASSERT_NE(node_->picture(), nullptr);
  }

  static Caller CallerOf(const std::string& name, v1::Identity identity) {
    Caller caller;
    caller.identity = identity;
    caller.peer = name;
    caller.certificate_sha256 = Sha256("certificate of " + name);
    caller.address = "192.0.2.7:51234";
    return caller;
  }
  v1::SignInRequest SignInOf(const std::string& user, const std::string& code) {
    v1::SignInRequest request;
    request.set_request_id(absl::StrCat("request-", next_request_++));
    request.set_user(user);
    request.set_password(user + "-password");
    request.set_token_code(code);
    return request;
  }

  // Signs the administrator in; the caller then carries the token.
  Caller SignedInAdmin() {
    Caller caller = CallerOf("admin/a-1", v1::IDENTITY_ADMIN);
    Got got;
    node_->SignIn(caller, SignInOf("beheer", Code("beheer")), got.Callback());
    executor_.Advance(absl::Milliseconds(50));
    EXPECT_TRUE(got.answer.has_value() && got.answer->ok()) << got.answer->status();
    caller.token_sha256 =
        Sha256(static_cast<const v1::SignInResponse&>(***got.answer).access_token());
    return caller;
  }
  // The code from the seed, for speed: the seed is in the otpauth URI.
  std::string Code(const std::string& user) {
    const auto uri = tokens_->OtpauthUri(enrolments_.at(user));
    std::string seed;
    uint32_t bits = 0;
    int count = 0;
    const std::string& text = uri->Reveal();
    for (size_t i = text.find("secret=") + 7; i < text.size() && text[i] != '&'; ++i) {
      const char c = text[i];
      bits = bits << 5 | static_cast<uint32_t>(c >= 'A' ? c - 'A' : c - '2' + 26);
      count += 5;
      if (count >= 8) {
        count -= 8;
        seed.push_back(static_cast<char>(bits >> count));
      }
    }
    return TotpCode(seed, absl::ToUnixSeconds(executor_.Now()) / 30, 6, CodeHash::kSha1);
  }

  MessagePointer CreateSite(const std::string& name) {
    auto request = std::make_shared<v1::CreateResourceRequest>();
    request->set_request_id("create-" + name);
    request->mutable_resource()->set_name(name);
    request->mutable_resource()->mutable_site();
    return request;
  }
  MessagePointer CreateHost(const std::string& name, const std::string& site) {
    auto request = std::make_shared<v1::CreateResourceRequest>();
    request->set_request_id("create-" + name);
    request->mutable_resource()->set_name(name);
    request->mutable_resource()->mutable_host()->set_site(site);
    return request;
  }

  ManualExecutor executor_{7};
  MemoryStore memory_{&executor_};
  FaultyStore faulty_{&memory_, &executor_};
  FakeElection election_{&executor_};
  FakeDirectory directory_{&executor_};
  FakeAgentLinks links_;
  std::unique_ptr<TokenAuthority> tokens_;
  std::map<std::string, v1::TokenEnrolment> enrolments_;
  NodeSettings settings_;
  Fencer* fencer_part_ = nullptr;
  LeaderFunctions leader_;
  bool clock_good_ = true;
  std::vector<ChangeSet> committed_;
  std::vector<std::string> stages_;
  int next_request_ = 1;
  std::unique_ptr<BrokerNode> node_;
};

}  // namespace werkplek
