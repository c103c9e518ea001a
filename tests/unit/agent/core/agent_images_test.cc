// Images: fetched once, from where they may lie, and known by what became of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/core/agent_core.h"
#include "tests/unit/agent/core/core_harness.h"

namespace werkplek {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class AgentImagesTest : public testing::Test {
 protected:
  CoreHarness agent_;
};

TEST_F(AgentImagesTest, AnImageThatCannotBeFetchedFailsTheStartsThatWaitForIt) {
  agent_.held = {OperationKind::kFetchImage};
  agent_.Begin();
  agent_.Obey(v1::COMMAND_START);
  v1::AgentCommand other = agent_.Command(v1::COMMAND_START);
  other.set_desktop("kantoor-2");
  agent_.Obey(other);
  EXPECT_EQ(agent_.Started(OperationKind::kFetchImage), 1u);
  EXPECT_EQ(agent_.Desktop("kantoor-2").operation(), v1::COMMAND_START);
  agent_.host.failures[OperationKind::kFetchImage] =
      absl::FailedPreconditionError("the digest is another");
  agent_.Release(OperationKind::kFetchImage);
  for (const char* id : {"kantoor-1", "kantoor-2"}) {
    EXPECT_EQ(agent_.Desktop(id).failed_verb(), v1::COMMAND_START);
    EXPECT_THAT(agent_.Desktop(id).error(), HasSubstr("the digest is another"));
  }
  const v1::AgentReport report = agent_.core.Report();
  ASSERT_THAT(report.images(), SizeIs(1));
  EXPECT_FALSE(report.images(0).verified());
  EXPECT_THAT(report.images(0).error(), HasSubstr("digest"));
}

TEST_F(AgentImagesTest, ImagesAreFetchedOnceAndDropped) {
  agent_.Begin();
  v1::AgentCommand fetch = agent_.Command(v1::COMMAND_FETCH_IMAGE);
  fetch.clear_desktop();
  agent_.Obey(fetch);
  agent_.Obey(fetch);
  EXPECT_EQ(agent_.Started(OperationKind::kFetchImage), 1u);
  EXPECT_TRUE(agent_.core.Report().images(0).verified());
  agent_.Obey(agent_.Command(v1::COMMAND_DROP_IMAGE));
  EXPECT_THAT(agent_.core.Report().images(), IsEmpty());
  agent_.Obey(agent_.Command(v1::COMMAND_DROP_IMAGE));
  EXPECT_EQ(agent_.Started(OperationKind::kDropImage), 1u);
}

TEST_F(AgentImagesTest, AStartThatFailedForItsImageTellsItAndTheNextFetchesFirst) {
  agent_.Begin();
  agent_.Obey(v1::COMMAND_FETCH_IMAGE);
  ASSERT_TRUE(agent_.core.Report().images(0).verified());
  // The copy was changed, and could not be fetched again.
  agent_.host.images["tiny"].set_verified(false);
  agent_.host.images["tiny"].set_error("changed since it was verified");
  agent_.host.failures[OperationKind::kCreate] = absl::NotFoundError("no verified image");
  agent_.Obey(v1::COMMAND_START);
  const v1::AgentReport report = agent_.core.Report();
  ASSERT_THAT(report.images(), SizeIs(1));
  EXPECT_FALSE(report.images(0).verified());
  EXPECT_EQ(report.images(0).error(), "changed since it was verified");
  EXPECT_EQ(agent_.Desktop().failed_verb(), v1::COMMAND_START);
  agent_.host.failures.clear();
  agent_.Obey(v1::COMMAND_START);
  EXPECT_EQ(agent_.Started(OperationKind::kFetchImage), 2u);
  EXPECT_EQ(agent_.Desktop().power(), v1::POWER_RUNNING);
}

TEST_F(AgentImagesTest, AFetchOfAnImageThatAStartFoundChangedIsObeyed) {
  agent_.Begin();
  agent_.Obey(v1::COMMAND_FETCH_IMAGE);
  agent_.host.images["tiny"].set_verified(false);
  agent_.host.failures[OperationKind::kCreate] = absl::NotFoundError("no verified image");
  agent_.Obey(v1::COMMAND_START);
  agent_.Obey(v1::COMMAND_FETCH_IMAGE);
  EXPECT_EQ(agent_.Started(OperationKind::kFetchImage), 2u);
  EXPECT_TRUE(agent_.core.Report().images(0).verified());
}

TEST_F(AgentImagesTest, ImagesLieInTheirFoldersOnly) {
  AgentSettings settings;
  settings.image_folders = {"/images"};
  CoreHarness agent(settings);
  agent.Begin();
  for (const char* source :
       {"/etc/shadow", "/images/../etc/shadow", "/images/..", "/imagesandmore/x", "images/x",
        "file:///etc/shadow", "file:///images/%2e%2e/etc/shadow", "file:///images/..%2fetc/shadow",
        "file:///images/%2E./etc/shadow", "file://localhost/etc/shadow", "file:///images/%zz"}) {
    v1::AgentCommand command = agent.Command(v1::COMMAND_START);
    command.mutable_image()->set_source(source);
    agent.Obey(command);
    EXPECT_TRUE(agent.operations.empty()) << source;
  }
  v1::AgentCommand command = agent.Command(v1::COMMAND_START);
  command.mutable_image()->set_kernel("/boot/vmlinuz");
  agent.Obey(command);
  EXPECT_TRUE(agent.operations.empty());
  command.mutable_image()->set_kernel("/images/vmlinuz");
  command.mutable_image()->set_source("file:///images/met%20spatie.qcow2");
  agent.Obey(command);
  EXPECT_THAT(agent.host.domains, SizeIs(1));
}

}  // namespace
}  // namespace werkplek
