#include "client/login/messages.h"

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/login/message_table.h"

namespace werkplek {
namespace {

constexpr absl::string_view kForThePerson = "werkplek/for-the-person";

}  // namespace

Language ParseLanguage(absl::string_view name) {
  const std::string lower = absl::AsciiStrToLower(name);
  const bool dutch = lower == "nl" || absl::StartsWith(lower, "nl_") ||
                     absl::StartsWith(lower, "nl.") || absl::StartsWith(lower, "nl-");
  return dutch ? Language::kDutch : Language::kEnglish;
}

absl::string_view LanguageCode(Language language) {
  return language == Language::kDutch ? "nl" : "en";
}

std::string Say(Language language, Message message,
                std::initializer_list<MessageArgument> arguments) {
  const MessageRow& row = kMessageTable[static_cast<size_t>(message)];
  absl::string_view rest = language == Language::kDutch ? row.dutch : row.english;
  std::string result;
  // One pass, so that a value with braces in it stays as it is.
  while (!rest.empty()) {
    const size_t open = rest.find('{');
    const size_t close = open == absl::string_view::npos ? open : rest.find('}', open);
    if (close == absl::string_view::npos) break;
    absl::StrAppend(&result, rest.substr(0, open));
    const absl::string_view name = rest.substr(open + 1, close - open - 1);
    for (const MessageArgument& argument : arguments) {
      if (argument.first == name) absl::StrAppend(&result, argument.second);
    }
    rest.remove_prefix(close + 1);
  }
  return absl::StrCat(result, rest);
}

absl::Status ForThePerson(absl::Status failure) {
  failure.SetPayload(kForThePerson, absl::Cord());
  return failure;
}

absl::Status SayFailure(absl::StatusCode code, Language language, Message message,
                        std::initializer_list<MessageArgument> arguments) {
  return ForThePerson(absl::Status(code, Say(language, message, arguments)));
}

bool IsForThePerson(const absl::Status& failure) {
  return failure.GetPayload(kForThePerson).has_value();
}

absl::Span<const MessageRow> AllMessages() { return kMessageTable; }

}  // namespace werkplek
