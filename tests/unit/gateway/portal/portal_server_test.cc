// The portal's port as a browser meets it, with a scripted broker and a real relay of a host.
#include "gateway/portal/portal_server.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "common/tls/grpc_credentials.h"
#include "common/tls/process_tls.h"
#include "tests/support/process/child_process.h"
#include "tests/unit/common/relay/relay_harness.h"

namespace werkplek {
namespace {

using nlohmann::json;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

constexpr char kOrigin[] = "https://werkplek.test";

// Says what the test tells it to.
class Broker : public v1::SessionService::Service {
 public:
  explicit Broker(const TlsFiles& files) {
    const auto credentials = GrpcServerCredentials(files);
    EXPECT_TRUE(credentials.ok()) << credentials.status();
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", *credentials, &port_);
    builder.RegisterService(this);
    // As the real one has it.
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 100);
    server_ = builder.BuildAndStart();
  }
  ~Broker() override { server_->Shutdown(absl::ToChronoTime(absl::Now())); }

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
    Note(*context, absl::StrCat("connect ", request->pool()));
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

class PortalServerTest : public RelayTest {
 protected:
  PortalServerTest()
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
  static std::string Post(const std::string& target, const json& body,
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

  static std::string Upgrade(const std::string& more = kCookie) {
    return Request("GET /display/kantoor",
                   absl::StrCat("Origin: ", kOrigin,
                                "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                "Sec-WebSocket-Version: 13\r\n"
                                "Sec-WebSocket-Protocol: werkplek.display\r\n",
                                more));
  }
  // A browser whose upgrade was answered.
  RawClient Opening() {
    RawClient client = Browser();
    EXPECT_TRUE(client.Send(Upgrade()));
    EXPECT_THAT(client.ReceiveHead(), StartsWith("HTTP/1.1 101"));
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
  Broker broker_;
  TemporaryFolder folder_;
  Metrics metrics_;
  std::atomic<uint32_t> displays_{0};
  std::unique_ptr<FollowingContext> browser_tls_;
  std::unique_ptr<BrokerLines> lines_;
  HostDialer dialer_{own_};
  PortalOptions portal_options_;
  std::unique_ptr<PortalServer> portal_;
};

TEST_F(PortalServerTest, PagesComeWithTheirPolicy) {
  RawClient client = Browser();
  for (const char* path : {"/", "/portal.js", "/novnc/core/rfb.js"}) {
    ASSERT_TRUE(client.Send(Request(absl::StrCat("GET ", path), ""))) << "one line, many requests";
    const HttpAnswer answer = Receive(client);
    EXPECT_THAT(answer.head, StartsWith("HTTP/1.1 200 OK\r\n")) << path;
    EXPECT_THAT(answer.head, HasSubstr("Content-Security-Policy: default-src 'none'; script-src"));
    EXPECT_THAT(answer.head, HasSubstr("Strict-Transport-Security: max-age="));
    EXPECT_THAT(answer.head, HasSubstr("X-Content-Type-Options: nosniff"));
    EXPECT_FALSE(answer.body.empty());
  }
  EXPECT_THAT(Ask(Request("GET /nowhere", "")).head, StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(Ask(Request("GET /novnc/../core/rfb.js", "")).head, StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(Ask(Request("DELETE /", "")).head, StartsWith("HTTP/1.1 405"));
}

TEST_F(PortalServerTest, PeopleSignInAndOut) {
  const HttpAnswer wrong = Ask(Post(
      "/api/sign-in", {{"request_id", "r1"}, {"user", "jan"}, {"password", "x"}, {"code", "1"}}));
  EXPECT_THAT(wrong.head, StartsWith("HTTP/1.1 401"));
  EXPECT_EQ(json::parse(wrong.body)["error"], "sign-in-failed");
  EXPECT_THAT(wrong.head, Not(HasSubstr("Set-Cookie")));
  const HttpAnswer right =
      Ask(Post("/api/sign-in",
               {{"request_id", "r2"}, {"user", "jan"}, {"password", "geheim"}, {"code", "2"}}));
  EXPECT_THAT(right.head, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(right.head, HasSubstr("Set-Cookie: __Host-werkplek=tok-1; Path=/; Secure; "));
  EXPECT_THAT(right.body, Not(HasSubstr("tok-1")));
  EXPECT_THAT(Ask(Request("GET /api/pools", kCookie)).body, HasSubstr("kantoor"));
  EXPECT_THAT(Ask(Post("/api/sign-out", {{"request_id", "r3"}}, kCookie)).head,
              HasSubstr("Clear-Site-Data"));
  EXPECT_THAT(broker_.WaitForSaid(4),
              testing::ElementsAre(
                  "sign-in jan x 1 by - at 127.0.0.1", "sign-in jan geheim 2 by - at 127.0.0.1",
                  "list by Bearer tok-1 at 127.0.0.1", "sign-out by Bearer tok-1 at 127.0.0.1"));
}

TEST_F(PortalServerTest, ASignOutWhoseAnswerWasLostIsRepeated) {
  broker_.signed_out = true;
  const HttpAnswer again = Ask(Post("/api/sign-out", {{"request_id", "r3"}}, kCookie));
  EXPECT_THAT(again.head, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(again.head, HasSubstr("Set-Cookie: __Host-werkplek=;"));
}

TEST_F(PortalServerTest, WhoeverIsNotSignedInAsksNoBroker) {
  EXPECT_THAT(Ask(Request("GET /api/pools", "")).head, StartsWith("HTTP/1.1 401"));
  EXPECT_THAT(Ask(Post("/api/sign-out", {{"request_id", "r3"}})).head, StartsWith("HTTP/1.1 401"));
  EXPECT_THAT(Ask(Upgrade("")).head, StartsWith("HTTP/1.1 401"));
  EXPECT_TRUE(broker_.WaitForSaid(0).empty());
}

TEST_F(PortalServerTest, NoBrokerIsTold) {
  lines_ = nullptr;
  const auto credentials = GrpcChannelCredentials(own_, ExpectIdentity({v1::IDENTITY_BROKER}));
  lines_ = std::make_unique<BrokerLines>(
      std::vector<std::string>{absl::StrCat("127.0.0.1:", FreeLoopbackPort())}, *credentials,
      absl::Seconds(1));
  StartPortal();
  EXPECT_THAT(Ask(Request("GET /api/pools", kCookie)).head, StartsWith("HTTP/1.1 503"));
  RawClient client = Opening();
  EXPECT_EQ(Frame(client), Text(R"({"error":"unavailable","message":"","stage":"failed"})"));
  EXPECT_EQ(Frame(client), "\x88\x03\xe8") << "closed in order";
}

TEST_F(PortalServerTest, WhatIsTooLongIsToldSo) {
  EXPECT_THAT(Ask(Request("GET /", absl::StrCat("X: ", std::string(20'000, 'x'), "\r\n"))).head,
              StartsWith("HTTP/1.1 431"));
  EXPECT_THAT(Ask(Post("/api/sign-in", {{"password", std::string(9'000, 'x')}})).head,
              StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(Ask("NONSENSE\r\n\r\n").head, StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Ask("POST /api/sign-out HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: "
                  "chunked\r\n\r\n{}")
                  .head,
              StartsWith("HTTP/1.1 400"));
}

// Beast's own limits do not count these; a trailer of this length even made it throw.
TEST_F(PortalServerTest, WhatIsTooLongAmongChunksIsRefused) {
  const std::string head =
      "POST /api/sign-out HTTP/1.1\r\nHost: werkplek.test\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string many(70'000, 'a');
  for (const std::string& rest :
       {absl::StrCat("0\r\nX: ", many, "\r\n\r\n"), absl::StrCat("1;", many)}) {
    EXPECT_THAT(Ask(absl::StrCat(head, rest)).head, StartsWith("HTTP/1.1 400"));
  }
}

TEST_F(PortalServerTest, ADisplayIsTheDesktopsBytes) {
  broker_.updates = {QueuedUpdate(), ReadyUpdate()};
  RawClient client = Browser();
  ASSERT_TRUE(client.Send(Upgrade()));
  EXPECT_THAT(client.ReceiveHead(), HasSubstr("Sec-WebSocket-Protocol: werkplek.display"));
  EXPECT_EQ(Frame(client), Text(R"({"deadline_unix_ms":0,"position":2,"stage":"queued"})"));
  EXPECT_EQ(Frame(client), Text(kReadyText));
  Descriptor display = TakeDisplay();
  WriteTo(display.get(), "RFB 003.008\n");
  EXPECT_EQ(Frame(client), Binary("RFB 003.008\n"));
  ASSERT_TRUE(client.Send(Masked("hello")));
  EXPECT_EQ(ReadFrom(display.get(), 5), "hello");
  ASSERT_TRUE(client.Send(Masked("again")));
  EXPECT_EQ(ReadFrom(display.get(), 5), "again");
  EXPECT_EQ(displays_, 1u);
  {
    MutexLock lock(mutex_);
    ASSERT_EQ(requests_.size(), 1u);
    EXPECT_EQ(requests_[0].peer, "gateway/gw-a");
    EXPECT_EQ(requests_[0].certificate_sha256, Material(own_).own.sha256)
        << "the ticket is the gateway's";
    EXPECT_EQ(requests_[0].kind, RelayChannelKind::kVnc);
  }
  display.Close();
  EXPECT_EQ(Frame(client), "\x88\x03\xe8") << "the desktop's end is an orderly one";
  EXPECT_EQ(broker_.WaitForSaid(1)[0], "connect kantoor by Bearer tok-1 at 127.0.0.1");
}

TEST_F(PortalServerTest, ABrowserThatLeavesTheQueueFreesItsPlace) {
  broker_.updates = {QueuedUpdate()};
  broker_.hold = true;
  {
    RawClient client = Opening();
    EXPECT_THAT(Frame(client), HasSubstr("queued"));
  }
  EXPECT_EQ(broker_.WaitForSaid(2)[1], "cancelled");
}

TEST_F(PortalServerTest, ARefusalCarriesItsReasons) {
  v1::ConnectUpdate update;
  update.mutable_refused()->set_rule("pool-full");
  update.mutable_refused()->add_reasons("vol");
  broker_.updates = {update};
  RawClient client = Opening();
  EXPECT_EQ(Frame(client),
            Text(R"({"explain_id":"","reasons":["vol"],"rule":"pool-full","stage":"refused"})"));
  EXPECT_EQ(Frame(client), "\x88\x03\xe8");
}

TEST_F(PortalServerTest, AHostThatRefusesIsTold) {
  {
    MutexLock lock(mutex_);
    verdict_ = {403, "the ticket was used", -1};
  }
  broker_.updates = {ReadyUpdate()};
  RawClient client = Opening();
  const std::string told = Frame(client);
  EXPECT_THAT(told, HasSubstr(R"("stage":"failed")"));
  EXPECT_THAT(told, HasSubstr(R"("error":"forbidden")"));
  EXPECT_EQ(Frame(client), "\x88\x03\xe8");
}

TEST_F(PortalServerTest, ConnectionsOfOneAddressAreLimitedUntilTheyShowADesktop) {
  portal_options_.max_waiting_per_address = 2;
  StartPortal();
  broker_.updates = {ReadyUpdate()};
  RawClient shown = Opening();
  EXPECT_EQ(Frame(shown), Text(kReadyText));
  const Descriptor display = TakeDisplay();
  RawClient second = Browser();
  RawClient third = Browser();
  EXPECT_TRUE(second.connected() && third.connected());
  // OpenSSL's own socket writes raise it when the other side is gone.
  signal(SIGPIPE, SIG_IGN);
  EXPECT_EQ(portal_->turned_away(), 0u);
  EXPECT_FALSE(Browser().connected()) << "one too many from this address";
  EXPECT_EQ(portal_->turned_away(), 1u);
}

TEST_F(PortalServerTest, DisplaysAreLimited) {
  portal_options_.max_displays = 1;
  StartPortal();
  broker_.updates = {ReadyUpdate()};
  RawClient first = Opening();
  EXPECT_EQ(Frame(first), Text(kReadyText));
  RawClient second = Opening();
  EXPECT_THAT(Frame(second), HasSubstr(R"("error":"too-many")"));
  EXPECT_EQ(displays_, 1u);
}

TEST_F(PortalServerTest, ThoseWhoWaitAreInNobodysWay) {
  broker_.updates = {QueuedUpdate()};
  broker_.hold = true;
  std::vector<std::unique_ptr<RawClient>> waiting;
  // More than a broker takes from one connection.
  for (int i = 0; i < 105; ++i) {
    waiting.push_back(std::make_unique<RawClient>(Opening()));
    ASSERT_THAT(Frame(*waiting.back()), HasSubstr("queued")) << i;
  }
  EXPECT_THAT(Ask(Request("GET /api/pools", kCookie)).head, StartsWith("HTTP/1.1 200"));
}

TEST_F(PortalServerTest, AHeadHasNoBody) {
  RawClient client = Browser();
  ASSERT_TRUE(client.Send(Request("HEAD /portal.js", "") + Request("GET /nowhere", "")));
  EXPECT_THAT(client.ReceiveHead(), HasSubstr("Content-Length: "));
  EXPECT_THAT(client.ReceiveHead(), StartsWith("HTTP/1.1 404")) << "right behind it";
  EXPECT_THAT(Ask(Request("PUT /", "")).head, HasSubstr("Allow: GET, HEAD\r\n"));
}

TEST_F(PortalServerTest, WhatABrowserSaysTooEarlyEndsIt) {
  broker_.updates = {QueuedUpdate()};
  broker_.hold = true;
  RawClient client = Opening();
  EXPECT_THAT(Frame(client), HasSubstr("queued"));
  ASSERT_TRUE(client.Send(Masked("hello")));
  EXPECT_EQ(broker_.WaitForSaid(2)[1], "cancelled");
}

TEST_F(PortalServerTest, ASilentConnectionIsCut) {
  portal_options_.request_deadline = absl::Milliseconds(50);
  StartPortal();
  RawClient client = Browser();
  EXPECT_TRUE(client.Send("GET / HT"));
  EXPECT_EQ(client.ReceiveAll(), "");
}

TEST_F(PortalServerTest, TheEndCutsEverything) {
  broker_.updates = {ReadyUpdate()};
  RawClient client = Opening();
  EXPECT_EQ(Frame(client), Text(kReadyText));
  Descriptor display = TakeDisplay();
  portal_ = nullptr;
  EXPECT_EQ(client.ReceiveAll(), "");
  EXPECT_FALSE(client.ended_in_order()) << "so the page knows that the gateway went";
  EXPECT_TRUE(AtEnd(display.get()));
  EXPECT_EQ(displays_, 0u);
}

}  // namespace
}  // namespace werkplek
