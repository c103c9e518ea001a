#include "broker/node/call_table.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace werkplek {
namespace {

using ::testing::ElementsAre;

TEST(CallTableTest, AnswersOnce) {
  CallTable calls;
  int times = 0;
  const CallId call = calls.Add(ReplyCallback([&](const absl::StatusOr<MessagePointer>& answer) {
    EXPECT_TRUE(answer.ok());
    ++times;
  }));
  EXPECT_TRUE(calls.Waits(call));
  calls.Answer(call, MessagePointer());
  calls.Answer(call, MessagePointer());
  calls.Fail(call, absl::InternalError("late"));
  EXPECT_EQ(times, 1);
  EXPECT_FALSE(calls.Waits(call));
}

TEST(CallTableTest, AConnectGoesOnUntilItsLast) {
  CallTable calls;
  std::vector<bool> lasts;
  const CallId call =
      calls.Add(ConnectCallback([&](const absl::StatusOr<v1::ConnectUpdate>& update, bool last) {
        EXPECT_TRUE(update.ok());
        lasts.push_back(last);
      }));
  calls.Progress(call, v1::ConnectUpdate(), false);
  calls.Progress(call, v1::ConnectUpdate(), true);
  calls.Progress(call, v1::ConnectUpdate(), false);
  calls.Fail(call, absl::InternalError("late"));
  EXPECT_THAT(lasts, ElementsAre(false, true));
}

TEST(CallTableTest, AForgottenCallHearsNothing) {
  CallTable calls;
  const CallId call =
      calls.Add(ReplyCallback([](const absl::StatusOr<MessagePointer>&) { FAIL(); }));
  EXPECT_TRUE(calls.Forget(call));
  EXPECT_FALSE(calls.Forget(call));
  calls.Fail(call, absl::InternalError("late"));
  calls.FailAll(absl::InternalError("late"));
}

TEST(CallTableTest, FailsAllInTheOrderOfTheirComing) {
  CallTable calls;
  std::vector<int> order;
  calls.Add(ReplyCallback([&](const absl::StatusOr<MessagePointer>& a) {
    EXPECT_FALSE(a.ok());
    order.push_back(1);
    // A callback may bring the next call.
    calls.Add(ReplyCallback([&](const absl::StatusOr<MessagePointer>&) { order.push_back(9); }));
  }));
  calls.Add(ConnectCallback([&](const absl::StatusOr<v1::ConnectUpdate>& u, bool last) {
    EXPECT_FALSE(u.ok());
    EXPECT_TRUE(last);
    order.push_back(2);
  }));
  calls.Add(CallTable::AuditCallback([&](const absl::StatusOr<std::vector<v1::AuditRecord>>& r) {
    EXPECT_FALSE(r.ok());
    order.push_back(3);
  }));
  calls.FailAll(absl::UnavailableError("stop"));
  EXPECT_THAT(order, ElementsAre(1, 2, 3));
}

TEST(CallTableTest, AnAnswerOfAnotherKindIsAFailure) {
  CallTable calls;
  absl::Status got;
  const CallId call = calls.Add(ConnectCallback(
      [&](const absl::StatusOr<v1::ConnectUpdate>& update, bool) { got = update.status(); }));
  calls.Answer(call, MessagePointer());
  EXPECT_EQ(got.code(), absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace werkplek
