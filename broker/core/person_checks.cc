#include "broker/core/person_checks.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "broker/core/sessions.h"
#include "broker/core/sign_in.h"

namespace werkplek {
namespace {

std::vector<std::string> SignInsOf(const Turn& turn, const std::string& user) {
  const auto found = turn.state().sign_ins_by_user.find(OwnerKey(user));
  if (found == turn.state().sign_ins_by_user.end()) return {};
  return {found->second.begin(), found->second.end()};
}

void SignOutEverywhere(Turn& turn, const PersonChecked& event) {
  const std::vector<std::string> sign_ins = SignInsOf(turn, event.user);
  for (const std::string& id : sign_ins) EndSignIn(turn, id);
  size_t screens = 0;
  CloseDisplays(turn, event.user, [&screens](const v1::Session& session) {
    const bool open = session.state() != v1::SESSION_STATE_DISCONNECTED;
    screens += open ? 1 : 0;
    return open;
  });
  if (sign_ins.empty() && screens == 0) return;
  turn.Audit("broker", "person-gone", absl::StrCat("user:", event.user), "ok", "",
             {{"why", event.why},
              {"sign_ins_ended", absl::StrCat(sign_ins.size())},
              {"screens_closed", absl::StrCat(screens)}});
}

// The sign-in as the directory's answer makes it.
v1::SignIn Renewed(v1::SignIn sign_in, const PersonChecked& event) {
  sign_in.set_user_dn(event.person.dn);
  sign_in.set_display_name(event.person.display_name);
  sign_in.mutable_groups()->Assign(event.person.groups.begin(), event.person.groups.end());
  sign_in.mutable_roles()->Assign(event.roles.begin(), event.roles.end());
  return sign_in;
}

bool SaysTheSame(const v1::SignIn& a, const v1::SignIn& b) {
  return a.user_dn() == b.user_dn() && a.display_name() == b.display_name() &&
         std::equal(a.groups().begin(), a.groups().end(), b.groups().begin(), b.groups().end()) &&
         std::equal(a.roles().begin(), a.roles().end(), b.roles().begin(), b.roles().end());
}

std::string RolesText(const v1::SignIn& sign_in) {
  return absl::StrJoin(sign_in.roles(), ",", [](std::string* text, int role) {
    absl::StrAppend(text, v1::Role_Name(role));
  });
}

}  // namespace

void HandlePersonChecked(Turn& turn, const PersonChecked& event) {
  if (event.gone) return SignOutEverywhere(turn, event);
  bool told = false;
  for (const std::string& id : SignInsOf(turn, event.user)) {
    const auto before = turn.fleet().sign_ins.FindShared(id);
    v1::SignIn now = Renewed(*before, event);
    if (SaysTheSame(*before, now)) continue;
    if (!std::exchange(told, true)) {
      turn.Audit("broker", "person-changed", absl::StrCat("user:", event.user), "ok", "",
                 {{"groups", absl::StrCat(now.groups_size())},
                  {"groups_before", absl::StrCat(before->groups_size())},
                  {"roles", RolesText(now)},
                  {"roles_before", RolesText(*before)}});
    }
    turn.Put(std::move(now));
  }
}

}  // namespace werkplek
