#include "tests/unit/client/fake_broker.h"

#include <chrono>

#include "absl/strings/str_cat.h"

namespace werkplek {
namespace {

template <typename Response>
grpc::Status AnswerUnary(FakeBroker& broker, const std::string& method,
                         grpc::ServerContext* context, const google::protobuf::Message& request,
                         Response* response) {
  const FakeBroker::Answer answer = broker.Take(method, request, *context);
  if (!answer.retry_after_ms.empty()) {
    context->AddTrailingMetadata("retry-after-ms", answer.retry_after_ms);
  }
  if (!answer.messages.empty()) response->CopyFrom(*answer.messages.front());
  return answer.status;
}

template <typename Response>
grpc::Status AnswerStream(FakeBroker& broker, const std::string& method,
                          grpc::ServerContext* context, const google::protobuf::Message& request,
                          grpc::ServerWriter<Response>* writer) {
  const FakeBroker::Answer answer = broker.Take(method, request, *context);
  for (const auto& message : answer.messages) {
    if (!writer->Write(static_cast<const Response&>(*message))) break;
  }
  if (answer.until.valid()) answer.until.wait();
  return answer.status;
}

}  // namespace

// The methods differ in nothing but their types.
#define WERKPLEK_FAKE_UNARY(Method, Request, Response)                          \
  grpc::Status Method(grpc::ServerContext* context, const v1::Request* request, \
                      v1::Response* response) override {                        \
    return AnswerUnary(broker_, #Method, context, *request, response);          \
  }
#define WERKPLEK_FAKE_STREAM(Method, Request, Response)                         \
  grpc::Status Method(grpc::ServerContext* context, const v1::Request* request, \
                      grpc::ServerWriter<v1::Response>* writer) override {      \
    return AnswerStream(broker_, #Method, context, *request, writer);           \
  }

class FakeBroker::Session : public v1::SessionService::Service {
 public:
  explicit Session(FakeBroker& broker) : broker_(broker) {}
  WERKPLEK_FAKE_UNARY(SignIn, SignInRequest, SignInResponse)
  WERKPLEK_FAKE_UNARY(ListPools, ListPoolsRequest, ListPoolsResponse)
  WERKPLEK_FAKE_STREAM(Connect, ConnectRequest, ConnectUpdate)
  WERKPLEK_FAKE_UNARY(Disconnect, DisconnectRequest, DisconnectResponse)
  WERKPLEK_FAKE_UNARY(EndSession, EndSessionRequest, EndSessionResponse)
  WERKPLEK_FAKE_UNARY(SignOut, SignOutRequest, SignOutResponse)

 private:
  FakeBroker& broker_;
};

class FakeBroker::Admin : public v1::AdminService::Service {
 public:
  explicit Admin(FakeBroker& broker) : broker_(broker) {}
  WERKPLEK_FAKE_UNARY(CreateResource, CreateResourceRequest, Resource)
  WERKPLEK_FAKE_UNARY(GetResource, GetResourceRequest, Resource)
  WERKPLEK_FAKE_UNARY(ListResources, ListResourcesRequest, ListResourcesResponse)
  WERKPLEK_FAKE_UNARY(UpdateResource, UpdateResourceRequest, Resource)
  WERKPLEK_FAKE_UNARY(DeleteResource, DeleteResourceRequest, DeleteResourceResponse)
  WERKPLEK_FAKE_UNARY(SetSchedulability, SetSchedulabilityRequest, Resource)
  WERKPLEK_FAKE_UNARY(AddJoinCode, AddJoinCodeRequest, AddJoinCodeResponse)
  WERKPLEK_FAKE_UNARY(ListHosts, ListHostsRequest, ListHostsResponse)
  WERKPLEK_FAKE_UNARY(ListPoolStatus, ListPoolStatusRequest, ListPoolStatusResponse)
  WERKPLEK_FAKE_UNARY(ListDesktops, ListDesktopsRequest, ListDesktopsResponse)
  WERKPLEK_FAKE_UNARY(GetDesktop, GetDesktopRequest, DesktopStatus)
  WERKPLEK_FAKE_UNARY(ResetDesktop, ResetDesktopRequest, DesktopStatus)
  WERKPLEK_FAKE_UNARY(ListSessions, ListSessionsRequest, ListSessionsResponse)
  WERKPLEK_FAKE_UNARY(GetSession, GetSessionRequest, Session)
  WERKPLEK_FAKE_UNARY(EndAnySession, EndAnySessionRequest, Session)
  WERKPLEK_FAKE_STREAM(Watch, WatchRequest, WatchEvent)
  WERKPLEK_FAKE_UNARY(EnrolToken, EnrolTokenRequest, EnrolTokenResponse)
  WERKPLEK_FAKE_UNARY(ConfirmToken, ConfirmTokenRequest, ConfirmTokenResponse)
  WERKPLEK_FAKE_UNARY(RevokeToken, RevokeTokenRequest, RevokeTokenResponse)
  WERKPLEK_FAKE_UNARY(ListTokens, ListTokensRequest, ListTokensResponse)
  WERKPLEK_FAKE_UNARY(ListSignIns, ListSignInsRequest, ListSignInsResponse)
  WERKPLEK_FAKE_UNARY(RevokeSignIns, RevokeSignInsRequest, RevokeSignInsResponse)
  WERKPLEK_FAKE_UNARY(RevokeCertificates, RevokeCertificatesRequest, RevokeCertificatesResponse)
  WERKPLEK_FAKE_UNARY(ListRevocations, ListRevocationsRequest, ListRevocationsResponse)
  WERKPLEK_FAKE_UNARY(ListSites, ListSitesRequest, ListSitesResponse)
  WERKPLEK_FAKE_UNARY(RehearseSiteLoss, RehearseSiteLossRequest, RehearseSiteLossResponse)
  WERKPLEK_FAKE_UNARY(ConfirmSiteLoss, ConfirmSiteLossRequest, SiteStatus)
  WERKPLEK_FAKE_UNARY(ReadmitSite, ReadmitSiteRequest, SiteStatus)
  WERKPLEK_FAKE_UNARY(Rebalance, RebalanceRequest, RebalanceResponse)
  WERKPLEK_FAKE_UNARY(AssignDesktop, AssignDesktopRequest, DesktopStatus)
  WERKPLEK_FAKE_UNARY(OverrideFence, OverrideFenceRequest, DesktopStatus)
  WERKPLEK_FAKE_UNARY(Explain, ExplainRequest, Explanation)
  WERKPLEK_FAKE_UNARY(ListAudit, ListAuditRequest, ListAuditResponse)

 private:
  FakeBroker& broker_;
};

FakeBroker::FakeBroker()
    : session_(std::make_unique<Session>(*this)), admin_(std::make_unique<Admin>(*this)) {
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(session_.get());
  builder.RegisterService(admin_.get());
  server_ = builder.BuildAndStart();
  address_ = absl::StrCat("127.0.0.1:", port);
}

FakeBroker::~FakeBroker() { Stop(); }

void FakeBroker::Stop() {
  if (server_ == nullptr) return;
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
  server_.reset();
}

void FakeBroker::Always(const std::string& method, Answer answer) {
  const MutexLock lock(mutex_);
  always_[method] = std::move(answer);
}

void FakeBroker::Once(const std::string& method, Answer answer) {
  const MutexLock lock(mutex_);
  once_[method].push_back(std::move(answer));
}

std::vector<std::string> FakeBroker::Methods() const {
  const MutexLock lock(mutex_);
  std::vector<std::string> methods;
  for (const Call& call : calls_) methods.push_back(call.method);
  return methods;
}

std::string FakeBroker::LastAuthorization() const {
  const MutexLock lock(mutex_);
  return calls_.empty() ? "" : calls_.back().authorization;
}

BrokerEndpoint FakeBroker::Endpoint() const {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  return {address_,
          grpc::CreateCustomChannel(address_, grpc::InsecureChannelCredentials(), arguments)};
}

FakeBroker::Answer FakeBroker::Take(const std::string& method,
                                    const google::protobuf::Message& request,
                                    const grpc::ServerContext& context) {
  const MutexLock lock(mutex_);
  Call call;
  call.method = method;
  call.request.reset(request.New());
  call.request->CopyFrom(request);
  const auto found = context.client_metadata().find("authorization");
  if (found != context.client_metadata().end()) {
    call.authorization.assign(found->second.data(), found->second.size());
  }
  calls_.push_back(std::move(call));
  std::deque<Answer>& waiting = once_[method];
  if (!waiting.empty()) {
    Answer answer = std::move(waiting.front());
    waiting.pop_front();
    return answer;
  }
  const auto always = always_.find(method);
  if (always != always_.end()) return always->second;
  return Fails(grpc::StatusCode::UNIMPLEMENTED, absl::StrCat("no script for ", method));
}

}  // namespace werkplek
