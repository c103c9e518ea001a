// A server with the right certificate that answers wrongly: nobody gets in by it, nothing grows
// without bounds, and the next server still answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "tests/integration/directory/directory_harness.h"
#include "tests/support/slapd/scripted_ldap_server.h"

namespace werkplek {
namespace {

using Session = ScriptedLdapServer::Session;
using Request = ScriptedLdapServer::Request;
using Script = ScriptedLdapServer::Script;

// The most memory that this process ever had, in KiB.
int64_t PeakMemoryKib() {
  const std::string status = ReadWholeFile("/proc/self/status");
  return std::stoll(status.substr(status.find("VmHWM:") + 6));
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WERKPLEK_TEST_ADDRESS_SANITIZER
#endif
#endif
#ifdef WERKPLEK_TEST_ADDRESS_SANITIZER
// The sanitizer keeps freed memory back.
constexpr int64_t kMostMemoryKib = 512 * 1024;
#else
constexpr int64_t kMostMemoryKib = 32 * 1024;
#endif

bool IsService(const Request& request) {
  return absl::StrContains(request.bytes, Slapd::kServiceDn);
}

std::string Jan() {
  return LdapEntryBytes(PersonDn("jan"), {{"uid", "jan"}, {"displayName", "Jan"}});
}

// Does what a directory should; a test replaces the part it is about.
bool Honest(Session& session, const Request& request) {
  if (request.operation == kLdapBindRequest) {
    const bool right = IsService(request) || absl::StrContains(request.bytes, "right");
    return session.Write(
        LdapMessageBytes(request.id, LdapResultBytes(kLdapBindResponse, right ? 0 : 49)));
  }
  if (request.operation != kLdapSearchRequest) return false;
  if (absl::StrContains(request.bytes, "uid") && !absl::StrContains(request.bytes, "member") &&
      !session.Write(LdapMessageBytes(request.id, Jan()))) {
    return false;
  }
  return session.Write(LdapMessageBytes(request.id, LdapResultBytes(kLdapSearchDone, 0)));
}

// `act` instead of the honest answer to searches, or to binds of people.
Script OnSearch(Script act) {
  return [act](Session& session, const Request& request) {
    return request.operation == kLdapSearchRequest ? act(session, request)
                                                   : Honest(session, request);
  };
}
Script OnBind(Script act) {
  return [act](Session& session, const Request& request) {
    return request.operation == kLdapBindRequest && !IsService(request) ? act(session, request)
                                                                        : Honest(session, request);
  };
}

// `act` instead of the honest answer to searches for several people, and how many there were.
Script OnJoinedSearch(std::atomic<int>& joined, Script act) {
  return OnSearch([&joined, act](Session& session, const Request& request) {
    const bool both =
        absl::StrContains(request.bytes, "jan") && absl::StrContains(request.bytes, "piet");
    if (!both) return Honest(session, request);
    ++joined;
    return act(session, request);
  });
}

class HostileServerTest : public testing::Test {
 protected:
  HostileServerTest() : good_(Options()) {}

  SlapdOptions Options() {
    SlapdOptions options;
    options.certificate = authority_.Issue({}, {"127.0.0.1"});
    options.ldif = PersonLdif("jan", "right");
    return options;
  }

  DirectorySettings Settings(const std::vector<std::string>& servers) const {
    DirectorySettings settings = SettingsFor(servers, authority_.ca_file());
    settings.network_timeout = absl::Milliseconds(500);
    settings.operation_timeout = absl::Milliseconds(500);
    settings.answer_timeout = absl::Milliseconds(3'000);
    return settings;
  }

  // Alone, the server lets nobody in, with any password; with a good one behind it, right is right
  // and wrong is wrong.
  void ExpectHarmless(const Script& script) {
    const int64_t before = PeakMemoryKib();
    const ScriptedLdapServer hostile(authority_.Issue({}, {"127.0.0.1"}), script);
    {
      DirectoryHarness alone(Settings({hostile.url()}));
      EXPECT_NE(alone.Authenticate("jan", "wrong").outcome, DirectoryOutcome::kOk);
      EXPECT_EQ(alone.Authenticate("jan", "right").outcome, DirectoryOutcome::kUnavailable);
    }
    DirectoryHarness both(Settings({hostile.url(), good_.url()}));
    const DirectoryAnswer answer = both.Authenticate("jan", "right");
    EXPECT_EQ(answer.outcome, DirectoryOutcome::kOk) << answer.detail;
    EXPECT_EQ(both.Authenticate("jan", "wrong").outcome, DirectoryOutcome::kDenied);
    EXPECT_GE(hostile.connections(), 1);
    EXPECT_LE(PeakMemoryKib() - before, kMostMemoryKib);
  }

  // Jan and Piet, whom nobody knows, many times at once.
  void ExpectEachGetsTheirs(DirectoryHarness& harness) {
    std::vector<std::pair<std::string, std::string>> people;
    for (int i = 0; i < 20; ++i) {
      people.emplace_back("jan", "right");
      people.emplace_back("piet", "right");
    }
    const std::vector<DirectoryAnswer> answers = harness.AuthenticateAll(people);
    for (size_t i = 0; i < people.size(); i += 2) {
      EXPECT_EQ(answers[i].outcome, DirectoryOutcome::kOk) << answers[i].detail;
      EXPECT_EQ(answers[i].person.dn, PersonDn("jan"));
      EXPECT_EQ(answers[i + 1].outcome, DirectoryOutcome::kDenied) << answers[i + 1].detail;
      EXPECT_EQ(answers[i + 1].detail, "unknown user");
    }
  }

  DirectoryAuthority authority_;
  Slapd good_;
};

TEST_F(HostileServerTest, TheHonestScriptWorks) {
  const ScriptedLdapServer honest(authority_.Issue({}, {"127.0.0.1"}), Honest);
  DirectoryHarness harness(Settings({honest.url()}));
  const DirectoryAnswer answer = harness.Authenticate("jan", "right");
  EXPECT_EQ(answer.outcome, DirectoryOutcome::kOk) << answer.detail;
  EXPECT_EQ(answer.person.display_name, "Jan");
  EXPECT_EQ(harness.Authenticate("jan", "wrong").outcome, DirectoryOutcome::kDenied);
}

TEST_F(HostileServerTest, EndlessEntries) {
  ExpectHarmless(OnSearch([](Session& session, const Request& request) {
    while (session.Write(LdapMessageBytes(request.id, Jan()))) {
    }
    return false;
  }));
}

TEST_F(HostileServerTest, HugeEntry) {
  // 16 MiB in small pieces, so that the memory counted is the broker's.
  ExpectHarmless(OnSearch([](Session& session, const Request& request) {
    const std::string piece(1 << 16, 'x');
    const std::string head = LdapMessageBytes(request.id, "").substr(2);
    bool there = session.Write(std::string("\x30\x84\x01\x00\x00\x00", 6) + head);
    for (int i = 0; i < 256 && there; ++i) there = session.Write(piece);
    return there;
  }));
}

TEST_F(HostileServerTest, LengthThatNeverComes) {
  ExpectHarmless(OnSearch([](Session& session, const Request&) {
    return session.Write(std::string("\x30\x84\x7f\xff\xff\xff", 6) + std::string(1000, 'x'));
  }));
}

TEST_F(HostileServerTest, OneByteAtATime) {
  ExpectHarmless(OnSearch([](Session& session, const Request& request) {
    for (const char byte : LdapMessageBytes(request.id, Jan())) {
      if (!session.Write(std::string(1, byte)) || !session.Pause()) return false;
    }
    return false;
  }));
}

TEST_F(HostileServerTest, BindAnswersOneByteAtATime) {
  ExpectHarmless([](Session& session, const Request& request) {
    const std::string answer = LdapMessageBytes(request.id, LdapResultBytes(kLdapBindResponse, 0));
    for (const char byte : answer.substr(0, answer.size() - 1)) {
      if (!session.Write(std::string(1, byte)) || !session.Pause()) return false;
    }
    while (session.Pause()) {
    }
    return false;
  });
}

TEST_F(HostileServerTest, Garbage) {
  ExpectHarmless(OnSearch([](Session& session, const Request&) {
    std::mt19937 random(1);
    std::string bytes(5'000, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    return session.Write(bytes);
  }));
}

TEST_F(HostileServerTest, MessagesWithoutEndOfNobody) {
  // Valid answers to questions that were never asked.
  ExpectHarmless(OnSearch([](Session& session, const Request& request) {
    while (session.Write(LdapMessageBytes(request.id + 1'000, Jan()))) {
    }
    return false;
  }));
}

TEST_F(HostileServerTest, AnswersOfTheWrongKind) {
  ExpectHarmless(OnBind([](Session& session, const Request& request) {
    // A search that succeeded is no bind that succeeded.
    return session.Write(LdapMessageBytes(request.id, LdapResultBytes(kLdapSearchDone, 0)));
  }));
  ExpectHarmless(OnBind([](Session& session, const Request& request) {
    return session.Write(LdapMessageBytes(request.id, LdapResultBytes(kLdapExtendedResponse, 0)));
  }));
  ExpectHarmless(OnSearch([](Session& session, const Request& request) {
    return session.Write(LdapMessageBytes(request.id, LdapResultBytes(kLdapBindResponse, 0)));
  }));
}

TEST_F(HostileServerTest, EntriesInsteadOfABindAnswer) {
  ExpectHarmless(OnBind([](Session& session, const Request& request) {
    return session.Write(LdapMessageBytes(request.id, Jan()));
  }));
}

TEST_F(HostileServerTest, SuccessOfAnotherBind) {
  ExpectHarmless(OnBind([](Session& session, const Request& request) {
    return session.Write(LdapMessageBytes(request.id + 1, LdapResultBytes(kLdapBindResponse, 0)));
  }));
}

TEST_F(HostileServerTest, SuccessThatIsCut) {
  ExpectHarmless(OnBind([](Session& session, const Request& request) {
    return session.Write(
        LdapMessageBytes(request.id, Ber(kLdapBindResponse, Ber(0x0a, std::string(1, '\0')))));
  }));
}

TEST_F(HostileServerTest, HangsUp) {
  ExpectHarmless(OnSearch([](Session&, const Request&) { return false; }));
  ExpectHarmless(OnBind([](Session&, const Request&) { return false; }));
}

TEST_F(HostileServerTest, SaysGoodbye) {
  // Notice of Disconnection, RFC 4511 section 4.4.1.
  ExpectHarmless(OnSearch([](Session& session, const Request&) {
    return session.Write(LdapMessageBytes(
        0, Ber(kLdapExtendedResponse, Ber(0x0a, std::string(1, 52)) + Ber(0x04, "") +
                                          Ber(0x04, "") + Ber(0x8a, "1.3.6.1.4.1.1466.20036"))));
  }));
}

TEST_F(HostileServerTest, ServersThatCannotJudgeAreNotBelieved) {
  for (const int code : {1, 2, 8, 10, 13, 14, 51, 52, 80, 118}) {
    ExpectHarmless(OnBind([code](Session& session, const Request& request) {
      return session.Write(LdapMessageBytes(request.id, LdapResultBytes(kLdapBindResponse, code)));
    }));
    ExpectHarmless(OnSearch([code](Session& session, const Request& request) {
      return session.Write(LdapMessageBytes(request.id, LdapResultBytes(kLdapSearchDone, code)));
    }));
  }
}

TEST_F(HostileServerTest, AnEntryOfSomebodyElseIsNobody) {
  const ScriptedLdapServer hostile(
      authority_.Issue({}, {"127.0.0.1"}), OnSearch([](Session& session, const Request& request) {
        return session.Write(LdapMessageBytes(
                   request.id, LdapEntryBytes(PersonDn("admin"), {{"uid", "admin"}}))) &&
               session.Write(LdapMessageBytes(request.id, LdapResultBytes(kLdapSearchDone, 0)));
      }));
  DirectoryHarness harness(Settings({hostile.url()}));
  EXPECT_EQ(harness.Authenticate("jan", "right").detail, "unknown user");
  EXPECT_EQ(harness.Find("jan").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(HostileServerTest, PeopleWhoseJoinedSearchFailsAreAskedForOneByOne) {
  const auto answer = [](int code, bool with_stranger) {
    return [code, with_stranger](Session& session, const Request& request) {
      const std::string stranger = LdapEntryBytes(PersonDn("x"), {{"uid", "stranger"}});
      return session.Write(LdapMessageBytes(request.id, Jan())) &&
             (!with_stranger || session.Write(LdapMessageBytes(request.id, stranger))) &&
             session.Write(LdapMessageBytes(request.id, LdapResultBytes(kLdapSearchDone, code)));
    };
  };
  // An entry of nobody; sizeLimitExceeded; adminLimitExceeded; unwillingToPerform.
  for (const Script& act : {Script(answer(0, true)), Script(answer(4, false)),
                            Script(answer(11, false)), Script(answer(53, false))}) {
    std::atomic<int> joined = 0;
    const ScriptedLdapServer server(authority_.Issue({}, {"127.0.0.1"}),
                                    OnJoinedSearch(joined, act));
    DirectoryHarness harness(Settings({server.url()}));
    ExpectEachGetsTheirs(harness);
    EXPECT_GT(joined, 0);
  }
}

TEST_F(HostileServerTest, PeopleWhoseJoinedSearchIsLostGoToTheNextServer) {
  for (const bool silent : {true, false}) {
    std::atomic<int> joined = 0;
    const ScriptedLdapServer server(
        authority_.Issue({}, {"127.0.0.1"}),
        OnJoinedSearch(joined, [silent](Session&, const Request&) { return silent; }));
    DirectoryHarness harness(Settings({server.url(), good_.url()}));
    ExpectEachGetsTheirs(harness);
    EXPECT_GT(joined, 0);
  }
}

TEST_F(HostileServerTest, AConnectionLostInABindIsTriedOnceMore) {
  std::atomic<int> binds = 0;
  const ScriptedLdapServer server(authority_.Issue({}, {"127.0.0.1"}),
                                  OnBind([&](Session& session, const Request& request) {
                                    if (++binds == 1) return false;
                                    return Honest(session, request);
                                  }));
  DirectoryHarness harness(Settings({server.url()}));
  const DirectoryAnswer answer = harness.Authenticate("jan", "right");
  EXPECT_EQ(answer.outcome, DirectoryOutcome::kOk) << answer.detail;
  EXPECT_EQ(binds, 2);
}

}  // namespace
}  // namespace werkplek
