#include "client/login/connect_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/client/login/login_program.h"

namespace werkplek {
namespace {

using testing::HasSubstr;
using testing::Not;

using ConnectCommandTest = LoginProgramTest;

TEST_F(ConnectCommandTest, AsksForNewTicketsWhenGatewaysAreLostButNotForEver) {
  OfferPools();
  OfferDesktop();
  gateways_lost_ = 2;
  const Result result = Run({"connect", "kantoor", "--outside"});
  EXPECT_EQ(result.code, ExitCode::kOk) << result.err;
  ASSERT_EQ(shown_.size(), 3);
  EXPECT_TRUE(shown_[2].choice.outside);
  EXPECT_THAT(result.err, HasSubstr("The gateway was lost. Your work stays open"));
  const auto asked = broker_.Requests<v1::ConnectRequest>("Connect");
  ASSERT_EQ(asked.size(), 3);
  EXPECT_FALSE(asked[0].again());
  EXPECT_TRUE(asked[1].again());
  EXPECT_TRUE(asked[2].again());
  gateways_lost_ = 1000;
  EXPECT_EQ(Run({"connect", "kantoor"}).code, ExitCode::kUnavailable);
  EXPECT_EQ(shown_.size(), 23);
}

TEST_F(ConnectCommandTest, TriesAScreenThatDoesNotOpenThreeTimes) {
  OfferPools();
  OfferDesktop();
  unopened_ = 2;
  const Result result = Run({"connect", "kantoor"});
  EXPECT_EQ(result.code, ExitCode::kOk) << result.err;
  EXPECT_EQ(shown_.size(), 3);
  EXPECT_EQ(slept_, absl::Seconds(3));
  EXPECT_THAT(result.err, HasSubstr("It is busy.\nTrying again.\n"));
  // Another device may have closed the door: nothing is taken back from it.
  const auto asked = broker_.Requests<v1::ConnectRequest>("Connect");
  ASSERT_EQ(asked.size(), 3);
  EXPECT_FALSE(asked[0].again());
  EXPECT_TRUE(asked[1].again());
  EXPECT_TRUE(asked[2].again());
  unopened_ = 1000;
  EXPECT_EQ(Run({"connect", "kantoor"}).code, ExitCode::kUnavailable);
  EXPECT_EQ(shown_.size(), 6);
}

TEST_F(ConnectCommandTest, ConnectsThroughAllStages) {
  OfferPools();
  SignIn();
  std::vector<v1::ConnectUpdate> updates(4);
  updates[0].mutable_queued()->set_position(2);
  updates[0].mutable_queued()->set_deadline_unix_ms(absl::ToUnixMillis(kNow + absl::Minutes(5)));
  updates[1].mutable_starting()->set_desktop("kantoor-1");
  updates[2].mutable_preparing()->set_desktop("kantoor-1");
  updates[3].mutable_ready()->set_desktop("kantoor-1");
  updates[3].mutable_ready()->set_ticket("s3cret");
  FakeBroker::Answer stream;
  for (const v1::ConnectUpdate& update : updates) {
    stream.messages.push_back(std::make_shared<v1::ConnectUpdate>(update));
  }
  broker_.Always("Connect", stream);
  const Result result = Run({"connect", "kantoor"});
  EXPECT_EQ(result.code, ExitCode::kOk);
  EXPECT_EQ(result.err,
            "Asking for a desktop of kantoor\n"
            "Waiting for a desktop: position 2, at most 5m 0s longer\n"
            "Starting kantoor-1\n"
            "Preparing kantoor-1 for you\n"
            "Opening the screen of kantoor-1\n"
            "The screen is closed.\n"
            "Your session stays open for now. Back to it: werkplek connect kantoor. End it: "
            "werkplek end kantoor.\n");
  EXPECT_EQ(result.out, "");
  ASSERT_EQ(shown_.size(), 1);
  EXPECT_EQ(shown_[0].ready.ticket(), "s3cret");
  EXPECT_FALSE(shown_[0].choice.vnc);
  EXPECT_FALSE(shown_[0].choice.no_viewer);
}

TEST_F(ConnectCommandTest, PassesTheChoiceOfDisplayOn) {
  SignIn();
  OfferDesktop();
  EXPECT_EQ(Run({"connect", "p", "--vnc"}).code, ExitCode::kOk);
  EXPECT_EQ(Run({"connect", "p", "--spice"}).code, ExitCode::kOk);
  EXPECT_EQ(Run({"connect", "p", "--screenshot", "a.png"}).code, ExitCode::kOk);
  EXPECT_EQ(Run({"connect", "p", "--vnc", "--no-viewer"}).code, ExitCode::kOk);
  ASSERT_EQ(shown_.size(), 4);
  EXPECT_TRUE(shown_[0].choice.vnc);
  EXPECT_FALSE(shown_[0].choice.no_viewer);
  EXPECT_FALSE(shown_[1].choice.vnc);
  EXPECT_TRUE(shown_[1].choice.no_viewer);
  EXPECT_EQ(shown_[2].choice.screenshot, "a.png");
  EXPECT_TRUE(shown_[3].choice.vnc && shown_[3].choice.no_viewer);
  EXPECT_EQ(Run({"connect", "p", "--vnc", "--spice"}).code, ExitCode::kUsage);
  EXPECT_EQ(Run({"connect", "p", "--vnc", "--screenshot", "x"}).code, ExitCode::kUsage);
}

TEST_F(ConnectCommandTest, ARefusalSaysWhyAndIsNoTrouble) {
  SignIn();
  v1::ConnectUpdate update;
  update.mutable_refused()->set_rule("no-entitlement");
  update.mutable_refused()->set_explain_id("r-9");
  broker_.Reply("Connect", update);
  const Result result = Run({"connect", "gis"});
  EXPECT_EQ(result.code, ExitCode::kRefused);
  EXPECT_THAT(result.err, HasSubstr("No desktop of gis: you have no access to this pool"));
  EXPECT_THAT(result.err, HasSubstr("r-9"));
  EXPECT_TRUE(shown_.empty());
}

TEST_F(ConnectCommandTest, ATakeoverOnAnotherDeviceIsTheEnd) {
  SignIn();
  v1::ConnectUpdate ready;
  ready.mutable_ready()->set_desktop("kantoor-1");
  gateways_lost_ = 1;
  broker_.Once("Connect", FakeBroker::Says(ready));
  broker_.Once("Connect",
               FakeBroker::Fails(grpc::StatusCode::ABORTED, "taken over by a newer connect"));
  const Result result = Run({"connect", "kantoor", "--language", "nl"});
  EXPECT_EQ(result.code, ExitCode::kRefused);
  EXPECT_THAT(result.err, HasSubstr("werkplek: Je bureaublad is elders geopend, of je sessie is "
                                    "beëindigd.\nVoor de helpdesk: taken over by a newer connect"));
  EXPECT_EQ(shown_.size(), 1);
}

TEST_F(ConnectCommandTest, AStreamThatEndsWithoutAnAnswerIsAFailure) {
  SignIn();
  broker_.Always("Connect", FakeBroker::Answer{});
  EXPECT_EQ(Run({"connect", "p"}).code, ExitCode::kUnavailable);
}

TEST_F(ConnectCommandTest, AProblemOfThisMachineIsNotTriedAgain) {
  OfferDesktop();
  shown_status_ = LocalProblem(absl::PermissionDeniedError("a.png: Permission denied"));
  EXPECT_EQ(Run({"connect", "p", "--screenshot", "a.png"}).code, ExitCode::kLocal);
  EXPECT_EQ(shown_.size(), 1);
  EXPECT_EQ(slept_, absl::ZeroDuration());
}

TEST_F(ConnectCommandTest, DisplayTroubleHasItsOwnCode) {
  SignIn();
  OfferDesktop();
  shown_status_ = LocalProblem(absl::NotFoundError("no viewer"));
  EXPECT_EQ(Run({"connect", "p"}).code, ExitCode::kLocal);
}

}  // namespace
}  // namespace werkplek
