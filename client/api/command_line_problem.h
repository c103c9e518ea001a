// What is wrong with a command line, told apart so that each program can say it in its own words.
// Pure.
#pragma once

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <string>
#include <vector>

namespace werkplek {

struct CommandLineProblem {
  enum class Kind {
    kMissingCommand,
    kUnknownCommand,
    kUnknownFlag,
    // More words than the command has arguments.
    kTooManyWords,
    kMissingArgument,
    kMissingValue,
    // A value behind a flag that has none.
    kValueNotWanted,
    kBadValue,
    // The library's own words are all there is.
    kOther,
  };
  Kind kind = Kind::kOther;
  // The program and the commands up to where it went wrong: "werkplek connect".
  std::string path;
  // The command, flag or argument; printable, and never a value: that may be a secret.
  std::string subject;
  // What there is instead: commands, flags, arguments, or words that are good as a value.
  std::vector<std::string> choices;
  // The one of `choices` that is nearly `subject`; empty: none.
  std::string nearest;
  // What the flag or argument is for, as its help says.
  std::string help;
};

// Judges why `app` refused to parse; call it before the next parse.
CommandLineProblem JudgeCommandLine(const CLI::App& app, const CLI::ParseError& wrong);

// In English, on two or three lines: what is wrong, what there is instead, which help to read.
std::string DescribeParseError(const CLI::App& app, const CLI::ParseError& wrong);

}  // namespace werkplek
