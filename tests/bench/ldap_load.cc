#include "tests/bench/ldap_load.h"

#include <ldap.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <thread>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

struct Unbind {
  void operator()(LDAP* handle) const { ldap_unbind_ext(handle, nullptr, nullptr); }
};
using Handle = std::unique_ptr<LDAP, Unbind>;

absl::Status Failed(absl::string_view doing, int code) {
  return absl::UnavailableError(absl::StrCat(doing, ": ", ldap_err2string(code)));
}

berval Bytes(const std::string& text) {
  return {.bv_len = text.size(), .bv_val = const_cast<char*>(text.data())};
}

absl::StatusOr<Handle> Connect(const LdapLoadSettings& settings) {
  LDAP* raw = nullptr;
  if (const int code = ldap_initialize(&raw, settings.url.c_str()); code != LDAP_SUCCESS) {
    return Failed("ldap_initialize", code);
  }
  Handle handle(raw);
  const int version = LDAP_VERSION3;
  const int demand = LDAP_OPT_X_TLS_DEMAND;
  const int client = 0;
  ldap_set_option(raw, LDAP_OPT_PROTOCOL_VERSION, &version);
  ldap_set_option(raw, LDAP_OPT_REFERRALS, LDAP_OPT_OFF);
  ldap_set_option(raw, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand);
  ldap_set_option(raw, LDAP_OPT_X_TLS_CACERTFILE, settings.ca_file.c_str());
  ldap_set_option(raw, LDAP_OPT_X_TLS_NEWCTX, &client);
  if (const int code = ldap_connect(raw); code != LDAP_SUCCESS) return Failed("connecting", code);
  return handle;
}

// One thread's part of the load.
class Part {
 public:
  Part(const LdapLoadSettings& settings, const std::vector<BenchPerson>& people,
       std::atomic<int>& next, std::atomic<int>& done)
      : settings_(settings),
        people_(people),
        last_(settings.warm_up + settings.count),
        next_(next),
        done_(done),
        epoll_(epoll_create1(EPOLL_CLOEXEC)) {}
  ~Part() { close(epoll_); }
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;

  absl::Status Open() {
    const int searches = std::max(1, settings_.search_connections / settings_.threads);
    const int slots = std::max(1, settings_.in_flight / settings_.threads);
    for (int i = 0; i < searches; ++i) {
      ASSIGN_OR_RETURN(Handle handle, Connect(settings_));
      berval password = Bytes(settings_.bind_password);
      const int code = ldap_sasl_bind_s(handle.get(), settings_.bind_dn.c_str(), LDAP_SASL_SIMPLE,
                                        &password, nullptr, nullptr, nullptr);
      if (code != LDAP_SUCCESS) return Failed("binding as the service account", code);
      RETURN_IF_ERROR(Watch(handle.get(), searches_.size()));
      searches_.push_back({std::move(handle), {}});
    }
    for (int i = 0; i < slots; ++i) {
      ASSIGN_OR_RETURN(Handle handle, Connect(settings_));
      RETURN_IF_ERROR(Watch(handle.get(), searches_.size() + slots_.size()));
      slots_.push_back({std::move(handle), nullptr, {}, ""});
    }
    return absl::OkStatus();
  }

  absl::Status Run() {
    for (size_t i = 0; i < slots_.size(); ++i) RETURN_IF_ERROR(StartSearch(i));
    while (under_way_ > 0) {
      epoll_event events[64];
      const int count = epoll_wait(epoll_, events, 64, 5000);
      if (count == 0) return absl::DeadlineExceededError("the directory does not answer");
      for (int i = 0; i < count; ++i) {
        const uint64_t data = events[i].data.u64;
        RETURN_IF_ERROR(data < searches_.size() ? ReadSearches(searches_[data])
                                                : ReadBind(data - searches_.size()));
      }
    }
    return absl::OkStatus();
  }

  absl::Duration began = absl::InfiniteDuration();
  absl::Duration ended;
  std::vector<absl::Duration> latencies;
  // At the beginning of the measurement; empty when another part began it.
  std::map<int, absl::Duration> cpu;

 private:
  struct Search {
    Handle handle;
    // Message id to slot.
    std::map<int, size_t> under_way;
  };
  struct Slot {
    Handle handle;
    const BenchPerson* person;
    absl::Duration began;
    std::string dn;
  };

