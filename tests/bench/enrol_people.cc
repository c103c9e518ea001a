#include "tests/bench/enrol_people.h"

#include <future>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/program/broker_config.h"
#include "broker/store/sqlite_store.h"
#include "broker/token/token_authority.h"
#include "common/base/loop_executor.h"
#include "common/base/status_macros.h"
#include "werkplek/v1/stored.pb.h"

namespace werkplek {
namespace {

// The inverse of RFC 4648 section 6.
std::string Base32Decode(absl::string_view text) {
  std::string bytes;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    bits = bits << 5 | static_cast<uint32_t>(c >= 'A' ? c - 'A' : c - '2' + 26);
    count += 5;
    if (count < 8) continue;
    count -= 8;
    bytes.push_back(static_cast<char>(bits >> count & 0xff));
  }
  return bytes;
}

// From what the person's authenticator app is given.
absl::StatusOr<std::string> SeedOf(const TokenAuthority& tokens, const v1::TokenEnrolment& token) {
  ASSIGN_OR_RETURN(const Secret uri, tokens.OtpauthUri(token));
  const absl::string_view text = uri.Reveal();
  const size_t start = text.find("secret=") + 7;
  return Base32Decode(text.substr(start, text.find('&', start) - start));
}

absl::Status Put(const std::string& file, ChangeSet changes) {
  std::promise<absl::Status> finished;
  LoopExecutor executor("enrol");
  ASSIGN_OR_RETURN(const auto store, SqliteStore::Open(file, &executor));
  store->ClaimEpoch([&](absl::StatusOr<uint64_t> epoch) {
    if (!epoch.ok()) return finished.set_value(epoch.status());
    store->Commit(*epoch, std::move(changes),
                  [&](absl::Status status) { finished.set_value(std::move(status)); });
  });
  return finished.get_future().get();
}

}  // namespace

absl::StatusOr<std::vector<BenchPerson>> EnrolPeople(const std::string& config,
                                                     std::vector<BenchPerson> people) {
  ASSIGN_OR_RETURN(BrokerConfig broker, LoadBrokerConfig(config, ConfigCheck::kWhole));
  ASSIGN_OR_RETURN(const auto tokens,
                   TokenAuthority::Create(std::move(broker.sealing_key), broker.organisation));
  ChangeSet changes;
  for (BenchPerson& person : people) {
    const SealedSeed sealed = tokens->NewSeed(person.user, RandomBytes(64));
    v1::TokenEnrolment token;
    token.set_user(person.user);
    token.set_seed_id(sealed.seed_id);
    token.set_sealed_seed(sealed.sealed);
    token.set_state(v1::TOKEN_STATE_ACTIVE);
    token.set_created_unix_ms(absl::ToUnixMillis(absl::Now()));
    ASSIGN_OR_RETURN(person.seed, SeedOf(*tokens, token));
    v1::Change& change = changes.emplace_back();
    change.set_table(std::string(kTokenTable));
    change.set_key(person.user);
    change.set_value(token.SerializeAsString());
  }
  RETURN_IF_ERROR(Put(broker.store.sqlite_file, std::move(changes)));
  return people;
}

}  // namespace werkplek
