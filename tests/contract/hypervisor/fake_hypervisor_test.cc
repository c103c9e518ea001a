#include "tests/support/fake_hypervisor/fake_hypervisor.h"

#include "tests/contract/hypervisor/hypervisor_contract.h"

namespace werkplek {
namespace {

class FakeKit : public HypervisorKit {
 public:
  Hypervisor& hypervisor() override { return fake_; }
  DomainSpec Spec(const std::string& desktop, int number) override {
    DomainSpec spec = PlainSpec(desktop, number);
    spec.guest_agent = true;
    return spec;
  }
  bool has_displays() const override { return true; }
  bool has_guests() const override { return true; }
  Hypervisor* other() override { return &other_; }
  std::string other_uri() override {
    fake_.ConnectTo("qemu+tcp://hv-b/system", &other_);
    return "qemu+tcp://hv-b/system";
  }

 private:
  FakeHypervisor other_;
  FakeHypervisor fake_;
};

INSTANTIATE_TEST_SUITE_P(Fake, HypervisorContract,
                         testing::Values(KitParameter{"fake",
                                                      [] { return std::make_unique<FakeKit>(); }}));

// Moves that take time, as simulations use them.
class FakeMoveTest : public testing::Test {
 protected:
  FakeMoveTest() {
    here_.ConnectTo("hv-b", &there_);
    EXPECT_EQ(here_.Create(PlainSpec("d1", 1)), absl::OkStatus());
    EXPECT_EQ(here_.BeginMove("d1", "hv-b"), absl::OkStatus());
  }
  static std::vector<DomainInfo> Listed(FakeHypervisor& host) { return *host.List(); }

  FakeHypervisor there_;
  FakeHypervisor here_;
};

TEST_F(FakeMoveTest, UntilItIsHandedOverItIsHere) {
  EXPECT_TRUE(Listed(here_)[0].moving);
  EXPECT_TRUE(Listed(there_).empty());
  EXPECT_EQ(there_.IncomingMib(), 128u);
  EXPECT_EQ(here_.BeginMove("d1", "hv-b").code(), absl::StatusCode::kAborted);
  here_.CallOffMove("d1");
  EXPECT_EQ(there_.IncomingMib(), 0u);
  EXPECT_FALSE(Listed(here_)[0].moving);
  EXPECT_FALSE(here_.HandOver("d1").ok());
}

TEST_F(FakeMoveTest, BothListItUntilItsEnd) {
  EXPECT_EQ(here_.HandOver("d1"), absl::OkStatus());
  EXPECT_EQ(there_.IncomingMib(), 0u);
  EXPECT_EQ(Listed(here_).size(), 1u);
  EXPECT_EQ(Listed(there_).size(), 1u);
  EXPECT_TRUE(here_.AliveHere().empty());
  EXPECT_EQ(there_.AliveHere().count("d1"), 1u);
  EXPECT_EQ(here_.EndMove("d1"), absl::OkStatus());
  EXPECT_TRUE(Listed(here_).empty());
  EXPECT_EQ(here_.EndMove("d1").code(), absl::StatusCode::kNotFound);
}

TEST_F(FakeMoveTest, WhatStopsHereEndsTheMove) {
  here_.PowerOffInside("d1");
  EXPECT_EQ(there_.IncomingMib(), 0u);
  EXPECT_FALSE(here_.HandOver("d1").ok());
  EXPECT_TRUE(Listed(there_).empty());
}

TEST_F(FakeMoveTest, ATargetThatRestartsTakesItNoMore) {
  there_.RestartHost();
  EXPECT_FALSE(here_.HandOver("d1").ok());
  EXPECT_EQ(here_.AliveHere().count("d1"), 1u);
}

TEST_F(FakeMoveTest, ASourceThatRestartsAfterwardsKeepsItOff) {
  EXPECT_EQ(here_.HandOver("d1"), absl::OkStatus());
  here_.RestartHost();
  EXPECT_EQ(here_.EndMove("d1").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Listed(here_)[0].power, DomainPower::kOff);
  EXPECT_EQ(there_.AliveHere().count("d1"), 1u);
}

}  // namespace
}  // namespace werkplek
