// A fixture: the program `werkplek` against a broker that answers as it is told.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "client/login/program.h"
#include "tests/unit/client/fake_broker.h"
#include "tests/unit/client/pty.h"

namespace werkplek {

class LoginProgramTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/login-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    v1::SignInResponse signed_in;
    signed_in.set_access_token("t0ken");
    signed_in.set_display_name("Jan Jansen");
    signed_in.set_expires_unix_ms(absl::ToUnixMillis(kNow + absl::Hours(12)));
    signed_in.set_idle_limit_s(1800);
    signed_in.add_notices("your password expires in 3 days");
    broker_.Reply("SignIn", signed_in);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  struct Result {
    ExitCode code;
    std::string out;
    std::string err;
  };
  // Runs the program with `input` on a pipe.
  Result Run(const std::vector<std::string>& arguments, const std::string& input = "") {
    int ends[2];
    if (pipe(ends) != 0) return {ExitCode::kLocal, "", "no pipe"};
    if (write(ends[1], input.data(), input.size()) < 0) return {ExitCode::kLocal, "", "no pipe"};
    close(ends[1]);
    std::ostringstream out;
    std::ostringstream err;
    Terminal terminal(ends[0], err, ends[0]);
    const Result result = RunAt(arguments, terminal, out, err);
    close(ends[0]);
    return result;
  }
  // At the terminal of somebody who answers what is asked there.
  Result RunAt(Pty& pty, const std::vector<std::string>& arguments,
               const std::function<void()>& person) {
    DescriptorBuffer buffer(pty.slave());
    std::ostream err(&buffer);
    std::ostringstream out;
    Terminal terminal(pty.slave(), err, pty.slave());
    Result result{};
    std::thread program([&] { result = RunAt(arguments, terminal, out, err); });
    person();
    program.join();
    return result;
  }
  Result RunAt(const std::vector<std::string>& arguments, Terminal& terminal, std::ostream& out,
               std::ostream& err) {
    LoginPorts ports{
        .terminal = terminal,
        .out = out,
        .err = err,
        .live_width = 0,
        .variable = [this](const char* name) { return environment_[name]; },
        .config = [this](const std::string&) { return config_; },
        .connect = [this](const ClientConfig&) -> absl::StatusOr<std::vector<BrokerEndpoint>> {
          return std::vector<BrokerEndpoint>{broker_.Endpoint()};
        },
        .token_file = [this]() -> absl::StatusOr<TokenFile> {
          return TokenFile(directory_ + "/token");
        },
        .renew = nullptr,
        .show_display =
            [this](const ClientConfig&, Language, const v1::Ready& ready,
                   const DisplayChoice& choice) {
              shown_.push_back({ready, choice});
              if (shown_.size() <= gateways_lost_) return absl::AbortedError("gateway lost");
              if (shown_.size() <= unopened_) return absl::UnavailableError("It is busy.");
              return shown_status_;
            },
        .now = [] { return kNow; },
        .sleep = [this](absl::Duration delay) { slept_ += delay; },
        .retries = {.max_attempts = 3},
    };
    const ExitCode code = RunLogin(arguments, ports);
    const auto written = [](std::ostream& stream) {
      const auto* text = dynamic_cast<std::ostringstream*>(&stream);
      return text == nullptr ? "" : text->str();
    };
    return {code, written(out), written(err)};
  }
  void SignIn() {
    const Result result = Run({"sign-in", "--user", "jan"}, "Geheim\n123456\n");
    ASSERT_EQ(result.code, ExitCode::kOk) << result.err;
  }
  void OfferPools(bool two_sessions = false) {
    v1::ListPoolsResponse pools;
    v1::PoolView* kantoor = pools.add_pools();
    kantoor->set_pool("kantoor");
    kantoor->set_description("Kantoorwerk");
    kantoor->set_available(true);
    kantoor->mutable_session()->set_session("s-1");
    kantoor->mutable_session()->set_pool("kantoor");
    kantoor->mutable_session()->set_desktop("kantoor-7f3a");
    kantoor->mutable_session()->set_state(v1::SESSION_STATE_DISCONNECTED);
    v1::PoolView* gis = pools.add_pools();
    gis->set_pool("gis");
    gis->set_unavailable_reason("draining");
    if (two_sessions) {
      gis->mutable_session()->set_session("s-2");
      gis->mutable_session()->set_pool("gis");
    }
    broker_.Reply("ListPools", pools);
  }
  // Each connect gets it at once.
  void OfferDesktop() {
    v1::ConnectUpdate update;
    update.mutable_ready()->set_desktop("kantoor-1");
    broker_.Reply("Connect", update);
  }

  static constexpr absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);
  FakeBroker broker_;
  std::string directory_;
  std::map<std::string, std::string> environment_;
  absl::StatusOr<ClientConfig> config_ = ClientConfig{};
  size_t gateways_lost_ = 0;
  size_t unopened_ = 0;
  absl::Duration slept_;
  absl::Status shown_status_;
  struct Shown {
    v1::Ready ready;
    DisplayChoice choice;
  };
  std::vector<Shown> shown_;
};

}  // namespace werkplek
