// The state machine of a desktop. docs/state-machines.md is checked against this table.
#pragma once

#include <array>
#include <cstddef>
#include <optional>

#include "absl/strings/string_view.h"
#include "broker/model/machine.h"
#include "werkplek/v1/resources.pb.h"

namespace werkplek {

enum class DesktopEvent {
  // A host was picked and the first start commanded.
  kPlace,
  // A start without a fresh overlay was commanded.
  kStart,
  // A report shows the wanted generation running, with its proof of cleanness.
  kProved,
  // Bound to a session.
  kAssign,
  // The session is over.
  kRelease,
  // Must be made fresh before it may serve: a start failed, the image is old, the host came back,
  // an admin asked for it.
  kSpoil,
  // A fresh overlay of the next generation was commanded.
  kReset,
  // Is not needed; its removal was commanded.
  kRemove,
  // Nothing of it exists any more.
  kGone,
  // Its host is down.
  kHostLost,
  // Failed too often in a row.
  kGiveUp,
};
inline constexpr size_t kDesktopStates = v1::DesktopState_ARRAYSIZE;
inline constexpr size_t kDesktopEvents = static_cast<size_t>(DesktopEvent::kGiveUp) + 1;

namespace desktop_machine {

inline constexpr std::nullopt_t kNone = std::nullopt;
inline constexpr auto kAbse = v1::DESKTOP_STATE_ABSENT;
inline constexpr auto kProv = v1::DESKTOP_STATE_PROVISIONING;
inline constexpr auto kStrt = v1::DESKTOP_STATE_STARTING;
inline constexpr auto kRedy = v1::DESKTOP_STATE_READY;
inline constexpr auto kAsgd = v1::DESKTOP_STATE_ASSIGNED;
inline constexpr auto kDrty = v1::DESKTOP_STATE_DIRTY;
inline constexpr auto kRset = v1::DESKTOP_STATE_RESETTING;
inline constexpr auto kStop = v1::DESKTOP_STATE_STOPPING;
inline constexpr auto kLost = v1::DESKTOP_STATE_LOST;
inline constexpr auto kErro = v1::DESKTOP_STATE_ERROR;

// clang-format off
inline constexpr TransitionTable<v1::DesktopState, kDesktopStates, kDesktopEvents> kTable = {{
  // place  start  prove  assign relea  spoil  reset  remov  gone   lost   give up
  // Absent: place -> Provisioning
  {{ kProv, kNone, kNone, kNone, kNone, kNone, kNone, kNone, kNone, kNone, kNone }},
  // Provisioning: proved -> Ready, spoil -> Dirty, remove -> Stopping, host lost -> Lost
  {{ kNone, kNone, kRedy, kNone, kNone, kDrty, kNone, kStop, kNone, kLost, kNone }},
  // Off (dedicated pools): start -> Starting, remove -> Stopping, host lost -> Lost
  {{ kNone, kStrt, kNone, kNone, kNone, kNone, kNone, kStop, kNone, kLost, kNone }},
  // Starting: proved -> Ready, spoil -> Dirty, remove -> Stopping, host lost -> Lost
  {{ kNone, kNone, kRedy, kNone, kNone, kDrty, kNone, kStop, kNone, kLost, kNone }},
  // Ready: start -> Starting, assign -> Assigned,
  // spoil -> Dirty, remove -> Stopping, host lost -> Lost
  {{ kNone, kStrt, kNone, kAsgd, kNone, kDrty, kNone, kStop, kNone, kLost, kNone }},
  // Assigned: release -> Dirty, host lost -> Lost
  {{ kNone, kNone, kNone, kNone, kDrty, kNone, kNone, kNone, kNone, kLost, kNone }},
  // Dirty: reset -> Resetting, remove -> Stopping, host lost -> Lost, give up -> Error
  {{ kNone, kNone, kNone, kNone, kNone, kNone, kRset, kStop, kNone, kLost, kErro }},
  // Resetting: proved -> Ready, spoil -> Dirty, remove -> Stopping, host lost -> Lost
  {{ kNone, kNone, kRedy, kNone, kNone, kDrty, kNone, kStop, kNone, kLost, kNone }},
  // Stopping: gone -> Absent
  {{ kNone, kNone, kNone, kNone, kNone, kNone, kNone, kNone, kAbse, kNone, kNone }},
  // Lost: spoil -> Dirty, gone -> Absent
  {{ kNone, kNone, kNone, kNone, kNone, kDrty, kNone, kNone, kAbse, kNone, kNone }},
  // Error: spoil -> Dirty, remove -> Stopping, host lost -> Lost
  {{ kNone, kNone, kNone, kNone, kNone, kDrty, kNone, kStop, kNone, kLost, kNone }},
}};
// clang-format on

}  // namespace desktop_machine

// The state after `event`; nothing: illegal.
constexpr std::optional<v1::DesktopState> Next(v1::DesktopState state, DesktopEvent event) {
  const size_t row = static_cast<size_t>(state);
  const size_t column = static_cast<size_t>(event);
  if (row >= kDesktopStates || column >= kDesktopEvents) return std::nullopt;
  return desktop_machine::kTable[row][column];
}

// "place", "host lost", ...
constexpr absl::string_view EventName(DesktopEvent event) {
  constexpr std::array<absl::string_view, kDesktopEvents> kNames = {
      "place", "start",  "proved", "assign",    "release", "spoil",
      "reset", "remove", "gone",   "host lost", "give up"};
  return kNames[static_cast<size_t>(event)];
}

// "Provisioning", ...
constexpr absl::string_view StateName(v1::DesktopState state) {
  constexpr std::array<absl::string_view, kDesktopStates> kNames = {
      "Absent", "Provisioning", "Off",      "Starting", "Ready", "Assigned",
      "Dirty",  "Resetting",    "Stopping", "Lost",     "Error"};
  const size_t at = static_cast<size_t>(state);
  return at < kDesktopStates ? kNames[at] : "unknown";
}

// Whether a start is in flight: what placement and the limits on starts count.
constexpr bool IsStarting(v1::DesktopState state) {
  return state == v1::DESKTOP_STATE_PROVISIONING || state == v1::DESKTOP_STATE_STARTING ||
         state == v1::DESKTOP_STATE_RESETTING;
}

}  // namespace werkplek
