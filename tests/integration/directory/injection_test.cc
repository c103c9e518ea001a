// Names that try to be more than a name, against a real slapd.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <random>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "broker/directory/found_person.h"
#include "broker/directory/ldap_connection.h"
#include "broker/directory/ldap_text.h"
#include "broker/model/names.h"
#include "tests/integration/directory/directory_harness.h"

namespace werkplek {
namespace {

const std::vector<std::string>& Payloads() {
  static const std::vector<std::string> list = {"*",
                                                "j*",
                                                "jan*",
                                                "*)(uid=*",
                                                "*)(objectClass=*",
                                                "jan)(|(uid=*",
                                                "jan))(|(objectClass=*",
                                                "jan)(userPassword=*)",
                                                "*))%00",
                                                "\\2a",
                                                "\\",
                                                "\\\\",
                                                "(",
                                                ")",
                                                "()",
                                                "!(uid=x)",
                                                "jan)(!(uid=x",
                                                "&(uid=*)",
                                                std::string("jan\0", 4),
                                                std::string("jan\0*", 5),
                                                "jan\n",
                                                "jan\r\nuid: admin",
                                                " jan",
                                                "jan ",
                                                "JAN\t",
                                                "j\xc3\xa4n",
                                                "\xff\xfe",
                                                "jan,ou=people",
                                                "uid=jan",
                                                "jan+cn=jan",
                                                "#",
                                                "\"jan\"",
                                                "<jan>",
                                                "jan;x",
                                                "jan/../admin",
                                                std::string(65, 'a'),
                                                std::string(100'000, '*')};
  return list;
}

class InjectionTest : public testing::Test {
 protected:
  SlapdOptions Options() {
    SlapdOptions options;
    options.certificate = authority_.Issue({}, {"127.0.0.1"});
    for (const char* uid : {"jan", "admin", "piet"}) options.ldif += PersonLdif(uid, "right");
    // People whose names a filter could take for more.
    int number = 0;
    for (const std::string& uid : odd_) {
      const std::string cn = "odd" + std::to_string(number++);
      options.ldif += "dn: cn=" + cn + "," + Slapd::kPeople +
                      "\nobjectClass: inetOrgPerson\ncn: " + cn + "\nsn: x\nuid: " + uid + "\n\n";
    }
    return options;
  }

  const std::vector<std::string> odd_ = {"*", "a*b", "a(b)", "a\\b", "(uid=*)", "a)(uid=*"};
  DirectoryAuthority authority_;
  Slapd slapd_{Options()};
};

TEST_F(InjectionTest, HostileNamesAreNobody) {
  DirectoryHarness harness(SettingsFor({slapd_.url()}, authority_.ca_file()));
  ASSERT_TRUE(harness.Find("jan").ok());
  const int searches = slapd_.CountInLog(" SRCH base=\"ou=people");
  for (const std::string& name : Payloads()) {
    const DirectoryAnswer answer = harness.Authenticate(name, "right");
    EXPECT_EQ(answer.outcome, DirectoryOutcome::kDenied) << name.substr(0, 40);
    EXPECT_EQ(harness.Find(name).status().code(), absl::StatusCode::kNotFound);
  }
  // The list of what a name may be stands in front: none of them reached the server.
  EXPECT_EQ(slapd_.CountInLog(" SRCH base=\"ou=people"), searches);
}

// What stands behind that list holds by itself, too.
TEST_F(InjectionTest, FiltersFindTheExactNameOrNobody) {
  DirectorySettings settings = SettingsFor({slapd_.url()}, authority_.ca_file());
  IgnoreLdapConfigurationFiles();
  const auto tls = LdapTlsContext::Create(settings);
  ASSERT_TRUE(tls.ok()) << tls.status();
  ConnectionAttempt attempt;
  auto connection =
      LdapConnection::Open(settings, **tls, settings.servers[0], ConnectionUse::kSearch, attempt);
  ASSERT_TRUE(connection.ok()) << connection.status();
  // The uids that a search for `name` gives.
  const auto search = [&](const std::string& name) {
    std::vector<std::string> found;
    const auto id = (*connection)
                        ->StartSearch({settings.user_base,
                                       FillFilter(settings.user_filter, "{user}", name),
                                       {"uid"},
                                       100});
    EXPECT_TRUE(id.ok()) << id.status();
    EXPECT_TRUE((*connection)->Flush().ok());
    for (bool done = !id.ok(); !done;) {
      auto message = (*connection)->Poll();
      if (!message.ok()) {
        ADD_FAILURE() << message.status();
        break;
      }
      if (!message->has_value()) {
        pollfd wait = {.fd = (*connection)->descriptor(), .events = POLLIN, .revents = 0};
        poll(&wait, 1, 1'000);
        continue;
      }
      done = (*message)->kind == LdapMessage::Kind::kSearchDone;
      const std::vector<std::string>* uids = (*message)->entry.Values("uid");
      if (uids != nullptr) found.insert(found.end(), uids->begin(), uids->end());
    }
    return found;
  };
  for (const std::string& name : odd_) EXPECT_THAT(search(name), testing::ElementsAre(name));
  std::vector<std::string> names = Payloads();
  std::mt19937_64 random(10'000);
  const std::string specials("*()\\&|!=<>~;,+\"# \0\n/janpiet", 26);
  while (names.size() < 10'000) {
    std::string name(1 + random() % 20, '\0');
    for (char& c : name) {
      c = random() % 4 == 0 ? static_cast<char>(random()) : specials[random() % specials.size()];
    }
    names.push_back(std::move(name));
  }
  int hits = 0;
  for (const std::string& name : names) {
    for (const std::string& uid : search(name)) {
      ++hits;
      // LDAP compares without case and outer spaces; we do not take the entry unless it is equal.
      const bool taken =
          ReadPerson(settings, {"", {{"uid", {uid}}}}, name, absl::Now()).has_value();
      EXPECT_EQ(taken, IsUserName(name) && absl::EqualsIgnoreCase(uid, name)) << name;
      EXPECT_TRUE(absl::EqualsIgnoreCase(absl::StripAsciiWhitespace(name), uid)) << name;
    }
  }
  EXPECT_GE(hits, 1) << "' jan' is found by LDAP's rules, or nothing was searched";
}

}  // namespace
}  // namespace werkplek
