#include "broker/reconcile/breaker.h"

#include "absl/strings/str_cat.h"

namespace werkplek {

bool Breaker::Failed(uint32_t limit, const std::string& why, absl::Duration probe_after,
                     absl::Time now) {
  ++failures_;
  if (failures_ < limit) return false;
  const bool opened = !tripped();
  reason_ = absl::StrCat(failures_, " starts in a row failed, the last one: ", why);
  if (opened) next_probe_ = now + probe_after;
  return opened;
}

bool Breaker::Close() {
  const bool was_open = tripped();
  failures_ = 0;
  reason_.clear();
  return was_open;
}

}  // namespace werkplek
