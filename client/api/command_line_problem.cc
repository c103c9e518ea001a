#include "client/api/command_line_problem.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/api/terminal.h"

namespace werkplek {
namespace {

using Kind = CommandLineProblem::Kind;

// More changed letters than this make another word.
constexpr size_t kNearDistance = 2;

// Levenshtein's distance: letters to add, drop or change.
size_t Distance(const std::string& from, const std::string& to) {
  std::vector<size_t> row(to.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 0; i < from.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < to.size(); ++j) {
      const size_t changed = diagonal + (from[i] == to[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j] + 1, diagonal + 1, changed});
    }
  }
  return row.back();
}

std::string Nearest(const std::string& word, const std::vector<std::string>& choices) {
  // Two changes turn a short word into any other.
  size_t best = std::min(kNearDistance, word.size() / 3) + 1;
  std::string nearest;
  for (const std::string& choice : choices) {
    const size_t distance = Distance(word, choice);
    if (distance < best) {
      best = distance;
      nearest = choice;
    }
  }
  return nearest;
}

std::vector<std::string> CommandsOf(const CLI::App& app) {
  std::vector<std::string> commands;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    commands.push_back(sub->get_name());
  }
  return commands;
}

// The options of a command and of those above it.
std::vector<const CLI::Option*> OptionsOf(const CLI::App& app) {
  std::vector<const CLI::Option*> all;
  for (const CLI::App* at = &app; at != nullptr; at = at->get_parent()) {
    for (const CLI::Option* option : at->get_options()) all.push_back(option);
  }
  return all;
}

std::vector<std::string> FlagsOf(const CLI::App& app) {
  std::vector<std::string> flags;
  for (const CLI::Option* option : OptionsOf(app)) {
    if (option->get_lnames().empty()) continue;
    const std::string name = absl::StrCat("--", option->get_lnames().front());
    if (std::find(flags.begin(), flags.end(), name) == flags.end()) flags.push_back(name);
  }
  return flags;
}

std::vector<std::string> ArgumentsOf(const CLI::App& app) {
  std::vector<std::string> arguments;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional()) arguments.push_back(option->get_name(true));
  }
  return arguments;
}

// The flag without what stands glued to it, which may be a value.
std::string FlagAlone(const std::string& word) {
  if (absl::StartsWith(word, "--")) return word.substr(0, word.find('='));
  return word.substr(0, 2);
}

// The option that the library's message is about.
const CLI::Option* OptionIn(const CLI::App& app, const std::string& message) {
  const CLI::Option* found = nullptr;
  for (const CLI::Option* option : OptionsOf(app)) {
    const std::string name = option->get_name();
    const bool longer = found == nullptr || name.size() > found->get_name().size();
    if (!name.empty() && longer && absl::StrContains(message, name)) found = option;
  }
  return found;
}

void JudgeCommand(const CLI::App& at, const std::vector<std::string>& extras,
                  CommandLineProblem& problem) {
  problem.choices = CommandsOf(at);
  problem.kind = extras.empty() ? Kind::kMissingCommand : Kind::kUnknownCommand;
  if (extras.empty()) return;
  problem.subject = Printable(extras.front());
  problem.nearest = Nearest(problem.subject, problem.choices);
}

void JudgeOption(const CLI::Option& option, const CLI::ParseError& wrong,
                 CommandLineProblem& problem) {
  problem.subject = option.get_name();
  problem.help = option.get_description();
  const std::string type = option.get_type_name();
  if (absl::StrContains(type, "|")) problem.choices = absl::StrSplit(type, '|');
  if (option.get_items_expected_max() == 0) {
    problem.kind = Kind::kValueNotWanted;
  } else if (dynamic_cast<const CLI::ArgumentMismatch*>(&wrong) != nullptr) {
    problem.kind = Kind::kMissingValue;
  } else {
    problem.kind = Kind::kBadValue;
  }
}

}  // namespace

