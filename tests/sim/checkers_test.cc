// The checkers are checked: bad histories made by hand are rejected, good ones are accepted.
#include "tests/sim/checkers.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/model/names.h"
#include "common/base/crypto.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace werkplek::sim {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

template <typename Record>
v1::Change Put(absl::string_view table, const std::string& key, const Record& record) {
  v1::Change change;
  change.set_table(std::string(table));
  change.set_key(key);
  change.set_value(record.SerializeAsString());
  return change;
}

v1::Change Erase(absl::string_view table, const std::string& key) {
  v1::Change change;
  change.set_table(std::string(table));
  change.set_key(key);
  return change;
}

v1::Session MakeSession(const std::string& id, const std::string& user, const std::string& desktop,
                        uint64_t generation, v1::SessionState state) {
  v1::Session session;
  session.set_id(id);
  session.set_user(user);
  session.set_pool("kantoor");
  session.set_desktop(desktop);
  session.set_generation(generation);
  session.set_state(state);
  session.set_sign_in("si-" + user);
  return session;
}

v1::Desktop MakeDesktop(const std::string& id, v1::DesktopState state, uint64_t generation = 1) {
  v1::Desktop desktop;
  desktop.set_id(id);
  desktop.set_pool("kantoor");
  desktop.set_host("hv-0");
  desktop.set_state(state);
  desktop.set_generation(generation);
  desktop.set_memory_mib(512);
  return desktop;
}

v1::SignIn MakeSignIn(const std::string& user) {
  v1::SignIn sign_in;
  sign_in.set_id("si-" + user);
  sign_in.set_user(user);
  sign_in.set_peer("client/tc-" + user);
  sign_in.set_token_sha256(Sha256(user));
  return sign_in;
}

v1::Resource MakeEntitlement(const std::string& group) {
  v1::Resource resource;
  resource.set_name("e");
  resource.mutable_entitlement()->set_pool("kantoor");
  resource.mutable_entitlement()->set_group(group);
  return resource;
}

SignInTry MakeTry(const std::string& user, int64_t step) {
  SignInTry attempt;
  attempt.user = user;
  attempt.peer = "client/tc-" + user;
  attempt.request_id = user + "-1";
  attempt.password_right = true;
  attempt.code_step = attempt.sent_step = step;
  attempt.seed_id = "seed";
  attempt.accepted = true;
  return attempt;
}

Truth Staff() { return Truth{{{"jan", {"cn=staff,dc=nl"}}, {"piet", {"cn=visitors,dc=nl"}}}}; }

void Add(History& history, std::vector<v1::Change> changes) {
  history.commits.push_back(
      {absl::Seconds(static_cast<int64_t>(history.commits.size() + 1)), std::move(changes), 1});
}

v1::Change Trail(uint64_t sequence) {
  v1::AuditRecord record;
  record.set_sequence(sequence);
  return Put(kAuditTable, absl::StrCat(sequence), record);
}

