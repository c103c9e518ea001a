// Completion scripts for bash and words for wrong command lines, from the command line's own
// definition. Pure.
#pragma once

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace werkplek {

// A script that completes subcommands, flags, and the words that flags accept (`table|json|yaml`),
// and files after flags that take a FILE.
std::string BashCompletion(const CLI::App& app, absl::string_view program);

// Two lines: what is wrong (an unknown command with those that there are), and which help to read.
std::string DescribeParseError(const CLI::App& app, const std::vector<std::string>& arguments,
                               const CLI::ParseError& wrong);

}  // namespace werkplek
