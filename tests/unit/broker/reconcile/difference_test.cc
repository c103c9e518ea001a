#include "broker/reconcile/difference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace werkplek {
namespace {

using testing::HasSubstr;

class DifferenceTest : public testing::Test {
 protected:
  DifferenceTest() {
    image_.set_sha256(std::string(64, 'a'));
    image_.set_guest_agent(true);
    desktop_.set_id("kantoor-1");
    desktop_.set_generation(5);
    desktop_.set_wanted_power(v1::POWER_RUNNING);
    v1::ProofOfCleanness& last = *desktop_.mutable_proof();
    last.set_generation(4);
    last.set_overlay_identity("8:1");
    last.set_overlay_created_unix_ns(100);
    report_.set_desktop("kantoor-1");
    report_.set_generation(5);
    report_.set_power(v1::POWER_RUNNING);
    report_.set_guest(v1::GUEST_STATE_UP);
    v1::ProofOfCleanness& proof = *report_.mutable_proof();
    proof.set_generation(5);
    proof.set_overlay_identity("8:2");
    proof.set_overlay_created_unix_ns(200);
    proof.set_backing_sha256(image_.sha256());
  }

  Difference In(v1::DesktopState state) {
    desktop_.set_state(state);
    return Compare(desktop_, &report_, &image_);
  }
  Difference Missing(v1::DesktopState state) {
    desktop_.set_state(state);
    return Compare(desktop_, nullptr, &image_);
  }

