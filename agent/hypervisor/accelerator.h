// Whether guests may use KVM here. /dev/kvm can be there and not work (guests hang), so it is found
// out by running one.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace werkplek {

enum class Accelerator { kKvm, kTcg };

// "kvm" or "tcg", as the agent reports it.
absl::string_view AcceleratorName(Accelerator accelerator);

// Runs a guest of one boot sector that leaves at once, for at most 5 s: KVM where it ends as it
// should, TCG otherwise. The answer is kept in `cache_file` until the next boot of the machine or
// another QEMU; empty: not kept. UNAVAILABLE: no guest runs either way; the message says why.
absl::StatusOr<Accelerator> FindAccelerator(const std::string& cache_file,
                                            const std::string& qemu = "qemu-system-x86_64");

}  // namespace werkplek
