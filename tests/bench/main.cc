// werkplek-bench: the loads that tests/bench/run measures with. Each prints one JSON object.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>
#include <string>

#include "absl/synchronization/mutex.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/tls/process_tls.h"
#include "common/tls/tls_files.h"
#include "tests/bench/agent_load.h"
#include "tests/bench/assignment_load.h"
#include "tests/bench/commit_load.h"
#include "tests/bench/connect_load.h"
#include "tests/bench/enrol_people.h"
#include "tests/bench/ldap_load.h"
#include "tests/bench/sign_in_load.h"

namespace werkplek {
namespace {

struct Arguments {
  std::string config;
  std::string people;
  std::string out;
  std::string bind_password_file;
  std::string machine_prefix;
  int clients = 64;
  AgentLoadSettings agents;
  AssignmentLoadSettings assignments;
  FleetStoreSettings fleet_store;
  CommitLoadSettings commits;
  ConnectLoadSettings connect;
  DisplayLoadSettings display;
  LdapLoadSettings ldap;
  SignInLoadSettings sign_in;
};

absl::StatusOr<std::string> Enrol(const Arguments& arguments) {
  ASSIGN_OR_RETURN(auto people, ReadPeople(arguments.people));
  ASSIGN_OR_RETURN(people, EnrolPeople(arguments.config, std::move(people)));
  RETURN_IF_ERROR(WritePeople(arguments.out, people));
  return std::string("{}");
}

absl::StatusOr<std::string> Ldap(Arguments& arguments) {
  setenv("LDAPNOINIT", "1", /*overwrite=*/1);
  ASSIGN_OR_RETURN(const auto people, ReadPeople(arguments.people));
  ASSIGN_OR_RETURN(arguments.ldap.bind_password,
                   ReadWholeFile(arguments.bind_password_file, /*max_bytes=*/1024));
  ASSIGN_OR_RETURN(LoadResult result, RunLdapLoad(arguments.ldap, people));
  return ToJson(std::move(result));
}

absl::StatusOr<std::string> SignIn(Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto people, ReadPeople(arguments.people));
  for (int i = 0; i < arguments.clients; ++i) {
    arguments.sign_in.machines.push_back(arguments.machine_prefix + std::to_string(i));
  }
  ASSIGN_OR_RETURN(LoadResult result, RunSignInLoad(arguments.sign_in, people));
  return ToJson(std::move(result));
}

absl::StatusOr<std::string> Assignments(const Arguments& arguments) {
  ASSIGN_OR_RETURN(LoadResult result, RunAssignmentLoad(arguments.assignments));
  return ToJson(std::move(result));
}

absl::StatusOr<std::string> Commits(const Arguments& arguments) {
  ASSIGN_OR_RETURN(LoadResult result, RunCommitLoad(arguments.commits));
  return ToJson(std::move(result));
}

absl::StatusOr<std::string> Connect(const Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto people, ReadPeople(arguments.people));
  return RunConnectLoad(arguments.connect, people);
}

void AddDisplayCommands(CLI::App& app, Arguments& arguments) {
  CLI::App* connect = app.add_subcommand("connect", "From a connect to the screen");
  connect->add_option("--people", arguments.people, "Names, passwords and seeds")->required();
  connect->add_option("--broker", arguments.connect.broker, "ADDRESS:PORT")->required();
  connect->add_option("--machine", arguments.connect.machine, "The client's folder")->required();
  connect->add_option("--pool", arguments.connect.pool, "The pool")->required();
  connect->add_option("--reconnects", arguments.connect.reconnects, "For each person");

  CLI::App* display = app.add_subcommand("display", "A display with libvirt alone");
  display->add_option("--root", arguments.display.root, "libvirt's folder, short")->required();
  display->add_option("--kernel", arguments.display.kernel, "The guest's kernel")->required();
  display->add_option("--initrd", arguments.display.initrd, "Its RAM disk")->required();
  display->add_option("--kernel-arguments", arguments.display.kernel_arguments, "Its arguments");
  display->add_option("--count", arguments.display.count, "How many times")->required();
}

void AddStoreCommands(CLI::App& app, Arguments& arguments) {
  CLI::App* assign = app.add_subcommand("assign", "Assignments by a node with a SQLite store");
  assign->add_option("--file", arguments.assignments.file, "The new store")->required();
  assign->add_option("--in-flight", arguments.assignments.in_flight, "Connects at once");
  assign->add_option("--warm-up", arguments.assignments.warm_up, "How many before");
  assign->add_option("--count", arguments.assignments.count, "How many to measure")->required();

  CLI::App* commit = app.add_subcommand("commit", "Durable commits with SQLite alone");
  commit->add_option("--file", arguments.commits.file, "The new file")->required();
  commit->add_option("--writers", arguments.commits.writers, "Writers that share a transaction");
  commit->add_option("--count", arguments.commits.count, "How many to measure")->required();
}

