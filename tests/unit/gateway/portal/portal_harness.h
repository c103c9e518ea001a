// A portal on loopback with a scripted broker and a real relay of a host, and what a browser sends
// it.
#pragma once

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/tls/grpc_credentials.h"
#include "common/tls/process_tls.h"
#include "gateway/portal/portal_server.h"
#include "tests/support/process/child_process.h"
#include "tests/unit/common/relay/relay_harness.h"

namespace werkplek {

inline constexpr char kOrigin[] = "https://werkplek.test";

// Says what the test tells it to.
class ScriptedBroker : public v1::SessionService::Service {
 public:
  explicit ScriptedBroker(const TlsFiles& files) {
    const auto credentials = GrpcServerCredentials(files);
    EXPECT_TRUE(credentials.ok()) << credentials.status();
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", *credentials, &port_);
    builder.RegisterService(this);
    // As the real one has it.
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 100);
    server_ = builder.BuildAndStart();
  }
  ~ScriptedBroker() override { server_->Shutdown(absl::ToChronoTime(absl::Now())); }

  grpc::Status SignIn(grpc::ServerContext* context, const v1::SignInRequest* request,
                      v1::SignInResponse* response) override {
    Note(*context, absl::StrCat("sign-in ", request->user(), " ", request->password(), " ",
                                request->token_code()));
    if (request->password() != "geheim") {
      return {grpc::StatusCode::UNAUTHENTICATED, "sign-in failed"};
    }
    response->set_access_token("tok-1");
    response->set_display_name("Jan");
    return grpc::Status::OK;
  }
  grpc::Status ListPools(grpc::ServerContext* context, const v1::ListPoolsRequest*,
                         v1::ListPoolsResponse* response) override {
    Note(*context, "list");
    response->add_pools()->set_pool("kantoor");
    return grpc::Status::OK;
  }
  grpc::Status SignOut(grpc::ServerContext* context, const v1::SignOutRequest*,
                       v1::SignOutResponse*) override {
    Note(*context, "sign-out");
    if (signed_out) return {grpc::StatusCode::UNAUTHENTICATED, "sign in first"};
    return grpc::Status::OK;
  }
  grpc::Status Connect(grpc::ServerContext* context, const v1::ConnectRequest* request,
                       grpc::ServerWriter<v1::ConnectUpdate>* writer) override {
    Note(*context, absl::StrCat("connect ", request->pool(), request->again() ? " again" : ""));
    if (unavailable_connects > 0) {
      --unavailable_connects;
      return {grpc::StatusCode::UNAVAILABLE, "no broker leads"};
    }
    for (const v1::ConnectUpdate& update : updates) writer->Write(update);
    MutexLock lock(mutex_);
    const absl::Time deadline = absl::Now() + kTestDeadline;
    while (hold && !context->IsCancelled() && absl::Now() < deadline) {
      changed_.WaitFor(mutex_, absl::Milliseconds(20));
    }
    if (context->IsCancelled()) said_.push_back("cancelled");
    changed_.SignalAll();
    return end;
  }

  std::vector<std::string> WaitForSaid(size_t count) {
    MutexLock lock(mutex_);
    const absl::Time deadline = absl::Now() + kTestDeadline;
    while (said_.size() < count && absl::Now() < deadline) {
      changed_.WaitFor(mutex_, absl::Milliseconds(100));
    }
    return said_;
  }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

  // Set before a connect.
  std::vector<v1::ConnectUpdate> updates;
  grpc::Status end;
  // The stream stays open until it is cancelled.
  bool hold = false;
  // So many connects find no leader.
  std::atomic<int> unavailable_connects = 0;
  // The token is dead.
  bool signed_out = false;

 private:
  static std::string Metadata(const grpc::ServerContext& context, const char* key) {
    const auto found = context.client_metadata().find(key);
    if (found == context.client_metadata().end()) return "-";
    return std::string(found->second.data(), found->second.size());
  }
  void Note(const grpc::ServerContext& context, const std::string& what) {
    MutexLock lock(mutex_);
    const std::string browser = Metadata(context, "werkplek-browser-address");
    said_.push_back(absl::StrCat(what, " by ", Metadata(context, "authorization"), " at ",
                                 browser.substr(0, browser.rfind(':'))));
    changed_.SignalAll();
  }

  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  Mutex mutex_;
  CondVar changed_;
  std::vector<std::string> said_ ABSL_GUARDED_BY(mutex_);
};

struct HttpAnswer {
  std::string head;
  std::string body;
};

class PortalTest : public RelayTest {
 protected:
  PortalTest()
      : own_(pki_.Issue(v1::IDENTITY_GATEWAY, "gw-a")),
        broker_(pki_.Issue(v1::IDENTITY_BROKER, "b1")) {
    EXPECT_TRUE(RequireTls13InThisProcess().ok());
    std::filesystem::create_directories(folder_.File("core"));
    std::filesystem::create_directories(folder_.File("vendor"));
    folder_.Write("core/rfb.js", "export default class RFB {}\n");
    auto tls = FollowingContext::Create(
        {own_.certificate, own_.key, ""}, MakeBrowserContext, [] { return absl::Now(); },
        LoadBrowserFacingFiles);
    EXPECT_TRUE(tls.ok()) << tls.status();
    browser_tls_ = *std::move(tls);
    const auto credentials = GrpcChannelCredentials(own_, ExpectIdentity({v1::IDENTITY_BROKER}));
    EXPECT_TRUE(credentials.ok()) << credentials.status();
    lines_ = std::make_unique<BrokerLines>(std::vector<std::string>{broker_.address()},
                                           *credentials, absl::Seconds(10));
    options_.believe_gateways = true;
    portal_options_.addresses = {"127.0.0.1:0"};
    portal_options_.origins = {kOrigin};
    portal_options_.novnc = folder_.path();
  }

