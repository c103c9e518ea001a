// The deed of a disk in a shared storage: which host may run it, at which generation. A small file
// beside the disk; whoever overtakes it leaves a higher generation there, so that what comes late
// to a host from before does no harm. The rules are pure; the simulation uses them too.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace werkplek {

struct Deed {
  uint64_t generation = 0;
  std::string host;
};

// Whether `host` may start the disk at `generation`. FAILED_PRECONDITION says who has it.
absl::Status MayTake(const std::optional<Deed>& deed, uint64_t generation, const std::string& host);

// Whether `host` may remove the disk for a command of `generation`.
bool MayRemove(const std::optional<Deed>& deed, uint64_t generation, const std::string& host);

// Whether the deed of a machine that runs at `generation` may get another host's name.
// FAILED_PRECONDITION: a newer generation has it.
absl::Status MayHandOver(const std::optional<Deed>& deed, uint64_t generation);

// The deed's file. DATA_LOSS: it is damaged; nullopt: there is none. Written durably, whole or not
// at all.
absl::StatusOr<std::optional<Deed>> ReadDeed(const std::string& path);
absl::Status WriteDeed(const std::string& path, const Deed& deed);

}  // namespace werkplek
