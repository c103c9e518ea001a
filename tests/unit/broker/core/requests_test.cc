#include "broker/core/requests.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/broker/core/driver.h"
#include "tests/unit/broker/core/municipality.h"

namespace werkplek {
namespace {

class RequestsTest : public Municipality {
 protected:
  // The token of a sign-in through the gateway.
  std::string SignInThrough(const std::string& gateway, const std::string& user) {
    driver_.Enrol(user);
    SignInChecked event = driver_.GoodSignIn(user);
    event.caller = driver_.AtGateway(gateway);
    driver_.Apply(event);
    EXPECT_NE(driver_.fleet().sign_in_by_token.Find(event.token_sha256), nullptr) << user;
    return event.token_sha256;
  }
  template <typename Request>
  absl::Status At(const std::string& gateway, const std::string& token, const Request& request) {
    return driver_.CallAs(driver_.AtGateway(gateway, token), request).status();
  }
};

TEST_F(RequestsTest, GatewaysHaveOneScopeOfRequestIdsAndMachinesTheirOwn) {
  const std::string at_gateway = RequestKey(driver_.AtGateway("gw-a"), "r-1");
  EXPECT_EQ(at_gateway, "gateway/r-1");
  EXPECT_EQ(RequestKey(driver_.AtGateway("gw-b"), "r-1"), at_gateway);
  EXPECT_EQ(RequestKey(driver_.CallerOf(""), "r-1"), "admin/desk-1/r-1");
}

TEST_F(RequestsTest, ARequestThatIsRepeatedAtAnotherGatewayIsDoneOnce) {
  Open(1, 4, 1);
  Come("jan");
  const std::string token = SignInThrough("gw-a", "jan");
  v1::EndSessionRequest end;
  end.set_request_id("end-1");
  end.set_session(driver_.SessionOf("jan")->id());
  EXPECT_TRUE(At("gw-a", token, end).ok());
  const size_t records = driver_.audit().size();
  EXPECT_TRUE(At("gw-b", token, end).ok());
  EXPECT_EQ(driver_.audit().size(), records);
  end.set_session("another");
  EXPECT_TRUE(absl::IsInvalidArgument(At("gw-b", token, end)));

  v1::SignOutRequest out;
  out.set_request_id("out-1");
  EXPECT_TRUE(At("gw-a", token, out).ok());
  EXPECT_TRUE(At("gw-b", token, out).ok()) << "also when the token is dead by then";
  out.set_request_id("out-2");
  EXPECT_TRUE(absl::IsUnauthenticated(At("gw-b", token, out)));
}

TEST_F(RequestsTest, NobodyGetsAnothersAnswerByItsRequestId) {
  Open(2, 4, 2);
  Come("jan");
  const std::string jan = SignInThrough("gw-a", "jan");
  const std::string piet = SignInThrough("gw-a", "piet");
  v1::EndSessionRequest end;
  end.set_request_id("end-1");
  end.set_session(driver_.SessionOf("jan")->id());
  ASSERT_TRUE(At("gw-a", jan, end).ok());
  for (const char* gateway : {"gw-a", "gw-b"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(At(gateway, piet, end))) << gateway;
  }
  v1::SignOutRequest out;
  out.set_request_id("out-1");
  ASSERT_TRUE(At("gw-a", jan, out).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(At("gw-b", piet, out)));
  EXPECT_NE(driver_.fleet().sign_in_by_token.Find(piet), nullptr) << "nothing was done";
  // Nor does a dead token of the same person, or none, learn anything.
  EXPECT_TRUE(absl::IsUnauthenticated(At("gw-b", jan, end)));
  EXPECT_TRUE(absl::IsUnauthenticated(At("gw-b", "", out)));
}

TEST_F(RequestsTest, ATokenAtTheWrongKindOfMachineCountsAsStolen) {
  v1::SignOutRequest out;
  const std::string by_browser = SignInThrough("gw-a", "jan");
  EXPECT_TRUE(absl::IsUnauthenticated(driver_.Call(by_browser, out).status()));
  EXPECT_EQ(driver_.Counted("calls", "stolen-token"), 1u);
  const std::string of_machine = driver_.SignIn("piet");
  EXPECT_TRUE(absl::IsUnauthenticated(At("gw-a", of_machine, out)));
  EXPECT_EQ(driver_.Counted("calls", "stolen-token"), 2u);
  EXPECT_EQ(driver_.fleet().sign_ins.size(), 2u);
}

}  // namespace
}  // namespace werkplek
