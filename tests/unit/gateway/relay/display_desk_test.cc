// Which ways lead to a display, and what is told where none does, against a real relay of a host.
#include "gateway/relay/display_desk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/common/relay/relay_harness.h"

namespace werkplek {
namespace {

using testing::HasSubstr;

class DisplayDeskTest : public RelayTest {
 protected:
  DisplayDeskTest() : own_(pki_.Issue(v1::IDENTITY_GATEWAY, "gw-a")) {
    options_.believe_gateways = true;
    auto tls = FollowingContext::Create(own_, [](const TlsMaterial& own) {
      return MakeServerContext(own, ExpectIdentity({v1::IDENTITY_CLIENT}));
    });
    EXPECT_TRUE(tls.ok()) << tls.status();
    gateway_tls_ = *std::move(tls);
  }
  void SetUp() override {
    Start();
    where_.set_host("hv-a1");
    where_.add_relays(absl::StrCat("127.0.0.1:", port()));
    DisplayDesk::Parts parts;
    parts.own = own_;
    parts.tls = gateway_tls_.get();
    parts.find = [this](const v1::FindDisplayRequest&, const GatewayLink::Found& found) {
      ++asked_;
      if (find_status_.ok()) {
        found(where_);
      } else {
        found(find_status_);
      }
    };
    parts.metrics = &metrics_;
    RelayOptions options;
    options.addresses = {"127.0.0.1:0"};
    auto desk = DisplayDesk::Start(options, parts);
    ASSERT_TRUE(desk.ok()) << desk.status();
    desk_ = *std::move(desk);
  }
  absl::StatusOr<int> Open() {
    RelayTarget target = Target();
    target.addresses.clear();
    target.gateways = {absl::StrCat("127.0.0.1:", desk_->ports().front())};
    clients_.push_back(Client(std::move(target)));
    return clients_.back()->Open(kTestDeadline);
  }

  const TlsFiles own_;
  std::unique_ptr<FollowingContext> gateway_tls_;
  Metrics metrics_;
  absl::Status find_status_;
  v1::FindDisplayResponse where_;
  std::atomic<int> asked_{0};
  std::unique_ptr<DisplayDesk> desk_;
  std::vector<std::unique_ptr<RelayClient>> clients_;
};

TEST_F(DisplayDeskTest, TheHostHearsWhoseTicketItIs) {
  const absl::StatusOr<int> opened = Open();
  ASSERT_TRUE(opened.ok()) << opened.status();
  const Descriptor local(*opened);
  const Descriptor display = TakeDisplay();
  WriteTo(display.get(), "pixels");
  EXPECT_EQ(ReadFrom(local.get(), 6), "pixels");
  EXPECT_EQ(desk_->channels(), 1u);
  MutexLock lock(mutex_);
  ASSERT_EQ(requests_.size(), 1u);
  EXPECT_EQ(requests_[0].peer, "gateway/gw-a");
  EXPECT_EQ(requests_[0].certificate_sha256, client_.own.sha256);
  EXPECT_EQ(requests_[0].ticket_sha256, Sha256("abc"));
  EXPECT_EQ(requests_[0].viewer, "v1");
}

TEST_F(DisplayDeskTest, FurtherChannelsAreNotAskedAbout) {
  const absl::StatusOr<int> first = Open();
  ASSERT_TRUE(first.ok()) << first.status();
  const Descriptor one(*first);
  find_status_ = absl::NotFoundError("used");
  const absl::StatusOr<int> second = Open();
  ASSERT_TRUE(second.ok()) << second.status();
  const Descriptor two(*second);
  EXPECT_EQ(asked_, 1);
  EXPECT_EQ(desk_->channels(), 2u);
}

TEST_F(DisplayDeskTest, WhatNobodyKnowsDoesNotReachTheHost) {
  find_status_ = absl::NotFoundError("no");
  const absl::Status unknown = Open().status();
  EXPECT_TRUE(absl::IsPermissionDenied(unknown)) << unknown;
  find_status_ = absl::UnavailableError("no broker");
  const absl::Status unasked = Open().status();
  EXPECT_TRUE(absl::IsUnavailable(unasked)) << unasked;
  EXPECT_THAT(unasked.message(), HasSubstr("no broker can be asked"));
  MutexLock lock(mutex_);
  EXPECT_TRUE(requests_.empty());
}

TEST_F(DisplayDeskTest, TheHostsRefusalIsTheClients) {
  {
    MutexLock lock(mutex_);
    verdict_ = {403, "the ticket was used already", -1};
  }
  const absl::Status refused = Open().status();
  EXPECT_TRUE(absl::IsPermissionDenied(refused)) << refused;
  EXPECT_EQ(refused.message(), "the relay refused: the ticket was used already");
  EXPECT_EQ(desk_->channels(), 0u);
}

TEST_F(DisplayDeskTest, AHostOfAnotherNameGetsNoTicket) {
  where_.set_host("hv-a2");
  EXPECT_TRUE(absl::IsUnavailable(Open().status()));
  MutexLock lock(mutex_);
  EXPECT_TRUE(requests_.empty());
}

TEST(RefusalForTest, EveryReasonHasItsStatus) {
  EXPECT_EQ(RefusalFor(absl::PermissionDeniedError("x")).status, 403u);
  EXPECT_EQ(RefusalFor(absl::NotFoundError("x")).status, 404u);
  EXPECT_EQ(RefusalFor(absl::ResourceExhaustedError("x")).status, 429u);
  EXPECT_EQ(RefusalFor(absl::UnavailableError("x")).status, 503u);
  EXPECT_EQ(RefusalFor(absl::InternalError("x")).status, 503u);
  EXPECT_EQ(RefusalFor(absl::NotFoundError("the relay refused: no")).reason, "no");
}

}  // namespace
}  // namespace werkplek
