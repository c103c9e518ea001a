// A server that was given up between the choice of it and the request.
#include "broker/directory/server_link.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/mutex.h"
#include "tests/integration/directory/directory_harness.h"

namespace werkplek {
namespace {

// What the connecting threads made, for the test's thread.
class OpenedQueue {
 public:
  void Add(Opened opened) {
    MutexLock lock(mutex_);
    opened_.push_back(std::move(opened));
    added_.Signal();
  }

  std::optional<Opened> Wait() {
    MutexLock lock(mutex_);
    while (opened_.empty()) {
      if (!added_.WaitFor(mutex_, absl::Seconds(30))) return std::nullopt;
    }
    Opened first = std::move(opened_.front());
    opened_.pop_front();
    return first;
  }

 private:
  Mutex mutex_;
  CondVar added_;
  std::deque<Opened> opened_ ABSL_GUARDED_BY(mutex_);
};

RequestPointer RequestOf(uint64_t call) {
  auto request = std::make_shared<DirectoryRequest>();
  request->calls = {call};
  return request;
}

TEST(ServerLinkTest, ARequestEndsAtOnceWhereTheServerWasGivenUpMeanwhile) {
  const DirectoryAuthority authority;
  auto settings = std::make_shared<DirectorySettings>(
      SettingsFor({absl::StrCat("ldaps://127.0.0.1:", FreeLoopbackPort())}, authority.ca_file()));
  auto tls = LdapTlsContext::Create(*settings);
  ASSERT_TRUE(tls.ok()) << tls.status();
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  {
    OpenedQueue queue;
    ServerLink link(settings, *tls, /*index=*/0, epoll,
                    [&](Opened opened) { queue.Add(std::move(opened)); });
    const absl::Duration now = SteadyNow();
    for (uint64_t call = 1; !link.circuit().open(); ++call) {
      link.Send(RequestOf(call), now);
      std::optional<Opened> opened = queue.Wait();
      ASSERT_TRUE(opened.has_value());
      link.OnOpened(*std::move(opened), now);
    }
    link.TakeEnded();

    link.Send(RequestOf(100), now);
    const std::vector<RequestEnded> ended = link.TakeEnded();
    ASSERT_EQ(ended.size(), 1u);
    EXPECT_EQ(ended[0].request->calls, std::vector<uint64_t>{100});
    EXPECT_EQ(ended[0].end, RequestEnd::kNotConnected);
    EXPECT_EQ(ended[0].status.code(), absl::StatusCode::kUnavailable);
  }
  close(epoll);
}

}  // namespace
}  // namespace werkplek
