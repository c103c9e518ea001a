#include "tests/unit/broker/program/running_broker.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace werkplek {

RunningBroker::RunningBroker(std::vector<std::pair<std::string, std::string>> replacements) {
  std::string config = absl::StrReplaceAll(files_.GoodConfig(), replacements);
  files_.folder().Write(
      "broker.yaml", absl::StrReplaceAll(config, {{":7443", ":0"},
                                                  {":7444", ":0"},
                                                  // It goes into the URL that newcomers are told.
                                                  {":7445", absl::StrCat(":", FreeLoopbackPort())},
                                                  {":9464", ":0"},
                                                  {":636", ":1"}}));
  files_.folder().Write("service.password", "service-account-password\n");
  // The directory's authority must be a certificate once the broker runs.
  files_.folder().Write("ldap-ca.pem", ReadWholeFile(File("ca.pem")));
}

bool RunningBroker::Start() {
  broker_ = std::make_unique<ChildProcess>(
      std::vector<std::string>{BrokerBinary(), "--config", files_.config_path()},
      ChildOptions{.environment = {absl::StrCat("NOTIFY_SOCKET=", systemd_.path())},
                   .output_file = log_});
  return systemd_.Hears("READY=1", kLong);
}

int RunningBroker::Stop(int signal) {
  broker_->Signal(signal);
  return broker_->Wait(kLong).value_or(-1);
}

std::string RunningBroker::Command(const std::vector<std::string>& words) {
  std::vector<std::string> all = {BrokerBinary(), "--config", files_.config_path()};
  all.insert(all.end(), words.begin(), words.end());
  const auto output = RunProgram(all);
  return output.ok() ? *output : std::string(output.status().message());
}

int RunningBroker::Port(const std::string& name) const {
  const std::string log = Log();
  const size_t line = log.rfind("event=broker-started");
  if (line == std::string::npos) return 0;
  const size_t at = log.find(absl::StrCat(" ", name, "="), line);
  if (at == std::string::npos) return 0;
  const size_t begin = at + name.size() + 2;
  int port = 0;
  const bool ok = absl::SimpleAtoi(
      log.substr(begin, log.find_first_not_of("0123456789", begin) - begin), &port);
  return ok ? port : 0;
}

}  // namespace werkplek
