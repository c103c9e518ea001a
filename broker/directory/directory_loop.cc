#include "broker/directory/directory_loop.h"

#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/directory/ldap_text.h"

namespace werkplek {
namespace {

constexpr uint64_t kWakeData = ~uint64_t{0};
constexpr absl::Duration kTickEvery = absl::Milliseconds(20);
constexpr absl::Duration kIdleTickEvery = absl::Milliseconds(250);
// With so many calls under way, sockets are looked at once in so long: many are served by one look,
// and what they have to send next goes together.
constexpr size_t kPacedCalls = 8;
constexpr absl::Duration kPace = absl::Microseconds(500);
constexpr size_t kGroupCacheEntries = 100'000;
// Group searches of one person under way at once, so that one with many groups leaves room.
constexpr size_t kGroupSearchesPerCall = 32;

// RFC 4511 appendix A.1.
constexpr int kSuccess = 0;
constexpr int kSizeLimitExceeded = 4;

absl::StatusOr<DirectoryPerson> ToFound(DirectoryAnswer answer) {
  switch (answer.outcome) {
    case DirectoryOutcome::kOk:
      return std::move(answer.person);
    case DirectoryOutcome::kDenied:
      return absl::NotFoundError(answer.detail);
    case DirectoryOutcome::kOverloaded:
      return absl::ResourceExhaustedError(answer.detail);
    case DirectoryOutcome::kUnavailable:
      break;
  }
  return absl::UnavailableError(answer.detail);
}

// Tells the call its answer; a Find gets it as a status.
Executor::Task AnswerOf(DirectoryCall& call, DirectoryAnswer answer) {
  if (call.found) {
    return [done = std::move(call.found), result = ToFound(std::move(answer))]() mutable {
      done(std::move(result));
    };
  }
  return [done = std::move(call.authenticated), answer = std::move(answer)]() mutable {
    done(std::move(answer));
  };
}

}  // namespace

DirectoryLoop::DirectoryLoop(std::shared_ptr<const DirectorySettings> settings,
                             const std::shared_ptr<const LdapTlsContext>& tls, Executor* executor)
    : settings_(std::move(settings)),
      executor_(executor),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      now_(SteadyNow()),
      person_attributes_(PersonAttributes(*settings_)),
      group_cache_(settings_->group_cache_time, kGroupCacheEntries) {
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.u64 = kWakeData;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event);
  for (size_t i = 0; i < settings_->servers.size(); ++i) {
    links_.push_back(std::make_unique<ServerLink>(settings_, tls, i, epoll_, [this](Opened opened) {
      MutexLock lock(mutex_);
      opened_.push_back(std::move(opened));
      Wake();
    }));
  }
  thread_ = std::thread([this] { Run(); });
  pthread_setname_np(thread_.native_handle(), "ldap-loop");
}

DirectoryLoop::~DirectoryLoop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    Wake();
  }
  thread_.join();
  close(wake_);
  close(epoll_);
}

void DirectoryLoop::Wake() {
  const uint64_t one = 1;
  // Only a full counter could refuse it, and then the loop is awake anyway.
  (void)!write(wake_, &one, sizeof(one));
}

void DirectoryLoop::Start(std::unique_ptr<DirectoryCall> call) {
  {
    MutexLock lock(mutex_);
    if (calls_under_way_ < settings_->max_calls && !stopping_) {
      ++calls_under_way_;
      new_calls_.push_back(std::move(call));
      if (new_calls_.size() == 1) Wake();
      return;
    }
  }
  Answer(std::move(call), {DirectoryOutcome::kOverloaded,
                           absl::StrCat(settings_->max_calls, " calls are under way already"),
                           {},
                           {}});
}

void DirectoryLoop::Answer(std::unique_ptr<DirectoryCall> call, DirectoryAnswer answer) {
  executor_->Post(AnswerOf(*call, std::move(answer)));
}

void DirectoryLoop::Flush() {
  for (const std::unique_ptr<ServerLink>& link : links_) link->Flush(now_);
  HandleEnded();
  if (answers_.empty()) return;
  executor_->Post([answers = std::exchange(answers_, {})]() mutable {
    for (Executor::Task& answer : answers) {
      answer();
      // What it holds goes before the next one runs.
      answer = nullptr;
    }
  });
}

