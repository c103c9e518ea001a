#include "tests/support/loopback_broker/enrolments.h"

#include <utility>

#include "absl/time/clock.h"
#include "broker/token/one_time_code.h"
#include "broker/token/seal.h"
#include "common/base/crypto.h"
#include "tests/support/loopback_broker/or_die.h"
#include "tests/support/store_client.h"

namespace werkplek {
namespace {

constexpr uint64_t kEpoch = 1;

Secret SealingKey() { return Secret(std::string(kSealKeyBytes, 'k')); }

}  // namespace

Enrolments::Enrolments() : tokens_(OrDie(TokenAuthority::Create(SealingKey(), "Werkplek test"))) {}

void Enrolments::Commit(const std::vector<std::string>& users, Store* store, Executor* executor) {
  ChangeSet changes;
  for (const std::string& user : users) {
    const SealedSeed seed = tokens_->NewSeed(user, RandomBytes(64));
    seeds_[user] = OrDie(OpenSeal(SealingKey(), seed.sealed, user, seed.seed_id)).Reveal();
    v1::TokenEnrolment enrolment;
    enrolment.set_user(user);
    enrolment.set_seed_id(seed.seed_id);
    enrolment.set_sealed_seed(seed.sealed);
    enrolment.set_state(v1::TOKEN_STATE_ACTIVE);
    changes.push_back(PutChange(std::string(kTokenTable), user, enrolment.SerializeAsString()));
  }
  StoreClient client(store, executor);
  OrDie(client.Load(kEpoch).status());
  OrDie(client.Commit(kEpoch, std::move(changes)));
}

std::string Enrolments::CodeNow(const std::string& user) const {
  return TotpCode(seeds_.at(user), absl::ToUnixSeconds(absl::Now()) / kStepSeconds, 6,
                  CodeHash::kSha1);
}

}  // namespace werkplek
