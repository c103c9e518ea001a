// What the host reports of itself for placement.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "agent/hypervisor/hypervisor.h"
#include "werkplek/v1/resources.pb.h"

namespace werkplek {

// From libvirt's statistics and the free space where `overlay_folder` is. Blocking.
absl::StatusOr<v1::HostLoad> ReadHostLoad(Hypervisor& hypervisor,
                                          const std::string& overlay_folder);

}  // namespace werkplek
