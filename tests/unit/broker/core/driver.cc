#include "tests/unit/broker/core/driver.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/crypto.h"

namespace werkplek {

v1::DesktopReport* FakeHost::Find(const std::string& desktop) {
  for (auto& there : *report_.mutable_desktops()) {
    if (there.desktop() == desktop) return &there;
  }
  return nullptr;
}

void FakeHost::AttachStorage() {
  report_.add_storages("san");
  report_.set_lock_manager("lockd");
}

void FakeHost::StartKept(const v1::AgentCommand& command, v1::DesktopReport& desktop) {
  const bool fenced = desktop.fenced() && desktop.generation() == command.generation();
  if (fenced || (desktop.generation() == 0 && command.spec().storage().empty())) {
    desktop.set_generation(command.generation());
    desktop.set_power(v1::POWER_OFF);
    desktop.set_failed_verb(command.verb());
    desktop.set_error(fenced ? "fenced" : "its disk is not here");
    return;
  }
  const std::string id = command.desktop();
  desktop.Clear();
  desktop.set_desktop(id);
  desktop.set_generation(command.generation());
  desktop.set_used(true);
  desktop.set_kept(true);
  desktop.set_power(v1::POWER_RUNNING);
  desktop.set_guest_agent(guest_agent);
  desktop.set_guest(guest_agent ? v1::GUEST_STATE_UP : v1::GUEST_STATE_UNKNOWN);
}

void FakeHost::Start(const v1::AgentCommand& command) {
  v1::DesktopReport* desktop = Find(command.desktop());
  if (desktop == nullptr) {
    desktop = report_.add_desktops();
    desktop->set_desktop(command.desktop());
  }
  if (!start_error.empty()) {
    desktop->set_generation(command.generation());
    desktop->set_power(v1::POWER_OFF);
    desktop->set_failed_verb(command.verb());
    desktop->set_error(start_error);
    return;
  }
  if (command.spec().kept() && command.verb() == v1::COMMAND_START) {
    return StartKept(command, *desktop);
  }
  if (desktop->generation() != command.generation()) {
    const std::string id = command.desktop();
    desktop->Clear();
    desktop->set_desktop(id);
    desktop->set_generation(command.generation());
    v1::ProofOfCleanness& proof = *desktop->mutable_proof();
    proof.set_generation(command.generation());
    proof.set_overlay_identity(absl::StrCat(name_, ":", ++overlays_));
    proof.set_overlay_created_unix_ns(overlays_);
    proof.set_backing_sha256(command.image().sha256());
    desktop->set_kept(command.spec().kept());
  }
  desktop->set_power(v1::POWER_RUNNING);
  desktop->set_guest_agent(guest_agent);
  desktop->set_guest(guest_agent ? v1::GUEST_STATE_UP : v1::GUEST_STATE_UNKNOWN);
}

void FakeHost::Obey(const v1::AgentCommand& command) {
  if (stuck) return;
  report_.set_seen_epoch(std::max<uint64_t>(report_.seen_epoch(), command.epoch()));
  if (command.verb() == v1::COMMAND_HEARD) report_.set_fence_after_ms(command.fence_after_ms());
  v1::DesktopReport* desktop = Find(command.desktop());
  if (desktop != nullptr && command.generation() < desktop->generation()) return;
  // An agent does one thing at a time; what is lost here is sent again.
  if (desktop != nullptr && desktop->operation() == v1::COMMAND_MIGRATE) return;
  // What stops a desktop is good for older generations of it, too.
  if (desktop != nullptr && command.verb() == v1::COMMAND_STOP) {
    desktop->set_power(v1::POWER_OFF);
    desktop->set_guest(v1::GUEST_STATE_UNKNOWN);
    desktop->clear_session();
    desktop->clear_open_tickets();
    return;
  }
  switch (command.verb()) {
    case v1::COMMAND_START:
    case v1::COMMAND_RESET:
      return Start(command);
    case v1::COMMAND_REMOVE: {
      auto& all = *report_.mutable_desktops();
      all.erase(std::remove_if(all.begin(), all.end(),
                               [&](const auto& d) { return d.desktop() == command.desktop(); }),
                all.end());
      return;
    }
    default:
      break;
  }
  if (desktop == nullptr || desktop->generation() != command.generation()) return;
  switch (command.verb()) {
    case v1::COMMAND_MIGRATE:
      desktop->clear_failed_verb();
      desktop->clear_error();
      if (desktop->power() == v1::POWER_OFF) break;
      desktop->set_operation(v1::COMMAND_MIGRATE);
      desktop->set_moving_to(command.move_to());
      if (desktop->viewer() == v1::VIEWER_CONNECTED) desktop->set_viewer(v1::VIEWER_GONE);
      desktop->clear_open_tickets();
      break;
    case v1::COMMAND_SUSPEND:
      desktop->set_power(v1::POWER_SUSPENDED);
      break;
    case v1::COMMAND_RESUME:
      desktop->set_power(v1::POWER_RUNNING);
      break;
    case v1::COMMAND_BEGIN_SESSION:
      desktop->set_used(true);
      if (guest_agent) desktop->set_session(command.session());
      if (guest_agent) desktop->set_guest(v1::GUEST_STATE_SESSION);
      break;
    case v1::COMMAND_END_SESSION:
      desktop->clear_session();
      desktop->set_viewer(v1::VIEWER_NONE);
      desktop->clear_open_tickets();
      break;
    case v1::COMMAND_GRANT_TICKET:
      desktop->set_used(true);
      desktop->clear_open_tickets();
      desktop->add_open_tickets(command.ticket().ticket_sha256());
      if (desktop->viewer() == v1::VIEWER_CONNECTED) desktop->set_viewer(v1::VIEWER_GONE);
      break;
    case v1::COMMAND_CLOSE_DISPLAY:
      if (desktop->viewer() == v1::VIEWER_CONNECTED) desktop->set_viewer(v1::VIEWER_GONE);
      break;
    default:
      break;
  }
}

std::shared_ptr<const v1::AgentReport> FakeHost::Report() {
  report_.set_sequence(report_.sequence() + 1);
  return std::make_shared<const v1::AgentReport>(report_);
}

Driver::Driver(BrokerSettings settings, Fleet fleet)
    : settings_(settings),
      broker_(std::make_unique<Broker>(settings, fleet, 1, now)),
      stored_(std::move(fleet)) {}

void Driver::Apply(decltype(Event::what) what) {
  Event event{std::move(what), Sha256(absl::StrCat("entropy", next_++))};
  Decision decision = broker_->Apply(event, now);
  for (const v1::Change& change : decision.changes) {
    ASSERT_TRUE(ApplyChange(change, stored_)) << change.ShortDebugString();
    if (change.table() == kAuditTable) {
      v1::AuditRecord record;
      ASSERT_TRUE(record.ParseFromString(change.value()));
      audit_.push_back(record);
    }
  }
  latest = decision.effects;
  if (check) check(event, decision);
  for (const Effect& effect : decision.effects) Take(effect);
  // Commands go out, and what they change is reported at once.
  std::map<std::string, bool> changed;
  while (!commands_.empty()) {
    auto [host, command] = std::move(commands_.front());
    commands_.pop_front();
    const auto at = hosts.find(host);
    if (at == hosts.end() || at->second.silent) continue;
    if (lose_command && lose_command()) continue;
    at->second.Obey(command);
    if (command.verb() != v1::COMMAND_HEARD && !at->second.stuck) changed[host] = true;
  }
  for (const auto& [host, yes] : changed) {
    FakeHost& fake = hosts.at(host);
    if (!fake.silent) Apply(AgentReported{host, fake.link, fake.Report()});
  }
}

void Driver::Take(const Effect& effect) {
  effects_.push_back(effect);
  if (const auto* reply = std::get_if<Reply>(&effect)) {
    EXPECT_EQ(replies_.count(reply->call), 0u) << "answered twice";
    replies_[reply->call] = *reply;
  } else if (const auto* progress = std::get_if<ConnectProgress>(&effect)) {
    EXPECT_EQ(failures_.count(progress->call), 0u) << "told something after its end";
    updates_[progress->call].push_back(progress->update);
    if (progress->last) failures_[progress->call] = absl::OkStatus();
  } else if (const auto* failed = std::get_if<ConnectFailed>(&effect)) {
    EXPECT_EQ(failures_.count(failed->call), 0u) << "ended twice";
    failures_[failed->call] = failed->status;
  } else if (const auto* sent = std::get_if<SendCommand>(&effect)) {
    commands_.emplace_back(sent->host, sent->command);
  }
}

void Driver::FinishMoves() {
  for (auto& [name, host] : hosts) {
    auto& all = *host.report().mutable_desktops();
    for (int i = 0; i < all.size();) {
      v1::DesktopReport& desktop = *all.Mutable(i);
      if (desktop.operation() != v1::COMMAND_MIGRATE) {
        ++i;
        continue;
      }
      const auto target = hosts.find(desktop.moving_to());
      const bool there = target != hosts.end() && !target->second.silent;
      desktop.clear_operation();
      desktop.clear_moving_to();
      if (!host.move_error.empty() || !there) {
        desktop.set_failed_verb(v1::COMMAND_MIGRATE);
        desktop.set_error(there ? host.move_error : "the other host does not answer");
        ++i;
        continue;
      }
      *target->second.report().add_desktops() = desktop;
      all.DeleteSubrange(i, 1);
    }
  }
}

void Driver::ReportAll() {
  for (auto& [name, host] : hosts) {
    if (!host.silent) Apply(AgentReported{name, host.link, host.Report()});
  }
}

void Driver::Advance(absl::Duration time) {
  const absl::Time end = now + time;
  while (now < end) {
    now += std::min(absl::Milliseconds(250), end - now);
    if (now - last_report >= absl::Seconds(1)) {
      last_report = now;
      if (!hold_moves) FinishMoves();
      ReportAll();
    }
    Apply(Tick{});
  }
}

FakeHost& Driver::AddHost(const std::string& name) {
  FakeHost& host = hosts.emplace(name, FakeHost(name)).first->second;
  host.link = next_++;
  Apply(AgentAttached{name, host.link});
  Apply(AgentReported{name, host.link, host.Report()});
  return host;
}

void Driver::Restart() {
  Fleet fleet = stored_;
  broker_ = std::make_unique<Broker>(settings_, std::move(fleet), ++epoch_, now);
  for (auto& [name, host] : hosts) {
    if (host.silent) continue;
    host.link = next_++;
    Apply(AgentAttached{name, host.link});
  }
}

void Driver::Enrol(const std::string& user) {
  v1::TokenEnrolment token;
  token.set_user(user);
  token.set_seed_id("seed-1");
  token.set_state(v1::TOKEN_STATE_ACTIVE);
  v1::Change change;
  change.set_table(std::string(kTokenTable));
  change.set_key(user);
  change.set_value(token.SerializeAsString());
  ASSERT_TRUE(ApplyChange(change, stored_));
  ASSERT_TRUE(ApplyChange(change, const_cast<Fleet&>(broker_->fleet())));
}

SignInChecked Driver::GoodSignIn(const std::string& user) {
  const uint64_t n = next_++;
  SignInChecked event;
  event.call = n;
  event.caller = CallerOf("");
  event.typed_user = user;
  event.request_id = absl::StrCat("sign-in-", n);
  event.directory = DirectoryOutcome::kOk;
  event.person.user = user;
  event.person.dn = absl::StrCat("uid=", user, ",ou=people,dc=example");
  event.person.display_name = absl::StrCat("Person ", user);
  event.person.groups = {"cn=staff,ou=groups,dc=example"};
  event.seed_id = "seed-1";
  event.matched_step = ++steps_[user] + 1000;
  event.token_sha256 = Sha256(absl::StrCat("token", n));
  event.sign_in_id = absl::StrCat("i-", n);
  return event;
}

std::string Driver::SignIn(const std::string& user, std::vector<v1::Role> roles,
                           std::vector<std::string> groups) {
  if (fleet().tokens.Find(user) == nullptr) Enrol(user);
  SignInChecked event = GoodSignIn(user);
  event.roles = std::move(roles);
  if (!groups.empty()) event.person.groups = std::move(groups);
  Apply(event);
  EXPECT_TRUE(replies_[event.call].status.ok()) << replies_[event.call].status;
  return event.token_sha256;
}

Caller Driver::CallerOf(const std::string& token_sha256) const {
  Caller caller;
  caller.identity = v1::IDENTITY_ADMIN;
  caller.peer = "admin/desk-1";
  caller.certificate_sha256 = std::string(32, 'c');
  caller.address = "192.0.2.7:51234";
  caller.token_sha256 = token_sha256;
  return caller;
}

Caller Driver::AtGateway(const std::string& name, const std::string& token_sha256) const {
  Caller caller = CallerOf(token_sha256);
  caller.identity = v1::IDENTITY_GATEWAY;
  caller.peer = absl::StrCat("gateway/", name);
  caller.certificate_sha256 = Sha256(caller.peer);
  return caller;
}

absl::StatusOr<std::shared_ptr<const google::protobuf::Message>> Driver::CallAs(
    const Caller& caller, std::shared_ptr<google::protobuf::Message> request) {
  const CallId call = next_++;
  const auto* field = request->GetDescriptor()->FindFieldByName("request_id");
  if (field != nullptr && request->GetReflection()->GetString(*request, field).empty()) {
    request->GetReflection()->SetString(request.get(), field, absl::StrCat("request-", call));
  }
  CallRequested event;
  event.call = call;
  event.caller = caller;
  event.request = request;
  event.sealed_seed = "sealed";
  event.seed_id = absl::StrCat("seed-", call);
  Apply(event);
  if (replies_.count(call) == 0) return absl::InternalError("no answer came");
  const Reply& reply = replies_.at(call);
  if (!reply.status.ok()) return reply.status;
  return reply.response;
}

const std::string& Driver::Admin() {
  if (admin_.empty()) admin_ = SignIn("beheer", {v1::ROLE_ADMINISTRATOR, v1::ROLE_HELPDESK});
  return admin_;
}

void Driver::Create(v1::Resource resource) {
  v1::CreateResourceRequest request;
  *request.mutable_resource() = std::move(resource);
  const auto answer = Call(Admin(), std::move(request));
  EXPECT_TRUE(answer.ok()) << answer.status();
}

CallId Driver::Connect(const std::string& token_sha256, const std::string& pool, bool again) {
  const CallId call = next_++;
  auto request = std::make_shared<v1::ConnectRequest>();
  request->set_request_id(absl::StrCat("request-", call));
  request->set_pool(pool);
  request->set_again(again);
  CallRequested event;
  event.call = call;
  event.caller = CallerOf(token_sha256);
  event.request = std::move(request);
  event.ticket = absl::StrCat("ticket-", call);
  Apply(event);
  return call;
}

std::vector<v1::ConnectUpdate> Driver::Updates(CallId call) const {
  const auto at = updates_.find(call);
  return at == updates_.end() ? std::vector<v1::ConnectUpdate>() : at->second;
}

v1::ConnectUpdate Driver::Last(CallId call) const {
  const auto updates = Updates(call);
  return updates.empty() ? v1::ConnectUpdate() : updates.back();
}

absl::Status Driver::Failure(CallId call) const {
  const auto at = failures_.find(call);
  return at == failures_.end() ? absl::UnknownError("still open") : at->second;
}

const v1::Session* Driver::SessionOf(const std::string& user) const {
  for (const auto& entry : fleet().sessions) {
    if (entry.record->user() == user && entry.record->state() != v1::SESSION_STATE_ENDED) {
      return entry.record.get();
    }
  }
  return nullptr;
}

const v1::Desktop* Driver::DesktopOf(const std::string& user) const {
  const v1::Session* session = SessionOf(user);
  return session == nullptr ? nullptr : fleet().desktops.Find(session->desktop());
}

int Driver::Desktops(v1::DesktopState state) const {
  int count = 0;
  for (const auto& entry : fleet().desktops) count += entry.record->state() == state ? 1 : 0;
  return count;
}

std::vector<v1::AgentCommand> Driver::Commands(v1::CommandVerb verb) const {
  std::vector<v1::AgentCommand> commands;
  for (const Effect& effect : effects_) {
    const auto* sent = std::get_if<SendCommand>(&effect);
    if (sent != nullptr && sent->command.verb() == verb) commands.push_back(sent->command);
  }
  return commands;
}

uint64_t Driver::Counted(const std::string& what, const std::string& label) const {
  return std::count_if(effects_.begin(), effects_.end(), [&](const Effect& effect) {
    const auto* counted = std::get_if<werkplek::Counted>(&effect);
    return counted != nullptr && counted->what == what && counted->label == label;
  });
}

bool Driver::Logged(const std::string& event, const std::string& field,
                    const std::string& value) const {
  return std::any_of(effects_.begin(), effects_.end(), [&](const Effect& effect) {
    const auto* log = std::get_if<LogEvent>(&effect);
    return log != nullptr && log->event == event &&
           std::find(log->fields.begin(), log->fields.end(), std::make_pair(field, value)) !=
               log->fields.end();
  });
}

v1::Resource MakeSite(const std::string& name) {
  v1::Resource resource;
  resource.set_name(name);
  resource.mutable_site()->set_description("Site");
  return resource;
}

v1::Resource MakeHost(const std::string& name, const std::string& site) {
  v1::Resource resource;
  resource.set_name(name);
  resource.mutable_host()->set_site(site);
  return resource;
}

v1::Resource MakeImage(const std::string& name, char digit) {
  v1::Resource resource;
  resource.set_name(name);
  v1::Image& image = *resource.mutable_image();
  image.set_source("/images/tiny.qcow2");
  image.set_sha256(std::string(64, digit));
  image.set_format("qcow2");
  image.set_guest_agent(true);
  return resource;
}

v1::Resource MakePool(const std::string& name, uint32_t min, uint32_t max, uint32_t spares) {
  v1::Resource resource;
  resource.set_name(name);
  v1::Pool& pool = *resource.mutable_pool();
  pool.set_kind(v1::POOL_KIND_FLOATING);
  pool.set_image("tiny");
  pool.set_min_desktops(min);
  pool.set_max_desktops(max);
  pool.set_running_spares(spares);
  pool.set_vcpus(1);
  pool.set_memory_mib(1024);
  return resource;
}

v1::Resource MakeEntitlement(const std::string& pool, const std::string& group) {
  v1::Resource resource;
  resource.set_name(absl::StrCat(pool, "-", group));
  resource.mutable_entitlement()->set_pool(pool);
  resource.mutable_entitlement()->set_group(group);
  return resource;
}

}  // namespace werkplek
