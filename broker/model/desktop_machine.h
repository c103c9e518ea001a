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
  // A report shows the wanted generation of a kept desktop running. What is on its disk is its
  // owner's, so no proof is asked for.
  kRuns,
  // A kept desktop is shut down, or was found off: nothing on its disk changes.
  kPark,
  // It is sure that no copy of a kept desktop runs any more on the host that was lost.
  kFenced,
};
inline constexpr size_t kDesktopStates = v1::DesktopState_ARRAYSIZE;
inline constexpr size_t kDesktopEvents = static_cast<size_t>(DesktopEvent::kFenced) + 1;

namespace desktop_machine {

inline constexpr std::nullopt_t kNil = std::nullopt;
inline constexpr auto kAbs = v1::DESKTOP_STATE_ABSENT;
inline constexpr auto kPrv = v1::DESKTOP_STATE_PROVISIONING;
inline constexpr auto kOff = v1::DESKTOP_STATE_OFF;
inline constexpr auto kStr = v1::DESKTOP_STATE_STARTING;
inline constexpr auto kRdy = v1::DESKTOP_STATE_READY;
inline constexpr auto kAsg = v1::DESKTOP_STATE_ASSIGNED;
inline constexpr auto kDrt = v1::DESKTOP_STATE_DIRTY;
inline constexpr auto kRst = v1::DESKTOP_STATE_RESETTING;
inline constexpr auto kStp = v1::DESKTOP_STATE_STOPPING;
inline constexpr auto kLst = v1::DESKTOP_STATE_LOST;
inline constexpr auto kErr = v1::DESKTOP_STATE_ERROR;

// clang-format off
inline constexpr TransitionTable<v1::DesktopState, kDesktopStates, kDesktopEvents> kTable = {{
  // plac start prov assi rele spoi rese remo gone lost give runs park fence
  // Absent: place -> Provisioning
  {{ kPrv, kNil, kNil, kNil, kNil, kNil, kNil, kNil, kNil, kNil, kNil, kNil, kNil, kNil }},
  // Provisioning: proved -> Ready, spoil -> Dirty, remove -> Stopping, host lost -> Lost
  {{ kNil, kNil, kRdy, kNil, kNil, kDrt, kNil, kStp, kNil, kLst, kNil, kNil, kNil, kNil }},
  // Off (kept): start -> Starting, spoil -> Dirty, remove -> Stopping, host lost -> Lost
  {{ kNil, kStr, kNil, kNil, kNil, kDrt, kNil, kStp, kNil, kLst, kNil, kNil, kNil, kNil }},
  // Starting: proved -> Ready, spoil -> Dirty, remove -> Stopping, host lost -> Lost,
  // runs -> Ready, park -> Off
  {{ kNil, kNil, kRdy, kNil, kNil, kDrt, kNil, kStp, kNil, kLst, kNil, kRdy, kOff, kNil }},
  // Ready: start -> Starting, assign -> Assigned,
  // spoil -> Dirty, remove -> Stopping, host lost -> Lost, park -> Off
  {{ kNil, kStr, kNil, kAsg, kNil, kDrt, kNil, kStp, kNil, kLst, kNil, kNil, kOff, kNil }},
  // Assigned: release -> Dirty, host lost -> Lost, park -> Off
  {{ kNil, kNil, kNil, kNil, kDrt, kNil, kNil, kNil, kNil, kLst, kNil, kNil, kOff, kNil }},
  // Dirty: reset -> Resetting, remove -> Stopping, host lost -> Lost, give up -> Error
  {{ kNil, kNil, kNil, kNil, kNil, kNil, kRst, kStp, kNil, kLst, kErr, kNil, kNil, kNil }},
  // Resetting: proved -> Ready, spoil -> Dirty, remove -> Stopping, host lost -> Lost
  {{ kNil, kNil, kRdy, kNil, kNil, kDrt, kNil, kStp, kNil, kLst, kNil, kNil, kNil, kNil }},
  // Stopping: gone -> Absent
  {{ kNil, kNil, kNil, kNil, kNil, kNil, kNil, kNil, kAbs, kNil, kNil, kNil, kNil, kNil }},
  // Lost: spoil -> Dirty, gone -> Absent, runs -> Ready, fenced -> Off
  {{ kNil, kNil, kNil, kNil, kNil, kDrt, kNil, kNil, kAbs, kNil, kNil, kRdy, kNil, kOff }},
  // Error: spoil -> Dirty, remove -> Stopping, host lost -> Lost
  {{ kNil, kNil, kNil, kNil, kNil, kDrt, kNil, kStp, kNil, kLst, kNil, kNil, kNil, kNil }},
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
      "place",  "start", "proved",    "assign",  "release", "spoil", "reset",
      "remove", "gone",  "host lost", "give up", "runs",    "park",  "fenced"};
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
