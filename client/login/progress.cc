#include "client/login/progress.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "client/api/message_text.h"
#include "client/api/table.h"
#include "client/api/terminal.h"

namespace werkplek {
namespace {

Message MessageOfRule(absl::string_view rule) {
  if (rule == "no-entitlement") return Message::kRuleNoEntitlement;
  if (rule == "pool-full") return Message::kRulePoolFull;
  if (rule == "queue-full") return Message::kRuleQueueFull;
  if (rule == "deadline") return Message::kRuleDeadline;
  if (rule == "pool-draining") return Message::kRulePoolDraining;
  if (rule == "pool-maintenance") return Message::kRulePoolMaintenance;
  if (rule == "pool-broken") return Message::kRulePoolBroken;
  return Message::kRuleOther;
}

}  // namespace

std::string DescribeStage(const v1::ConnectUpdate& update, absl::Time now, Language language) {
  switch (update.stage_case()) {
    case v1::ConnectUpdate::kQueued: {
      const absl::Duration left = absl::FromUnixMillis(update.queued().deadline_unix_ms()) - now;
      return Say(
          language, Message::kQueued,
          {{"position", absl::StrCat(update.queued().position())}, {"left", FormatSpan(left)}});
    }
    case v1::ConnectUpdate::kStarting:
      return Say(language, Message::kStarting,
                 {{"desktop", Printable(update.starting().desktop())}});
    case v1::ConnectUpdate::kPreparing:
      return Say(language, Message::kPreparing,
                 {{"desktop", Printable(update.preparing().desktop())}});
    case v1::ConnectUpdate::kReady:
      return Say(language, update.ready().resumed() ? Message::kResumed : Message::kOpening,
                 {{"desktop", Printable(update.ready().desktop())}});
    default:
      return "";
  }
}

std::string DescribeRefusal(const v1::Refused& refused, absl::string_view pool, Language language) {
  const std::string first = refused.reasons().empty() ? refused.rule() : refused.reasons().Get(0);
  const Message rule = MessageOfRule(refused.rule());
  const std::string reason = Say(language, rule, {{"reason", Printable(first)}});
  std::string text =
      Say(language, Message::kRefused, {{"pool", Printable(pool)}, {"reason", reason}});
  // The broker's own words, unless they were shown above.
  for (int i = rule == Message::kRuleOther ? 1 : 0; i < refused.reasons().size(); ++i) {
    absl::StrAppend(&text, "\n  ", Printable(refused.reasons().Get(i)));
  }
  if (!refused.explain_id().empty()) {
    absl::StrAppend(
        &text, "\n",
        Say(language, Message::kRefusedHelp, {{"id", Printable(refused.explain_id())}}));
  }
  return text;
}

void ProgressLine::Show(const std::string& text) {
  if (text.empty() || text == shown_) return;
  shown_ = text;
  if (live_) {
    // Carriage return, the text, and the rest of the line erased (ECMA-48 EL).
    out_ << "\r" << CutToWidth(text, std::max(10, width_ - 1)) << "\x1b[K" << std::flush;
  } else {
    out_ << text << "\n" << std::flush;
  }
}

void ProgressLine::Clear() {
  if (live_ && !shown_.empty()) out_ << "\r\x1b[K" << std::flush;
  shown_.clear();
}

}  // namespace werkplek
