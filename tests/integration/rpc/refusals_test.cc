// What is refused before a handler sees it, with the words and the log line it gets.
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/mutex.h"
#include "gtest/gtest.h"
#include "tests/integration/rpc/generic_call.h"
#include "tests/integration/rpc/odd_certificate.h"
#include "tests/support/loopback_broker/loopback_broker.h"
#include "werkplek/v1/admin.pb.h"
#include "werkplek/v1/session.pb.h"

namespace werkplek {
namespace {

using grpc::StatusCode;

constexpr char kListPools[] = "/werkplek.v1.SessionService/ListPools";
constexpr char kSignIn[] = "/werkplek.v1.SessionService/SignIn";

// The log's lines while it lives.
class LogLines {
 public:
  LogLines() {
    SetLogSink([this](const std::string& line) {
      MutexLock lock(mutex_);
      lines_.push_back(line);
    });
  }
  ~LogLines() { SetLogSink(nullptr); }

  std::string With(absl::string_view text) const {
    MutexLock lock(mutex_);
    for (const std::string& line : lines_) {
      if (absl::StrContains(line, text)) return line;
    }
    return "";
  }

 private:
  mutable Mutex mutex_;
  std::vector<std::string> lines_ ABSL_GUARDED_BY(mutex_);
};

class Refusals : public testing::Test {
 protected:
  Refusals() : broker_(Options()), channel_(broker_.AtClientPort(v1::IDENTITY_CLIENT, "tc-1")) {}

  static LoopbackOptions Options() {
    LoopbackOptions options;
    options.people = {{"jan"}, {"beheer", v1::ROLE_ADMINISTRATOR}};
    options.rpc.machine_sign_ins = {.per_second = 0.1, .burst = 5};
    return options;
  }

  static std::string Words(const GenericAnswer& answer) { return answer.status.error_message(); }

