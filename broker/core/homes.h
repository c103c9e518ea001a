// Where a person's desktops stand: what entitlements and pools say of home sites. Pure.
#pragma once

#include <string>

#include "broker/model/fleet.h"

namespace werkplek {

struct Home {
  // Empty: anywhere.
  std::string site;
  // There or nowhere; otherwise there as long as there is room.
  bool required = false;
  // "entitlement kantoor-noord", "the pool".
  std::string said_by;
};

// The home that counts for the person in the pool. Of the entitlements that let the person in and
// name a home site, one for the user goes before those for groups; of several for groups, the
// first by name. When none names one: the pool's.
Home HomeOf(const Fleet& fleet, const v1::SignIn& person, const std::string& pool_name,
            const v1::Pool& pool);

// The same for a user whose groups are not known: only what is said of the user, and the pool's.
Home HomeOfUser(const Fleet& fleet, const std::string& user, const std::string& pool_name,
                const v1::Pool& pool);

// The pool's own.
Home HomeOfPool(const v1::Pool& pool);

// "home site a, required (entitlement kantoor-noord)".
std::string HomeText(const Home& home);

}  // namespace werkplek
