#include "broker/fencing/command_fencer.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"
#include "common/subprocess/subprocess.h"

namespace werkplek {
namespace {

constexpr size_t kMaxTold = 256;

// The last line of what it wrote, which is where fence agents say what went wrong.
std::string LastWords(const std::string& errors) {
  const absl::string_view text = absl::StripAsciiWhitespace(errors);
  const size_t line = text.rfind('\n');
  std::string last(line == absl::string_view::npos ? text : text.substr(line + 1));
  for (char& c : last) {
    if (!absl::ascii_isprint(c)) c = '?';
  }
  return last.substr(0, kMaxTold);
}

}  // namespace

CommandFencer::CommandFencer(FenceCommandSettings settings, Executor* executor)
    : settings_(std::move(settings)),
      executor_(executor),
      workers_(std::make_unique<WorkerPool>("fence", settings_.parallel,
                                            static_cast<size_t>(settings_.parallel) * 4)) {}

CommandFencer::~CommandFencer() { stopping_ = true; }

std::string CommandFencer::InputFor(const std::string& host) const {
  std::string input;
  for (const std::string& option : settings_.options) absl::StrAppend(&input, option, "\n");
  const absl::string_view secret = settings_.secret_options.Reveal();
  if (!secret.empty()) absl::StrAppend(&input, secret, "\n");
  const auto own = settings_.hosts.find(host);
  std::string plug = host;
  if (own != settings_.hosts.end()) {
    for (const std::string& option : own->second.options) absl::StrAppend(&input, option, "\n");
    if (!own->second.plug.empty()) plug = own->second.plug;
  }
  absl::StrAppend(&input, "plug=", plug, "\naction=off\n");
  return input;
}

absl::Status CommandFencer::Run(const std::string& host) const {
  SubprocessOptions options;
  options.input = InputFor(host);
  options.cancelled = [this] { return stopping_.load(); };
  const auto result = RunSubprocess(settings_.command, settings_.timeout, options);
  Wipe(options.input);
  RETURN_IF_ERROR(result.status());
  if (result->exit_code == 0) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(settings_.command.front(), " exited with ",
                                             result->exit_code, ": ", LastWords(result->errors)));
}

void CommandFencer::Fence(const std::string& host, absl::AnyInvocable<void(absl::Status)> done) {
  const auto shared = std::make_shared<absl::AnyInvocable<void(absl::Status)>>(std::move(done));
  const absl::Status queued = workers_->Submit([this, host, shared] {
    absl::Status status = stopping_ ? absl::CancelledError("the broker stops") : Run(host);
    executor_->Post([shared, status = std::move(status)] { (*shared)(status); });
  });
  if (queued.ok()) return;
  executor_->Post([shared, queued] { (*shared)(queued); });
}

}  // namespace werkplek