void DirectoryLoop::Run() {
  // A server that closes while libldap writes must not end the process.
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
  while (TakeInbox()) {
    Flush();
    ReadSockets();
    HandleEnded();
    if (now_ >= next_tick_) Tick();
  }
  while (!calls_.empty()) {
    Finish(*calls_.begin()->second, DirectoryOutcome::kUnavailable, "the broker is stopping");
  }
  Flush();
  // Here and not in the destructor: closing writes to sockets whose other side may be gone.
  links_.clear();
  MutexLock lock(mutex_);
  opened_.clear();
}

bool DirectoryLoop::TakeInbox() {
  std::vector<std::unique_ptr<DirectoryCall>> calls;
  std::vector<Opened> opened;
  bool stopping = false;
  {
    MutexLock lock(mutex_);
    calls.swap(new_calls_);
    opened.swap(opened_);
    stopping = stopping_;
  }
  for (Opened& one : opened) {
    const size_t link = one.link;
    links_[link]->OnOpened(std::move(one), now_);
  }
  for (std::unique_ptr<DirectoryCall>& call : calls) {
    call->id = next_call_++;
    call->deadline = now_ + settings_->answer_timeout;
    call->tried.resize(links_.size());
    DirectoryCall& placed = *call;
    calls_[placed.id] = std::move(call);
    if (const std::optional<size_t> server = PickServer(placed)) {
      placed.server = *server;
      RunStage(placed);
    } else {
      Finish(placed, DirectoryOutcome::kUnavailable, "no directory server answers");
    }
  }
  HandleEnded();
  return !stopping;
}

void DirectoryLoop::ReadSockets() {
  Pace();
  std::array<epoll_event, 64> events;
  absl::Duration wait = std::max(next_tick_ - now_, absl::ZeroDuration());
  if (!read_again_.empty()) wait = absl::ZeroDuration();
  const int count = epoll_wait(
      epoll_, events.data(), events.size(),
      static_cast<int>(absl::ToInt64Milliseconds(wait)) + (wait > absl::ZeroDuration() ? 1 : 0));
  now_ = SteadyNow();
  std::vector<uint64_t> readable = std::exchange(read_again_, {});
  for (int i = 0; i < count; ++i) {
    // A copy: epoll_event is packed, so its field may not be aligned.
    const uint64_t data = events[i].data.u64;
    if (data != kWakeData) {
      readable.push_back(data);
      continue;
    }
    uint64_t times = 0;
    (void)!read(wake_, &times, sizeof(times));
  }
  for (const uint64_t data : readable) {
    ServerLink& link = *links_[data >> 32];
    if (!link.OnReadable(data & 0xffffffff, now_)) read_again_.push_back(data);
  }
}

void DirectoryLoop::Pace() {
  if (calls_.size() < kPacedCalls || !read_again_.empty()) return;
  const absl::Duration pause = now_ + kPace - SteadyNow();
  if (pause > absl::ZeroDuration()) {
    const timespec rest = absl::ToTimespec(pause);
    nanosleep(&rest, nullptr);
  }
}

void DirectoryLoop::Tick() {
  for (const std::unique_ptr<ServerLink>& link : links_) link->Tick(now_);
  HandleEnded();
  while (!calls_.empty() && calls_.begin()->second->deadline <= now_) {
    DirectoryCall& call = *calls_.begin()->second;
    if (WaitsForTurn(call)) {
      Finish(call, DirectoryOutcome::kOverloaded, "no turn came in time");
    } else {
      Finish(call, DirectoryOutcome::kUnavailable,
             absl::StrCat("no answer in time; last failure: ",
                          call.last_failure.empty() ? "none" : call.last_failure));
    }
  }
  next_tick_ = now_ + (calls_.empty() ? kIdleTickEvery : kTickEvery);
}

void DirectoryLoop::HandleEnded() {
  for (bool any = true; any;) {
    any = false;
    for (const std::unique_ptr<ServerLink>& link : links_) {
      for (const RequestEnded& ended : link->TakeEnded()) {
        any = true;
        const auto found = calls_.find(ended.request->call);
        if (found != calls_.end()) Handle(*found->second, ended);
      }
    }
  }
}

std::optional<size_t> DirectoryLoop::PickServer(const DirectoryCall& call) const {
  for (const bool suspects_too : {false, true}) {
    for (size_t i = 0; i < links_.size(); ++i) {
      const CircuitBreaker& circuit = links_[i]->circuit();
      if (!call.tried[i] && !circuit.open() && (suspects_too || !circuit.suspect())) return i;
    }
  }
  return std::nullopt;
}

