#include "agent/core/ticket_book.h"

#include <gtest/gtest.h>

namespace werkplek {
namespace {

using agent::TicketAnswer;

constexpr absl::Duration kNow = absl::Seconds(100);
constexpr absl::Duration kExpires = absl::Seconds(130);

class TicketBookTest : public testing::Test {
 protected:
  TicketAnswer Present(uint64_t channel, const std::string& viewer = "v",
                       absl::Duration now = kNow) {
    return book_.Present(channel, "t1", "c", viewer, now);
  }

  TicketBook book_;
};

TEST_F(TicketBookTest, OpensOnce) {
  book_.Grant("t1", "c", kExpires, true);
  EXPECT_EQ(book_.OpenTickets(), std::vector<std::string>{"t1"});
  EXPECT_EQ(Present(1), TicketAnswer::kGranted);
  EXPECT_TRUE(book_.OpenTickets().empty());
  EXPECT_EQ(Present(2, "another"), TicketAnswer::kUsed);
  EXPECT_EQ(Present(3, ""), TicketAnswer::kUsed);
  book_.Closed(1);
  EXPECT_EQ(Present(4), TicketAnswer::kUsed);
}

TEST_F(TicketBookTest, AnEmptyViewerGetsNoSecondChannel) {
  book_.Grant("t1", "c", kExpires, true);
  EXPECT_EQ(Present(1, ""), TicketAnswer::kGranted);
  EXPECT_EQ(Present(2, ""), TicketAnswer::kUsed);
}

TEST_F(TicketBookTest, TheSameViewerMayJoinWhileTheFirstChannelLives) {
  book_.Grant("t1", "c", kExpires, true);
  EXPECT_EQ(Present(1), TicketAnswer::kGranted);
  // Long after the lifetime: SPICE opens channels when it needs them.
  EXPECT_EQ(Present(2, "v", kExpires + absl::Hours(1)), TicketAnswer::kGranted);
  book_.Closed(2);
  EXPECT_EQ(Present(3), TicketAnswer::kGranted);
  book_.Closed(1);
  EXPECT_EQ(Present(4), TicketAnswer::kUsed);
}

TEST_F(TicketBookTest, ChannelsAreBounded) {
  book_.Grant("t1", "c", kExpires, true);
  for (uint64_t i = 1; i <= TicketBook::kMaxChannels; ++i) {
    EXPECT_EQ(Present(i), TicketAnswer::kGranted);
  }
  EXPECT_EQ(Present(99), TicketAnswer::kTooManyChannels);
  book_.Closed(2);
  EXPECT_EQ(Present(100), TicketAnswer::kGranted);
}

TEST_F(TicketBookTest, ATakeoverIsNotHeldUpByChannelsThatAreBeingCut) {
  book_.Grant("t1", "c", kExpires, true);
  for (uint64_t i = 1; i <= TicketBook::kMaxChannels; ++i) Present(i);
  EXPECT_EQ(book_.Grant("t2", "c", kExpires, true).size(), TicketBook::kMaxChannels);
  EXPECT_EQ(book_.Present(50, "t2", "c", "w", kNow), TicketAnswer::kGranted);
  EXPECT_EQ(book_.Present(51, "t2", "c", "w", kNow), TicketAnswer::kGranted);
}

TEST_F(TicketBookTest, LateAndUnknownAndOtherCertificate) {
  book_.Grant("t1", "c", kExpires, true);
  EXPECT_EQ(book_.Present(1, "t9", "c", "v", kNow), TicketAnswer::kUnknown);
  EXPECT_EQ(book_.Present(1, "t1", "d", "v", kNow), TicketAnswer::kOtherCertificate);
  EXPECT_EQ(Present(1, "v", kExpires), TicketAnswer::kLate);
  // A stranger learns nothing of what became of it.
  EXPECT_EQ(book_.Present(1, "t1", "d", "v", kExpires), TicketAnswer::kOtherCertificate);
  EXPECT_EQ(Present(1, "v", kNow), TicketAnswer::kLate);
}

TEST_F(TicketBookTest, JustInTimeIsInTime) {
  book_.Grant("t1", "c", kExpires, true);
  EXPECT_EQ(Present(1, "v", kExpires - absl::Nanoseconds(1)), TicketAnswer::kGranted);
}

TEST_F(TicketBookTest, OpensOnlyWhenReady) {
  book_.Grant("t1", "c", kExpires, false);
  EXPECT_TRUE(book_.waits_for_ready());
  EXPECT_TRUE(book_.OpenTickets().empty());
  EXPECT_EQ(Present(1), TicketAnswer::kNotRunning);
  book_.SetReady();
  EXPECT_FALSE(book_.waits_for_ready());
  EXPECT_EQ(Present(1), TicketAnswer::kGranted);
}

TEST_F(TicketBookTest, WhatWasNeverReadyMayBeGrantedAgain) {
  book_.Grant("t1", "c", kExpires, false);
  EXPECT_TRUE(book_.Expire(kExpires));
  EXPECT_FALSE(book_.Knows("t1"));
  book_.Grant("t1", "c", kExpires + absl::Seconds(30), false);
  book_.ForgetUnready();
  EXPECT_FALSE(book_.Knows("t1"));
  book_.Grant("t1", "c", kExpires + absl::Seconds(30), true);
  EXPECT_EQ(Present(1, "v", kExpires), TicketAnswer::kGranted);
}

TEST_F(TicketBookTest, WhatWasReadyIsNotForgotten) {
  book_.Grant("t1", "c", kExpires, true);
  book_.ForgetUnready();
  book_.Expire(kExpires);
  book_.Grant("t1", "c", kExpires + absl::Seconds(30), true);
  EXPECT_EQ(Present(1, "v", kExpires), TicketAnswer::kLate);
}

TEST_F(TicketBookTest, ARepeatedGrantRevivesNothing) {
  book_.Grant("t1", "c", kExpires, true);
  Present(1);
  EXPECT_TRUE(book_.Grant("t1", "c", kExpires, true).empty());
  EXPECT_EQ(Present(2, "another"), TicketAnswer::kUsed);
  book_.Closed(1);
  book_.Grant("t1", "c", kExpires + absl::Hours(1), true);
  EXPECT_EQ(Present(3), TicketAnswer::kUsed);
}

TEST_F(TicketBookTest, ANewTicketEndsTheEarlierOnes) {
  book_.Grant("t1", "c", kExpires, true);
  EXPECT_TRUE(book_.Grant("t2", "c", kExpires, true).empty());
  EXPECT_EQ(Present(1), TicketAnswer::kUsed);
  EXPECT_EQ(book_.Present(2, "t2", "c", "v", kNow), TicketAnswer::kGranted);
  book_.Opened(2);
  EXPECT_TRUE(book_.connected());
  EXPECT_EQ(book_.Grant("t3", "c", kExpires, true), std::vector<uint64_t>{2});
  EXPECT_FALSE(book_.connected());
  EXPECT_EQ(book_.Present(3, "t2", "c", "v", kNow), TicketAnswer::kUsed);
  // Told once.
  EXPECT_TRUE(book_.Revoke().empty());
}

TEST_F(TicketBookTest, ConnectedMeansAnOpenChannel) {
  book_.Grant("t1", "c", kExpires, true);
  Present(1);
  EXPECT_FALSE(book_.connected());
  book_.Opened(1);
  EXPECT_TRUE(book_.connected());
  book_.Closed(1);
  EXPECT_FALSE(book_.connected());
}

TEST_F(TicketBookTest, ExpiryIsTold) {
  EXPECT_EQ(book_.next_expiry(), absl::InfiniteDuration());
  book_.Grant("t1", "c", kExpires, true);
  EXPECT_EQ(book_.next_expiry(), kExpires);
  EXPECT_FALSE(book_.Expire(kNow));
  EXPECT_TRUE(book_.Expire(kExpires));
  EXPECT_FALSE(book_.Expire(kExpires));
  EXPECT_EQ(book_.next_expiry(), absl::InfiniteDuration());
}

TEST_F(TicketBookTest, MemoryIsBounded) {
  for (int i = 0; i < 1000; ++i) {
    book_.Grant(std::to_string(i), "c", kExpires, true);
  }
  EXPECT_FALSE(book_.Knows("0"));
  EXPECT_TRUE(book_.Knows("999"));
  EXPECT_EQ(book_.OpenTickets().size(), 1u);
}

}  // namespace
}  // namespace werkplek
