#include "tests/sim/admin.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/model/names.h"
#include "broker/token/one_time_code.h"
#include "common/base/crypto.h"
#include "google/protobuf/message.h"
#include "tests/sim/otpauth.h"
#include "tests/sim/world.h"

namespace werkplek::sim {
namespace {

std::string KeyOf(v1::ResourceKind kind, const std::string& name) {
  return absl::StrCat(static_cast<int>(kind), "/", name);
}

}  // namespace

Admin::Admin(World& world, std::string seed)
    : world_(world), seed_(std::move(seed)), client_(world, kMachine, 0) {
  caller_.identity = v1::IDENTITY_ADMIN;
  caller_.peer = "admin/beheer-1";
  caller_.certificate_sha256 = Sha256("admin certificate");
  caller_.address = "10.0.0.1:1000";
}

void Admin::SignIn() {
  if (world_.wall_step() <= last_step_) {
    return world_.After(absl::Seconds(5), [this] { SignIn(); });
  }
  last_step_ = world_.wall_step();
  v1::SignInRequest request;
  request.set_request_id(absl::StrCat("admin-", next_request_++));
  request.set_user(kUser);
  request.set_password(kPassword);
  request.set_token_code(TotpCode(seed_, last_step_, 6, CodeHash::kSha1));
  SignInTry attempt;
  attempt.at = world_.now();
  attempt.user = kUser;
  attempt.peer = caller_.peer;
  attempt.request_id = request.request_id();
  attempt.password_right = true;
  attempt.code_step = attempt.sent_step = last_step_;
  world_.history().sign_ins.push_back(attempt);
  client_.SignIn(
      caller_, request, [](const BrokerProcess::Answer&) {},
      [this](const BrokerProcess::Answer& answer) {
        if (!answer.ok()) return world_.After(absl::Seconds(1), [this] { SignIn(); });
        const auto& response = static_cast<const v1::SignInResponse&>(**answer);
        caller_.token_sha256 = Sha256(response.access_token());
        signed_in_ = true;
        world_.Say("admin is signed in");
        working_ = false;
        Next();
      });
}

void Admin::Do(MessagePointer request, Then then) {
  wishes_.push_back({std::move(request), std::move(then)});
  Next();
}

void Admin::Next() {
  if (working_ || wishes_.empty()) return;
  working_ = true;
  if (!signed_in_) return SignIn();
  // The id is made once, so that a repeat is known as one.
  const auto& wish = wishes_.front().request;
  std::shared_ptr<google::protobuf::Message> named(wish->New());
  named->CopyFrom(*wish);
  const auto* field = named->GetDescriptor()->FindFieldByName("request_id");
  named->GetReflection()->SetString(named.get(), field, absl::StrCat("admin-", next_request_++));
  wishes_.front().request = std::move(named);
  Try();
}

void Admin::Try() {
  const MessagePointer request = wishes_.front().request;
  client_.Call(
      caller_, request,
      [this, request](const BrokerProcess::Answer& answer) { NoteAcknowledged(request, answer); },
      [this, request](const BrokerProcess::Answer& answer) {
        if (absl::IsUnauthenticated(answer.status())) {
          signed_in_ = false;
          return SignIn();
        }
        if (Client::MayRetry(answer.status())) {
          return world_.After(world_.chance().Between(absl::Milliseconds(200), absl::Seconds(2)),
                              [this] { Try(); });
        }
        world_.Say("admin: ", request->GetDescriptor()->name(), " ", answer.status().ToString());
        if (answer.ok()) answered_.push_back(request);
        const Then then = wishes_.front().then;
        wishes_.pop_front();
        working_ = false;
        if (then) then(answer);
        Next();
      });
}

void Admin::RepeatOldCalls(size_t calls) {
  signed_in_ = false;
  // The last of these needs a sign-in, so the others go with it.
  auto nothing = std::make_shared<v1::RevokeSignInsRequest>();
  nothing->set_user("nobody");
  Do(nothing, [this, calls](const BrokerProcess::Answer&) {
    for (size_t i = 0; i < std::min(calls, answered_.size()); ++i) {
      world_.After(world_.chance().Between(absl::ZeroDuration(), absl::Seconds(15)),
                   [this, caller = caller_, request = answered_[i]] {
                     world_.RepeatCall(client_.machine(), caller, request);
                   });
    }
  });
}

void Admin::NoteAcknowledged(const MessagePointer& request, const BrokerProcess::Answer& answer) {
  if (!answer.ok()) return;
  ChangeAcknowledged change;
  change.at = world_.now();
  change.after_commits = world_.history().commits.size();
  if (const auto* resource = dynamic_cast<const v1::Resource*>(answer->get())) {
    change.kind = ChangeAcknowledged::Kind::kResource;
    change.what = resource->name();
    change.version = resource->version();
    // A site has no table in the checker.
    if (resource->kind_case() != v1::Resource::kSite) {
      world_.history().acknowledged.push_back(change);
    }
  } else if (const auto* ended = dynamic_cast<const v1::EndAnySessionRequest*>(request.get())) {
    change.kind = ChangeAcknowledged::Kind::kEndSession;
    change.what = ended->session();
    world_.history().acknowledged.push_back(change);
  }
}

void Admin::Declare(const v1::Resource& resource) {
  declared_[KeyOf(KindOf(resource), resource.name())] = resource;
  auto request = std::make_shared<v1::CreateResourceRequest>();
  *request->mutable_resource() = resource;
  Do(request, [this](const BrokerProcess::Answer& answer) {
    if (!answer.ok()) world_.Complain("set-up: " + answer.status().ToString());
  });
}

v1::Resource Admin::MakeHost(int index) const {
  v1::Resource resource;
  resource.set_name(absl::StrCat("hv-", index));
  resource.mutable_host()->set_site(world_.SiteOfHost(index));
  // Some limits are declared, others follow from what the agent reports.
  if (index % 2 == 0) {
    resource.mutable_host()->set_memory_limit_mib(world_.scenario().host_memory_mib);
  }
  resource.mutable_host()->set_max_starts_in_flight(index % 3);
  return resource;
}

v1::Resource Admin::MakePool(int index) const {
  const Scenario& scenario = world_.scenario();
  v1::Resource resource;
  resource.set_name(absl::StrCat("pool-", index));
  v1::Pool& pool = *resource.mutable_pool();
  pool.set_kind(v1::POOL_KIND_FLOATING);
  pool.set_image("tiny");
  pool.set_max_desktops(scenario.max_desktops);
  pool.set_running_spares(scenario.spares);
  pool.set_vcpus(1);
  pool.set_memory_mib(scenario.desktop_memory_mib);
  pool.mutable_disconnect()->set_suspend_after_s(scenario.suspend_after_s);
  pool.mutable_disconnect()->set_end_after_s(scenario.end_after_s);
  pool.set_queue_deadline_s(60);
  pool.set_start_deadline_s(30);
  if (scenario.moves) {
    pool.set_storage(kSharedStorage);
    pool.set_network(kNetwork);
  }
  if (scenario.dedicated && index == 1) {
    pool.set_kind(v1::POOL_KIND_DEDICATED);
    pool.set_storage(kSharedStorage);
  }
  return resource;
}

v1::Resource Admin::MakeEntitlement(const std::string& name, const std::string& pool,
                                    const std::string& group) const {
  v1::Resource resource;
  resource.set_name(name);
  resource.mutable_entitlement()->set_pool(pool);
  resource.mutable_entitlement()->set_group(group);
  return resource;
}

void Admin::SetUp(std::function<void()> done) {
  for (const std::string& name : world_.sites()) {
    v1::Resource site;
    site.set_name(name);
    site.mutable_site()->set_description("site " + name);
    Declare(site);
  }
  v1::Resource image;
  image.set_name("tiny");
  image.mutable_image()->set_source("/images/tiny.qcow2");
  image.mutable_image()->set_sha256(std::string(64, 'a'));
  image.mutable_image()->set_format("qcow2");
  image.mutable_image()->set_guest_agent(world_.scenario().guest_agent);
  Declare(image);
  for (int i = 0; i < world_.scenario().hosts; ++i) Declare(MakeHost(i));
  for (int i = 0; i < world_.scenario().pools; ++i) Declare(MakePool(i));
  Declare(MakeEntitlement("staff-pool-0", "pool-0", "staff"));
  if (world_.scenario().pools > 1) Declare(MakeEntitlement("team-pool-1", "pool-1", "team"));
  // The last answer: everything before it is answered too.
  auto nothing = std::make_shared<v1::RevokeSignInsRequest>();
  nothing->set_user("nobody");
  Do(nothing, [done](const BrokerProcess::Answer&) { done(); });
}

void Admin::SetHostOpen(const std::string& host, v1::Schedulability schedulability) {
  auto request = std::make_shared<v1::SetSchedulabilityRequest>();
  request->set_kind(v1::RESOURCE_KIND_HOST);
  request->set_name(host);
  request->set_schedulability(schedulability);
  Do(request, nullptr);
}

void Admin::SetPoolOpen(const std::string& pool, v1::Schedulability schedulability) {
  auto request = std::make_shared<v1::SetSchedulabilityRequest>();
  request->set_kind(v1::RESOURCE_KIND_POOL);
  request->set_name(pool);
  request->set_schedulability(schedulability);
  Do(request, nullptr);
}

void Admin::ResizePool(const std::string& pool, uint32_t least, uint32_t most, uint32_t spares) {
  const Picture fleet = world_.picture();
  const v1::Resource* current = fleet == nullptr ? nullptr : fleet->pools.Find(pool);
  if (current == nullptr) return;
  auto request = std::make_shared<v1::UpdateResourceRequest>();
  *request->mutable_resource() = *current;
  request->mutable_resource()->mutable_pool()->set_min_desktops(least);
  request->mutable_resource()->mutable_pool()->set_max_desktops(most);
  request->mutable_resource()->mutable_pool()->set_running_spares(spares);
  Do(request, nullptr);
}

void Admin::TakeEntitlement(const std::string& name) {
  auto request = std::make_shared<v1::DeleteResourceRequest>();
  request->set_kind(v1::RESOURCE_KIND_ENTITLEMENT);
  request->set_name(name);
  Do(request, nullptr);
}

void Admin::GiveEntitlement(const std::string& name) {
  const auto at = declared_.find(KeyOf(v1::RESOURCE_KIND_ENTITLEMENT, name));
  if (at == declared_.end()) return;
  auto request = std::make_shared<v1::CreateResourceRequest>();
  *request->mutable_resource() = at->second;
  Do(request, nullptr);
}

void Admin::Rebalance(const std::string& site) {
  auto request = std::make_shared<v1::RebalanceRequest>();
  request->set_site(site);
  request->set_dry_run(world_.chance().Percent(10));
  Do(request, nullptr);
}

void Admin::EndSomeSession() {
  const Picture fleet = world_.picture();
  if (fleet == nullptr || fleet->live_sessions.empty()) return;
  std::vector<std::string> sessions;
  for (const auto& entry : fleet->live_sessions) sessions.push_back(*entry.record);
  auto request = std::make_shared<v1::EndAnySessionRequest>();
  request->set_session(world_.chance().Pick(sessions));
  request->set_reason("asked for by telephone");
  Do(request, nullptr);
}

void Admin::ResetSomeDesktop(bool only_errors) {
  const Picture fleet = world_.picture();
  if (fleet == nullptr) return;
  for (const auto& entry : fleet->desktops) {
    const bool error = entry.record->state() == v1::DESKTOP_STATE_ERROR;
    if (!error && (only_errors || !world_.chance().Percent(20))) continue;
    auto request = std::make_shared<v1::ResetDesktopRequest>();
    request->set_desktop(entry.key);
    Do(request, nullptr);
    if (!only_errors) return;
  }
}

void Admin::RevokeSignInsOf(const std::string& user) {
  auto request = std::make_shared<v1::RevokeSignInsRequest>();
  request->set_user(user);
  Do(request, nullptr);
}

void Admin::EnrolAnew(const std::string& user,
                      std::function<void(const std::string& uri)> enrolled) {
  if (!enrolling_.insert(user).second) return;
  auto request = std::make_shared<v1::EnrolTokenRequest>();
  request->set_user(user);
  Do(request, [this, user, enrolled](const BrokerProcess::Answer& answer) {
    if (!answer.ok()) return EnrolAgain(user, enrolled);
    const auto* response = dynamic_cast<const v1::EnrolTokenResponse*>(answer->get());
    const std::string uri = response->otpauth_uri();
    // A code that is newer than any that was used before.
    world_.After(absl::Seconds(31), [this, user, uri, enrolled] {
      auto confirm = std::make_shared<v1::ConfirmTokenRequest>();
      confirm->set_user(user);
      confirm->set_code(TotpCode(SeedOfUri(uri), world_.wall_step(), 6, CodeHash::kSha1));
      Do(confirm, [this, user, uri, enrolled](const BrokerProcess::Answer& confirmed) {
        // The code may have grown old in the queue.
        if (!confirmed.ok()) return EnrolAgain(user, enrolled);
        enrolling_.erase(user);
        enrolled(uri);
      });
    });
  });
}

void Admin::EnrolAgain(const std::string& user,
                       const std::function<void(const std::string& uri)>& enrolled) {
  world_.After(absl::Seconds(2), [this, user, enrolled] {
    enrolling_.erase(user);
    EnrolAnew(user, enrolled);
  });
}

void Admin::PutRight() {
  const Scenario& scenario = world_.scenario();
  for (int i = 0; i < scenario.hosts; ++i) {
    SetHostOpen(absl::StrCat("hv-", i), v1::SCHEDULABILITY_OPEN);
  }
  for (int i = 0; i < scenario.pools; ++i) {
    const std::string pool = absl::StrCat("pool-", i);
    SetPoolOpen(pool, v1::SCHEDULABILITY_OPEN);
  }
  GiveEntitlement("staff-pool-0");
  GiveEntitlement("team-pool-1");
  auto nothing = std::make_shared<v1::RevokeSignInsRequest>();
  nothing->set_user("nobody");
  Do(nothing, [this](const BrokerProcess::Answer&) {
    // With the versions as they are now.
    for (int i = 0; i < world_.scenario().pools; ++i) {
      ResizePool(absl::StrCat("pool-", i), 0, world_.scenario().max_desktops,
                 world_.scenario().spares);
    }
  });
}

}  // namespace werkplek::sim