void AddFleetCommands(CLI::App& app, Arguments& arguments) {
  CLI::App* store = app.add_subcommand("fleet-store", "A store with a fleet of ready desktops");
  store->add_option("--file", arguments.fleet_store.file, "The new store")->required();
  store->add_option("--desktops", arguments.fleet_store.desktops, "How many")->required();
  store->add_option("--hosts", arguments.fleet_store.hosts, "On how many hosts")->required();

  CLI::App* agents = app.add_subcommand("agents", "Agents that report until standard input ends");
  agents->add_option("--authority", arguments.agents.authority, "Folder of ca.pem and ca.key")
      ->required();
  agents->add_option("--broker", arguments.agents.brokers, "ADDRESS:PORT of each")->required();
  agents->add_option("--desktops", arguments.agents.desktops, "How many")->required();
  agents->add_option("--hosts", arguments.agents.hosts, "On how many hosts")->required();
}

void AddCount(CLI::App* command, int& warm_up, int& count, std::vector<int>& pids) {
  command->add_option("--pid", pids, "A process whose time is told");
  command->add_option("--warm-up", warm_up, "How many before the measurement");
  command->add_option("--count", count, "How many to measure")->required();
}

void AddCommands(CLI::App& app, Arguments& arguments) {
  const auto add_people = [&](CLI::App* command) {
    command->add_option("--people", arguments.people, "File with names and passwords")->required();
  };
  CLI::App* enrol = app.add_subcommand("enrol", "Give everybody a token, in the broker's store");
  add_people(enrol);
  enrol->add_option("--config", arguments.config, "The broker's configuration")->required();
  enrol->add_option("--out", arguments.out, "Where names, passwords and seeds go")->required();

  CLI::App* ldap = app.add_subcommand("ldap", "Searches and binds with libldap alone");
  add_people(ldap);
  ldap->add_option("--url", arguments.ldap.url, "ldaps://...")->required();
  ldap->add_option("--ca", arguments.ldap.ca_file, "The directory's authority")->required();
  ldap->add_option("--bind-dn", arguments.ldap.bind_dn, "The service account")->required();
  ldap->add_option("--bind-password-file", arguments.bind_password_file, "Its password")
      ->required();
  ldap->add_option("--user-base", arguments.ldap.user_base, "Where people are")->required();
  ldap->add_option("--attribute", arguments.ldap.attributes, "What is read of a person")
      ->required();
  ldap->add_option("--in-flight", arguments.ldap.in_flight, "Pairs at once");
  ldap->add_option("--search-connections", arguments.ldap.search_connections, "For the searches");
  ldap->add_option("--threads", arguments.ldap.threads, "Threads of the load");
  AddCount(ldap, arguments.ldap.warm_up, arguments.ldap.count, arguments.ldap.pids);

  CLI::App* sign_in = app.add_subcommand("sign-in", "Sign-ins at a broker");
  add_people(sign_in);
  sign_in->add_option("--broker", arguments.sign_in.broker, "ADDRESS:PORT")->required();
  sign_in
      ->add_option("--machine-prefix", arguments.machine_prefix,
                   "Folders of the clients' certificates, without their number")
      ->required();
  sign_in->add_option("--clients", arguments.clients, "Clients, one connection each");
  AddCount(sign_in, arguments.sign_in.warm_up, arguments.sign_in.count, arguments.sign_in.pids);
}

absl::StatusOr<std::string> Run(const CLI::App& app, Arguments& arguments) {
  if (app.got_subcommand("enrol")) return Enrol(arguments);
  if (app.got_subcommand("ldap")) return Ldap(arguments);
  if (app.got_subcommand("assign")) return Assignments(arguments);
  if (app.got_subcommand("commit")) return Commits(arguments);
  if (app.got_subcommand("agents")) return RunAgentLoad(arguments.agents);
  if (app.got_subcommand("fleet-store")) {
    RETURN_IF_ERROR(MakeFleetStore(arguments.fleet_store));
    return std::string("{}");
  }
  if (app.got_subcommand("connect")) return Connect(arguments);
  if (app.got_subcommand("display")) return RunDisplayLoad(arguments.display);
  return SignIn(arguments);
}

int Main(int argc, char** argv) {
  if (const absl::Status status = RequireTls13InThisProcess(); !status.ok()) {
    std::cerr << "werkplek-bench: " << status.message() << "\n";
    return 1;
  }
  // gRPC's locks: see GrpcServer::Start.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  Arguments arguments;
  CLI::App app("The loads that tests/bench/run measures with.");
  app.require_subcommand(1);
  AddCommands(app, arguments);
  AddStoreCommands(app, arguments);
  AddFleetCommands(app, arguments);
  AddDisplayCommands(app, arguments);
  CLI11_PARSE(app, argc, argv);
  SetLogSeverity(Severity::kError);
  const absl::StatusOr<std::string> json = Run(app, arguments);
  if (!json.ok()) {
    std::cerr << "werkplek-bench: " << json.status().message() << "\n";
    return 1;
  }
  std::cout << *json << "\n";
  return 0;
}

}  // namespace
}  // namespace werkplek

int main(int argc, char** argv) {
  // A broker that closes while the load writes is told as a failure.
  signal(SIGPIPE, SIG_IGN);
  return werkplek::Main(argc, argv);
}
