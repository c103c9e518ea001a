// What browsers may ask of the portal, and how answers look to them.
#include "gateway/portal/portal_call.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "common/base/retry_after.h"

namespace werkplek {
namespace {

namespace http = boost::beast::http;
using nlohmann::json;
using testing::HasSubstr;

const std::vector<std::string> kOrigins = {"https://werkplek.example.nl",
                                           "https://thuis.example.nl:8443"};

PortalHead Post(const std::string& target) {
  PortalHead head;
  head.version(11);
  head.method(http::verb::post);
  head.target(target);
  head.set("Origin", kOrigins[0]);
  head.set("X-Werkplek", "1");
  head.set("Content-Type", "application/json");
  return head;
}

PortalHead Upgrade(const std::string& target) {
  PortalHead head;
  head.version(11);
  head.method(http::verb::get);
  head.target(target);
  head.set("Origin", kOrigins[0]);
  head.set("Sec-WebSocket-Protocol", "werkplek.display");
  return head;
}

unsigned StatusOf(const std::variant<PortalCall, PortalAnswer>& read) {
  const auto* answer = std::get_if<PortalAnswer>(&read);
  return answer == nullptr ? 200 : answer->status;
}

constexpr char kSignIn[] =
    R"({"request_id":"r1","user":"jan","password":"geheim","code":"123456","language":"nl"})";

TEST(PortalCallTest, ASignInIsRead) {
  const auto read = ReadCall(Post("/api/sign-in"), kSignIn, kOrigins);
  ASSERT_EQ(StatusOf(read), 200u);
  const auto& request = std::get<v1::SignInRequest>(std::get<PortalCall>(read));
  EXPECT_EQ(request.request_id(), "r1");
  EXPECT_EQ(request.user(), "jan");
  EXPECT_EQ(request.password(), "geheim");
  EXPECT_EQ(request.token_code(), "123456");
  EXPECT_EQ(request.client().language(), "nl");
}

TEST(PortalCallTest, TheOtherCallsAreRead) {
  const std::string body = R"({"request_id":"r1","session":"s1"})";
  auto read = ReadCall(Post("/api/disconnect"), body, kOrigins);
  EXPECT_EQ(std::get<v1::DisconnectRequest>(std::get<PortalCall>(read)).session(), "s1");
  read = ReadCall(Post("/api/end"), body, kOrigins);
  EXPECT_EQ(std::get<v1::EndSessionRequest>(std::get<PortalCall>(read)).session(), "s1");
  read = ReadCall(Post("/api/sign-out"), body, kOrigins);
  EXPECT_EQ(std::get<v1::SignOutRequest>(std::get<PortalCall>(read)).request_id(), "r1");
  PortalHead pools;
  pools.method(http::verb::get);
  pools.target("/api/pools");
  EXPECT_TRUE(
      std::holds_alternative<ListCall>(std::get<PortalCall>(ReadCall(pools, "", kOrigins))));
}

TEST(PortalCallTest, OnlyOurOwnPagesMayCall) {
  for (const char* origin :
       {"", "null", "https://evil-werkplek.example.nl", "https://werkplek.example.nl.evil.org",
        "https://werkplek.example.nl:444", "https://WERKPLEK.example.nl",
        "http://werkplek.example.nl", "https://werkplek.example.nl/"}) {
    PortalHead head = Post("/api/sign-in");
    head.set("Origin", origin);
    EXPECT_EQ(StatusOf(ReadCall(head, kSignIn, kOrigins)), 403u) << origin;
    PortalHead upgrade = Upgrade("/display/kantoor");
    upgrade.set("Origin", origin);
    const auto display = ReadDisplayCall(upgrade, kOrigins);
    ASSERT_TRUE(std::holds_alternative<PortalAnswer>(display)) << origin;
    EXPECT_EQ(std::get<PortalAnswer>(display).status, 403u);
  }
  PortalHead none = Post("/api/sign-in");
  none.erase("Origin");
  EXPECT_EQ(StatusOf(ReadCall(none, kSignIn, kOrigins)), 403u);
  PortalHead two = Post("/api/sign-in");
  two.insert("Origin", kOrigins[0]);
  EXPECT_EQ(StatusOf(ReadCall(two, kSignIn, kOrigins)), 403u);
  PortalHead plain = Post("/api/sign-in");
  plain.erase("X-Werkplek");
  EXPECT_EQ(StatusOf(ReadCall(plain, kSignIn, kOrigins)), 403u);
  PortalHead other = Post("/api/sign-in");
  other.set("Origin", kOrigins[1]);
  EXPECT_EQ(StatusOf(ReadCall(other, kSignIn, kOrigins)), 200u);
}

TEST(PortalCallTest, GettingChangesNothing) {
  for (const char* target : {"/api/sign-in", "/api/disconnect", "/api/end", "/api/sign-out"}) {
    PortalHead head = Post(target);
    head.method(http::verb::get);
    EXPECT_EQ(StatusOf(ReadCall(head, kSignIn, kOrigins)), 405u) << target;
  }
  EXPECT_EQ(StatusOf(ReadCall(Post("/api/pools"), "{}", kOrigins)), 405u);
  EXPECT_EQ(StatusOf(ReadCall(Post("/api/elsewhere"), "{}", kOrigins)), 404u);
  EXPECT_EQ(StatusOf(ReadCall(Post("/api/sign-in?user=jan"), kSignIn, kOrigins)), 404u);
}

TEST(PortalCallTest, WhatIsMissingIsNamed) {
  struct Bad {
    const char* body;
    const char* complaint;
  };
  for (const Bad& bad : {Bad{"", "JSON object"}, Bad{"[]", "JSON object"}, Bad{"{", "JSON object"},
                         Bad{R"({"user":"jan"})", "request_id: must be a text"},
                         Bad{R"({"request_id":"r","user":7})", "user: must be a text"},
                         Bad{R"({"request_id":"r","user":"j","password":null})", "password"}}) {
    const auto read = ReadCall(Post("/api/sign-in"), bad.body, kOrigins);
    ASSERT_EQ(StatusOf(read), 400u) << bad.body;
    EXPECT_THAT(std::get<PortalAnswer>(read).body, HasSubstr(bad.complaint));
  }
  PortalHead form = Post("/api/sign-in");
  form.set("Content-Type", "application/x-www-form-urlencoded");
  EXPECT_EQ(StatusOf(ReadCall(form, kSignIn, kOrigins)), 400u);
}

TEST(PortalCallTest, ADisplayIsAskedForByItsPool) {
  const auto read = ReadDisplayCall(Upgrade("/display/kantoor-2"), kOrigins);
  ASSERT_TRUE(std::holds_alternative<DisplayCall>(read));
  EXPECT_EQ(std::get<DisplayCall>(read).pool, "kantoor-2");
  EXPECT_FALSE(std::get<DisplayCall>(read).again);
  const auto again = ReadDisplayCall(Upgrade("/display/kantoor-2?again"), kOrigins);
  ASSERT_TRUE(std::holds_alternative<DisplayCall>(again));
  EXPECT_EQ(std::get<DisplayCall>(again).pool, "kantoor-2");
  EXPECT_TRUE(std::get<DisplayCall>(again).again);
  EXPECT_TRUE(std::holds_alternative<DisplayCall>(
      ReadDisplayCall(Upgrade("/display/kantoor.noord"), kOrigins)));
  for (const char* target :
       {"/display/", "/display/..", "/display/Kantoor", "/display/a/b", "/display/a?b",
        "/display/?again", "/display/a?again?again", "/", "/kantoor"}) {
    const auto bad = ReadDisplayCall(Upgrade(target), kOrigins);
    ASSERT_TRUE(std::holds_alternative<PortalAnswer>(bad)) << target;
    EXPECT_EQ(std::get<PortalAnswer>(bad).status, 404u) << target;
  }
  PortalHead other = Upgrade("/display/kantoor");
  other.set("Sec-WebSocket-Protocol", "binary");
  EXPECT_EQ(std::get<PortalAnswer>(ReadDisplayCall(other, kOrigins)).status, 400u);
}

TEST(PortalCallTest, TheTokenIsInOneCookie) {
  struct Case {
    const char* cookies;
    const char* token;
  };
  for (const Case& one :
       {Case{"__Host-werkplek=abc_-9", "abc_-9"}, Case{"a=b; __Host-werkplek=abc; c=d", "abc"},
        Case{"a=b", ""}, Case{"werkplek=abc", ""}, Case{"__Host-werkplek=", ""},
        Case{"__Host-werkplek=a b", ""}, Case{"x__Host-werkplek=abc", ""},
        // Whose is it then? Nobody's.
        Case{"__Host-werkplek=abc; __Host-werkplek=def", ""}}) {
    PortalHead head;
    head.set("Cookie", one.cookies);
    EXPECT_EQ(TokenOf(head).Reveal(), one.token) << one.cookies;
  }
  PortalHead two;
  two.insert("Cookie", "__Host-werkplek=abc");
  two.insert("Cookie", "__Host-werkplek=abc");
  EXPECT_TRUE(TokenOf(two).empty());
  PortalHead long_one;
  long_one.set("Cookie", absl::StrCat("__Host-werkplek=", std::string(129, 'a')));
  EXPECT_TRUE(TokenOf(long_one).empty());
}

TEST(PortalCallTest, ASignInGivesACookieAndNoToken) {
  v1::SignInResponse response;
  response.set_access_token("tok-1");
  response.set_display_name("Jan de Vries");
  response.set_expires_unix_ms(1'790'000'000'123);
  response.set_idle_limit_s(1800);
  response.add_notices("your password expires in 3 days");
  const PortalAnswer answer = AnswerOf(response);
  EXPECT_EQ(json::parse(answer.body), json::parse(R"({"display_name":"Jan de Vries",
      "expires_unix_ms":1790000000123, "idle_limit_s":1800,
      "notices":["your password expires in 3 days"]})"));
  ASSERT_EQ(answer.headers.size(), 1u);
  EXPECT_EQ(answer.headers[0].first, "Set-Cookie");
  EXPECT_EQ(answer.headers[0].second,
            "__Host-werkplek=tok-1; Path=/; Secure; HttpOnly; SameSite=Strict");
}

TEST(PortalCallTest, ASignOutTakesTheCookie) {
  const PortalAnswer answer = AnswerOf(v1::SignOutResponse());
  EXPECT_EQ(answer.body, "{}");
  EXPECT_EQ(answer.headers[0].second,
            "__Host-werkplek=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
  EXPECT_EQ(answer.headers[1].first, "Clear-Site-Data");
  EXPECT_EQ(answer.headers[1].second, R"("cache", "storage")")
      << "the cookies of other sites of the same domain are not ours";
}

TEST(PortalCallTest, PoolsAreListed) {
  v1::ListPoolsResponse response;
  v1::PoolView* pool = response.add_pools();
  pool->set_pool("kantoor");
  pool->set_description("Kantoor \xff");
  pool->set_available(true);
  v1::SessionView* session = pool->mutable_session();
  session->set_session("s1");
  session->set_desktop("kantoor-1");
  session->set_state(v1::SESSION_STATE_DISCONNECTED);
  session->set_created_unix_ms(5);
  v1::PoolView* broken = response.add_pools();
  broken->set_unavailable_rule("pool-broken");
  broken->set_unavailable_reason("hv-a1: libvirt: cannot open /srv/base.qcow2");
  const json listed = json::parse(AnswerOf(response).body)["pools"];
  ASSERT_EQ(listed.size(), 2u);
  EXPECT_EQ(listed[0]["session"], json::parse(R"({"session":"s1","desktop":"kantoor-1",
      "state":"disconnected","created_unix_ms":5})"));
  EXPECT_EQ(listed[0]["available"], true);
  EXPECT_TRUE(listed[1]["session"].is_null());
  EXPECT_EQ(listed[1]["unavailable_rule"], "pool-broken");
  EXPECT_THAT(listed.dump(), testing::Not(HasSubstr("libvirt"))) << "is for administrators";
}

TEST(PortalCallTest, EachRefusalHasItsStatus) {
  struct Case {
    absl::Status status;
    bool signing_in;
    unsigned http;
    const char* error;
  };
  for (const Case& one :
       {Case{absl::UnauthenticatedError("sign-in failed"), true, 401, "sign-in-failed"},
        Case{absl::UnauthenticatedError("sign in first"), false, 401, "sign-in-first"},
        Case{absl::InvalidArgumentError("x"), true, 400, "bad-request"},
        Case{absl::PermissionDeniedError("x"), false, 403, "forbidden"},
        Case{absl::NotFoundError("x"), false, 404, "not-found"},
        Case{absl::ResourceExhaustedError("x"), true, 429, "too-many"},
        Case{absl::AbortedError("x"), false, 409, "taken-over"},
        Case{absl::DeadlineExceededError("x"), true, 503, "unavailable"},
        Case{absl::InternalError("x"), true, 503, "unavailable"}}) {
    const PortalAnswer answer = AnswerOf(one.status, one.signing_in);
    EXPECT_EQ(answer.status, one.http);
    EXPECT_EQ(json::parse(answer.body)["error"], one.error);
  }
}

TEST(PortalCallTest, ABrowserHearsHowLongToWaitAndNotOfWhichBroker) {
  absl::Status busy = absl::ResourceExhaustedError("too many sign-ins");
  busy.SetPayload("retry-after-ms", absl::Cord("2500"));
  const PortalAnswer wait = AnswerOf(busy, true);
  ASSERT_EQ(wait.headers.size(), 1u);
  EXPECT_EQ(wait.headers[0].second, "3");
  EXPECT_EQ(json::parse(wait.body)["message"], "too many sign-ins");
  const PortalAnswer away = AnswerOf(absl::UnavailableError("10.0.0.7:7443: no route"), false);
  EXPECT_EQ(json::parse(away.body)["message"], "");
}

TEST(PortalCallTest, TooManyWrongPasswordsAreTooMany) {
  const absl::Status paused =
      WithRetryAfter(absl::UnauthenticatedError("sign-in failed: too many"), absl::Minutes(12));
  const PortalAnswer answer = AnswerOf(paused, /*signing_in=*/true);
  EXPECT_EQ(answer.status, 429u);
  EXPECT_EQ(json::parse(answer.body)["error"], "sign-in-paused");
  ASSERT_EQ(answer.headers.size(), 1u);
  EXPECT_EQ(answer.headers[0].second, "720");
  EXPECT_EQ(AnswerOf(paused, /*signing_in=*/false).status, 401u);
}

TEST(PortalCallTest, WhoeverIsTooManyHearsHowLongToWait) {
  const PortalAnswer busy = TooManyAnswer("network-busy", "too many", absl::Milliseconds(5001));
  EXPECT_EQ(busy.status, 429u);
  ASSERT_EQ(busy.headers.size(), 1u);
  EXPECT_EQ(busy.headers[0].first, "Retry-After");
  EXPECT_EQ(busy.headers[0].second, "6");
  EXPECT_EQ(json::parse(busy.body),
            json::parse(R"({"error":"network-busy","message":"too many"})"));
  EXPECT_EQ(json::parse(FailureText(absl::ResourceExhaustedError("x"))),
            json::parse(R"({"stage":"failed","error":"too-many","message":"x",
                            "retry_after_s":1})"))
      << "never 0 seconds";
  const json full = json::parse(GatewayFullText());
  EXPECT_EQ(full["stage"], "failed");
  EXPECT_EQ(full["error"], "gateway-full");
  EXPECT_EQ(full["retry_after_s"], 30);
}

TEST(PortalCallTest, StagesAreTold) {
  v1::ConnectUpdate update;
  update.mutable_queued()->set_position(3);
  update.mutable_queued()->set_deadline_unix_ms(9);
  EXPECT_EQ(json::parse(StageText(update)),
            json::parse(R"({"stage":"queued","position":3,"deadline_unix_ms":9})"));
  update.mutable_starting();
  EXPECT_EQ(StageText(update), R"({"stage":"starting"})");
  update.mutable_preparing();
  EXPECT_EQ(StageText(update), R"({"stage":"preparing"})");
  v1::Ready* ready = update.mutable_ready();
  ready->set_session("s1");
  ready->set_desktop("kantoor-1");
  ready->set_ticket("secret-ticket");
  ready->set_resumed(true);
  EXPECT_EQ(
      json::parse(StageText(update)),
      json::parse(R"({"stage":"ready","session":"s1","desktop":"kantoor-1","resumed":true})"));
  update.mutable_refused()->set_rule("pool-full");
  update.mutable_refused()->add_reasons("vol");
  update.mutable_refused()->set_explain_id("e1");
  EXPECT_EQ(
      json::parse(StageText(update)),
      json::parse(R"({"stage":"refused","rule":"pool-full","reasons":["vol"],"explain_id":"e1"})"));
  EXPECT_EQ(json::parse(FailureText(absl::UnavailableError("10.0.0.7: away"))),
            json::parse(R"({"stage":"failed","error":"unavailable","message":""})"));
}

}  // namespace
}  // namespace werkplek
