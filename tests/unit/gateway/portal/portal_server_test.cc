// The portal's port as a browser meets it, with a scripted broker and a real relay of a host.
#include "gateway/portal/portal_server.h"

#include "tests/unit/gateway/portal/portal_harness.h"

namespace werkplek {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;
using PortalServerTest = PortalTest;

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

TEST_F(PortalServerTest, APageThatTheBrowserHasIsNotSentAgain) {
  RawClient client = Browser();
  const auto get = [&client](const std::string& path, const std::string& known) {
    EXPECT_TRUE(client.Send(Request(absl::StrCat("GET ", path), known)));
    return Receive(client);
  };
  const std::string head = get("/portal.js", "").head;
  const size_t at = head.find("ETag: ") + 6;
  const std::string known =
      absl::StrCat("If-None-Match: \"x\", W/", head.substr(at, head.find('\r', at) - at), "\r\n");
  const HttpAnswer again = get("/portal.js", known);
  EXPECT_THAT(again.head, StartsWith("HTTP/1.1 304 Not Modified\r\n"));
  EXPECT_THAT(again.head, HasSubstr("Cache-Control: no-cache\r\n"));
  EXPECT_THAT(again.head, Not(HasSubstr("Content-Length")));
  EXPECT_THAT(get("/texts.js", known).head, StartsWith("HTTP/1.1 200 OK\r\n")) << "another one";
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
  portal_options_.broker_pauses = {absl::Milliseconds(1)};
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

TEST_F(PortalServerTest, ADisplayThatWasLostIsAskedForAsSuch) {
  broker_.end = {grpc::StatusCode::ABORTED, "the desktop was opened elsewhere meanwhile"};
  RawClient client = Opening("/display/kantoor?again");
  EXPECT_THAT(Frame(client), HasSubstr(R"("error":"taken-over")"));
  EXPECT_EQ(Frame(client), "\x88\x03\xe8") << "it is not tried again";
  EXPECT_THAT(broker_.WaitForSaid(1),
              testing::ElementsAre("connect kantoor again by Bearer tok-1 at 127.0.0.1"));
}

TEST_F(PortalServerTest, WhoeverWaitsHearsThatTheGatewayIsThere) {
  portal_options_.tell_again = absl::Milliseconds(20);
  StartPortal();
  broker_.hold = true;
  {
    RawClient client = Opening();
    for (int i = 0; i < 2; ++i) EXPECT_EQ(Frame(client), Text(R"({"stage":"waiting"})"));
  }
  EXPECT_EQ(broker_.WaitForSaid(2)[1], "cancelled");
  broker_.updates = {QueuedUpdate()};
  RawClient client = Opening();
  std::string frame = Frame(client);
  while (frame == Text(R"({"stage":"waiting"})")) frame = Frame(client);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(frame, Text(R"({"deadline_unix_ms":0,"position":2,"stage":"queued"})"));
    frame = Frame(client);
  }
}

TEST_F(PortalServerTest, TheStageIsNotToldAgainOnceTheScreenIsThere) {
  portal_options_.tell_again = absl::Milliseconds(5);
  StartPortal();
  broker_.updates = {ReadyUpdate()};
  RawClient client = Opening();
  std::string frame = Frame(client);
  while (frame == Text(R"({"stage":"waiting"})")) frame = Frame(client);
  EXPECT_EQ(frame, Text(kReadyText));
  const Descriptor display = TakeDisplay();
  for (const char* picture : {"one", "two", "three"}) {
    WriteTo(display.get(), picture);
    EXPECT_EQ(Frame(client), Binary(picture));
  }
}

TEST_F(PortalServerTest, AChangeOfTheLeaderThrowsNobodyOut) {
  portal_options_.broker_pauses = {absl::Milliseconds(1), absl::Milliseconds(1)};
  StartPortal();
  broker_.updates = {ReadyUpdate()};
  // Each round asks twice.
  broker_.unavailable_connects = 4;
  RawClient client = Opening();
  EXPECT_EQ(Frame(client), Text(kReadyText));
  EXPECT_EQ(broker_.WaitForSaid(5).size(), 5u);
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
