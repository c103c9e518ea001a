// One line per event: `time=... level=info event=sign-in user=jan result=ok`. Values are quoted and
// escaped, so no value can start a line or a field of its own; each is cut at 1 KiB. Thread-safe.
#pragma once

#include <functional>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace werkplek {

enum class Severity { kDebug, kInfo, kWarning, kError };

// A key of the project's own making and any text as its value.
using LogField = std::pair<absl::string_view, std::string>;

// Writes one event to the sink (by default, standard error). Never give it a secret.
void Log(Severity severity, absl::string_view event, std::initializer_list<LogField> fields = {});
void Log(Severity severity, absl::string_view event, const std::vector<LogField>& fields);

// Lines below `severity` are dropped from now on.
void SetLogSeverity(Severity severity);

// Where finished lines (without the newline) go; for tests. nullptr restores standard error.
void SetLogSink(std::function<void(const std::string& line)> sink);

// `key="escaped value"`, or `key=value` when the value needs no quotes.
std::string FormatLogField(const LogField& field);

}  // namespace werkplek
