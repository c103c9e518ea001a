#include "common/base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/log_batch.h"
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

// What a LogBatch of this thread keeps.
struct KeptLines {
  bool keeping = false;
  std::string text;
};
thread_local KeptLines kept_lines;

// One caller at a time, so that no line stands inside another.
void WriteToStandardError(absl::string_view text) {
  static Mutex& mutex = *new Mutex;
  MutexLock lock(mutex);
  while (!text.empty()) {
    const ssize_t written = write(STDERR_FILENO, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;  // Nobody to tell.
    text.remove_prefix(static_cast<size_t>(written));
  }
}

class StandardError : public spdlog::sinks::sink {
 public:
  void log(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    {
      MutexLock lock(mutex_);
      formatter_->format(message, line);
    }
    if (kept_lines.keeping) {
      kept_lines.text.append(line.data(), line.size());
    } else {
      WriteToStandardError({line.data(), line.size()});
    }
  }
  void flush() override {}
  void set_pattern(const std::string& pattern) override {
    set_formatter(std::make_unique<spdlog::pattern_formatter>(pattern));
  }
  void set_formatter(std::unique_ptr<spdlog::formatter> formatter) override {
    MutexLock lock(mutex_);
    formatter_ = std::move(formatter);
  }

 private:
  Mutex mutex_;
  std::unique_ptr<spdlog::formatter> formatter_ ABSL_GUARDED_BY(mutex_);
};

// The formatting is all ours: spdlog adds the time and the level.
spdlog::logger& Logger() {
  static spdlog::logger& logger = *[] {
    auto made = std::make_unique<spdlog::logger>("werkplek", std::make_shared<StandardError>());
    made->set_pattern("time=%Y-%m-%dT%H:%M:%S.%eZ level=%l %v", spdlog::pattern_time_type::utc);
    made->set_level(spdlog::level::trace);
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

LogBatch::LogBatch() { kept_lines.keeping = true; }

LogBatch::~LogBatch() {
  kept_lines.keeping = false;
  WriteToStandardError(kept_lines.text);
  kept_lines.text.clear();
}

void SetLogSeverity(Severity severity) {
  LowestSeverity().store(severity, std::memory_order_relaxed);
}

void SetLogSink(std::function<void(const std::string& line)> sink) {
  MutexLock lock(TheSink().mutex);
  TheSink().function = std::move(sink);
}

}  // namespace werkplek
