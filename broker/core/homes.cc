#include "broker/core/homes.h"

#include "absl/strings/str_cat.h"
#include "broker/model/names.h"

namespace werkplek {

Home HomeOfPool(const v1::Pool& pool) {
  return {pool.home_site(), pool.home_site_rule() == v1::HOME_SITE_RULE_REQUIRED, "the pool"};
}

Home HomeOf(const Fleet& fleet, const v1::SignIn& person, const std::string& pool_name,
            const v1::Pool& pool) {
  const Entitled entitled(person);
  const v1::Resource* best = nullptr;
  for (const auto& entry : fleet.entitlements) {
    const v1::Entitlement& entitlement = entry.record->entitlement();
    if (entitlement.pool() != pool_name || entitlement.home_site().empty()) continue;
    // They come in the order of their names.
    const bool better =
        best == nullptr || (best->entitlement().user().empty() && !entitlement.user().empty());
    if (better && entitled.By(entitlement)) best = entry.record.get();
  }
  if (best == nullptr) return HomeOfPool(pool);
  return {best->entitlement().home_site(),
          best->entitlement().home_site_rule() == v1::HOME_SITE_RULE_REQUIRED,
          absl::StrCat("entitlement ", best->name())};
}

Home HomeOfUser(const Fleet& fleet, const std::string& user, const std::string& pool_name,
                const v1::Pool& pool) {
  v1::SignIn person;
  person.set_user(user);
  return HomeOf(fleet, person, pool_name, pool);
}

std::string HomeText(const Home& home) {
  return absl::StrCat("home site ", home.site, home.required ? ", required" : ", preferred", " (",
                      home.said_by, ")");
}

}  // namespace werkplek
