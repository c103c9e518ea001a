// What a report says, and that whoever gets it can read it.
#include <gtest/gtest.h>

#include "agent/core/agent_core.h"
#include "tests/unit/agent/core/core_harness.h"

namespace werkplek {
namespace {

class AgentReportTest : public testing::Test {
 protected:
  void Start() {
    agent_.Begin();
    agent_.Obey(v1::COMMAND_START);
    agent_.Advance(absl::Seconds(2));
  }

  // The report as the broker's parser takes it.
  v1::AgentReport Parsed() {
    v1::AgentReport parsed;
    EXPECT_TRUE(parsed.ParseFromString(agent_.core.Report().SerializeAsString()));
    return parsed;
  }

  CoreHarness agent_;
};

TEST_F(AgentReportTest, UsedIsToldFromTheFirstTicketOrSessionOn) {
  Start();
  EXPECT_FALSE(agent_.Desktop().used());
  agent_.Obey(v1::COMMAND_GRANT_TICKET);
  EXPECT_TRUE(agent_.Desktop().used());
  agent_.Obey(v1::COMMAND_RESET, 2);
  EXPECT_FALSE(agent_.Desktop().used()) << "of this generation only";
  agent_.Advance(absl::Seconds(2));
  agent_.host.failures[OperationKind::kBeginSession] = absl::InternalError("no such user");
  agent_.Obey(v1::COMMAND_BEGIN_SESSION, 2);
  EXPECT_TRUE(agent_.Desktop().used()) << "the guest may have heard of the person";
}

TEST_F(AgentReportTest, AKeptDesktopIsToldAsKept) {
  Start();
  EXPECT_FALSE(agent_.Desktop().kept());
  agent_.hears = true;
  agent_.Advance(absl::Seconds(2));
  v1::AgentCommand kept = agent_.KeptCommand(v1::COMMAND_RESET);
  kept.set_desktop("thuis-1");
  agent_.Obey(kept);
  EXPECT_TRUE(agent_.Desktop("thuis-1").kept());
  EXPECT_FALSE(agent_.Desktop("thuis-1").used());
}

TEST_F(AgentReportTest, ALongErrorIsReportedShortAndStaysText) {
  Start();
  const std::string fits(kMaxReportedErrorBytes - 1, 'x');
  agent_.host.failures[OperationKind::kCreate] = absl::InternalError(fits + "\u00e9" + fits);
  agent_.Obey(v1::COMMAND_RESET, 2);
  EXPECT_EQ(agent_.Desktop().failed_verb(), v1::COMMAND_RESET);
  EXPECT_EQ(agent_.Desktop().error(), fits);
}

TEST_F(AgentReportTest, NoBytesOfAGuestMakeTheReportUnreadable) {
  Start();
  for (const char* bytes : {"\xff", "\xe2\x82", "a\x80z", "\xed\xa0\x80"}) {
    agent_.host.failures[OperationKind::kBeginSession] =
        absl::InternalError(absl::StrCat("session-hook begin in the guest ended with 1: ", bytes));
    agent_.Obey(v1::COMMAND_BEGIN_SESSION);
    const v1::AgentReport parsed = Parsed();
    ASSERT_EQ(parsed.desktops_size(), 1) << bytes;
    EXPECT_EQ(parsed.desktops(0).failed_verb(), v1::COMMAND_BEGIN_SESSION);
    EXPECT_EQ(parsed.desktops(0).error().find("session-hook begin in the guest ended with 1: "),
              0u);
  }
}

TEST_F(AgentReportTest, NoBytesOfAnImageMakeTheReportUnreadable) {
  agent_.Begin();
  v1::ImageReport damaged;
  damaged.set_image("tiny");
  damaged.set_error("/images/\xff.qcow2 is damaged");
  agent_.ApplyAndSettle(agent::ImagesKnown{{damaged}});
  EXPECT_EQ(Parsed().images(0).error(), "/images/?.qcow2 is damaged");
  agent_.host.failures[OperationKind::kFetchImage] =
      absl::NotFoundError(absl::StrCat("no \xfe there: ", std::string(1'000, 'x')));
  agent_.Obey(v1::COMMAND_FETCH_IMAGE);
  const v1::AgentReport parsed = Parsed();
  ASSERT_EQ(parsed.images_size(), 1);
  EXPECT_EQ(parsed.images(0).error().substr(0, 12), "no ? there: ");
  EXPECT_EQ(parsed.images(0).error().size(), kMaxReportedErrorBytes);
}

}  // namespace
}  // namespace werkplek