  v1::Image image_;
  v1::Desktop desktop_;
  v1::DesktopReport report_;
};

constexpr v1::DesktopState kStartingStates[] = {
    v1::DESKTOP_STATE_PROVISIONING, v1::DESKTOP_STATE_STARTING, v1::DESKTOP_STATE_RESETTING};

v1::CommandVerb VerbOf(v1::DesktopState state) {
  return state == v1::DESKTOP_STATE_RESETTING ? v1::COMMAND_RESET : v1::COMMAND_START;
}

TEST_F(DifferenceTest, AStartIsProvedByEverythingTogether) {
  for (const auto state : kStartingStates) EXPECT_EQ(In(state).finding, Finding::kProved);
}

TEST_F(DifferenceTest, AStartThatIsNotThereIsCommandedAgain) {
  for (const auto state : kStartingStates) {
    EXPECT_EQ(Missing(state).finding, Finding::kCommand);
    EXPECT_EQ(Missing(state).verb, VerbOf(state));
    report_.set_generation(4);
    EXPECT_EQ(In(state).verb, VerbOf(state));
    report_.set_generation(5);
    report_.set_power(v1::POWER_OFF);
    EXPECT_EQ(In(state).verb, VerbOf(state));
    report_.set_operation(v1::COMMAND_START);
    EXPECT_EQ(In(state).finding, Finding::kNothing);
    report_.set_generation(4);
    EXPECT_EQ(In(state).finding, Finding::kNothing);
    report_.set_generation(5);
    report_.set_power(v1::POWER_RUNNING);
    report_.clear_operation();
  }
}

TEST_F(DifferenceTest, AStartWaitsForGuestAndProof) {
  report_.set_guest(v1::GUEST_STATE_UNKNOWN);
  EXPECT_EQ(In(v1::DESKTOP_STATE_STARTING).finding, Finding::kNothing);
  image_.set_guest_agent(false);
  EXPECT_EQ(In(v1::DESKTOP_STATE_STARTING).finding, Finding::kProved);
  report_.clear_proof();
  EXPECT_EQ(In(v1::DESKTOP_STATE_STARTING).finding, Finding::kNothing);
  report_.mutable_proof()->set_generation(4);
  EXPECT_EQ(In(v1::DESKTOP_STATE_STARTING).finding, Finding::kNothing);
}

TEST_F(DifferenceTest, ABadProofFailsTheStart) {
  report_.mutable_proof()->set_backing_sha256(std::string(64, 'b'));
  Difference difference = In(v1::DESKTOP_STATE_RESETTING);
  EXPECT_EQ(difference.finding, Finding::kStartFailed);
  EXPECT_THAT(difference.why, HasSubstr("another image"));
  report_.mutable_proof()->set_backing_sha256(image_.sha256());
  report_.mutable_proof()->set_overlay_identity("8:1");
  report_.mutable_proof()->set_overlay_created_unix_ns(100);
  difference = In(v1::DESKTOP_STATE_RESETTING);
  EXPECT_EQ(difference.finding, Finding::kStartFailed);
  EXPECT_THAT(difference.why, HasSubstr("earlier generation"));
  // The file system gave the number again; the birth tells the files apart.
  report_.mutable_proof()->set_overlay_created_unix_ns(300);
  EXPECT_EQ(In(v1::DESKTOP_STATE_RESETTING).finding, Finding::kProved);
  report_.mutable_proof()->clear_overlay_identity();
  EXPECT_EQ(In(v1::DESKTOP_STATE_RESETTING).finding, Finding::kStartFailed);
}

TEST_F(DifferenceTest, WithinAGenerationTheOverlayStays) {
  *desktop_.mutable_proof() = report_.proof();
  EXPECT_EQ(In(v1::DESKTOP_STATE_STARTING).finding, Finding::kProved);
  report_.mutable_proof()->set_overlay_identity("8:9");
  EXPECT_THAT(In(v1::DESKTOP_STATE_STARTING).why, HasSubstr("exchanged"));
}

TEST_F(DifferenceTest, AReportedFailureFailsTheStart) {
  report_.set_failed_verb(v1::COMMAND_RESET);
  report_.set_error("no space left");
  for (const auto state : kStartingStates) {
    EXPECT_EQ(In(state).finding, Finding::kStartFailed);
    EXPECT_EQ(In(state).why, "no space left");
  }
  report_.set_failed_verb(v1::COMMAND_BEGIN_SESSION);
  EXPECT_EQ(In(v1::DESKTOP_STATE_STARTING).finding, Finding::kProved);
}

TEST_F(DifferenceTest, AnOlderFailureIsNotOfThisGeneration) {
  report_.set_generation(4);
  report_.set_failed_verb(v1::COMMAND_RESET);
  report_.set_error("no space left");
  EXPECT_EQ(In(v1::DESKTOP_STATE_RESETTING).verb, v1::COMMAND_RESET);
}

TEST_F(DifferenceTest, WithoutItsImageNothingIsProved) {
  desktop_.set_state(v1::DESKTOP_STATE_STARTING);
  EXPECT_EQ(Compare(desktop_, &report_, nullptr).finding, Finding::kNothing);
}

TEST_F(DifferenceTest, Spares) {
  EXPECT_EQ(In(v1::DESKTOP_STATE_READY).finding, Finding::kNothing);
  EXPECT_EQ(Missing(v1::DESKTOP_STATE_READY).finding, Finding::kSpareGone);
  report_.set_generation(4);
  EXPECT_EQ(In(v1::DESKTOP_STATE_READY).finding, Finding::kSpareGone);
  report_.set_generation(5);
  report_.set_power(v1::POWER_OFF);
  EXPECT_EQ(In(v1::DESKTOP_STATE_READY).finding, Finding::kSpareOff);
  report_.set_operation(v1::COMMAND_RESUME);
  EXPECT_EQ(In(v1::DESKTOP_STATE_READY).finding, Finding::kNothing);
}

TEST_F(DifferenceTest, ASpareThatWasOpenedIsInUse) {
  report_.set_used(true);
  EXPECT_EQ(In(v1::DESKTOP_STATE_READY).finding, Finding::kInUse);
  for (const auto state : kStartingStates) EXPECT_EQ(In(state).finding, Finding::kInUse);
  // Off it is no spare that a plain start brings back.
  report_.set_power(v1::POWER_OFF);
  EXPECT_EQ(In(v1::DESKTOP_STATE_READY).finding, Finding::kInUse);
  // What an older agent says.
  report_.set_used(false);
  report_.set_power(v1::POWER_RUNNING);
  report_.set_session("s-1");
  EXPECT_EQ(In(v1::DESKTOP_STATE_READY).finding, Finding::kInUse);
}

TEST_F(DifferenceTest, UseIsAsItShouldBe) {
  report_.set_used(true);
  report_.set_session("s-1");
  EXPECT_EQ(In(v1::DESKTOP_STATE_ASSIGNED).finding, Finding::kNothing);
  EXPECT_EQ(In(v1::DESKTOP_STATE_DIRTY).finding, Finding::kNothing);
  EXPECT_EQ(In(v1::DESKTOP_STATE_LOST).finding, Finding::kReturned);
  // Of the generation before its reset.
  report_.set_generation(4);
  EXPECT_EQ(In(v1::DESKTOP_STATE_RESETTING).verb, v1::COMMAND_RESET);
  EXPECT_EQ(In(v1::DESKTOP_STATE_READY).finding, Finding::kSpareGone);
  // Its owner's.
  report_.set_generation(5);
  report_.set_kept(true);
  desktop_.set_owner("jan");
  EXPECT_EQ(In(v1::DESKTOP_STATE_READY).finding, Finding::kNothing);
  EXPECT_EQ(In(v1::DESKTOP_STATE_STARTING).finding, Finding::kRuns);
  EXPECT_EQ(In(v1::DESKTOP_STATE_OFF).verb, v1::COMMAND_STOP);
}

TEST_F(DifferenceTest, ADiskOfSomebodysIsFoundWhateverTheBrokerTakesItFor) {
  report_.set_kept(true);
  // A spare of a dedicated pool.
  EXPECT_EQ(In(v1::DESKTOP_STATE_READY).finding, Finding::kNothing);
  EXPECT_EQ(In(v1::DESKTOP_STATE_PROVISIONING).finding, Finding::kProved);
  EXPECT_EQ(In(v1::DESKTOP_STATE_LOST).finding, Finding::kReturned);
  report_.set_used(true);
  for (const uint64_t generation : {4, 5, 6}) {
    report_.set_generation(generation);
    for (const auto state :
         {v1::DESKTOP_STATE_PROVISIONING, v1::DESKTOP_STATE_STARTING, v1::DESKTOP_STATE_READY,
          v1::DESKTOP_STATE_DIRTY, v1::DESKTOP_STATE_RESETTING, v1::DESKTOP_STATE_LOST,
          v1::DESKTOP_STATE_ERROR}) {
      EXPECT_EQ(In(state).finding, Finding::kSomebodys) << generation << " " << state;
    }
  }
  // An administrator's word took its owner away; it said nothing of a newer generation.
  EXPECT_EQ(In(v1::DESKTOP_STATE_STOPPING).finding, Finding::kSomebodys);
  report_.set_generation(5);
  EXPECT_EQ(In(v1::DESKTOP_STATE_STOPPING).verb, v1::COMMAND_REMOVE);
  // A newer generation may be anybody's, used or not.
  report_.set_generation(6);
  report_.set_used(false);
  EXPECT_EQ(In(v1::DESKTOP_STATE_READY).finding, Finding::kSomebodys);
  // An older agent tells neither; the pool does.
  report_.set_kept(false);
  report_.set_session("s-1");
  report_.set_generation(5);
  desktop_.set_state(v1::DESKTOP_STATE_READY);
  EXPECT_EQ(Compare(desktop_, &report_, &image_, v1::POOL_KIND_DEDICATED).finding,
            Finding::kSomebodys);
}

TEST_F(DifferenceTest, Power) {
  for (const auto state : {v1::DESKTOP_STATE_READY, v1::DESKTOP_STATE_ASSIGNED}) {
    report_.set_power(v1::POWER_SUSPENDED);
    EXPECT_EQ(In(state).verb, v1::COMMAND_RESUME);
    desktop_.set_wanted_power(v1::POWER_SUSPENDED);
    EXPECT_EQ(In(state).finding, Finding::kNothing);
    report_.set_power(v1::POWER_RUNNING);
    EXPECT_EQ(In(state).verb, v1::COMMAND_SUSPEND);
    report_.set_operation(v1::COMMAND_SUSPEND);
    EXPECT_EQ(In(state).finding, Finding::kNothing);
    report_.clear_operation();
    desktop_.set_wanted_power(v1::POWER_RUNNING);
  }
}

TEST_F(DifferenceTest, Sessions) {
  EXPECT_EQ(In(v1::DESKTOP_STATE_ASSIGNED).finding, Finding::kNothing);
  EXPECT_EQ(Missing(v1::DESKTOP_STATE_ASSIGNED).finding, Finding::kSessionGone);
  report_.set_generation(4);
  EXPECT_EQ(In(v1::DESKTOP_STATE_ASSIGNED).finding, Finding::kSessionGone);
  report_.set_generation(5);
  report_.set_power(v1::POWER_OFF);
  EXPECT_EQ(In(v1::DESKTOP_STATE_ASSIGNED).finding, Finding::kSessionOff);
}

TEST_F(DifferenceTest, Removals) {
  EXPECT_EQ(Missing(v1::DESKTOP_STATE_STOPPING).finding, Finding::kRemoved);
  EXPECT_EQ(In(v1::DESKTOP_STATE_STOPPING).verb, v1::COMMAND_REMOVE);
  report_.set_operation(v1::COMMAND_REMOVE);
  EXPECT_EQ(In(v1::DESKTOP_STATE_STOPPING).finding, Finding::kNothing);
}

TEST_F(DifferenceTest, TheRest) {
  EXPECT_EQ(In(v1::DESKTOP_STATE_LOST).finding, Finding::kReturned);
  EXPECT_EQ(Missing(v1::DESKTOP_STATE_LOST).finding, Finding::kReturned);
  for (const auto state : {v1::DESKTOP_STATE_DIRTY, v1::DESKTOP_STATE_ERROR}) {
    EXPECT_EQ(In(state).finding, Finding::kNothing);
    EXPECT_EQ(Missing(state).finding, Finding::kNothing);
  }
}

TEST_F(DifferenceTest, ANewerGenerationThanOursIsFoundInEveryState) {
  report_.set_generation(6);
  for (int state = 0; state < v1::DesktopState_ARRAYSIZE; ++state) {
    EXPECT_EQ(In(static_cast<v1::DesktopState>(state)).finding, Finding::kAhead) << state;
  }
}

TEST_F(DifferenceTest, InADedicatedPoolADiskIsFirstMadeByReset) {
  desktop_.set_state(v1::DESKTOP_STATE_PROVISIONING);
  const Difference difference = Compare(desktop_, nullptr, &image_, v1::POOL_KIND_DEDICATED);
  EXPECT_EQ(difference.finding, Finding::kCommand);
  EXPECT_EQ(difference.verb, v1::COMMAND_RESET);
}

TEST_F(DifferenceTest, AKeptDesktopThatRunsNeedsNoProof) {
  desktop_.set_owner("jan");
  report_.clear_proof();
  EXPECT_EQ(In(v1::DESKTOP_STATE_STARTING).finding, Finding::kRuns);
  report_.set_guest(v1::GUEST_STATE_UNKNOWN);
  EXPECT_EQ(In(v1::DESKTOP_STATE_STARTING).finding, Finding::kNothing);
  report_.set_power(v1::POWER_OFF);
  EXPECT_EQ(In(v1::DESKTOP_STATE_STARTING).verb, v1::COMMAND_START);
  report_.set_failed_verb(v1::COMMAND_START);
  report_.set_error("its disk is not here");
  EXPECT_EQ(In(v1::DESKTOP_STATE_STARTING).finding, Finding::kStartFailed);
}

TEST_F(DifferenceTest, AFencedStartHasFailed) {
  report_.set_fenced(true);
  report_.set_power(v1::POWER_OFF);
  for (const auto state : kStartingStates) {
    EXPECT_EQ(In(state).finding, Finding::kStartFailed) << state;
  }
}

TEST_F(DifferenceTest, WhatIsToBeOffIsStoppedWhateverItsGeneration) {
  EXPECT_EQ(In(v1::DESKTOP_STATE_OFF).verb, v1::COMMAND_STOP);
  report_.set_generation(4);
  EXPECT_EQ(In(v1::DESKTOP_STATE_OFF).verb, v1::COMMAND_STOP);
  report_.set_operation(v1::COMMAND_STOP);
  EXPECT_EQ(In(v1::DESKTOP_STATE_OFF).finding, Finding::kNothing);
  report_.clear_operation();
  report_.set_power(v1::POWER_OFF);
  EXPECT_EQ(In(v1::DESKTOP_STATE_OFF).finding, Finding::kNothing);
  EXPECT_EQ(Missing(v1::DESKTOP_STATE_OFF).finding, Finding::kNothing);
}

}  // namespace
}  // namespace werkplek
