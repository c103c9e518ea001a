#include "tests/bench/sign_in_load.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "broker/token/one_time_code.h"
#include "common/base/crypto.h"
#include "common/base/status_macros.h"
#include "common/tls/ssl_context.h"
#include "common/tls/tls_files.h"
#include "tests/bench/grpc_connection.h"
#include "werkplek/v1/session.pb.h"

namespace werkplek {
namespace {

// A code of the step before is good until the step ends; this much earlier it is given up.
constexpr int64_t kSpareSeconds = 3;
// No run begins later in a step: its first pass would need the next one.
constexpr int64_t kLatestStartSeconds = 22;
// Longer than any call may take.
constexpr int kLimitMs = 12'000;

// The people's codes, and which they have used.
class Codes {
 public:
  explicit Codes(const std::vector<BenchPerson>& people) : used_(people.size()) {
    // Made before the load: what an authenticator does is no part of it.
    for (const BenchPerson& person : people) {
      for (int64_t step = first_; step < first_ + kSteps; ++step) {
        codes_.push_back(TotpCode(person.seed, step, 6, CodeHash::kSha1));
      }
    }
  }

  static void WaitForGoodStart() {
    const absl::Time now = absl::Now();
    const int64_t into = absl::ToUnixSeconds(now) % kStepSeconds;
    if (into >= kLatestStartSeconds) absl::SleepFor(absl::Seconds(kStepSeconds - into));
  }

  // A code that is good now and was never used; empty when there is none.
  std::string Take(size_t person) {
    const int64_t seconds = absl::ToUnixSeconds(absl::Now());
    const int64_t now = seconds / kStepSeconds;
    const bool late = seconds % kStepSeconds >= kStepSeconds - kSpareSeconds;
    const int64_t step = std::max(late ? now : now - 1, used_[person] + 1);
    if (step > now || step >= first_ + kSteps) return "";
    used_[person] = step;
    return codes_[person * kSteps + static_cast<size_t>(step - first_)];
  }

 private:
  // Those of a run of two minutes.
  static constexpr int64_t kSteps = 6;

  // One step before the present one is good, too.
  const int64_t first_ = absl::ToUnixSeconds(absl::Now()) / kStepSeconds - 1;
  // Of each person, kSteps in turn.
  std::vector<std::string> codes_;
  std::vector<int64_t> used_;
};

constexpr char kSignInPath[] = "/werkplek.v1.SessionService/SignIn";

struct Client {
  std::unique_ptr<GrpcConnection> connection;
  v1::SignInRequest request;
  absl::Duration began;
};

absl::StatusOr<Client> Connect(const std::string& broker, const std::string& folder) {
  const TlsFiles files = {.certificate = folder + "/certificate.pem",
                          .key = folder + "/key.pem",
                          .ca = folder + "/ca.pem"};
  ASSIGN_OR_RETURN(const TlsMaterial own, LoadTlsFiles(files, absl::Now()));
  ASSIGN_OR_RETURN(const SslContextPointer context,
                   MakeClientContext(own, ExpectIdentity({v1::IDENTITY_BROKER})));
  Client client;
  ASSIGN_OR_RETURN(client.connection, GrpcConnection::Open(broker, context, kSignInPath));
  client.request.mutable_client()->set_program("werkplek 0.1.0");
  client.request.mutable_client()->set_language("nl");
  return client;
}

class Load {
 public:
  Load(const SignInLoadSettings& settings, const std::vector<BenchPerson>& people)
      : settings_(settings), people_(people), codes_(people) {}

  ~Load() { close(epoll_); }

  absl::Status Open() {
    for (const std::string& folder : settings_.machines) {
      ASSIGN_OR_RETURN(Client client, Connect(settings_.broker, folder));
      epoll_event event = {};
      event.events = EPOLLIN;
      event.data.u64 = clients_.size();
      if (epoll_ctl(epoll_, EPOLL_CTL_ADD, client.connection->descriptor(), &event) != 0) {
        return absl::UnavailableError("epoll_ctl failed");
      }
      clients_.push_back(std::make_unique<Client>(std::move(client)));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<LoadResult> Run() {
    Codes::WaitForGoodStart();
    for (const auto& client : clients_) RETURN_IF_ERROR(Start(*client));
    while (under_way_ > 0) {
      epoll_event events[64];
      const int count = epoll_wait(epoll_, events, 64, kLimitMs);
      if (count <= 0) return absl::DeadlineExceededError("the broker does not answer");
      for (int i = 0; i < count; ++i) {
        Client& client = *clients_[events[i].data.u64];
        ASSIGN_OR_RETURN(const std::optional<GrpcConnection::Ended> ended,
                         client.connection->Read());
        if (!ended.has_value()) continue;
        --under_way_;
        Take(client, *ended);
        RETURN_IF_ERROR(Start(client));
      }
    }
    result_.took = ended_ - began_;
    result_.cpu = CpuSince(cpu_);
    return std::move(result_);
  }

 private:
  absl::Status Start(Client& client) {
    const int turn = next_;
    if (turn >= settings_.warm_up + settings_.count) return absl::OkStatus();
    ++next_;
    const size_t at = static_cast<size_t>(turn) % people_.size();
    // As the clients make them.
    client.request.set_request_id(HexEncode(RandomBytes(16)));
    client.request.set_user(people_[at].user);
    client.request.set_password(people_[at].password);
    client.request.set_token_code(codes_.Take(at));
    client.began = BenchClock();
    if (turn == settings_.warm_up) {
      began_ = client.began;
      cpu_ = CpuTimes(settings_.pids);
    }
    ++under_way_;
    return client.connection->Call(client.request.SerializeAsString());
  }

  void Take(const Client& client, const GrpcConnection::Ended& ended) {
    const absl::Duration now = BenchClock();
    v1::SignInResponse response;
    if (ended.status != "0" || !response.ParseFromString(ended.response) ||
        response.access_token().empty()) {
      ++result_.failed;
      if (result_.failure.empty()) {
        result_.failure =
            absl::StrCat(client.request.user(), ": status ", ended.status, " ", ended.message);
      }
    }
    if (client.began < began_ || began_ == absl::ZeroDuration()) return;
    ++result_.done;
    result_.latencies.push_back(now - client.began);
    ended_ = now;
  }

  const SignInLoadSettings& settings_;
  const std::vector<BenchPerson>& people_;
  Codes codes_;
  const int epoll_ = epoll_create1(EPOLL_CLOEXEC);
  std::vector<std::unique_ptr<Client>> clients_;
  int next_ = 0;
  int under_way_ = 0;
  absl::Duration began_;
  absl::Duration ended_;
  std::map<int, absl::Duration> cpu_;
  LoadResult result_;
};

}  // namespace

absl::StatusOr<LoadResult> RunSignInLoad(const SignInLoadSettings& settings,
                                         const std::vector<BenchPerson>& people) {
  if (settings.warm_up + settings.count > static_cast<int>(2 * people.size())) {
    return absl::InvalidArgumentError("more sign-ins than the people have codes");
  }
  Load load(settings, people);
  RETURN_IF_ERROR(load.Open());
  return load.Run();
}

}  // namespace werkplek
