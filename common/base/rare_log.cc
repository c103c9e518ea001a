#include "common/base/rare_log.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace werkplek {
namespace {

constexpr absl::Duration kInterval = absl::Seconds(1);

}  // namespace

void RareLog::Warn(absl::Duration now, absl::string_view event, std::vector<LogField> fields) {
  if (now - last_ < kInterval) {
    ++left_out_;
    return;
  }
  last_ = now;
  fields.emplace_back("more", absl::StrCat(std::exchange(left_out_, 0)));
  Log(Severity::kWarning, event, fields);
}

}  // namespace werkplek
