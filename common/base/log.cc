#include "common/base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/mutex.h"

namespace werkplek {
namespace {

constexpr size_t kMaxValueBytes = 1024;

struct Sink {
  Mutex mutex;
  std::function<void(const std::string&)> function ABSL_GUARDED_BY(mutex);
};

Sink& TheSink() {
  static Sink& sink = *new Sink;
  return sink;
}

std::atomic<Severity>& LowestSeverity() {
  static std::atomic<Severity> severity{Severity::kInfo};
  return severity;
}

// The formatting is all ours: spdlog adds the time, the level and the safe write.
spdlog::logger& Logger() {
  static spdlog::logger& logger = *[] {
    auto made = std::make_unique<spdlog::logger>("werkplek",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("time=%Y-%m-%dT%H:%M:%S.%eZ level=%l %v", spdlog::pattern_time_type::utc);
    made->set_level(spdlog::level::trace);
    made->flush_on(spdlog::level::trace);
    return made.release();
  }();
  return logger;
}

spdlog::level::level_enum SpdlogLevel(Severity severity) {
  switch (severity) {
    case Severity::kDebug:
      return spdlog::level::debug;
    case Severity::kInfo:
      return spdlog::level::info;
    case Severity::kWarning:
      return spdlog::level::warn;
    case Severity::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

bool NeedsQuotes(absl::string_view value) {
  if (value.empty()) return true;
  for (const unsigned char c : value) {
    if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '=') return true;
  }
  return false;
}

template <typename Fields>
void LogLine(Severity severity, absl::string_view event, const Fields& fields) {
  if (severity < LowestSeverity().load(std::memory_order_relaxed)) return;
  std::string line = FormatLogField({"event", std::string(event)});
  for (const LogField& field : fields) absl::StrAppend(&line, " ", FormatLogField(field));
  {
    Sink& sink = TheSink();
    MutexLock lock(sink.mutex);
    if (sink.function) {
      sink.function(line);
      return;
    }
  }
  Logger().log(SpdlogLevel(severity), line);
}

}  // namespace

std::string FormatLogField(const LogField& field) {
  absl::string_view value = field.second;
  const bool cut = value.size() > kMaxValueBytes;
  if (cut) value = value.substr(0, kMaxValueBytes);
  if (!cut && !NeedsQuotes(value)) return absl::StrCat(field.first, "=", value);
  std::string text = absl::StrCat(field.first, "=\"");
  for (const unsigned char c : value) {
    if (c == '"' || c == '\\') {
      text += '\\';
      text += static_cast<char>(c);
    } else if (c < ' ' || c == 0x7f) {
      absl::StrAppendFormat(&text, "\\x%02x", c);
    } else {
      text += static_cast<char>(c);
    }
  }
  if (cut) text += "...";
  text += '"';
  return text;
}

void Log(Severity severity, absl::string_view event, std::initializer_list<LogField> fields) {
  LogLine(severity, event, fields);
}

void Log(Severity severity, absl::string_view event, const std::vector<LogField>& fields) {
  LogLine(severity, event, fields);
}

void SetLogSeverity(Severity severity) {
  LowestSeverity().store(severity, std::memory_order_relaxed);
}

void SetLogSink(std::function<void(const std::string& line)> sink) {
  MutexLock lock(TheSink().mutex);
  TheSink().function = std::move(sink);
}

}  // namespace werkplek
