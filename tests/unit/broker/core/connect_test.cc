#include "broker/core/connect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/broker/core/driver.h"

namespace werkplek {
namespace {

using testing::HasSubstr;

class ConnectTest : public testing::Test {
 protected:
  // One site, one host, one pool of up to `max` desktops.
  void Open(uint32_t min, uint32_t max, uint32_t spares) {
    driver_.Create(MakeSite("a"));
    driver_.Create(MakeHost("hv-a1"));
    driver_.Create(MakeImage("tiny"));
    driver_.Create(MakePool("kantoor", min, max, spares));
    driver_.Create(MakeEntitlement("kantoor"));
    driver_.AddHost("hv-a1");
    driver_.Advance(absl::Seconds(2));
  }

  Driver driver_;
};

TEST_F(ConnectTest, ARunningSpareIsGivenWithItsTicket) {
  Open(2, 4, 1);
  EXPECT_EQ(driver_.Desktops(v1::DESKTOP_STATE_READY), 2);
  const std::string jan = driver_.SignIn("jan");
  const CallId call = driver_.Connect(jan, "kantoor");
  const v1::ConnectUpdate last = driver_.Last(call);
  ASSERT_TRUE(last.has_ready()) << last.ShortDebugString();
  EXPECT_TRUE(driver_.Failure(call).ok());
  const v1::Session* session = driver_.SessionOf("jan");
  ASSERT_NE(session, nullptr);
  EXPECT_EQ(last.ready().session(), session->id());
  EXPECT_EQ(last.ready().host(), "hv-a1");
  EXPECT_EQ(last.ready().relays(0), "192.0.2.1:5900");
  EXPECT_FALSE(last.ready().resumed());
  EXPECT_EQ(session->state(), v1::SESSION_STATE_READY);
  EXPECT_EQ(session->explanation().decision(), "running spare");
  EXPECT_EQ(driver_.DesktopOf("jan")->state(), v1::DESKTOP_STATE_ASSIGNED);
}

}  // namespace
}  // namespace werkplek
