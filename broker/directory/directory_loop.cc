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
#include "broker/directory/person_search.h"

namespace werkplek {
namespace {

constexpr uint64_t kWakeData = ~uint64_t{0};
constexpr absl::Duration kTickEvery = absl::Milliseconds(20);
constexpr absl::Duration kIdleTickEvery = absl::Milliseconds(250);
// With many calls under way, sockets are looked at once in so long: many are served by one look,
// and what they have to send next goes together.
constexpr absl::Duration kPace = absl::Microseconds(500);
constexpr size_t kGroupCacheEntries = 100'000;

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
  if (call.on_found) {
    return [done = std::move(call.on_found), result = ToFound(std::move(answer))]() mutable {
      done(std::move(result));
    };
  }
  return [done = std::move(call.on_authenticated), answer = std::move(answer)]() mutable {
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
      joins_searches_(NamesOnlyTheUser(*settings_)),
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
  gathering_.resize(links_.size());
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
    SearchGathered();
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
  for (const Gathering& gathering : gathering_) {
    wait = std::min(wait, gathering.Rest(now_));
  }
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
        if (ended.request->calls.size() > 1) {
          HandleJoined(ended);
          continue;
        }
        const auto found = calls_.find(ended.request->calls.front());
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
  for (const RequestPointer& request : call.requests) {
    links_[call.server]->Cancel(request, call.id);
  }
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