// kPerson and kPassword.
void DirectoryLoop::RunStage(DirectoryCall& call) {
  auto request = std::make_shared<DirectoryRequest>();
  if (call.stage == Stage::kPerson) {
    request->use = ConnectionUse::kSearch;
    // Two are enough to see that a name is not unique.
    request->search = {settings_->user_base,
                       FillFilter(settings_->user_filter, "{user}", call.typed), person_attributes_,
                       2};
  } else {
    request->use = ConnectionUse::kBind;
    request->password = call.password;
    if (call.person.has_value()) {
      request->bind_dn = call.person->person.dn;
    } else if (!settings_->decoy_dn.empty()) {
      request->bind_dn = settings_->decoy_dn;
    } else {
      request->bind_dn =
          absl::StrCat(settings_->user_attribute, "=werkplek.nobody,", settings_->user_base);
    }
  }
  Send(call, std::move(request));
}

void DirectoryLoop::StartGroups(DirectoryCall& call) {
  call.stage = Stage::kGroups;
  call.walk.emplace(call.person->person.dn, static_cast<size_t>(settings_->max_groups));
  call.questions = call.walk->TakeQuestions();
  if (!settings_->member_of_attribute.empty()) {
    call.walk->Answer(call.person->direct_groups);
    call.questions = call.walk->TakeQuestions();
  }
  AskGroups(call);
}

void DirectoryLoop::AskGroups(DirectoryCall& call) {
  GroupWalk& walk = *call.walk;
  while (!call.questions.empty() && !walk.too_many() &&
         call.requests.size() < kGroupSearchesPerCall) {
    const std::string dn = std::move(call.questions.back());
    call.questions.pop_back();
    static const GroupList kNone = std::make_shared<const std::vector<std::string>>();
    const GroupList known = settings_->group_base.empty() ? kNone : group_cache_.Find(dn, now_);
    if (known != nullptr) {
      walk.Answer(*known);
      for (std::string& next : walk.TakeQuestions()) call.questions.push_back(std::move(next));
      continue;
    }
    auto request = std::make_shared<DirectoryRequest>();
    request->use = ConnectionUse::kSearch;
    request->bind_dn = dn;
    // "1.1": no attributes (RFC 4511 section 4.5.1.8); the DN is all that is wanted.
    request->search = {settings_->group_base,
                       FillFilter(settings_->group_filter, "{dn}", dn),
                       {"1.1"},
                       settings_->max_groups + 1};
    Send(call, std::move(request));
  }
  if (walk.too_many()) {
    // A part of the groups could be worse than none: a rule may say who must not.
    Finish(call, DirectoryOutcome::kUnavailable,
           absl::StrCat("in more than ", settings_->max_groups, " groups (max_groups)"));
  } else if (walk.done()) {
    call.person->person.groups = walk.Groups();
    Finish(call, DirectoryOutcome::kOk, "");
  }
}

void DirectoryLoop::Send(DirectoryCall& call, RequestPointer request) {
  request->call = call.id;
  call.requests.push_back(request);
  links_[call.server]->Send(std::move(request), now_);
}

void DirectoryLoop::Handle(DirectoryCall& call, const RequestEnded& ended) {
  call.requests.erase(std::remove(call.requests.begin(), call.requests.end(), ended.request),
                      call.requests.end());
  const DirectoryRequest& request = *ended.request;
  if (ended.end == RequestEnd::kDone) {
    switch (call.stage) {
      case Stage::kPerson:
        return HandlePerson(call, request);
      case Stage::kPassword:
        return HandlePassword(call, request);
      case Stage::kGroups:
        return HandleGroups(call, request);
    }
  }
  const bool again =
      ended.end == RequestEnd::kLost && !call.repeated && !links_[call.server]->circuit().open();
  if (!again) {
    NextServer(call, std::string(ended.status.message()));
    return;
  }
  // A server may close an idle connection at the moment that we use it.
  call.repeated = true;
  RepeatStage(call);
}

void DirectoryLoop::RepeatStage(DirectoryCall& call) {
  CancelRequests(call);
  if (call.stage == Stage::kGroups) {
    StartGroups(call);
  } else {
    RunStage(call);
  }
}