// jan signs in and gets, sees, leaves and ends a session: every rule holds.
History GoodHistory() {
  History history;
  history.sign_ins.push_back(MakeTry("jan", 100));
  v1::Desktop desktop = MakeDesktop("d1", v1::DESKTOP_STATE_PROVISIONING);
  Add(history,
      {Put(kEntitlementTable, "e", MakeEntitlement("staff")), Put(kDesktopTable, "d1", desktop),
       Trail(1), Put(kSignInTable, "si-jan", MakeSignIn("jan"))});
  desktop.set_state(v1::DESKTOP_STATE_READY);
  Add(history, {Put(kDesktopTable, "d1", desktop)});
  desktop.set_state(v1::DESKTOP_STATE_ASSIGNED);
  v1::Session session = MakeSession("s1", "jan", "d1", 1, v1::SESSION_STATE_PENDING);
  Add(history, {Put(kSessionTable, "s1", session), Put(kDesktopTable, "d1", desktop), Trail(2)});
  session.set_state(v1::SESSION_STATE_READY);
  Add(history, {Put(kSessionTable, "s1", session)});
  history.readies.push_back(
      {absl::Seconds(4), 4, "jan", "kantoor", "s1", "d1", "hv-0", "ticket", "certificate"});
  history.tickets.push_back(
      {absl::Seconds(4), "hv-0", "d1", "ticket", "certificate", absl::Seconds(30)});
  history.displays.push_back({absl::Seconds(5),
                              "hv-0",
                              "d1",
                              1,
                              "overlay-1",
                              {},
                              "ticket",
                              "certificate",
                              "viewer-1",
                              "jan"});
  history.loads.push_back({absl::Seconds(5), "hv-0", 512, 1024});
  session.set_state(v1::SESSION_STATE_ACTIVE);
  Add(history, {Put(kSessionTable, "s1", session)});
  session.set_state(v1::SESSION_STATE_ENDING);
  Add(history, {Put(kSessionTable, "s1", session)});
  history.acknowledged.push_back(
      {ChangeAcknowledged::Kind::kEndSession, absl::Seconds(6), 6, "s1", "", 0});
  session.set_state(v1::SESSION_STATE_ENDED);
  desktop.set_state(v1::DESKTOP_STATE_DIRTY);
  Add(history, {Put(kSessionTable, "s1", session), Put(kDesktopTable, "d1", desktop)});
  Add(history, {Erase(kSessionTable, "s1"), Erase(kSignInTable, "si-jan")});
  history.acknowledged.push_back(
      {ChangeAcknowledged::Kind::kSignOut, absl::Seconds(8), 8, Sha256("jan"), "", 0});
  history.tokens_used.push_back({absl::Seconds(9), Sha256("jan"), false});
  return history;
}

TEST(CheckersTest, AGoodHistoryHasNoViolation) {
  EXPECT_THAT(CheckAll(GoodHistory(), Staff()), IsEmpty());
  EXPECT_THAT(CheckAll(History(), Truth()), IsEmpty());
}

TEST(CheckersTest, S1AGenerationThatIsGivenTwice) {
  History history = GoodHistory();
  Add(history,
      {Put(kSessionTable, "s2", MakeSession("s2", "piet", "d1", 1, v1::SESSION_STATE_PENDING))});
  EXPECT_THAT(CheckOneUserOfAGeneration(history), SizeIs(1));
}

TEST(CheckersTest, S1ANewGenerationMayServeAnother) {
  History history = GoodHistory();
  Add(history,
      {Put(kSessionTable, "s2", MakeSession("s2", "piet", "d1", 2, v1::SESSION_STATE_PENDING))});
  EXPECT_THAT(CheckOneUserOfAGeneration(history), IsEmpty());
}

TEST(CheckersTest, S1AnOverlayThatTwoPeopleSaw) {
  History history = GoodHistory();
  DisplayGranted other = history.displays[0];
  other.user = "piet";
  history.displays.push_back(other);
  EXPECT_THAT(CheckOneUserOfAGeneration(history), SizeIs(1));
}

TEST(CheckersTest, S2TwoLiveSessionsInAPool) {
  History history;
  Add(history,
      {Put(kSessionTable, "s1", MakeSession("s1", "jan", "d1", 1, v1::SESSION_STATE_ACTIVE)),
       Put(kSessionTable, "s2", MakeSession("s2", "jan", "d2", 1, v1::SESSION_STATE_PENDING))});
  EXPECT_THAT(CheckOneSessionInAPool(history), SizeIs(1));
  History after_end;
  Add(after_end,
      {Put(kSessionTable, "s1", MakeSession("s1", "jan", "d1", 1, v1::SESSION_STATE_ACTIVE)),
       Put(kSessionTable, "s1", MakeSession("s1", "jan", "d1", 1, v1::SESSION_STATE_ENDED)),
       Put(kSessionTable, "s2", MakeSession("s2", "jan", "d2", 1, v1::SESSION_STATE_PENDING))});
  EXPECT_THAT(CheckOneSessionInAPool(after_end), IsEmpty());
}

// d1 is of a dedicated pool and runs on hv-0.
History FencedHistory() {
  v1::Resource pool;
  pool.set_name("kantoor");
  pool.mutable_pool()->set_kind(v1::POOL_KIND_DEDICATED);
  History history;
  Add(history, {Put(kPoolTable, "kantoor", pool),
                Put(kDesktopTable, "d1", MakeDesktop("d1", v1::DESKTOP_STATE_PROVISIONING))});
  history.runs.push_back({absl::Seconds(1), "hv-0", "d1", true});
  return history;
}

