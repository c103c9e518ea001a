// What the disconnect policy asks of a session whose viewer has gone. It knows sessions only, so an
// idle spare can never be touched by it.
#pragma once

#include "absl/time/time.h"
#include "werkplek/v1/resources.pb.h"

namespace werkplek {

enum class DisconnectStep { kNothing, kSuspend, kEnd };

struct DisconnectVerdict {
  DisconnectStep step = DisconnectStep::kNothing;
  // When to ask again; InfiniteFuture: not before something happens.
  absl::Time next = absl::InfiniteFuture();
};

// `since` is when the viewer went; `suspended` says that the desktop is suspended already.
DisconnectVerdict JudgeDisconnected(const v1::DisconnectPolicy& policy, absl::Time since,
                                    bool suspended, absl::Time now);

}  // namespace werkplek