  LogLines log_;
  LoopbackBroker broker_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(Refusals, ACertificateThatNamesNobody) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> odd = {
      {"none", {}},
      {"web", {"https://werkplek.example/client/tc-1"}},
      {"two", {"werkplek://client/tc-1", "werkplek://admin/a1"}},
      {"kind", {"werkplek://root/tc-1"}},
      {"case", {"werkplek://CLIENT/tc-1"}},
      {"path", {"werkplek://client/tc-1/../../admin/a1"}},
      {"nameless", {"werkplek://client/"}},
  };
  for (const auto& [name, uris] : odd) {
    const TlsFiles files = IssueOddCertificate(broker_.pki(), name, uris);
    const auto channel = NewOddTestChannel(broker_.server().client_port(), files);
    const GenericAnswer answer = Call(channel, {.path = kSignIn});
    EXPECT_EQ(answer.status.error_code(), StatusCode::UNAUTHENTICATED) << name << Words(answer);
    EXPECT_TRUE(absl::StrContains(Words(answer), "certificate")) << Words(answer);
    EXPECT_TRUE(absl::StrContains(Words(answer), "join this machine anew")) << Words(answer);
  }
}

TEST_F(Refusals, AHostOnAMethodForClients) {
  const auto host = broker_.AtClientPort(v1::IDENTITY_HOST, "hv-a1");
  const GenericAnswer answer = Call(host, {.path = kListPools});
  EXPECT_EQ(answer.status.error_code(), StatusCode::PERMISSION_DENIED);
  const std::string line = log_.With("host/hv-a1");
  EXPECT_TRUE(absl::StrContains(line, "event=call-refused")) << line;
  EXPECT_TRUE(absl::StrContains(line, kListPools)) << line;
  EXPECT_TRUE(absl::StrContains(line, "PERMISSION_DENIED")) << line;
}

TEST_F(Refusals, ACallWithoutADeadline) {
  const GenericAnswer answer = Call(channel_, {.path = kSignIn, .deadline = absl::ZeroDuration()});
  EXPECT_EQ(answer.status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_TRUE(absl::StrContains(Words(answer), "set a deadline")) << Words(answer);
}

TEST_F(Refusals, UnknownAndOddPaths) {
  for (const char* path :
       {"/werkplek.v1.SessionService/Nothing", "/werkplek.v1.Nothing/SignIn",
        "werkplek.v1.SessionService/SignIn", "/werkplek.v1.SessionService/signin",
        "/werkplek.v1.SessionService/SignIn/", "//werkplek.v1.SessionService/SignIn",
        "/werkplek.v1.SessionService/./SignIn", "/werkplek.v1.SessionService/SignIn?x=1",
        "/werkplek.v1.SessionService%2FSignIn", "/", "/x",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        "/grpc.channelz.v1.Channelz/GetServers"}) {
    EXPECT_EQ(Call(channel_, {.path = path}).status.error_code(), StatusCode::UNIMPLEMENTED)
        << path;
  }
  EXPECT_EQ(log_.With("call-refused"), "") << "a handler was reached";
}

TEST_F(Refusals, MessagesBeyondTheLimit) {
  v1::SignInRequest request;
  request.set_user(std::string(65 << 10, 'a'));
  const GenericAnswer large =
      Call(channel_, {.path = kSignIn, .request = request.SerializeAsString()});
  EXPECT_EQ(large.status.error_code(), StatusCode::RESOURCE_EXHAUSTED) << Words(large);
  // Just below, the handler judges it.
  request.set_user(std::string(60 << 10, 'a'));
  const GenericAnswer fits =
      Call(channel_, {.path = kSignIn, .request = request.SerializeAsString()});
  EXPECT_NE(fits.status.error_code(), StatusCode::RESOURCE_EXHAUSTED) << Words(fits);
}

TEST_F(Refusals, CompressedMessages) {
  v1::SignInRequest request;
  request.set_user(std::string(1 << 20, 'a'));  // a few kilobytes when compressed
  const GenericAnswer answer =
      Call(channel_, {.path = kSignIn, .request = request.SerializeAsString(), .gzip = true});
  EXPECT_EQ(answer.status.error_code(), StatusCode::UNIMPLEMENTED) << Words(answer);
}

TEST_F(Refusals, HeadersBeyondTheLimit) {
  const GenericAnswer answer =
      Call(channel_, {.path = kSignIn, .metadata = {{"x-large", std::string(9 << 10, 'a')}}});
  EXPECT_EQ(answer.status.error_code(), StatusCode::RESOURCE_EXHAUSTED) << Words(answer);
}

TEST_F(Refusals, BytesThatAreNoRequest) {
  const GenericAnswer answer = Call(channel_, {.path = kSignIn, .request = "\xff\xff\xff\xff"});
  EXPECT_FALSE(answer.status.ok());
  EXPECT_FALSE(answer.answered);
}

TEST_F(Refusals, ATokenOnAnotherMachine) {
  const auto token = broker_.SignIn(channel_, "jan");
  ASSERT_TRUE(token.ok()) << token.status();
  EXPECT_TRUE(Call(channel_, {.path = kListPools, .token = *token}).status.ok());
  const auto thief = broker_.AtClientPort(v1::IDENTITY_CLIENT, "tc-2");
  const GenericAnswer stolen = Call(thief, {.path = kListPools, .token = *token});
  EXPECT_EQ(stolen.status.error_code(), StatusCode::UNAUTHENTICATED);
  const GenericAnswer made_up = Call(thief, {.path = kListPools, .token = "wp1_nothing"});
  EXPECT_EQ(Words(made_up), Words(stolen)) << "the answers tell a good token from a bad one";
  EXPECT_TRUE(absl::StrContains(log_.With("client/tc-2"), "another machine"))
      << log_.With("client/tc-2");
  EXPECT_EQ(log_.With(*token), "");
}

TEST_F(Refusals, MalformedAuthorization) {
  const GenericAnswer basic = Call(
      channel_, {.path = kListPools, .metadata = {{"authorization", "Basic c2VjcmV0LXdvcmQ="}}});
  EXPECT_EQ(basic.status.error_code(), StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(log_.With("c2VjcmV0LXdvcmQ"), "");
  const GenericAnswer two =
      Call(channel_,
           {.path = kListPools, .token = "wp1_a", .metadata = {{"authorization", "Bearer wp1_b"}}});
  EXPECT_EQ(two.status.error_code(), StatusCode::UNAUTHENTICATED);
}

TEST_F(Refusals, TooManySignInsFromOneMachine) {
  GenericAnswer answer;
  for (int i = 0; i < 6; ++i) answer = Call(channel_, {.path = kSignIn});
  EXPECT_EQ(answer.status.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  int retry_after_ms = 0;
  ASSERT_TRUE(absl::SimpleAtoi(answer.retry_after_ms, &retry_after_ms)) << answer.retry_after_ms;
  EXPECT_GT(retry_after_ms, 1000);
  EXPECT_LE(retry_after_ms, 10'000);
  // Others are not held up, and neither are other calls of this machine.
  const auto other = broker_.AtClientPort(v1::IDENTITY_CLIENT, "tc-2");
  EXPECT_TRUE(broker_.SignIn(other, "jan").ok());
  EXPECT_EQ(Call(channel_, {.path = kListPools}).status.error_code(), StatusCode::UNAUTHENTICATED);
}

}  // namespace
}  // namespace werkplek
