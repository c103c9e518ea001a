// Many lines of the log with one call of the system.
#pragma once

namespace werkplek {

// While one lives, the lines that its thread logs are kept, each with its own time; they are
// written together when it goes. Not nested. A sink of SetLogSink gets its lines at once all the
// same.
class LogBatch {
 public:
  LogBatch();
  ~LogBatch();
  LogBatch(const LogBatch&) = delete;
  LogBatch& operator=(const LogBatch&) = delete;
};

}  // namespace werkplek
