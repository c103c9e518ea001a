// What every Fencer promises, run on the fake and on the one that runs a program.
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "broker/fencing/command_fencer.h"
#include "common/base/loop_executor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_fencer.h"

namespace werkplek {
namespace {

using ::testing::HasSubstr;

// Fences `good`, says "no route to it" of `bad` and never ends for `slow`; keeps what it read.
constexpr char kProgram[] =
    "#!/bin/sh\n"
    "given=$(cat)\n"
    "printf '%s\\n' \"$given\" >>\"$1\"\n"
    "case \"$given\" in\n"
    "  *plug=bad*) echo 'Failed: no route to it' >&2; exit 1;;\n"
    "  *plug=slow*) exec sleep 600;;\n"
    "esac\n"
    "exit 0\n";

class Folder {
 public:
  Folder() : path_(absl::StrCat(testing::TempDir(), "/fencer-", getpid())) {
    std::filesystem::create_directories(path_);
    std::ofstream(program()) << kProgram;
    std::filesystem::permissions(program(), std::filesystem::perms::owner_all);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string program() const { return path_ + "/fence"; }
  std::string told() const { return path_ + "/told"; }
  std::string Told() const {
    std::ifstream in(told());
    return {std::istreambuf_iterator<char>(in), {}};
  }

 private:
  const std::string path_;
};

FenceCommandSettings Settings(const Folder& folder) {
  FenceCommandSettings settings;
  settings.command = {folder.program(), folder.told()};
  settings.timeout = absl::Seconds(20);
  return settings;
}

struct Subject {
  std::string name;
  std::function<std::unique_ptr<Fencer>(const Folder&, Executor*)> make;
};

class FencerContract : public ::testing::TestWithParam<Subject> {
 protected:
  FencerContract() : fencer_(GetParam().make(folder_, &loop_)) {}
  ~FencerContract() override {
    fencer_.reset();
    loop_.Stop();
  }
  absl::Status Fence(const std::string& host) {
    std::promise<absl::Status> answered;
    fencer_->Fence(host, [&](absl::Status status) { answered.set_value(std::move(status)); });
    std::future<absl::Status> answer = answered.get_future();
    if (answer.wait_for(std::chrono::seconds(20)) != std::future_status::ready) std::abort();
    return answer.get();
  }

  Folder folder_;
  LoopExecutor loop_{"loop"};
  std::unique_ptr<Fencer> fencer_;
};

TEST_P(FencerContract, AHostThatIsOffIsConfirmed) { EXPECT_TRUE(Fence("good").ok()); }

TEST_P(FencerContract, AskingTwiceIsGood) {
  EXPECT_TRUE(Fence("good").ok());
  EXPECT_TRUE(Fence("good").ok());
}

TEST_P(FencerContract, AFailureSaysWhy) {
  const absl::Status status = Fence("bad");
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr("no route to it"));
}

TEST_P(FencerContract, EveryOneOfManyIsAnswered) {
  constexpr int kMany = 64;
  std::promise<void> all;
  int answered = 0;
  for (int i = 0; i < kMany; ++i) {
    fencer_->Fence("good", [&](const absl::Status& status) {
      EXPECT_TRUE(status.ok() || absl::IsResourceExhausted(status)) << status;
      if (++answered == kMany) all.set_value();
    });
  }
  ASSERT_EQ(all.get_future().wait_for(std::chrono::seconds(60)), std::future_status::ready);
}

std::unique_ptr<Fencer> MakeFake(const Folder&, Executor* executor) {
  auto fake = std::make_unique<FakeFencer>(executor);
  fake->answers["bad"] = absl::UnavailableError("no route to it");
  return fake;
}

std::unique_ptr<Fencer> MakeCommand(const Folder& folder, Executor* executor) {
  return std::make_unique<CommandFencer>(Settings(folder), executor);
}

INSTANTIATE_TEST_SUITE_P(All, FencerContract,
                         ::testing::Values(Subject{"fake", MakeFake},
                                           Subject{"command", MakeCommand}),
                         [](const auto& info) { return info.param.name; });

class CommandFencerTest : public ::testing::Test {
 protected:
  absl::Status Fence(FenceCommandSettings settings, const std::string& host) {
    CommandFencer fencer(std::move(settings), &loop_);
    std::promise<absl::Status> answered;
    fencer.Fence(host, [&](absl::Status status) { answered.set_value(std::move(status)); });
    return answered.get_future().get();
  }
  Folder folder_;
  LoopExecutor loop_{"loop"};
};

TEST_F(CommandFencerTest, OptionsSecretsAndPlugGoOverStandardInput) {
  FenceCommandSettings settings = Settings(folder_);
  settings.options = {"ip=192.0.2.9", "username=fence"};
  settings.secret_options = Secret("password=geheim");
  settings.hosts["hv-a1"] = {"node1", {"ip=192.0.2.10"}};
  EXPECT_TRUE(Fence(std::move(settings), "hv-a1").ok());
  EXPECT_EQ(
      folder_.Told(),
      "ip=192.0.2.9\nusername=fence\npassword=geheim\nip=192.0.2.10\nplug=node1\naction=off\n");
}

TEST_F(CommandFencerTest, OneThatDoesNotEndIsKilledAndNothingIsKnown) {
  FenceCommandSettings settings = Settings(folder_);
  settings.timeout = absl::Milliseconds(300);
  EXPECT_TRUE(absl::IsDeadlineExceeded(Fence(std::move(settings), "slow")));
}

TEST_F(CommandFencerTest, AProgramThatIsNotThereIsSaid) {
  FenceCommandSettings settings;
  settings.command = {"/nowhere/fence"};
  EXPECT_FALSE(Fence(std::move(settings), "good").ok());
}

TEST_F(CommandFencerTest, TheEndDoesNotWaitForWhatHangs) {
  std::promise<absl::Status> answered;
  {
    CommandFencer fencer(Settings(folder_), &loop_);
    fencer.Fence("slow", [&](absl::Status status) { answered.set_value(std::move(status)); });
  }
  EXPECT_TRUE(absl::IsCancelled(answered.get_future().get()));
}

}  // namespace
}  // namespace werkplek
