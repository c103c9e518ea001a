#include "broker/program/broker_config.h"

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "broker/model/names.h"
#include "broker/program/balance_config.h"
#include "common/base/status_macros.h"
#include "common/config/address_checks.h"
#include "common/config/config_file.h"
#include "common/config/rate_section.h"
#include "common/tls/peer_name.h"

namespace werkplek {
namespace {

constexpr size_t kSealingKeyBytes = 32;

absl::Status CheckJoinUrl(const std::string& text) {
  if (absl::StartsWith(text, "https://") && absl::EndsWith(text, "/v1/join")) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError("must have the form https://NAME:PORT/v1/join");
}

absl::Status CheckIpAddress(const std::string& text) {
  if (absl::StrContains(text, "/")) return absl::InvalidArgumentError("must be one address");
  return CheckNetworkText(text);
}

void ReadListen(ConfigSection section, BrokerConfig& config) {
  const TextRule numeric = {.required = true, .max_bytes = 64, .check = CheckNumericAddress};
  section.Text("clients", &config.rpc.client_address, numeric);
  section.Text("agents", &config.rpc.agent_address, numeric);
  section.Text("join", &config.join_address, numeric);
  section.Text("metrics", &config.metrics_address, {.max_bytes = 64, .check = CheckLoopback});
  section.Text("join_url", &config.join_url, {.check = CheckJoinUrl});
  ReadAdvertised(section, config.rpc.client_address, config.rpc.agent_address, config.store);
  config.store.own.name = config.name;
  const std::pair<const char*, const std::string*> all[] = {{"clients", &config.rpc.client_address},
                                                            {"agents", &config.rpc.agent_address},
                                                            {"join", &config.join_address},
                                                            {"metrics", &config.metrics_address}};
  for (size_t i = 0; i < std::size(all); ++i) {
    for (size_t j = 0; j < i; ++j) {
      const std::string& address = *all[i].second;
      if (address.empty() || absl::EndsWith(address, ":0") || address != *all[j].second) continue;
      section.Complain(all[i].first, absl::StrCat(address, " is taken by ", all[j].first,
                                                  " already; give each its own port"));
    }
  }
}

// A path that must exist when everything is judged.
void ReadFile(ConfigSection& section, absl::string_view key, ConfigCheck check,
              std::string* target) {
  if (check == ConfigCheck::kWhole) {
    section.ExistingFile(key, target, /*required=*/true);
  } else {
    section.Path(key, target, /*required=*/true);
  }
}

// Now; but a certificate that has ended meanwhile is judged as of its last day: the broker renews
// its own at the start.
absl::Time TimeToJudge(const std::string& certificate_file) {
  const absl::Time now = absl::Now();
  const absl::StatusOr<std::string> pem = ReadWholeFile(certificate_file, 64 * 1024);
  if (!pem.ok()) return now;
  const absl::StatusOr<PeerCertificate> certificate = ReadPeerCertificatePem(*pem);
  return certificate.ok() ? std::min(now, certificate->not_after) : now;
}

void ReadTrust(ConfigSection& root, ConfigCheck check, BrokerConfig& config) {
  ConfigSection tls = root.Section("tls", /*required=*/true);
  ReadFile(tls, "certificate", check, &config.tls.certificate);
  ReadFile(tls, "key", check, &config.tls.key);
  tls.TextList("dns_names", &config.dns_names, {.max_items = 16});
  tls.TextList("ip_addresses", &config.ip_addresses,
               {.max_items = 16, .item = {.check = CheckIpAddress}});

  ConfigSection authority = root.Section("authority", /*required=*/true);
  ReadFile(authority, "certificate", check, &config.authority.certificate);
  ReadFile(authority, "key", check, &config.authority.key);
  authority.Duration("certificate_lifetime", &config.certificate_lifetime,
                     {.min = absl::Hours(1), .max = absl::Hours(90 * 24)});
  config.tls.ca = config.authority.certificate;

  root.Path("sealing_key_file", &config.sealing_key_file, /*required=*/true);
  if (check == ConfigCheck::kForm) return;
  if (!config.sealing_key_file.empty()) {
    absl::StatusOr<Secret> key = ReadSecretFile(config.sealing_key_file, kSealingKeyBytes);
    if (!key.ok()) {
      root.Complain("sealing_key_file", key.status().message());
    } else if (key->Reveal().size() != kSealingKeyBytes) {
      root.Complain("sealing_key_file",
                    absl::StrCat(config.sealing_key_file, " must hold exactly ", kSealingKeyBytes,
                                 " bytes; `werkplek-broker init` makes it"));
    } else {
      config.sealing_key = *std::move(key);
    }
  }
  if (config.tls.certificate.empty() || config.tls.key.empty() || config.tls.ca.empty()) return;
  const absl::StatusOr<TlsMaterial> material =
      LoadTlsFiles(config.tls, TimeToJudge(config.tls.certificate));
  if (!material.ok()) {
    tls.Complain("certificate", material.status().message());
  } else if (material->own.name != PeerName{v1::IDENTITY_BROKER, config.name}) {
    tls.Complain("certificate",
                 absl::StrCat(config.tls.certificate, " is of ", PeerLabel(material->own.name),
                              ", not of broker/", config.name,
                              "; set name, or make another with "
                              "`werkplek-broker issue`"));
  }
  if (const auto loaded = CertificateAuthority::Load(config.authority); !loaded.ok()) {
    authority.Complain("key", loaded.status().message());
  }
}

void ReadDirectory(ConfigSection section, ConfigCheck check, DirectorySettings& directory,
                   NodeSettings& node) {
  section.TextList("servers", &directory.servers, {.required = true, .min_items = 1});
  section.Boolean("start_tls", &directory.start_tls);
  section.Text("bind_dn", &directory.bind_dn, {.required = true});
  section.Text("user_base", &directory.user_base, {.required = true});
  section.Text("user_filter", &directory.user_filter);
  section.Text("user_attribute", &directory.user_attribute);
  section.Text("name_attribute", &directory.name_attribute);
  section.Text("group_base", &directory.group_base);
  section.Text("group_filter", &directory.group_filter);
  section.Text("member_of_attribute", &directory.member_of_attribute);
  section.Text("decoy_dn", &directory.decoy_dn);
  section.Duration("network_timeout", &directory.network_timeout);
  section.Duration("operation_timeout", &directory.operation_timeout);
  section.Duration("answer_timeout", &directory.answer_timeout);
  section.Duration("group_cache_time", &directory.group_cache_time);
  section.Duration("recheck_every", &node.recheck_every,
                   {.min = absl::Seconds(5), .max = absl::Minutes(5)});
  int locks_after = 10;
  absl::Duration lock_window = absl::Minutes(30);
  section.Number("locks_after", &locks_after, {.min = 4, .max = 1'000});
  section.Duration("lock_window", &lock_window, {.min = absl::Minutes(1), .max = absl::Hours(24)});
  node.passwords = LimitsFor(static_cast<uint32_t>(locks_after), lock_window);
  section.Number("search_connections", &directory.search_connections);
  section.Number("max_bind_connections", &directory.max_bind_connections);
  section.Number("max_calls", &directory.max_calls);
  section.Number("max_groups", &directory.max_groups);
  if (section.Has("bind_password")) {
    std::string ignored;
    section.Text("bind_password", &ignored);
    Wipe(ignored);
    section.Complain("bind_password",
                     "a password must not stand here; put it into a file of mode 0600 and name it "
                     "with bind_password_file");
  }
  std::string password_file;
  if (check == ConfigCheck::kForm) {
    section.Path("ca_file", &directory.ca_file, /*required=*/true);
    section.Path("bind_password_file", &password_file, /*required=*/true);
    return;
  }
  bool whole = section.ExistingFile("ca_file", &directory.ca_file, /*required=*/true);
  whole &= section.SecretFile("bind_password_file", &directory.bind_password, /*required=*/true);
  whole &= !directory.servers.empty() && !directory.bind_dn.empty() && !directory.user_base.empty();
  if (!whole || !section.present()) return;
  const absl::Status status = directory.Validate();
  if (status.ok()) return;
  // "FIELD: what".
  const absl::string_view message = status.message();
  const size_t colon = message.find(": ");
  if (colon == absl::string_view::npos) {
    section.Complain("", message);
  } else {
    section.Complain(message.substr(0, colon), message.substr(colon + 2));
  }
}

void ReadRoles(ConfigSection section, NodeSettings& node) {
  const std::pair<const char*, v1::Role> roles[] = {{"administrator", v1::ROLE_ADMINISTRATOR},
                                                    {"helpdesk", v1::ROLE_HELPDESK},
                                                    {"auditor", v1::ROLE_AUDITOR}};
  for (const auto& [word, role] : roles) {
    std::vector<std::string> groups;
    const bool required = role == v1::ROLE_ADMINISTRATOR;
    section.TextList(word, &groups,
                     {.required = required, .min_items = required ? 1u : 0u, .max_items = 16});
    for (std::string& group : groups) node.role_groups.emplace_back(role, std::move(group));
  }
}

void ReadTokens(ConfigSection section, NodeSettings& node) {
  bool always = true;
  section.Choice("required", &always, {{"always", true}, {"except-on-networks", false}});
  section.NetworkList("networks", &node.token_waived_networks);
  if (always && section.Has("networks")) {
    section.Complain("networks",
                     "has no effect while `required` is always; set `required: "
                     "except-on-networks`, or remove the networks");
  }
  if (!always && node.token_waived_networks.empty()) {
    section.Complain("required", "except-on-networks needs `networks` with one network at least");
  }
  for (const std::string& network : node.token_waived_networks) {
    if (absl::EndsWith(network, "/0")) {
      section.Complain("networks", absl::StrCat(network,
                                                " is everywhere; name the networks whose "
                                                "people need no token"));
    }
  }
  BrokerSettings& broker = node.broker;
  section.Number("failures_pause", &broker.token_failures_pause, {.min = 3, .max = 20});
  section.Duration("pause", &broker.token_pause, {.min = absl::Minutes(1), .max = absl::Hours(24)});
  // NIST SP 800-63B allows 100; 20 wrong codes are a chance of 4 in 100,000.
  section.Number("failures_stop", &broker.token_failures_stop, {.min = 4, .max = 100});
  if (broker.token_failures_stop <= broker.token_failures_pause) {
    section.Complain("failures_stop", absl::StrCat("failures_stop (", broker.token_failures_stop,
                                                   ") must be more than failures_pause (",
                                                   broker.token_failures_pause, ")"));
  }
}

void ReadTimes(ConfigSection section, NodeSettings& node) {
  BrokerSettings& broker = node.broker;
  const DurationRule short_time = {.min = absl::Milliseconds(50), .max = absl::Minutes(1)};
  section.Duration("tick", &node.tick, short_time);
  section.Duration("heartbeat", &broker.heartbeat, short_time);
  section.Duration("suspect_after", &broker.suspect_after, short_time);
  section.Duration("down_after", &broker.down_after,
                   {.min = absl::Seconds(1), .max = absl::Minutes(10)});
  section.Duration("fence_after", &broker.fence_after,
                   {.min = absl::Seconds(2), .max = absl::Minutes(10)});
  section.Duration("fence_margin", &broker.fence_margin,
                   {.min = absl::Seconds(1), .max = absl::Minutes(10)});
  section.Duration("sign_in_lifetime", &broker.sign_in_lifetime,
                   {.min = absl::Minutes(5), .max = absl::Hours(24)});
  section.Duration("sign_in_idle", &broker.sign_in_idle,
                   {.min = absl::Minutes(1), .max = absl::Hours(24)});
  section.Duration("ticket_lifetime", &broker.ticket_lifetime,
                   {.min = absl::Seconds(5), .max = absl::Seconds(30)});
  section.Duration("prepare_deadline", &broker.prepare_deadline,
                   {.min = absl::Seconds(1), .max = absl::Minutes(5)});
  section.Duration("queue_deadline", &broker.default_queue_deadline,
                   {.min = absl::Seconds(1), .max = absl::Hours(1)});
  section.Duration("start_deadline", &broker.default_start_deadline,
                   {.min = absl::Seconds(5), .max = absl::Hours(1)});
  section.Duration("breaker_probe", &broker.breaker_probe,
                   {.min = absl::Seconds(1), .max = absl::Hours(1)});
  // A late retry must find its answer: no shorter than a sign-in may live.
  section.Duration("answered_kept", &broker.answered_kept,
                   {.min = absl::Hours(1), .max = absl::Hours(7 * 24)});
  section.Duration("ended_session_kept", &broker.ended_session_kept,
                   {.min = absl::Minutes(1), .max = absl::Hours(31 * 24)});

  struct Order {
    const char* key;
    absl::Duration small;
    const char* small_text;
    absl::Duration large;
    const char* large_text;
    const char* why;
  };
  const Order orders[] = {
      {"tick", node.tick, "tick", broker.heartbeat, "heartbeat",
       "liveness would be judged less often than hosts report"},
      {"suspect_after", 2 * broker.heartbeat, "2 x heartbeat", broker.suspect_after,
       "suspect_after", "one lost report would make a host suspect"},
      {"down_after", broker.suspect_after + broker.heartbeat, "suspect_after + heartbeat",
       broker.down_after, "down_after", "a host would be down before it was suspect"},
      {"fence_after", broker.lease_ttl + absl::Milliseconds(1), "lease_ttl + 1 ms",
       broker.fence_after, "fence_after",
       "agents would stop desktops whenever the lead changes hands"},
      {"down_after", broker.down_after, "down_after", broker.fence_after + broker.fence_margin,
       "fence_after + fence_margin", "a desktop would be fenced before its host is judged down"},
      {"fence_margin", absl::Seconds(2) + broker.fence_after / 4, "2 s + fence_after / 4",
       broker.fence_margin, "fence_margin",
       "clocks that run a tenth too fast and too slow would let two copies run"},
      {"sign_in_idle", broker.sign_in_idle, "sign_in_idle", broker.sign_in_lifetime,
       "sign_in_lifetime", "the idle limit could never be reached"},
      {"prepare_deadline", broker.prepare_deadline, "prepare_deadline",
       broker.default_start_deadline, "start_deadline",
       "preparing the guest would outlast the start"},
      {"answered_kept", broker.sign_in_lifetime, "sign_in_lifetime", broker.answered_kept,
       "answered_kept", "a retry within a sign-in could be carried out twice"},
  };
  for (const Order& order : orders) {
    if (order.small <= order.large) continue;
    section.Complain(order.key, absl::StrCat("the times break ", order.small_text, " <= ",
                                             order.large_text, " (", DurationText(order.small),
                                             " > ", DurationText(order.large), "): ", order.why));
  }
}

void ReadLimits(ConfigSection section, NodeSettings& node, RpcSettings& rpc, StoreConfig& store) {
  BrokerSettings& broker = node.broker;
  section.Number("waiting_events", &node.max_waiting_events, {.min = 100, .max = 1'000'000});
  section.Number("sign_ins_in_flight", &node.max_sign_ins_in_flight, {.min = 1, .max = 65'536});
  section.Number("sign_ins_per_person", &broker.sign_ins_per_person, {.min = 1, .max = 1000});
  section.Number("changes_per_person", &broker.changes_per_person, {.min = 100, .max = 1'000'000});
  section.Number("host_starts", &broker.default_host_starts, {.min = 1, .max = 1000});
  section.Number("site_starts", &broker.default_site_starts, {.min = 1, .max = 10'000});
  section.Number("queue", &broker.default_queue_limit, {.min = 1, .max = 100'000});
  section.Number("desktop_failures", &broker.default_max_failures, {.min = 1, .max = 100});
  section.Number("breaker_failures", &broker.default_breaker_failures, {.min = 1, .max = 1000});
  section.Number("unproved_connections", &rpc.connections.max_unproved, {.min = 16, .max = 65'536});
  section.Number("unproved_connections_per_address", &rpc.connections.max_unproved_per_source,
                 {.min = 1, .max = 65'536});
  section.Number("audit_records", &store.audit_records, {.min = 10'000, .max = 1'000'000'000});
  ReadRate(section.Section("sign_ins_per_machine"), rpc.machine_sign_ins);
  ReadRate(section.Section("sign_ins_per_gateway"), rpc.gateway_sign_ins);
  if (broker.default_site_starts < broker.default_host_starts) {
    section.Complain("site_starts", absl::StrCat("site_starts (", broker.default_site_starts,
                                                 ") must not be less than host_starts (",
                                                 broker.default_host_starts, ")"));
  }
}

absl::Status CheckFenceOption(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || absl::StrContains(text, "\n")) {
    return absl::InvalidArgumentError("must have the form NAME=VALUE");
  }
  const std::string name = text.substr(0, equals);
  if (name == "action" || name == "plug" || name == "port") {
    return absl::InvalidArgumentError(
        absl::StrCat("must not set ", name, "; the broker gives it for each host"));
  }
  if (absl::StrContains(name, "passw")) {
    return absl::InvalidArgumentError(
        "a password must not stand here; put it into a file of mode 0600 and name it with "
        "options_file");
  }
  return absl::OkStatus();
}

absl::Status CheckHostName(const std::string& text) {
  if (IsResourceName(text)) return absl::OkStatus();
  return absl::InvalidArgumentError("is no host's name");
}

// The program that switches hosts off. `files`: whether what it names must be there.
void ReadFencing(ConfigSection section, bool files, FenceCommandSettings& fencing) {
  if (!section.present()) return;
  const ListRule options = {.max_items = 64, .item = {.check = CheckFenceOption}};
  section.TextList("command", &fencing.command,
                   {.required = true, .min_items = 1, .max_items = 32});
  section.TextList("options", &fencing.options, options);
  std::string path;
  if (files) {
    section.SecretFile("options_file", &fencing.secret_options);
  } else {
    section.Path("options_file", &path);
  }
  section.Duration("timeout", &fencing.timeout,
                   {.min = absl::Seconds(1), .max = absl::Minutes(10)});
  section.Number("parallel", &fencing.parallel, {.min = 1, .max = 64});
  for (auto& [host, own] : section.NamedSections("hosts", CheckHostName)) {
    FenceHostSettings& settings = fencing.hosts[host];
    own.Text("plug", &settings.plug, {.max_bytes = 256});
    own.TextList("options", &settings.options, options);
  }
  if (fencing.command.empty()) return;
  const std::string& program = fencing.command.front();
  if (program.front() != '/') {
    section.Complain("command", absl::StrCat(program,
                                             " is not an absolute path; name the "
                                             "program, for example /usr/sbin/fence_virsh"));
  } else if (files && access(program.c_str(), X_OK) != 0) {
    section.Complain("command", absl::StrCat(program,
                                             " cannot be run; install it, or leave the "
                                             "section out"));
  }
}

}  // namespace

absl::StatusOr<BrokerConfig> LoadBrokerConfig(const std::string& path, ConfigCheck check) {
  const auto file = ConfigFile::Load(path);
  BrokerConfig config;
  ConfigSection root = file->Root();
  root.Text("organisation", &config.organisation, {.required = true, .max_bytes = 64});
  root.Text("name", &config.name, {.required = true, .check = CheckName});
  if (root.Path("data_dir", &config.data_dir, /*required=*/true)) {
    config.store.sqlite_file = config.data_dir + "/fleet.sqlite";
  }
  root.Choice("log", &config.log_severity,
              {{"debug", Severity::kDebug},
               {"info", Severity::kInfo},
               {"warning", Severity::kWarning},
               {"error", Severity::kError}});
  ReadStore(root.Section("store"), check == ConfigCheck::kWhole, config.store);
  ReadListen(root.Section("listen", /*required=*/true), config);
  ReadTrust(root, check, config);
  ReadDirectory(root.Section("directory", /*required=*/true), check, config.directory, config.node);
  ReadRoles(root.Section("roles", /*required=*/true), config.node);
  ReadTokens(root.Section("tokens"), config.node);
  if (config.store.in_etcd) config.node.broker.lease_ttl = config.store.lease_ttl;
  ReadTimes(root.Section("times"), config.node);
  ReadLimits(root.Section("limits"), config.node, config.rpc, config.store);
  ReadFencing(root.Section("fencing"), check == ConfigCheck::kWhole, config.fencing);
  config.node.broker.fence_command = !config.fencing.command.empty();
  ReadBalancing(root.Section("balancing"), config.node.broker.balance);
  ReadSiteLoss(root.Section("site_loss"), config.node.broker.site_loss);
  RETURN_IF_ERROR(file->Finish());
  if (config.join_url.empty()) {
    config.join_url = absl::StrCat("https://", config.join_address, "/v1/join");
  }
  return config;
}

}  // namespace werkplek
