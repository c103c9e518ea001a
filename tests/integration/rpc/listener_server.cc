// A listener in a process of its own, so that tests can take its descriptors away, count its
// threads and read its processor time. Serves the health service, and a service whose methods are
// all unimplemented.
#include <sys/resource.h>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <string>

#include "CLI/CLI.hpp"
#include "broker/rpc/listener.h"
#include "common/tls/grpc_credentials.h"
#include "common/tls/process_tls.h"
#include "werkplek/v1/session.grpc.pb.h"

namespace werkplek {
namespace {

struct Options {
  TlsFiles files;
  std::string port_file;
  int max_descriptors = 0;
  ConnectionLimitSettings connections;
};

absl::Status Serve(const Options& options) {
  if (absl::Status tls = RequireTls13InThisProcess(); !tls.ok()) return tls;
  auto credentials = GrpcServerCredentials(options.files);
  if (!credentials.ok()) return credentials.status();
  ConnectionLimits connections(options.connections);
  v1::SessionService::CallbackService sessions;
  auto listener = Listener::Start({.name = "test", .address = "127.0.0.1:0"}, *credentials,
                                  {&sessions}, &connections);
  if (!listener.ok()) return listener.status();
  (*listener)->SetServing(true);
  std::ofstream(options.port_file + ".new") << (*listener)->port() << "\n";
  std::rename((options.port_file + ".new").c_str(), options.port_file.c_str());
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  int signal = 0;
  sigwait(&stop, &signal);
  const AcceptorCounts counts = (*listener)->counts();
  std::printf("accepted=%lu turned_away=%lu exhausted=%lu\n", counts.accepted, counts.turned_away,
              counts.exhausted);
  std::fflush(stdout);
  (*listener)->Stop(absl::ZeroDuration());
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("werkplek test listener");
  app.add_option("--certificate", options.files.certificate)->required();
  app.add_option("--key", options.files.key)->required();
  app.add_option("--ca", options.files.ca)->required();
  app.add_option("--port-file", options.port_file)->required();
  app.add_option("--max-descriptors", options.max_descriptors);
  app.add_option("--max-unproved", options.connections.max_unproved);
  app.add_option("--max-unproved-per-source", options.connections.max_unproved_per_source);
  CLI11_PARSE(app, argc, argv);
  if (options.max_descriptors > 0) {
    const rlim_t limit = static_cast<rlim_t>(options.max_descriptors);
    const rlimit descriptors = {.rlim_cur = limit, .rlim_max = limit};
    setrlimit(RLIMIT_NOFILE, &descriptors);
  }
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  sigprocmask(SIG_BLOCK, &stop, nullptr);  // before any thread is there
  const absl::Status served = Serve(options);
  if (!served.ok()) std::fprintf(stderr, "%s\n", served.ToString().c_str());
  return served.ok() ? 0 : 1;
}

}  // namespace
}  // namespace werkplek

int main(int argc, char** argv) { return werkplek::Main(argc, argv); }