  void SetUp() override {
    Start();
    StartPortal();
  }

  void StartPortal() {
    portal_ = nullptr;
    auto portal = PortalServer::Start(
        portal_options_, {browser_tls_.get(), lines_.get(), &dialer_, &metrics_, &displays_});
    ASSERT_TRUE(portal.ok()) << portal.status();
    portal_ = *std::move(portal);
  }

  RawClient Browser() {
    const SslContextPointer context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
    return RawClient(context, portal_->ports().front());
  }

  static std::string Request(const std::string& line, const std::string& more,
                             const std::string& body = "") {
    std::string text = absl::StrCat(line, " HTTP/1.1\r\nHost: werkplek.test\r\n", more);
    if (!body.empty()) absl::StrAppend(&text, "Content-Length: ", body.size(), "\r\n");
    return absl::StrCat(text, "\r\n", body);
  }
  static std::string Post(const std::string& target, const nlohmann::json& body,
                          const std::string& more = "") {
    return Request(absl::StrCat("POST ", target),
                   absl::StrCat("Origin: ", kOrigin,
                                "\r\nX-Werkplek: 1\r\nContent-Type: application/json\r\n", more),
                   body.dump());
  }
  static constexpr char kCookie[] = "Cookie: __Host-werkplek=tok-1\r\n";

  static HttpAnswer Receive(RawClient& client) {
    HttpAnswer answer{client.ReceiveHead(), ""};
    const size_t at = answer.head.find("Content-Length: ");
    if (at != std::string::npos) {
      answer.body = client.Receive(std::stoul(answer.head.substr(at + 16)));
    }
    return answer;
  }
  HttpAnswer Ask(const std::string& request) {
    RawClient client = Browser();
    EXPECT_TRUE(client.Send(request));
    return Receive(client);
  }

  static std::string Upgrade(const std::string& more = kCookie,
                             const std::string& target = "/display/kantoor") {
    return Request(absl::StrCat("GET ", target),
                   absl::StrCat("Origin: ", kOrigin,
                                "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                "Sec-WebSocket-Version: 13\r\n"
                                "Sec-WebSocket-Protocol: werkplek.display\r\n",
                                more));
  }
  // A browser whose upgrade was answered.
  RawClient Opening(const std::string& target = "/display/kantoor") {
    RawClient client = Browser();
    EXPECT_TRUE(client.Send(Upgrade(kCookie, target)));
    EXPECT_THAT(client.ReceiveHead(), testing::StartsWith("HTTP/1.1 101"));
    return client;
  }
  // The next frame: its first byte, then what it carries (less than 126 bytes).
  static std::string Frame(RawClient& client) {
    const std::string head = client.Receive(2);
    if (head.size() < 2) return "";
    return head.substr(0, 1) + client.Receive(static_cast<unsigned char>(head[1]));
  }
  static std::string Text(const std::string& text) { return "\x81" + text; }
  static std::string Binary(const std::string& text) { return "\x82" + text; }
  // As a browser masks it, with zeros.
  static std::string Masked(const std::string& payload) {
    return absl::StrCat("\x82", std::string(1, static_cast<char>(0x80 | payload.size())),
                        std::string(4, '\0'), payload);
  }

  std::string Scrape() {
    if (metrics_.port() == 0) {
      EXPECT_TRUE(metrics_.Serve("127.0.0.1:0").ok());
    }
    const Descriptor line = ConnectTcp(metrics_.port());
    WriteTo(line.get(), "GET /metrics HTTP/1.0\r\n\r\n");
    return ReadFrom(line.get(), 1 << 20);
  }

  v1::ConnectUpdate ReadyUpdate() {
    v1::ConnectUpdate update;
    v1::Ready* ready = update.mutable_ready();
    ready->set_session("s1");
    ready->set_desktop("kantoor-1");
    ready->set_ticket("abc");
    ready->set_host("hv-a1");
    ready->add_relays(absl::StrCat("127.0.0.1:", port()));
    return update;
  }
  static v1::ConnectUpdate QueuedUpdate() {
    v1::ConnectUpdate update;
    update.mutable_queued()->set_position(2);
    return update;
  }
  static constexpr char kReadyText[] =
      R"({"desktop":"kantoor-1","resumed":false,"session":"s1","stage":"ready"})";

  const TlsFiles own_;
  ScriptedBroker broker_;
  TemporaryFolder folder_;
  Metrics metrics_;
  std::atomic<uint32_t> displays_{0};
  std::unique_ptr<FollowingContext> browser_tls_;
  std::unique_ptr<BrokerLines> lines_;
  HostDialer dialer_{own_};
  PortalOptions portal_options_;
  std::unique_ptr<PortalServer> portal_;
};

}  // namespace werkplek
