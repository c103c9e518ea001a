#include "client/ctl/command.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace werkplek {

void Show(CommandContext& context, const google::protobuf::Message& message,
          absl::FunctionRef<void(std::ostream&, int width)> table) {
  switch (context.output) {
    case OutputFormat::kJson:
      context.out << ToJson(message);
      break;
    case OutputFormat::kYaml:
      context.out << (context.shown > 0 ? "---\n" : "") << ToYaml(message);
      break;
    case OutputFormat::kTable:
      table(context.out, context.terminal.Width());
      break;
  }
  ++context.shown;
}

std::string TimeCell(CommandContext& context, int64_t unix_ms, int width) {
  return width > 0 ? FormatMinute(unix_ms, context.now()) : FormatTime(unix_ms);
}

void Tell(CommandContext& context, absl::string_view line) {
  if (context.output == OutputFormat::kTable) context.out << line << "\n";
}

absl::Status Confirm(CommandContext& context, absl::string_view question) {
  if (context.yes) return absl::OkStatus();
  const absl::StatusOr<bool> agreed = context.terminal.Confirm(question);
  if (!agreed.ok()) return agreed.status();
  if (!*agreed) return absl::CancelledError("nothing was changed");
  return absl::OkStatus();
}

void ShowFacts(std::ostream& out, const Facts& facts) {
  size_t widest = 0;
  for (const auto& [name, value] : facts) {
    if (!value.empty()) widest = std::max(widest, DisplayWidth(name));
  }
  for (const auto& [name, value] : facts) {
    if (value.empty()) continue;
    out << name << ":" << std::string(widest - DisplayWidth(name) + 2, ' ') << Printable(value)
        << "\n";
  }
}

}  // namespace werkplek