CommandLineProblem JudgeCommandLine(const CLI::App& app, const CLI::ParseError& wrong) {
  CommandLineProblem problem;
  problem.path = app.get_name();
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) {
    at = at->get_subcommands().front();
    absl::StrAppend(&problem.path, " ", at->get_name());
  }
  const bool required = dynamic_cast<const CLI::RequiredError*>(&wrong) != nullptr;
  if (!required && dynamic_cast<const CLI::ExtrasError*>(&wrong) == nullptr) {
    const CLI::Option* option = OptionIn(*at, wrong.what());
    if (option != nullptr) JudgeOption(*option, wrong, problem);
    if (option == nullptr) problem.subject = wrong.what();
    return problem;
  }
  const std::vector<std::string> extras = app.remaining(/*recurse=*/true);
  const bool command_wanted = !CommandsOf(*at).empty() && ArgumentsOf(*at).empty();
  const auto flag = std::find_if(extras.begin(), extras.end(), [](const std::string& word) {
    return absl::StartsWith(word, "-");
  });
  // A flag that is not known comes before what is missing: it may be meant for that.
  if (flag != extras.end() && (!command_wanted || flag == extras.begin())) {
    problem.kind = Kind::kUnknownFlag;
    problem.subject = Printable(FlagAlone(*flag));
    problem.choices = FlagsOf(*at);
    problem.nearest = Nearest(problem.subject, problem.choices);
    return problem;
  }
  if (command_wanted) {
    JudgeCommand(*at, extras, problem);
    return problem;
  }
  for (const CLI::Option* option : at->get_options()) {
    if (!required || !option->get_required() || option->count() > 0) continue;
    problem.kind = Kind::kMissingArgument;
    problem.subject = option->get_name();
    problem.help = option->get_description();
    return problem;
  }
  problem.kind = extras.empty() ? Kind::kOther : Kind::kTooManyWords;
  problem.choices = ArgumentsOf(*at);
  if (extras.empty()) problem.subject = wrong.what();
  return problem;
}

std::string DescribeParseError(const CLI::App& app, const CLI::ParseError& wrong) {
  const CommandLineProblem problem = JudgeCommandLine(app, wrong);
  const std::string choices = absl::StrJoin(problem.choices, ", ");
  const std::string help = problem.help.empty() ? "" : absl::StrCat(": ", problem.help);
  std::string said;
  switch (problem.kind) {
    case Kind::kMissingCommand:
      said = absl::StrCat("a command is missing; commands of ", problem.path, ": ", choices);
      break;
    case Kind::kUnknownCommand:
      said = absl::StrCat("there is no command \"", problem.subject, "\"; commands of ",
                          problem.path, ": ", choices);
      break;
    case Kind::kUnknownFlag:
      said = absl::StrCat(problem.path, " has no option ", problem.subject, "; it has: ", choices);
      break;
    case Kind::kTooManyWords:
      said = absl::StrCat("too many words; ", problem.path, " takes ",
                          choices.empty() ? "none" : choices);
      break;
    case Kind::kMissingArgument:
      said = absl::StrCat(problem.subject, " is required", help);
      break;
    case Kind::kMissingValue:
      said = absl::StrCat("a value is missing behind ", problem.subject, help);
      break;
    case Kind::kValueNotWanted:
      said = absl::StrCat(problem.subject, " takes no value");
      break;
    case Kind::kBadValue:
      said = choices.empty() ? absl::StrCat("the value of ", problem.subject, " is wrong", help)
                             : absl::StrCat(problem.subject, " must be one of: ", choices);
      break;
    case Kind::kOther:
      said = problem.subject;
      break;
  }
  if (!problem.nearest.empty()) absl::StrAppend(&said, "\nDid you mean ", problem.nearest, "?");
  return absl::StrCat(said, "\nSee: ", problem.path, " --help");
}

}  // namespace werkplek