TEST(CheckersTest, S3AFencedDesktopThatRunsTwice) {
  History history = FencedHistory();
  history.runs.push_back({absl::Seconds(20), "hv-1", "d1", true});
  history.runs.push_back({absl::Seconds(21), "hv-0", "d1", false});
  EXPECT_THAT(CheckOneCopyOfAFencedDesktop(history), SizeIs(1));
  history = FencedHistory();
  history.runs.push_back({absl::Seconds(20), "hv-0", "d1", false});
  history.runs.push_back({absl::Seconds(20), "hv-1", "d1", true});
  EXPECT_THAT(CheckOneCopyOfAFencedDesktop(history), IsEmpty()) << "one after the other";
}

TEST(CheckersTest, S3AFencedDesktopThatGoesElsewhereUnfenced) {
  History history = FencedHistory();
  v1::Desktop desktop = MakeDesktop("d1", v1::DESKTOP_STATE_OFF, 3);
  Add(history, {Put(kDesktopTable, "d1", desktop)});
  desktop.set_host("hv-1");
  desktop.set_generation(4);
  desktop.set_fenced_generation(2);
  History bad = history;
  Add(bad, {Put(kDesktopTable, "d1", desktop)});
  EXPECT_THAT(CheckOneCopyOfAFencedDesktop(bad), SizeIs(1));
  desktop.set_fenced_generation(3);
  Add(history, {Put(kDesktopTable, "d1", desktop)});
  EXPECT_THAT(CheckOneCopyOfAFencedDesktop(history), IsEmpty());
}

TEST(CheckersTest, S3AFloatingDesktopMayBeReplaced) {
  History history = FencedHistory();
  v1::Resource pool;
  pool.mutable_pool()->set_kind(v1::POOL_KIND_FLOATING);
  history.commits[0].changes[0] = Put(kPoolTable, "kantoor", pool);
  history.runs.push_back({absl::Seconds(20), "hv-1", "d1", true});
  EXPECT_THAT(CheckOneCopyOfAFencedDesktop(history), IsEmpty());
}

TEST(CheckersTest, GraceAHostThatIsJudgedTooEarly) {
  History history;
  history.elections.push_back({absl::ZeroDuration(), 1, "broker-0"});
  Add(history, {Put(kDesktopTable, "d1", MakeDesktop("d1", v1::DESKTOP_STATE_READY))});
  Add(history, {Put(kDesktopTable, "d1", MakeDesktop("d1", v1::DESKTOP_STATE_LOST))});
  EXPECT_THAT(CheckGrace(history), SizeIs(1));
  history.reports.push_back({absl::Seconds(1), "hv-0", 1});
  EXPECT_THAT(CheckGrace(history), SizeIs(1)) << "it spoke a second ago";
  history.commits[1].at = absl::Seconds(10);
  EXPECT_THAT(CheckGrace(history), SizeIs(1)) << "it spoke nine seconds ago";
  history.reports.clear();
  history.commits[1].at = absl::Seconds(10);
  EXPECT_THAT(CheckGrace(history), IsEmpty()) << "the grace is over";
}

TEST(CheckersTest, S4AHostThatCarriesTooMuch) {
  History history;
  history.loads.push_back({absl::Seconds(1), "hv-0", 2048, 1024});
  EXPECT_THAT(CheckHostLimits(history), SizeIs(1));
}

TEST(CheckersTest, S4AHostThatIsCommittedBeyondItsLimits) {
  v1::Resource host;
  host.set_name("hv-0");
  host.mutable_host()->set_memory_limit_mib(1024);
  History history;
  Add(history, {Put(kHostTable, "hv-0", host),
                Put(kDesktopTable, "d1", MakeDesktop("d1", v1::DESKTOP_STATE_READY)),
                Put(kDesktopTable, "d2", MakeDesktop("d2", v1::DESKTOP_STATE_READY))});
  EXPECT_THAT(CheckHostLimits(history), IsEmpty());
  Add(history, {Put(kDesktopTable, "d3", MakeDesktop("d3", v1::DESKTOP_STATE_PROVISIONING))});
  EXPECT_THAT(CheckHostLimits(history), SizeIs(1));
}

