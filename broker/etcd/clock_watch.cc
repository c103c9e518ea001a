#include "broker/etcd/clock_watch.h"

#include <openssl/ssl.h>

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/etcd/clock_offset.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/http/http_client.h"

namespace werkplek {
namespace {

// RFC 9110 section 5.6.7.
constexpr char kHttpDate[] = "%a, %d %b %Y %H:%M:%S GMT";

// Read anew for each look: certificates are renewed.
absl::StatusOr<SslContextPointer> EtcdContext(const EtcdSettings& settings) {
  SslContextPointer context(SSL_CTX_new(TLS_client_method()),
                            [](SSL_CTX* given) { SSL_CTX_free(given); });
  if (context == nullptr ||
      SSL_CTX_load_verify_locations(context.get(), settings.ca.c_str(), nullptr) != 1 ||
      SSL_CTX_use_certificate_chain_file(context.get(), settings.certificate.c_str()) != 1 ||
      SSL_CTX_use_PrivateKey_file(context.get(), settings.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    return absl::FailedPreconditionError(absl::StrCat("etcd's certificates: ", OpensslError()));
  }
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  // Whoever has a certificate of etcd's own authority can do worse than tell a wrong time.
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  return context;
}

}  // namespace

ClockWatch::Ask AskEtcdForTime(const EtcdSettings& settings) {
  return [settings](const std::string& endpoint,
                    absl::Duration limit) -> absl::StatusOr<absl::Time> {
    ASSIGN_OR_RETURN(const SslContextPointer context, EtcdContext(settings));
    ASSIGN_OR_RETURN(const HttpResponse answer,
                     HttpsGet(absl::StrCat("https://", endpoint, "/version"), context, limit));
    absl::Time said;
    std::string error;
    if (!absl::ParseTime(kHttpDate, answer.date, absl::UTCTimeZone(), &said, &error)) {
      return absl::UnavailableError(absl::StrCat(endpoint, " told no time: '", answer.date, "'"));
    }
    return said;
  };
}

ClockWatch::ClockWatch(ClockWatchSettings settings, std::vector<std::string> endpoints, Ask ask,
                       const Executor* clock)
    : settings_(settings),
      endpoints_(std::move(endpoints)),
      ask_(std::move(ask)),
      clock_(clock),
      thread_([this] { Run(); }) {}

ClockWatch::~ClockWatch() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.SignalAll();
  }
  thread_.join();
}

void ClockWatch::Run() {
  const auto stopping = [this] {
    MutexLock lock(mutex_);
    return stopping_;
  };
  while (!stopping()) {
    Look();
    MutexLock lock(mutex_);
    if (!stopping_) changed_.WaitFor(mutex_, settings_.interval);
  }
}

void ClockWatch::Look() {
  std::vector<absl::Duration> offsets;
  std::string seen;
  for (const std::string& endpoint : endpoints_) {
    ClockReading reading;
    reading.asked = clock_->Now();
    const absl::StatusOr<absl::Time> said = ask_(endpoint, settings_.limit);
    if (!said.ok()) continue;
    reading.said = *said;
    reading.answered = clock_->Now();
    offsets.push_back(SureOffset(reading));
    absl::StrAppend(&seen, seen.empty() ? "" : ", ", endpoint, " ",
                    absl::FormatDuration(absl::Trunc(offsets.back(), absl::Milliseconds(1))));
  }
  // Nobody to compare with: what was known stays.
  if (offsets.empty()) return;
  const bool good = !ClockIsOff(offsets, settings_.most);
  if (good_.exchange(good) == good) return;
  Log(good ? Severity::kInfo : Severity::kError, good ? "clock-good" : "clock-off",
      {{"now", absl::FormatTime(clock_->Now(), absl::UTCTimeZone())},
       {"behind", seen},
       {"what", good ? "one-time codes are judged again"
                     : "no one-time code is judged until the clock is set (NTP)"}});
}

}  // namespace werkplek
