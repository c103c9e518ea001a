#include "tests/integration/rpc/listener_process.h"

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "grpcpp/impl/client_unary_call.h"
#include "tests/support/loopback_broker/test_channel.h"

namespace werkplek {
namespace {

int EntriesOf(const std::string& folder) {
  int entries = 0;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    (void)entry;
    ++entries;
  }
  return entries;
}

}  // namespace

ListenerProcess::ListenerProcess(TestPki& pki, const std::vector<std::string>& options) {
  const TlsFiles files = pki.Issue(v1::IDENTITY_BROKER, "b1");
  std::vector<std::string> arguments = {
      absl::StrCat(std::getenv("WERKPLEK_BIN_DIR"), "/listener_server"),
      "--certificate",
      files.certificate,
      "--key",
      files.key,
      "--ca",
      files.ca,
      "--port-file",
      folder_.File("port")};
  arguments.insert(arguments.end(), options.begin(), options.end());
  ChildOptions child;
  child.output_file = folder_.File("output");
  process_ = std::make_unique<ChildProcess>(arguments, child);
  const absl::Time until = absl::Now() + absl::Seconds(30);
  while (port_ == 0 && absl::Now() < until && process_->Running()) {
    std::ifstream(folder_.File("port")) >> port_;
    if (port_ == 0) (void)process_->Wait(absl::Milliseconds(10));
  }
  if (port_ == 0) {
    std::fprintf(stderr, "listener_server did not start: %s\n",
                 ReadWholeFile(folder_.File("output")).c_str());
    std::abort();
  }
}

absl::Duration ListenerProcess::CpuTime() const {
  std::ifstream file(absl::StrCat("/proc/", process_->pid(), "/stat"));
  std::string text;
  std::getline(file, text);
  // The fields after the program's name, which may hold spaces (proc(5)).
  const std::vector<std::string> fields = absl::StrSplit(text.substr(text.rfind(')') + 2), ' ');
  const double ticks = std::atof(fields.at(11).c_str()) + std::atof(fields.at(12).c_str());
  return absl::Seconds(ticks / static_cast<double>(sysconf(_SC_CLK_TCK)));
}

int ListenerProcess::Threads() const {
  return EntriesOf(absl::StrCat("/proc/", process_->pid(), "/task"));
}

int ListenerProcess::Descriptors() const {
  return EntriesOf(absl::StrCat("/proc/", process_->pid(), "/fd"));
}

int ListenerProcess::StopAndCount(absl::string_view what) {
  process_->Signal(SIGTERM);
  (void)process_->Wait(absl::Seconds(20));
  std::istringstream output(ReadWholeFile(folder_.File("output")));
  std::string word;
  const std::string prefix = absl::StrCat(what, "=");
  while (output >> word) {
    int count = 0;
    if (word.rfind(prefix, 0) == 0 && absl::SimpleAtoi(word.substr(prefix.size()), &count)) {
      return count;
    }
  }
  return -1;
}

grpc::Status CheckHealth(grpc::Channel& channel, absl::Duration timeout) {
  grpc::ClientContext context;
  Prepare(context, "", timeout);
  // An empty HealthCheckRequest is no bytes at all.
  const grpc::Slice none;
  const grpc::ByteBuffer request(&none, 1);
  grpc::ByteBuffer response;
  const grpc::internal::RpcMethod check("/grpc.health.v1.Health/Check",
                                        grpc::internal::RpcMethod::NORMAL_RPC);
  return grpc::internal::BlockingUnaryCall<grpc::ByteBuffer, grpc::ByteBuffer>(
      &channel, check, &context, request, &response);
}

}  // namespace werkplek
