#include "client/api/completion.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace werkplek {
namespace {

// One line of a `case` in the script.
struct Completions {
  std::string commands;
  std::string flags;
  std::string values;
};

std::vector<std::string> FlagNames(const CLI::Option& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.get_lnames()) names.push_back("--" + name);
  for (const std::string& name : option.get_snames()) names.push_back("-" + name);
  return names;
}

// What may follow the flag: "words" separated by spaces, "@file", or "@any".
std::string ValueOf(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  if (absl::StrContains(type, "|")) return absl::StrReplaceAll(type, {{"|", " "}});
  return type == "FILE" ? "@file" : "@any";
}

void Collect(const CLI::App& app, const std::string& path, const std::string& flags_above,
             std::vector<std::string>& cases) {
  std::vector<std::string> commands;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    commands.push_back(sub->get_name());
  }
  std::string flags = flags_above;
  std::string values;
  for (const CLI::Option* option : app.get_options()) {
    const std::vector<std::string> names = FlagNames(*option);
    for (const std::string& name : names) {
      if (!absl::StrContains(absl::StrCat(" ", flags, " "), absl::StrCat(" ", name, " "))) {
        absl::StrAppend(&flags, flags.empty() ? "" : " ", name);
      }
    }
    if (!names.empty() && option->get_items_expected_max() > 0) {
      absl::StrAppend(&values, "        ", absl::StrJoin(names, "|"), ") value='", ValueOf(*option),
                      "' ;;\n");
    }
  }
  cases.push_back(absl::StrCat("      '", path, "')\n        commands='",
                               absl::StrJoin(commands, " "), "'\n        flags='", flags,
                               "' ;;\n"));
  if (!values.empty()) {
    cases.push_back(absl::StrCat("VALUES:", path, "\n", values));
  }
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    Collect(*sub, absl::StrCat(path, path.empty() ? "" : " ", sub->get_name()), flags, cases);
  }
}

}  // namespace

std::string BashCompletion(const CLI::App& app, absl::string_view program) {
  std::vector<std::string> cases;
  Collect(app, "", "", cases);
  std::string paths;
  std::string values;
  for (const std::string& one : cases) {
    if (absl::StartsWith(one, "VALUES:")) {
      const size_t end = one.find('\n');
      const std::string path = one.substr(7, end - 7);
      // Flags of the program itself count behind every command.
      absl::StrAppend(&values, "  case \"$path\" in ",
                      path.empty() ? "*" : absl::StrCat("'", path, "'"),
                      ")\n      case \"$1\" in\n", one.substr(end + 1), "      esac ;;\n  esac\n");
    } else {
      absl::StrAppend(&paths, one);
    }
  }
  const std::string function = absl::StrCat("_", absl::StrReplaceAll(program, {{"-", "_"}}));
  return absl::StrReplaceAll(
      R"(# Completion of @PROGRAM@ for bash. Made by `@PROGRAM@ completion bash`; load it with
#   source <(@PROGRAM@ completion bash)

# What may follow the flag $1 behind the commands $path: words, @file or @any; empty: no value.
@FUNCTION@_value() {
  value=''
@VALUES@}

@FUNCTION@() {
  local current="${COMP_WORDS[COMP_CWORD]}" path='' value='' commands='' flags='' next word i
  COMPREPLY=()
  # `--flag=value` arrives as three words.
  for ((i = 1; i <= COMP_CWORD; ++i)); do
    word="${COMP_WORDS[i]}"
    case "$path" in
@PATHS@    esac
    ((i == COMP_CWORD)) && break
    if [[ $word == -* ]]; then
      @FUNCTION@_value "$word"
      if [[ -n $value ]]; then
        next="${COMP_WORDS[i + 1]}"
        ((i + 1 < COMP_CWORD)) && [[ $next == '=' ]] && ((++i))
        ((i + 1 == COMP_CWORD)) && break
        ((++i))
        value=''
      fi
    elif [[ " $commands " == *" $word "* ]]; then
      path="${path:+$path }$word"
    fi
  done
  if [[ $current == '=' ]]; then current=''; fi
  case "$value" in
    @file) compopt -o filenames 2>/dev/null || true
           mapfile -t COMPREPLY < <(compgen -f -- "$current")
           return 0 ;;
    @any) return 0 ;;
    ?*) mapfile -t COMPREPLY < <(compgen -W "$value" -- "$current")
        return 0 ;;
  esac
  if [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$current")
  else
    mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$current")
  fi
}
complete -F @FUNCTION@ @PROGRAM@
)",
      {{"@PROGRAM@", program}, {"@FUNCTION@", function}, {"@PATHS@", paths}, {"@VALUES@", values}});
}

}  // namespace werkplek
