// A server that was given up between the choice of it and the request.
#include "broker/directory/server_link.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
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

size_t OpenSockets() {
  size_t sockets = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const std::string target = std::filesystem::read_symlink(entry.path(), gone).string();
    sockets += absl::StartsWith(target, "socket:") ? 1 : 0;
  }
  return sockets;
}

TEST(ServerLinkTest, ProbesDoNotPileUpSearchConnections) {
  DirectoryAuthority authority;
  SlapdOptions options;
  options.certificate = authority.Issue({}, {"127.0.0.1"});
  Slapd slapd(options);
  auto settings =
      std::make_shared<DirectorySettings>(SettingsFor({slapd.url()}, authority.ca_file()));
  auto tls = LdapTlsContext::Create(*settings);
  ASSERT_TRUE(tls.ok()) << tls.status();
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  {
    OpenedQueue queue;
    ServerLink link(settings, *tls, /*index=*/0, epoll,
                    [&](Opened opened) { queue.Add(std::move(opened)); });
    absl::Duration now = SteadyNow();
    const auto open_next = [&](bool fails) {
      std::optional<Opened> opened = queue.Wait();
      ASSERT_TRUE(opened.has_value());
      ASSERT_TRUE(opened->connection.ok()) << opened->connection.status();
      if (fails) opened->connection = absl::UnavailableError("as if it had timed out");
      link.OnOpened(*std::move(opened), now);
    };
    for (int i = 0; i < settings->search_connections; ++i) open_next(/*fails=*/false);
    const size_t sockets = OpenSockets();
    for (uint64_t call = 1; call <= 4; ++call) {
      RequestPointer bind = RequestOf(call);
      bind->use = ConnectionUse::kBind;
      link.Send(std::move(bind), now);
      open_next(/*fails=*/true);
      ASSERT_TRUE(link.circuit().suspect());
      now += CircuitBreaker::kProbeEvery + absl::Seconds(1);
      link.Tick(now);
      open_next(/*fails=*/false);
      ASSERT_FALSE(link.circuit().suspect());
      EXPECT_EQ(OpenSockets(), sockets);
    }
  }
  close(epoll);
}

}  // namespace
}  // namespace werkplek
