// How many dials are under way to one host at once, and what becomes of the others.
#include "gateway/relay/host_dialer.h"

#include <gmock/gmock.h>

#include "tests/unit/common/relay/relay_harness.h"

namespace werkplek {
namespace {

using testing::Each;
using testing::SizeIs;

// A host whose relay answers when the test tells it to.
class HostDialerTest : public RelayTest {
 protected:
  HostDialerTest() { hold_answers_ = true; }

  void Dial(const std::string& desktop, const std::string& host = "hv-a1") {
    RelayTarget target = Target();
    target.desktop = desktop;
    target.host = host;
    dialer_->Dial(std::move(target), kTestDeadline, [this, desktop](absl::StatusOr<int> opened) {
      if (opened.ok()) close(*opened);
      MutexLock lock(mutex_);
      ended_.emplace_back(desktop, opened.status().code());
      changed_.SignalAll();
    });
  }
  void DialAll(size_t count) {
    for (size_t i = 0; i < count; ++i) Dial(absl::StrCat("kantoor-", i));
  }
  size_t WaitForEnded(size_t count) {
    return WaitFor([this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return ended_.size(); }, count);
  }
  void Answer(size_t request, RelayVerdict verdict) {
    std::function<void(RelayVerdict)> answer;
    {
      MutexLock lock(mutex_);
      answer = held_[request];
    }
    answer(std::move(verdict));
  }
  std::vector<absl::StatusCode> Codes() {
    MutexLock lock(mutex_);
    std::vector<absl::StatusCode> codes;
    for (const auto& [desktop, code] : ended_) codes.push_back(code);
    return codes;
  }

  const TlsFiles gateway_files_ = pki_.Issue(v1::IDENTITY_GATEWAY, "gw-a");
  std::vector<std::pair<std::string, absl::StatusCode>> ended_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<HostDialer> dialer_ = std::make_unique<HostDialer>(gateway_files_);
};

TEST_F(HostDialerTest, TheNextOneIsDialledWhenOneHasEnded) {
  constexpr size_t kMore = 3;
  Start();
  DialAll(HostDialer::kAtOnce + kMore);
  ASSERT_EQ(WaitForRequests(HostDialer::kAtOnce), HostDialer::kAtOnce);
  for (size_t i = 0; i < kMore; ++i) {
    // Opened or refused, it makes room for one.
    if (i % 2 == 0) {
      Answer(i, {200, "", NewDisplay()});
    } else {
      Answer(i, {403, "the ticket was used", -1});
    }
    EXPECT_EQ(WaitForRequests(HostDialer::kAtOnce + i + 1), HostDialer::kAtOnce + i + 1);
    EXPECT_EQ(WaitForEnded(i + 1), i + 1);
  }
  MutexLock lock(mutex_);
  EXPECT_EQ(ended_[1].second, absl::StatusCode::kPermissionDenied);
  // In the order in which they were asked for.
  EXPECT_EQ(requests_.back().desktop, absl::StrCat("kantoor-", HostDialer::kAtOnce + kMore - 1));
}

TEST_F(HostDialerTest, MoreThanMayWaitAreRefusedAtOnce) {
  Start();
  DialAll(HostDialer::kAtOnce + HostDialer::kMaxWaiting + 2);
  EXPECT_EQ(WaitForEnded(2), 2u);
  EXPECT_THAT(Codes(), Each(absl::StatusCode::kResourceExhausted));
}

TEST_F(HostDialerTest, ItsEndEndsThoseThatWaitAndThoseUnderWay) {
  constexpr size_t kAll = HostDialer::kAtOnce + 5;
  Start();
  DialAll(kAll);
  ASSERT_EQ(WaitForRequests(HostDialer::kAtOnce), HostDialer::kAtOnce);
  dialer_.reset();
  EXPECT_THAT(Codes(), SizeIs(kAll));
  EXPECT_THAT(Codes(), Each(absl::StatusCode::kCancelled));
}

TEST_F(HostDialerTest, AFullHostHoldsUpNoOther) {
  Start();
  DialAll(HostDialer::kAtOnce + 1);
  // The relay's certificate is not that host's.
  Dial("kantoor-b", "hv-b1");
  EXPECT_EQ(WaitForEnded(1), 1u);
  EXPECT_THAT(Codes(), Each(testing::Ne(absl::StatusCode::kOk)));
  // Nor did the one that waits go with it.
  EXPECT_EQ(WaitForRequests(HostDialer::kAtOnce), HostDialer::kAtOnce);
}

}  // namespace
}  // namespace werkplek
