// Completion scripts for bash from the command line's own definition. Pure.
#pragma once

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <string>

#include "absl/strings/string_view.h"

namespace werkplek {

// A script that completes subcommands, flags, and the words that flags accept (`table|json|yaml`),
// and files after flags that take a FILE.
std::string BashCompletion(const CLI::App& app, absl::string_view program);

}  // namespace werkplek