TEST(CheckersTest, S4ADesktopThatMovesCountsOnBothHosts) {
  v1::Resource host;
  host.set_name("hv-0");
  host.mutable_host()->set_memory_limit_mib(1024);
  v1::Resource other = host;
  other.set_name("hv-1");
  v1::Desktop moving = MakeDesktop("d1", v1::DESKTOP_STATE_READY);
  moving.set_moving_to("hv-1");
  v1::Desktop second = MakeDesktop("d2", v1::DESKTOP_STATE_READY);
  second.set_host("hv-1");
  v1::Desktop third = second;
  third.set_id("d3");
  History history;
  Add(history, {Put(kHostTable, "hv-0", host), Put(kHostTable, "hv-1", other),
                Put(kDesktopTable, "d1", moving), Put(kDesktopTable, "d2", second)});
  EXPECT_THAT(CheckHostLimits(history), IsEmpty());
  Add(history, {Put(kDesktopTable, "d3", third)});
  EXPECT_THAT(CheckHostLimits(history), SizeIs(1)) << "where it goes";
  v1::Desktop fourth = MakeDesktop("d4", v1::DESKTOP_STATE_READY);
  v1::Desktop fifth = MakeDesktop("d5", v1::DESKTOP_STATE_READY);
  Add(history, {Put(kDesktopTable, "d4", fourth), Put(kDesktopTable, "d5", fifth)});
  EXPECT_THAT(CheckHostLimits(history), SizeIs(2)) << "and where it still is";
  v1::Desktop arrived = moving;
  arrived.set_host("hv-1");
  arrived.clear_moving_to();
  Add(history, {Put(kDesktopTable, "d1", arrived)});
  EXPECT_THAT(CheckHostLimits(history), SizeIs(2)) << "arriving adds nothing";
}

TEST(CheckersTest, S5AnAnswerBeforeItsCommit) {
  History history = GoodHistory();
  history.readies[0].after_commits = 2;
  EXPECT_THAT(CheckNothingAcknowledgedIsLost(history), SizeIs(1));
}

TEST(CheckersTest, S5ASessionThatVanishesWithoutAnEnd) {
  History history;
  Add(history,
      {Put(kSessionTable, "s1", MakeSession("s1", "jan", "d1", 1, v1::SESSION_STATE_ACTIVE))});
  Add(history, {Erase(kSessionTable, "s1")});
  EXPECT_THAT(CheckNothingAcknowledgedIsLost(history), SizeIs(1));
}

TEST(CheckersTest, S5ASignOutThatIsNotInTheStore) {
  History history = GoodHistory();
  history.commits.back().changes.pop_back();
  EXPECT_THAT(CheckNothingAcknowledgedIsLost(history), SizeIs(1));
}

TEST(CheckersTest, S5ATokenThatIsTakenAfterItsSignOut) {
  History history = GoodHistory();
  history.tokens_used[0].taken = true;
  EXPECT_THAT(CheckNothingAcknowledgedIsLost(history), SizeIs(1));
}

TEST(CheckersTest, S5AnEndThatIsNotInTheStore) {
  History history = GoodHistory();
  history.acknowledged[0].after_commits = 5;
  EXPECT_THAT(CheckNothingAcknowledgedIsLost(history), SizeIs(1));
}

TEST(CheckersTest, S5AResourceWhoseVersionFalls) {
  v1::Resource pool;
  pool.set_name("kantoor");
  pool.set_version(3);
  pool.mutable_pool();
  History history;
  Add(history, {Put(kPoolTable, "kantoor", pool)});
  history.acknowledged.push_back(
      {ChangeAcknowledged::Kind::kResource, absl::Seconds(1), 1, "kantoor", "", 4});
  EXPECT_THAT(CheckNothingAcknowledgedIsLost(history), SizeIs(1)) << "version 4 was promised";
  pool.set_version(2);
  Add(history, {Put(kPoolTable, "kantoor", pool)});
  EXPECT_THAT(CheckNothingAcknowledgedIsLost(history), SizeIs(2));
}

