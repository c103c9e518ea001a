#include "tests/bench/sign_in_load.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "broker/token/one_time_code.h"
#include "common/base/crypto.h"
#include "common/base/status_macros.h"
#include "common/tls/grpc_credentials.h"
#include "common/tls/peer_name.h"
#include "werkplek/v1/session.grpc.pb.h"

namespace werkplek {
namespace {

// A code of the step before is good until the step ends; this much earlier it is given up.
constexpr int64_t kSpareSeconds = 3;
// No run begins later in a step: its first pass would need the next one.
constexpr int64_t kLatestStartSeconds = 22;

// Which codes the people have used.
class Codes {
 public:
  explicit Codes(const std::vector<BenchPerson>& people) : people_(people), used_(people.size()) {}

  static void WaitForGoodStart() {
    const absl::Time now = absl::Now();
    const int64_t into = absl::ToUnixSeconds(now) % kStepSeconds;
    if (into >= kLatestStartSeconds) absl::SleepFor(absl::Seconds(kStepSeconds - into));
  }

  // A code that is good now and was never used; empty when the person has none left.
  std::string Take(size_t person) {
    const int64_t seconds = absl::ToUnixSeconds(absl::Now());
    const int64_t now = seconds / kStepSeconds;
    const bool late = seconds % kStepSeconds >= kStepSeconds - kSpareSeconds;
    const int64_t step = std::max(late ? now : now - 1, used_[person] + 1);
    if (step > now) return "";
    used_[person] = step;
    return TotpCode(people_[person].seed, step, 6, CodeHash::kSha1);
  }

 private:
  const std::vector<BenchPerson>& people_;
  std::vector<int64_t> used_;
};

struct Client {
  std::unique_ptr<v1::SessionService::Stub> stub;
  std::unique_ptr<grpc::ClientContext> context;
  std::unique_ptr<grpc::ClientAsyncResponseReader<v1::SignInResponse>> reader;
  v1::SignInRequest request;
  v1::SignInResponse response;
  grpc::Status status;
  absl::Duration began;
};

absl::StatusOr<Client> Connect(const std::string& broker, const std::string& folder) {
  const TlsFiles files = {.certificate = folder + "/certificate.pem",
                          .key = folder + "/key.pem",
                          .ca = folder + "/ca.pem"};
  ASSIGN_OR_RETURN(const auto credentials,
                   GrpcChannelCredentials(files, ExpectIdentity({v1::IDENTITY_BROKER})));
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // The load shares the processors with what it measures, so it does without what these calls do
  // not need: pings that size windows, compression, health checks, counters.
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  arguments.SetInt(GRPC_ARG_MINIMAL_STACK, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_CHANNELZ, 0);
  const auto channel = grpc::CreateCustomChannel(broker, credentials, arguments);
  if (!channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(10))) {
    return absl::UnavailableError(absl::StrCat(broker, ": no connection for ", folder));
  }
  Client client;
  client.stub = v1::SessionService::NewStub(channel);
  client.request.mutable_client()->set_program("werkplek 0.1.0");
  client.request.mutable_client()->set_language("nl");
  return client;
}

class Load {
 public:
  Load(const SignInLoadSettings& settings, const std::vector<BenchPerson>& people)
      : settings_(settings), people_(people), codes_(people) {}

  absl::Status Open() {
    for (const std::string& folder : settings_.machines) {
      ASSIGN_OR_RETURN(Client client, Connect(settings_.broker, folder));
      clients_.push_back(std::make_unique<Client>(std::move(client)));
    }
    return absl::OkStatus();
  }

  LoadResult Run() {
    Codes::WaitForGoodStart();
    for (const auto& client : clients_) Start(*client);
    void* tag = nullptr;
    bool ok = false;
    while (under_way_ > 0 && queue_.Next(&tag, &ok)) {
      --under_way_;
      Client& client = *static_cast<Client*>(tag);
      Take(client);
      Start(client);
    }
    result_.took = ended_ - began_;
    result_.cpu = CpuSince(cpu_);
    return std::move(result_);
  }

 private:
  void Start(Client& client) {
    const int turn = next_;
    if (turn >= settings_.warm_up + settings_.count) return;
    ++next_;
    const size_t at = static_cast<size_t>(turn) % people_.size();
    // As the clients make them.
    client.request.set_request_id(HexEncode(RandomBytes(16)));
    client.request.set_user(people_[at].user);
    client.request.set_password(people_[at].password);
    client.request.set_token_code(codes_.Take(at));
    client.context = std::make_unique<grpc::ClientContext>();
    client.context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    client.response.Clear();
    client.began = BenchClock();
    if (turn == settings_.warm_up) {
      began_ = client.began;
      cpu_ = CpuTimes(settings_.pids);
    }
    client.reader = client.stub->AsyncSignIn(client.context.get(), client.request, &queue_);
    client.reader->Finish(&client.response, &client.status, &client);
    ++under_way_;
  }

  void Take(const Client& client) {
    const absl::Duration now = BenchClock();
    if (!client.status.ok() || client.response.access_token().empty()) {
      ++result_.failed;
      if (result_.failure.empty()) {
        result_.failure = absl::StrCat(client.request.user(), ": ", client.status.error_code(), " ",
                                       client.status.error_message());
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
  grpc::CompletionQueue queue_;
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