void DirectoryLoop::HandlePerson(DirectoryCall& call, const DirectoryRequest& request) {
  if (request.reply.code != kSuccess && request.reply.code != kSizeLimitExceeded) {
    NextServer(call,
               absl::StrCat(links_[call.server]->name(), ": searching for a person: LDAP result ",
                            request.reply.code, " ", request.reply.diagnostic));
    return;
  }
  call.person.reset();
  call.not_found_detail = "unknown user";
  if (request.entries.size() > 1 || request.reply.code == kSizeLimitExceeded) {
    call.not_found_detail = "more than one person has this name";
  } else if (request.entries.size() == 1) {
    call.person = ReadPerson(*settings_, request.entries[0], call.typed);
  }
  if (call.authenticated) {
    call.stage = Stage::kPassword;
    call.repeated = false;
    RunStage(call);
  } else if (!call.person.has_value()) {
    Finish(call, DirectoryOutcome::kDenied, call.not_found_detail);
  } else if (call.person->disabled) {
    Finish(call, DirectoryOutcome::kDenied, "account disabled");
  } else {
    call.repeated = false;
    StartGroups(call);
  }
}

void DirectoryLoop::HandlePassword(DirectoryCall& call, const DirectoryRequest& request) {
  BindVerdict verdict = JudgeBind(request.reply);
  if (verdict.outcome == DirectoryOutcome::kUnavailable) {
    NextServer(call, absl::StrCat(links_[call.server]->name(), ": ", verdict.detail));
  } else if (!call.person.has_value()) {
    // Whatever the decoy's password is.
    Finish(call, DirectoryOutcome::kDenied, call.not_found_detail);
  } else if (call.person->disabled) {
    Finish(call, DirectoryOutcome::kDenied, "account disabled");
  } else if (verdict.outcome != DirectoryOutcome::kOk) {
    Finish(call, DirectoryOutcome::kDenied, std::move(verdict.detail));
  } else {
    call.notices = std::move(verdict.notices);
    call.repeated = false;
    StartGroups(call);
  }
}

void DirectoryLoop::HandleGroups(DirectoryCall& call, const DirectoryRequest& request) {
  if (request.reply.code == kSizeLimitExceeded) {
    Finish(call, DirectoryOutcome::kUnavailable,
           absl::StrCat("the server gives only ", request.entries.size(),
                        " groups of a search: raise its size limit for the service account, or "
                        "the person is in more than ",
                        settings_->max_groups, " groups"));
    return;
  }
  if (request.reply.code != kSuccess) {
    NextServer(call,
               absl::StrCat(links_[call.server]->name(), ": searching for groups: LDAP result ",
                            request.reply.code, " ", request.reply.diagnostic));
    return;
  }
  std::vector<std::string> groups;
  for (const LdapEntry& entry : request.entries) groups.push_back(entry.dn);
  const auto list = std::make_shared<const std::vector<std::string>>(std::move(groups));
  group_cache_.Put(request.bind_dn, list, request.sent_at);
  call.walk->Answer(*list);
  for (std::string& next : call.walk->TakeQuestions()) call.questions.push_back(std::move(next));
  AskGroups(call);
}

void DirectoryLoop::NextServer(DirectoryCall& call, std::string why) {
  CancelRequests(call);
  call.tried[call.server] = true;
  call.repeated = false;
  call.last_failure = std::move(why);
  const std::optional<size_t> next = PickServer(call);
  if (!next.has_value()) {
    Finish(call, DirectoryOutcome::kUnavailable, call.last_failure);
    return;
  }
  call.server = *next;
  RepeatStage(call);
}

void DirectoryLoop::CancelRequests(DirectoryCall& call) {
  for (const RequestPointer& request : call.requests) links_[call.server]->Cancel(request);
  call.requests.clear();
}

bool DirectoryLoop::WaitsForTurn(const DirectoryCall& call) const {
  const auto waits = [&](const RequestPointer& request) {
    return !request->sent && links_[call.server]->HasConnection(request->use);
  };
  return !call.requests.empty() && std::all_of(call.requests.begin(), call.requests.end(), waits);
}

void DirectoryLoop::Finish(DirectoryCall& call, DirectoryOutcome outcome, std::string detail) {
  CancelRequests(call);
  const auto place = calls_.find(call.id);
  std::unique_ptr<DirectoryCall> owned = std::move(place->second);
  calls_.erase(place);
  {
    MutexLock lock(mutex_);
    --calls_under_way_;
  }
  DirectoryAnswer answer = {outcome, std::move(detail), {}, {}};
  if (outcome == DirectoryOutcome::kOk) {
    answer.person = std::move(owned->person->person);
    answer.notices = std::move(owned->notices);
  }
  answers_.push_back(AnswerOf(*owned, std::move(answer)));
}

}  // namespace werkplek