TEST(CheckersTest, S5ALastStepThatFalls) {
  v1::TokenEnrolment token;
  token.set_user("jan");
  token.set_seed_id("1");
  token.set_last_step(7);
  History history;
  Add(history, {Put(kTokenTable, "jan", token)});
  token.set_last_step(6);
  Add(history, {Put(kTokenTable, "jan", token)});
  EXPECT_THAT(CheckNothingAcknowledgedIsLost(history), SizeIs(1));
}

TEST(CheckersTest, S6AStepOutsideTheTables) {
  History history;
  Add(history, {Put(kDesktopTable, "d1", MakeDesktop("d1", v1::DESKTOP_STATE_PROVISIONING))});
  Add(history, {Put(kDesktopTable, "d1", MakeDesktop("d1", v1::DESKTOP_STATE_READY))});
  Add(history, {Put(kDesktopTable, "d1", MakeDesktop("d1", v1::DESKTOP_STATE_ASSIGNED))});
  EXPECT_THAT(CheckTransitions(history), IsEmpty());
  Add(history, {Put(kDesktopTable, "d1", MakeDesktop("d1", v1::DESKTOP_STATE_READY))});
  EXPECT_THAT(CheckTransitions(history), SizeIs(1)) << "from assigned to ready without a reset";
}

TEST(CheckersTest, S6AnEndedSessionThatLivesAgain) {
  History history = GoodHistory();
  history.commits.pop_back();
  Add(history,
      {Put(kSessionTable, "s1", MakeSession("s1", "jan", "d1", 1, v1::SESSION_STATE_ACTIVE))});
  EXPECT_THAT(CheckTransitions(history), SizeIs(1));
}

TEST(CheckersTest, S6AGenerationThatFalls) {
  History history;
  Add(history, {Put(kDesktopTable, "d1", MakeDesktop("d1", v1::DESKTOP_STATE_PROVISIONING, 5))});
  Add(history, {Put(kDesktopTable, "d1", MakeDesktop("d1", v1::DESKTOP_STATE_READY, 4))});
  EXPECT_THAT(CheckTransitions(history), SizeIs(1));
}

TEST(CheckersTest, S7AnOldEpochThatIsObeyed) {
  History history;
  history.old_commands.push_back({absl::Seconds(1), "hv-0", 3, 4, false});
  EXPECT_THAT(CheckEpochs(history), IsEmpty());
  history.old_commands.push_back({absl::Seconds(1), "hv-0", 3, 4, true});
  EXPECT_THAT(CheckEpochs(history), SizeIs(1));
}

TEST(CheckersTest, S8ASignInWithoutPasswordOrCode) {
  History history = GoodHistory();
  history.sign_ins[0].password_right = false;
  EXPECT_THAT(CheckProofOfPerson(history, Staff()), SizeIs(1));
  history = GoodHistory();
  history.sign_ins[0].code_step = -1;
  EXPECT_THAT(CheckProofOfPerson(history, Staff()), SizeIs(1));
  history = GoodHistory();
  history.sign_ins[0].sent_step += 2;
  EXPECT_THAT(CheckProofOfPerson(history, Staff()), SizeIs(1)) << "a code of two steps ago";
  history = GoodHistory();
  history.sign_ins[0].at = absl::Seconds(2);
  EXPECT_THAT(CheckProofOfPerson(history, Staff()), SizeIs(1)) << "it was tried afterwards";
}

TEST(CheckersTest, S8ASessionWithoutEntitlement) {
  Truth truth = Staff();
  truth.groups[0].second = {"cn=visitors,dc=nl"};
  EXPECT_THAT(CheckProofOfPerson(GoodHistory(), truth), SizeIs(1));
}

TEST(CheckersTest, S8ASessionWithoutSignIn) {
  History history = GoodHistory();
  history.commits[0].changes.pop_back();
  EXPECT_THAT(CheckProofOfPerson(history, Staff()), SizeIs(1));
}

