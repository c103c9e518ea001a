#include "tests/bench/bench_fleet.h"

#include <algorithm>
#include <future>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/crypto.h"

namespace werkplek {
namespace {

constexpr char kSite[] = "noord";
constexpr char kImage[] = "tiny";
constexpr uint64_t kMemoryMib = 2'048;

std::string HostName(int number) { return absl::StrFormat("hv-%02d", number); }
// As the core names them: eight hexadecimal digits that tell nothing.
std::string DesktopId(int number) {
  return absl::StrCat(kBenchPool, "-", HexEncode(Sha256(absl::StrCat(number))).substr(0, 8));
}
std::string UserName(int number) { return absl::StrFormat("medewerker%05d", number); }
std::string Digest() { return std::string(64, 'a'); }

v1::ProofOfCleanness Proof(int number) {
  v1::ProofOfCleanness proof;
  proof.set_generation(1);
  proof.set_overlay_identity(absl::StrCat("8:", number));
  proof.set_overlay_created_unix_ns(number + 1);
  proof.set_backing_sha256(Digest());
  return proof;
}

template <typename Record>
void Put(absl::string_view table, const std::string& key, const Record& record,
         ChangeSet& changes) {
  v1::Change& change = changes.emplace_back();
  change.set_table(std::string(table));
  change.set_key(key);
  change.set_value(record.SerializeAsString());
}

void PutResources(int count, int hosts, ChangeSet& changes) {
  const auto put = [&changes](absl::string_view table, v1::Resource resource) {
    resource.set_version(1);
    Put(table, resource.name(), resource, changes);
  };
  v1::Resource site;
  site.set_name(kSite);
  site.mutable_site();
  put(kSiteTable, site);
  for (int i = 0; i < hosts; ++i) {
    v1::Resource host;
    host.set_name(HostName(i));
    host.mutable_host()->set_site(kSite);
    put(kHostTable, host);
  }
  v1::Resource image;
  image.set_name(kImage);
  image.mutable_image()->set_source("/images/tiny.qcow2");
  image.mutable_image()->set_sha256(Digest());
  image.mutable_image()->set_format("qcow2");
  image.mutable_image()->set_guest_agent(true);
  put(kImageTable, image);
  v1::Resource named;
  named.set_name(kBenchPool);
  v1::Pool& pool = *named.mutable_pool();
  pool.set_kind(v1::POOL_KIND_FLOATING);
  pool.set_image(kImage);
  // As many as there are: what is given away is not made up for.
  pool.set_min_desktops(count);
  pool.set_max_desktops(count);
  pool.set_running_spares(count);
  pool.set_vcpus(1);
  pool.set_memory_mib(kMemoryMib);
  put(kPoolTable, named);
  v1::Resource entitlement;
  entitlement.set_name("kantoor-gemeente");
  entitlement.mutable_entitlement()->set_pool(kBenchPool);
  entitlement.mutable_entitlement()->set_group("gemeente");
  put(kEntitlementTable, entitlement);
}

v1::Desktop MakeDesktop(int number, int hosts, absl::Time now) {
  v1::Desktop desktop;
  desktop.set_id(DesktopId(number));
  desktop.set_pool(kBenchPool);
  desktop.set_host(HostName(number % hosts));
  desktop.set_image(kImage);
  desktop.set_state(v1::DESKTOP_STATE_READY);
  desktop.set_generation(1);
  desktop.set_wanted_power(v1::POWER_RUNNING);
  *desktop.mutable_proof() = Proof(number);
  desktop.set_state_since_unix_ms(absl::ToUnixMillis(now));
  desktop.set_memory_mib(kMemoryMib);
  desktop.set_vcpus(1);
  return desktop;
}

v1::SignIn MakeSignIn(int number, absl::Time now) {
  const Caller caller = BenchCaller(number);
  v1::SignIn sign_in;
  sign_in.set_id(absl::StrCat("si-", HexEncode(caller.token_sha256).substr(0, 20)));
  sign_in.set_token_sha256(caller.token_sha256);
  sign_in.set_user(UserName(number));
  sign_in.set_display_name(absl::StrCat("Medewerker ", number));
  sign_in.set_user_dn(absl::StrCat("uid=", UserName(number), ",ou=people,dc=voorbeeld,dc=nl"));
  sign_in.add_groups("cn=gemeente,ou=groups,dc=voorbeeld,dc=nl");
  sign_in.add_roles(v1::ROLE_EMPLOYEE);
  sign_in.set_certificate_sha256(caller.certificate_sha256);
  sign_in.set_peer(caller.peer);
  sign_in.set_address(caller.address);
  sign_in.set_created_unix_ms(absl::ToUnixMillis(now));
  sign_in.set_last_used_unix_ms(absl::ToUnixMillis(now));
  sign_in.set_expires_unix_ms(absl::ToUnixMillis(now + absl::Hours(12)));
  return sign_in;
}

}  // namespace

ChangeSet MakeBenchFleet(int count, int hosts, absl::Time now) {
  ChangeSet changes;
  PutResources(count, hosts, changes);
  for (int i = 0; i < count; ++i) {
    const v1::Desktop desktop = MakeDesktop(i, hosts, now);
    Put(kDesktopTable, desktop.id(), desktop, changes);
    const v1::SignIn sign_in = MakeSignIn(i, now);
    Put(kSignInTable, sign_in.id(), sign_in, changes);
  }
  return changes;
}

absl::Status FillBenchStore(SqliteStore& store, int count, int hosts, absl::Time now) {
  std::promise<absl::Status> finished;
  store.ClaimEpoch([&](absl::StatusOr<uint64_t> epoch) {
    if (!epoch.ok()) return finished.set_value(epoch.status());
    store.Commit(*epoch, MakeBenchFleet(count, hosts, now),
                 [&](absl::Status status) { finished.set_value(std::move(status)); });
  });
  return finished.get_future().get();
}

Caller BenchCaller(int number) {
  Caller caller;
  caller.identity = v1::IDENTITY_CLIENT;
  caller.peer = absl::StrCat("client/tc-", number);
  caller.certificate_sha256 = Sha256(absl::StrCat("certificate ", number));
  caller.address = "192.0.2.7:51234";
  caller.token_sha256 = Sha256(absl::StrCat("token ", number));
  return caller;
}

BenchHosts::BenchHosts(int count, int hosts) {
  MutexLock lock(mutex_);
  for (int i = 0; i < hosts; ++i) {
    v1::AgentReport& report = hosts_[HostName(i)].report;
    report.set_host(HostName(i));
    report.set_agent_run("run-1");
    report.set_adopted(true);
    report.mutable_load()->set_memory_total_mib(kMemoryMib * static_cast<uint64_t>(count));
    report.mutable_load()->set_cpus(64);
    report.add_relays("192.0.2.1:7444");
    v1::ImageReport& image = *report.add_images();
    image.set_image(kImage);
    image.set_sha256(Digest());
    image.set_verified(true);
  }
  // In the order of their names, as agents report them.
  std::map<std::string, int> numbers;
  for (int i = 0; i < count; ++i) numbers[DesktopId(i)] = i;
  for (const auto& [id, i] : numbers) {
    Host& host = hosts_[HostName(i % hosts)];
    host.places[id] = host.report.desktops_size();
    v1::DesktopReport& desktop = *host.report.add_desktops();
    desktop.set_desktop(id);
    desktop.set_generation(1);
    desktop.set_power(v1::POWER_RUNNING);
    desktop.set_guest(v1::GUEST_STATE_UP);
    desktop.set_guest_agent(true);
    *desktop.mutable_proof() = Proof(i);
    desktop.set_memory_mib(kMemoryMib);
  }
}

std::vector<std::string> BenchHosts::names() {
  MutexLock lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, host] : hosts_) names.push_back(name);
  return names;
}

