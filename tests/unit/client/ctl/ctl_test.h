// Runs werkplekctl in this process against a broker that answers as a test tells it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "client/ctl/program.h"
#include "tests/unit/client/fake_broker.h"
#include "tests/unit/client/pty.h"

namespace werkplek {

class CtlTest : public testing::Test {
 protected:
  static constexpr absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

  struct Result {
    ExitCode code = ExitCode::kOk;
    std::string out;
    std::string err;
  };

  void SetUp() override {
    std::string pattern = testing::TempDir() + "/ctl-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    KeptSignIn kept;
    kept.access_token = Secret("adm1n");
    kept.user = "beheer";
    kept.expires = kNow + absl::Hours(1);
    ASSERT_TRUE(Tokens().Save(kept).ok());
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  TokenFile Tokens() const { return TokenFile(directory_ + "/token"); }

  // Writes a file into the test's folder and gives its path.
  std::string File(const std::string& name, const std::string& text) const {
    std::ofstream(directory_ + "/" + name) << text;
    return directory_ + "/" + name;
  }

  // Runs the program with `input` on a pipe: nobody can be asked.
  Result Run(const std::vector<std::string>& arguments, const std::string& input = "") {
    int ends[2];
    if (pipe(ends) != 0) return {ExitCode::kLocal, "", "no pipe"};
    if (write(ends[1], input.data(), input.size()) < 0) return {ExitCode::kLocal, "", "no pipe"};
    close(ends[1]);
    std::ostringstream err;
    std::ostringstream out;
    Terminal terminal(ends[0], err, ends[0]);
    Result result;
    result.code = RunAt(arguments, terminal, out, err);
    result.out = out.str();
    result.err = err.str();
    close(ends[0]);
    return result;
  }

  // Runs it at a terminal of 80 columns; a person answers each question (a text on the screen) in
  // its turn. `out` is the whole screen.
  Result RunAsked(const std::vector<std::string>& arguments,
                  const std::vector<std::pair<std::string, std::string>>& answers,
                  int columns = 80) {
    Pty pty(columns);
    DescriptorBuffer buffer(pty.slave());
    std::ostream screen(&buffer);
    Terminal terminal(pty.slave(), screen, pty.slave());
    Result result;
    std::thread program([&] { result.code = RunAt(arguments, terminal, screen, screen); });
    for (const auto& [question, answer] : answers) {
      pty.ReadUntil(question);
      pty.Type(answer);
    }
    program.join();
    result.out = pty.Screen();
    return result;
  }

  FakeBroker broker_;
  std::string directory_;

  ExitCode RunAt(const std::vector<std::string>& arguments, Terminal& terminal, std::ostream& out,
                 std::ostream& err) {
    const CtlPorts ports{
        .terminal = terminal,
        .out = out,
        .err = err,
        .connect = [this](const std::string&) -> absl::StatusOr<std::vector<BrokerEndpoint>> {
          return std::vector<BrokerEndpoint>{broker_.Endpoint()};
        },
        .token_file = [this]() -> absl::StatusOr<TokenFile> { return Tokens(); },
        .renew = nullptr,
        .now = [] { return kNow; },
        .retries = {.max_attempts = 2},
    };
    return RunCtl(arguments, ports);
  }
};

}  // namespace werkplek
