#include "tests/sim/trace.h"

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/crypto.h"

namespace werkplek::sim {
namespace {

constexpr size_t kKept = 60;
constexpr size_t kHashedAtOnce = 64 << 10;

}  // namespace

void Trace::Add(absl::Duration at, absl::string_view line) {
  ++events_;
  std::string text = absl::StrFormat("%10.6f %s", absl::ToDoubleSeconds(at), line);
  absl::StrAppend(&pending_, text, "\n");
  if (pending_.size() >= kHashedAtOnce) {
    digest_ = Sha256(digest_ + pending_);
    pending_.clear();
  }
  if (print_) std::puts(text.c_str());
  last_.push_back(std::move(text));
  if (last_.size() > kKept) last_.pop_front();
}

std::string Trace::Hash() const { return HexEncode(Sha256(digest_ + pending_)); }

}  // namespace werkplek::sim