  absl::Status Watch(LDAP* handle, uint64_t data) {
    int descriptor = -1;
    ldap_get_option(handle, LDAP_OPT_DESC, &descriptor);
    epoll_event event = {};
    event.events = EPOLLIN;
    event.data.u64 = data;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event) == 0) return absl::OkStatus();
    return absl::UnavailableError("epoll_ctl failed");
  }

  absl::Status StartSearch(size_t slot) {
    const int turn = next_.fetch_add(1);
    if (turn >= last_) return absl::OkStatus();
    Slot& own = slots_[slot];
    own.person = &people_[turn % people_.size()];
    own.began = BenchClock();
    if (turn >= settings_.warm_up) began = std::min(began, own.began);
    if (turn == settings_.warm_up) cpu = CpuTimes(settings_.pids);
    std::vector<char*> attributes;
    for (const std::string& name : settings_.attributes) {
      attributes.push_back(const_cast<char*>(name.c_str()));
    }
    attributes.push_back(nullptr);
    Search& search = searches_[slot % searches_.size()];
    const std::string filter = absl::StrCat("(uid=", own.person->user, ")");
    int id = 0;
    const int code =
        ldap_search_ext(search.handle.get(), settings_.user_base.c_str(), LDAP_SCOPE_SUBTREE,
                        filter.c_str(), attributes.data(), 0, nullptr, nullptr, nullptr, 2, &id);
    if (code != LDAP_SUCCESS) return Failed("searching", code);
    search.under_way[id] = slot;
    ++under_way_;
    return absl::OkStatus();
  }

  absl::Status ReadSearches(Search& search) {
    for (;;) {
      timeval now = {};
      LDAPMessage* message = nullptr;
      const int type = ldap_result(search.handle.get(), LDAP_RES_ANY, LDAP_MSG_ONE, &now, &message);
      if (type == 0) return absl::OkStatus();
      if (type < 0) return absl::UnavailableError("the search connection is gone");
      const absl::Cleanup free_it = [&] { ldap_msgfree(message); };
      const auto at = search.under_way.find(ldap_msgid(message));
      if (at == search.under_way.end()) continue;
      if (type == LDAP_RES_SEARCH_ENTRY) {
        char* dn = ldap_get_dn(search.handle.get(), message);
        slots_[at->second].dn = dn;
        ldap_memfree(dn);
      } else if (type == LDAP_RES_SEARCH_RESULT) {
        const size_t slot = at->second;
        search.under_way.erase(at);
        RETURN_IF_ERROR(StartBind(slots_[slot]));
      }
    }
  }

  absl::Status StartBind(Slot& slot) {
    if (slot.dn.empty()) return absl::NotFoundError(absl::StrCat(slot.person->user, ": not found"));
    berval password = Bytes(slot.person->password);
    int id = 0;
    const int code = ldap_sasl_bind(slot.handle.get(), slot.dn.c_str(), LDAP_SASL_SIMPLE, &password,
                                    nullptr, nullptr, &id);
    return code == LDAP_SUCCESS ? absl::OkStatus() : Failed("binding", code);
  }

  absl::Status ReadBind(size_t slot) {
    Slot& own = slots_[slot];
    timeval now = {};
    LDAPMessage* message = nullptr;
    const int type = ldap_result(own.handle.get(), LDAP_RES_ANY, LDAP_MSG_ONE, &now, &message);
    if (type == 0) return absl::OkStatus();
    if (type < 0) return absl::UnavailableError("the bind connection is gone");
    int code = LDAP_OTHER;
    ldap_parse_result(own.handle.get(), message, &code, nullptr, nullptr, nullptr, nullptr, 1);
    if (code != LDAP_SUCCESS) return Failed(absl::StrCat("binding ", own.dn), code);
    --under_way_;
    own.dn.clear();
    const absl::Duration at = BenchClock();
    if (done_.fetch_add(1) >= settings_.warm_up) {
      latencies.push_back(at - own.began);
      ended = at;
    }
    return StartSearch(slot);
  }

  const LdapLoadSettings& settings_;
  const std::vector<BenchPerson>& people_;
  const int last_;
  std::atomic<int>& next_;
  std::atomic<int>& done_;
  const int epoll_;
  int under_way_ = 0;
  std::vector<Search> searches_;
  std::vector<Slot> slots_;
};

}  // namespace

absl::StatusOr<LoadResult> RunLdapLoad(const LdapLoadSettings& settings,
                                       const std::vector<BenchPerson>& people) {
  std::atomic<int> next = 0;
  std::atomic<int> done = 0;
  std::vector<std::unique_ptr<Part>> parts;
  for (int i = 0; i < settings.threads; ++i) {
    parts.push_back(std::make_unique<Part>(settings, people, next, done));
    RETURN_IF_ERROR(parts.back()->Open());
  }
  std::vector<absl::Status> statuses(parts.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < parts.size(); ++i) {
    threads.emplace_back([&, i] { statuses[i] = parts[i]->Run(); });
  }
  for (std::thread& thread : threads) thread.join();
  LoadResult result;
  absl::Duration began = absl::InfiniteDuration();
  absl::Duration ended;
  for (size_t i = 0; i < parts.size(); ++i) {
    RETURN_IF_ERROR(statuses[i]);
    began = std::min(began, parts[i]->began);
    ended = std::max(ended, parts[i]->ended);
    if (!parts[i]->cpu.empty()) result.cpu = CpuSince(parts[i]->cpu);
    result.latencies.insert(result.latencies.end(), parts[i]->latencies.begin(),
                            parts[i]->latencies.end());
  }
  result.done = result.latencies.size();
  result.took = ended - began;
  return result;
}

}  // namespace werkplek
