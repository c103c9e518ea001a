#include "client/login/progress.h"

#include <algorithm>
#include <array>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/api/message_text.h"
#include "client/api/table.h"
#include "client/api/terminal.h"

namespace werkplek {
namespace {

struct RuleMessage {
  absl::string_view rule;
  Message message;
};

constexpr auto kRules = std::to_array<RuleMessage>({
    {"no-entitlement", Message::kRuleNoEntitlement},
    {"pool-full", Message::kRulePoolFull},
    {"queue-full", Message::kRuleQueueFull},
    {"deadline", Message::kRuleDeadline},
    {"pool-draining", Message::kRulePoolDraining},
    {"pool-maintenance", Message::kRulePoolMaintenance},
    {"pool-broken", Message::kRulePoolBroken},
    {"site-braked", Message::kRuleSiteBraked},
    {"site-open", Message::kRuleSiteOpen},
    {"site-loss", Message::kRuleSiteLoss},
    {"host-open", Message::kRuleHostOpen},
    {"host-silent", Message::kRuleHostSilent},
    {"start-failed", Message::kRuleStartFailed},
});

// What the broker says of a wait that is not the plain queue of a pool. Empty: it is that.
std::string WhyTheWait(const v1::Explanation& explanation) {
  if (explanation.steps().empty() || absl::StartsWith(explanation.steps(0), "own session:")) {
    return "";
  }
  // Which desktop it is, and what is the matter with it.
  std::string why = explanation.steps(0);
  if (explanation.steps_size() > 1) absl::StrAppend(&why, "; ", explanation.steps(1));
  return Printable(why);
}

std::string DescribeWait(const v1::Queued& queued, absl::Time now, Language language) {
  const std::string left = FormatSpan(absl::FromUnixMillis(queued.deadline_unix_ms()) - now);
  const std::string why = WhyTheWait(queued.explanation());
  if (!why.empty()) return Say(language, Message::kQueuedFor, {{"left", left}, {"reason", why}});
  return Say(language, Message::kQueued,
             {{"position", absl::StrCat(queued.position())}, {"left", left}});
}

}  // namespace

std::string DescribeStage(const v1::ConnectUpdate& update, absl::Time now, Language language) {
  switch (update.stage_case()) {
    case v1::ConnectUpdate::kQueued:
      return DescribeWait(update.queued(), now, language);
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

std::string DescribeRule(absl::string_view rule, Language language) {
  const auto* const known = std::find_if(kRules.begin(), kRules.end(),
                                         [&](const RuleMessage& row) { return row.rule == rule; });
  return Say(language, known == kRules.end() ? Message::kRuleOther : known->message,
             {{"rule", Printable(rule)}});
}

std::string DescribeRefusal(const v1::Refused& refused, absl::string_view pool, Language language) {
  std::string text =
      Say(language, Message::kRefused,
          {{"pool", Printable(pool)}, {"reason", DescribeRule(refused.rule(), language)}});
  // The broker's own words, which are English.
  if (!refused.reasons().empty()) {
    const std::string reasons = Printable(absl::StrJoin(refused.reasons(), "; "));
    absl::StrAppend(&text, "\n", Say(language, Message::kRefusedFor, {{"reason", reasons}}));
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
  if (width_ > 0) {
    // Carriage return, the text, and the rest of the line erased (ECMA-48 EL).
    out_ << "\r" << CutToWidth(text, std::max(10, width_ - 1)) << "\x1b[K" << std::flush;
  } else {
    out_ << text << "\n" << std::flush;
  }
}

void ProgressLine::Clear() {
  if (width_ > 0 && !shown_.empty()) out_ << "\r\x1b[K" << std::flush;
  shown_.clear();
}

}  // namespace werkplek
