// Known and unknown names take the same time, as far as statistics can tell within one run.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/integration/directory/directory_harness.h"

namespace werkplek {
namespace {

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

class TimingTest : public testing::Test {
 protected:
  static constexpr int kCalls = 1'000;
  static constexpr char kDecoy[] = "cn=decoy,ou=services,dc=voorbeeld,dc=nl";

  // Passwords hashed as slowly as a careful directory does: a missing bind, or one that compares
  // nothing, would stand out by milliseconds.
  SlapdOptions Options() {
    SlapdOptions options;
    options.certificate = authority_.Issue({}, {"127.0.0.1"});
    options.global_config = "moduleload argon2";
    const std::string hash =
        "userPassword: {ARGON2}$argon2id$v=19$m=7168,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n";
    for (int i = 0; i < 20; ++i) options.ldif += PersonLdif(absl::StrCat("user", i), "", hash);
    options.ldif += absl::StrCat("dn: ", kDecoy,
                                 "\nobjectClass: applicationProcess\n"
                                 "objectClass: simpleSecurityObject\ncn: decoy\n",
                                 hash, "\n");
    return options;
  }

  DirectoryAuthority authority_;
  Slapd slapd_{Options()};
};

TEST_F(TimingTest, UnknownNamesTakeAsLongAsKnownOnes) {
  DirectorySettings settings = SettingsFor({slapd_.url()}, authority_.ca_file());
  settings.decoy_dn = kDecoy;
  DirectoryHarness harness(settings);
  std::vector<double> known, unknown;
  std::mt19937 random(1);
  // Mixed, so that whatever else the machine does falls on both alike.
  while (known.size() < kCalls || unknown.size() < kCalls) {
    const bool is_known = random() % 2 == 0;
    std::vector<double>& times = is_known ? known : unknown;
    if (times.size() == kCalls) continue;
    const std::string name = absl::StrCat(is_known ? "user" : "nobody", random() % 20);
    const absl::Time start = absl::Now();
    const DirectoryAnswer answer = harness.Authenticate(name, "wrong");
    times.push_back(absl::ToDoubleMilliseconds(absl::Now() - start));
    ASSERT_EQ(answer.outcome, DirectoryOutcome::kDenied);
    ASSERT_EQ(answer.detail, is_known ? "wrong password" : "unknown user");
  }
  const double difference = std::abs(Median(known) - Median(unknown));
  RecordProperty("known_ms", absl::StrCat(Median(known)));
  RecordProperty("unknown_ms", absl::StrCat(Median(unknown)));
  std::printf("medians: known %.3f ms, unknown %.3f ms\n", Median(known), Median(unknown));
  // The bar is 5 ms or 5 %. The difference that a missing hash would make is the whole of it.
  EXPECT_LT(difference, std::max(5.0, 0.05 * Median(known)));
  EXPECT_LT(difference, 0.5 * Median(known));
  EXPECT_EQ(slapd_.CountInLog(absl::StrCat(" BIND dn=\"", kDecoy, "\" method=128")), kCalls);
}

}  // namespace
}  // namespace werkplek
