// The state machine of a session. docs/state-machines.md is checked against this table.
#pragma once

#include <array>
#include <optional>

#include "absl/strings/string_view.h"
#include "broker/model/machine.h"
#include "werkplek/v1/resources.pb.h"

namespace werkplek {

enum class SessionEvent {
  // A desktop was bound to the user.
  kAssign,
  // The user connects (again): the desktop is resumed and prepared, a new ticket follows.
  kConnect,
  // The desktop is prepared and its display can be opened.
  kPrepared,
  // A viewer opened the display.
  kViewerConnected,
  // The viewer has gone, was told to go, or never came.
  kViewerGone,
  // The guest is being told that the session is over.
  kEnd,
  // The desktop is released.
  kEnded,
  // The desktop's host is down, or the desktop is no more.
  kDesktopLost,
};
inline constexpr size_t kSessionStates = v1::SessionState_ARRAYSIZE;
inline constexpr size_t kSessionEvents = static_cast<size_t>(SessionEvent::kDesktopLost) + 1;

namespace session_machine {

inline constexpr std::nullopt_t kNo = std::nullopt;
inline constexpr auto kPending = v1::SESSION_STATE_PENDING;
inline constexpr auto kReady = v1::SESSION_STATE_READY;
inline constexpr auto kActive = v1::SESSION_STATE_ACTIVE;
inline constexpr auto kGone = v1::SESSION_STATE_DISCONNECTED;
inline constexpr auto kEnding = v1::SESSION_STATE_ENDING;
inline constexpr auto kEnded = v1::SESSION_STATE_ENDED;

// clang-format off
inline constexpr TransitionTable<v1::SessionState, kSessionStates, kSessionEvents> kTable = {{
  //  assign    connect   prepared connected gone   end      ended   desktop lost
  // New: assign -> Pending
  {{ kPending, kNo,      kNo,     kNo,      kNo,   kNo,     kNo,    kNo }},
  // Pending: connect -> Pending, prepared -> Ready, viewer gone -> Disconnected, end -> Ending,
  // desktop lost -> Ended
  {{ kNo,      kPending, kReady,  kNo,      kGone, kEnding, kNo,    kEnded }},
  // Ready: connect -> Pending, viewer connected -> Active, viewer gone -> Disconnected,
  // end -> Ending, desktop lost -> Ended
  {{ kNo,      kPending, kNo,     kActive,  kGone, kEnding, kNo,    kEnded }},
  // Active: connect -> Pending, viewer gone -> Disconnected, end -> Ending, desktop lost -> Ended
  {{ kNo,      kPending, kNo,     kNo,      kGone, kEnding, kNo,    kEnded }},
  // Disconnected: connect -> Pending, viewer connected -> Active, end -> Ending,
  // desktop lost -> Ended
  {{ kNo,      kPending, kNo,     kActive,  kNo,   kEnding, kNo,    kEnded }},
  // Ending: ended -> Ended, desktop lost -> Ended
  {{ kNo,      kNo,      kNo,     kNo,      kNo,   kNo,     kEnded, kEnded }},
  // Ended: nothing
  {{ kNo,      kNo,      kNo,     kNo,      kNo,   kNo,     kNo,    kNo }},
}};
// clang-format on

}  // namespace session_machine

// The state after `event`; nothing: illegal.
constexpr std::optional<v1::SessionState> Next(v1::SessionState state, SessionEvent event) {
  const size_t row = static_cast<size_t>(state);
  const size_t column = static_cast<size_t>(event);
  if (row >= kSessionStates || column >= kSessionEvents) return std::nullopt;
  return session_machine::kTable[row][column];
}

// "assign", "viewer gone", ...
constexpr absl::string_view EventName(SessionEvent event) {
  constexpr std::array<absl::string_view, kSessionEvents> kNames = {
      "assign",      "connect", "prepared", "viewer connected",
      "viewer gone", "end",     "ended",    "desktop lost"};
  return kNames[static_cast<size_t>(event)];
}

// "Pending", ...
constexpr absl::string_view StateName(v1::SessionState state) {
  constexpr std::array<absl::string_view, kSessionStates> kNames = {
      "New", "Pending", "Ready", "Active", "Disconnected", "Ending", "Ended"};
  const size_t at = static_cast<size_t>(state);
  return at < kSessionStates ? kNames[at] : "unknown";
}

}  // namespace werkplek