TEST(CheckersTest, S9AnOverlayThatAnotherSessionUsed) {
  History history = GoodHistory();
  history.displays[0].used_before = {"s1"};
  EXPECT_THAT(CheckCleanness(history), IsEmpty()) << "one's own session may come back";
  history.displays[0].used_before = {"s0"};
  EXPECT_THAT(CheckCleanness(history), SizeIs(1));
}

TEST(CheckersTest, S9AnOwnerMaySeeWhatHeLeftOnHisOwnDesktop) {
  History history = GoodHistory();
  Add(history,
      {Put(kSessionTable, "s0", MakeSession("s0", "jan", "d1", 1, v1::SESSION_STATE_ENDED))});
  history.displays[0].used_before = {"s0"};
  EXPECT_THAT(CheckCleanness(history), SizeIs(1)) << "nobody keeps it";
  v1::Desktop kept = MakeDesktop("d1", v1::DESKTOP_STATE_OFF);
  kept.set_owner("jan");
  Add(history, {Put(kDesktopTable, "d1", kept)});
  EXPECT_THAT(CheckCleanness(history), IsEmpty());
  Add(history,
      {Put(kSessionTable, "s0", MakeSession("s0", "piet", "d1", 1, v1::SESSION_STATE_ENDED))});
  EXPECT_THAT(CheckCleanness(history), SizeIs(1)) << "somebody else left it";
}

TEST(CheckersTest, S10ACodeThatIsAcceptedTwice) {
  History history;
  history.sign_ins = {MakeTry("jan", 100), MakeTry("jan", 100)};
  EXPECT_THAT(CheckCodesOnce(history), IsEmpty()) << "the same request, answered again";
  history.sign_ins[1].request_id = "jan-2";
  EXPECT_THAT(CheckCodesOnce(history), SizeIs(1));
  history.sign_ins[1].seed_id = "another seed";
  EXPECT_THAT(CheckCodesOnce(history), IsEmpty());
}

TEST(CheckersTest, S11TicketsThatOpenTooMuch) {
  History history = GoodHistory();
  history.displays.push_back(history.displays[0]);
  EXPECT_THAT(CheckTickets(history), IsEmpty()) << "a second channel of one viewer";
  history.displays[1].viewer = "viewer-2";
  EXPECT_THAT(CheckTickets(history), SizeIs(1)) << "twice";
  history = GoodHistory();
  history.displays[0].at = absl::Seconds(40);
  EXPECT_THAT(CheckTickets(history), SizeIs(1)) << "late";
  history = GoodHistory();
  history.displays[0].certificate_sha256 = "another";
  EXPECT_THAT(CheckTickets(history), SizeIs(1)) << "another certificate";
  history = GoodHistory();
  history.displays[0].user = "piet";
  EXPECT_THAT(CheckTickets(history), SizeIs(1)) << "somebody else's";
  history = GoodHistory();
  history.tickets.clear();
  EXPECT_THAT(CheckTickets(history), SizeIs(1)) << "never granted";
}

TEST(CheckersTest, S11ARepeatedGrantProlongsNothingOnceTheTicketIsKnown) {
  History history = GoodHistory();
  history.displays[0].at = absl::Seconds(40);
  history.tickets.push_back(history.tickets[0]);
  history.tickets[1].at = absl::Seconds(30);
  EXPECT_THAT(CheckTickets(history), SizeIs(1));
  history.readies[0].at = absl::Seconds(31);
  EXPECT_THAT(CheckTickets(history), IsEmpty()) << "before that nobody had the ticket";
}

TEST(CheckersTest, AuditASessionThatLeavesNoTrail) {
  History history;
  const v1::Change session =
      Put(kSessionTable, "s1", MakeSession("s1", "jan", "d1", 1, v1::SESSION_STATE_PENDING));
  Add(history, {session, Trail(1)});
  EXPECT_THAT(CheckAudit(history), IsEmpty());
  history.commits[0].changes.pop_back();
  EXPECT_THAT(CheckAudit(history), SizeIs(1));
}

TEST(CheckersTest, LivenessTellsEachComplaint) {
  History history;
  history.end.complaints = {"user1 still waits", "hv-0 is not up"};
  EXPECT_THAT(CheckLiveness(history), SizeIs(2));
}

}  // namespace
}  // namespace werkplek::sim
