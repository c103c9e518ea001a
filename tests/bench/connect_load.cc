#include "tests/bench/connect_load.h"

#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <chrono>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "broker/token/one_time_code.h"
#include "common/base/status_macros.h"
#include "common/relay/relay_client.h"
#include "common/tls/grpc_credentials.h"
#include "common/tls/peer_name.h"
#include "common/tls/tls_files.h"
#include "tests/bench/rfb.h"
#include "werkplek/v1/session.grpc.pb.h"

namespace werkplek {
namespace {

constexpr std::chrono::seconds kCallLimit(10);
constexpr std::chrono::seconds kConnectLimit(60);
constexpr absl::Duration kRelayLimit = absl::Seconds(10);
// The agent tells of a closed display within a second; a takeover before that would be another way.
constexpr absl::Duration kRest = absl::Milliseconds(300);

absl::Status ToAbsl(absl::string_view what, const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(what, ": ", status.error_message()));
}

// Milliseconds of each stage, in the order of the connects.
using Stages = std::map<std::string, std::vector<double>>;

class Walk {
 public:
  static absl::StatusOr<std::unique_ptr<Walk>> Open(const ConnectLoadSettings& settings) {
    const TlsFiles files = {.certificate = settings.machine + "/certificate.pem",
                            .key = settings.machine + "/key.pem",
                            .ca = settings.machine + "/ca.pem"};
    ASSIGN_OR_RETURN(TlsMaterial own, LoadTlsFiles(files, absl::Now()));
    ASSIGN_OR_RETURN(const auto credentials,
                     GrpcChannelCredentials(files, ExpectIdentity({v1::IDENTITY_BROKER})));
    return std::unique_ptr<Walk>(
        new Walk(settings, std::move(own),
                 v1::SessionService::NewStub(grpc::CreateChannel(settings.broker, credentials))));
  }

  absl::Status SignIn(const BenchPerson& person) {
    v1::SignInRequest request;
    request.set_request_id(NextId());
    request.set_user(person.user);
    request.set_password(person.password);
    request.set_token_code(
        TotpCode(person.seed, absl::ToUnixSeconds(absl::Now()) / kStepSeconds, 6, CodeHash::kSha1));
    token_.clear();
    v1::SignInResponse response;
    const auto context = NewContext(kCallLimit);
    RETURN_IF_ERROR(ToAbsl("signing in", stub_->SignIn(context.get(), request, &response)));
    token_ = response.access_token();
    return absl::OkStatus();
  }

  // From the call to the screen.
  absl::Status Connect(bool again, Stages& stages) {
    v1::ConnectRequest request;
    request.set_request_id(NextId());
    request.set_pool(settings_.pool);
    const auto context = NewContext(kConnectLimit);
    const absl::Duration began = BenchClock();
    absl::Duration assigned;
    const auto reader = stub_->Connect(context.get(), request);
    v1::ConnectUpdate update;
    v1::Ready ready;
    while (reader->Read(&update)) {
      if (update.has_preparing()) {
        assigned = BenchClock();
      } else if (update.has_ready()) {
        ready = update.ready();
      } else {
        context->TryCancel();
        return absl::InternalError(
            absl::StrCat("no running spare: ", update.ShortDebugString().substr(0, 200)));
      }
    }
    const absl::Duration prepared = BenchClock();
    RETURN_IF_ERROR(ToAbsl("connecting", reader->Finish()));
    if (ready.resumed() != again) return absl::InternalError("not the session that was expected");
    session_ = ready.session();
    if (assigned == absl::ZeroDuration()) assigned = began;
    RETURN_IF_ERROR(OpenDisplay(ready, prepared, stages));
    const absl::Duration ended = BenchClock();
    stages["commit"].push_back(absl::ToDoubleMilliseconds(assigned - began));
    stages["prepare"].push_back(absl::ToDoubleMilliseconds(prepared - assigned));
    stages["whole"].push_back(absl::ToDoubleMilliseconds(ended - began));
    return absl::OkStatus();
  }

  void CloseDisplay() {
    if (display_ >= 0) close(display_);
    display_ = -1;
    relay_.reset();
    absl::SleepFor(kRest);
  }

  absl::Status End() {
    v1::EndSessionRequest request;
    request.set_request_id(NextId());
    request.set_session(session_);
    v1::EndSessionResponse response;
    const auto context = NewContext(kCallLimit);
    return ToAbsl("ending", stub_->EndSession(context.get(), request, &response));
  }

 private:
  Walk(const ConnectLoadSettings& settings, TlsMaterial own,
       std::unique_ptr<v1::SessionService::Stub> stub)
      : settings_(settings), own_(std::move(own)), stub_(std::move(stub)) {}

  absl::Status OpenDisplay(const v1::Ready& ready, absl::Duration prepared, Stages& stages) {
    RelayTarget target;
    target.addresses.assign(ready.relays().begin(), ready.relays().end());
    target.host = ready.host();
    target.desktop = ready.desktop();
    target.ticket = Secret(ready.ticket());
    target.kind = RelayChannelKind::kVnc;
    ASSIGN_OR_RETURN(relay_, RelayClient::Create(own_, std::move(target)));
    ASSIGN_OR_RETURN(display_, relay_->Open(kRelayLimit));
    const absl::Duration opened = BenchClock();
    RETURN_IF_ERROR(RfbHandshake(display_));
    stages["relay"].push_back(absl::ToDoubleMilliseconds(opened - prepared));
    stages["display"].push_back(absl::ToDoubleMilliseconds(BenchClock() - opened));
    return absl::OkStatus();
  }

  std::unique_ptr<grpc::ClientContext> NewContext(std::chrono::seconds limit) const {
    auto context = std::make_unique<grpc::ClientContext>();
    context->set_deadline(std::chrono::system_clock::now() + limit);
    if (!token_.empty()) context->AddMetadata("authorization", absl::StrCat("Bearer ", token_));
    return context;
  }

  std::string NextId() { return HexEncode(RandomBytes(16)); }

  const ConnectLoadSettings& settings_;
  const TlsMaterial own_;
  const std::unique_ptr<v1::SessionService::Stub> stub_;
  std::string token_;
  std::string session_;
  std::unique_ptr<RelayClient> relay_;
  int display_ = -1;
};

}  // namespace

absl::StatusOr<std::string> RunConnectLoad(const ConnectLoadSettings& settings,
                                           const std::vector<BenchPerson>& people) {
  ASSIGN_OR_RETURN(const auto walk, Walk::Open(settings));
  Stages fresh;
  Stages again;
  for (const BenchPerson& person : people) {
    RETURN_IF_ERROR(walk->SignIn(person));
    RETURN_IF_ERROR(walk->Connect(/*again=*/false, fresh));
    for (int i = 0; i < settings.reconnects; ++i) {
      walk->CloseDisplay();
      RETURN_IF_ERROR(walk->Connect(/*again=*/true, again));
    }
    walk->CloseDisplay();
    RETURN_IF_ERROR(walk->End());
  }
  return nlohmann::json{{"fresh", fresh}, {"again", again}}.dump();
}

}  // namespace werkplek
