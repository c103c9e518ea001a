#include "broker/reconcile/breaker.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace werkplek {

bool Breaker::Failed(uint32_t limit, const std::string& why, absl::Duration probe_after,
                     absl::Time now) {
  ++failures_;
  if (failures_ < limit) return false;
  const bool opened = !tripped();
  if (failed_.empty()) next_probe_ = now + probe_after;
  failed_ = failures_ == 1
                ? absl::StrCat("a start failed: ", why)
                : absl::StrCat(failures_, " starts in a row failed, the last one: ", why);
  return opened;
}

bool Breaker::Close() {
  const bool was_open = tripped();
  failures_ = 0;
  failed_.clear();
  return was_open && !tripped();
}

bool Breaker::SetFault(std::string fault) {
  const bool before = tripped();
  fault_ = std::move(fault);
  return before != tripped();
}

}  // namespace werkplek