v1::AgentReport BenchHosts::NextReport(const std::string& name) {
  MutexLock lock(mutex_);
  v1::AgentReport& report = hosts_[name].report;
  report.set_sequence(report.sequence() + 1);
  return report;
}

void BenchHosts::Attach(BrokerNode& node) {
  for (const std::string& name : names()) {
    const uint64_t link = node.AgentAttached(name);
    MutexLock lock(mutex_);
    hosts_[name].link = link;
  }
}

void BenchHosts::Report(BrokerNode& node) {
  for (const std::string& name : names()) {
    v1::AgentReport report = NextReport(name);
    uint64_t link = 0;
    {
      MutexLock lock(mutex_);
      link = hosts_[name].link;
    }
    node.AgentReported(name, link, std::move(report));
  }
}

void BenchHosts::Send(const std::string& name, uint64_t link, const v1::AgentCommand& command) {
  {
    MutexLock lock(mutex_);
    const auto found = hosts_.find(name);
    if (found == hosts_.end() || found->second.link != link) return;
  }
  Obey(name, command);
}

void BenchHosts::Obey(const std::string& name, const v1::AgentCommand& command) {
  MutexLock lock(mutex_);
  Host& host = hosts_[name];
  v1::AgentReport& report = host.report;
  report.set_seen_epoch(std::max<uint64_t>(report.seen_epoch(), command.epoch()));
  const auto place = host.places.find(command.desktop());
  if (place == host.places.end()) return;
  v1::DesktopReport& desktop = *report.mutable_desktops(place->second);
  if (command.verb() == v1::COMMAND_BEGIN_SESSION) {
    desktop.set_session(command.session());
    desktop.set_guest(v1::GUEST_STATE_SESSION);
  } else if (command.verb() == v1::COMMAND_GRANT_TICKET) {
    desktop.clear_open_tickets();
    desktop.add_open_tickets(command.ticket().ticket_sha256());
  }
}

}  // namespace werkplek
