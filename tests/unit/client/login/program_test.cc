#include "client/login/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "tests/unit/client/fake_broker.h"
#include "tests/unit/client/pty.h"

namespace werkplek {
namespace {

using testing::HasSubstr;
using testing::Not;

class LoginProgramTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/login-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    v1::SignInResponse signed_in;
    signed_in.set_access_token("t0ken");
    signed_in.set_display_name("Jan Jansen");
    signed_in.set_expires_unix_ms(absl::ToUnixMillis(kNow + absl::Hours(12)));
    signed_in.set_idle_limit_s(1800);
    signed_in.add_notices("your password expires in 3 days");
    broker_.Reply("SignIn", signed_in);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  struct Result {
    ExitCode code;
    std::string out;
    std::string err;
  };
  // Runs the program with `input` on a pipe.
  Result Run(const std::vector<std::string>& arguments, const std::string& input = "") {
    int ends[2];
    if (pipe(ends) != 0) return {ExitCode::kLocal, "", "no pipe"};
    if (write(ends[1], input.data(), input.size()) < 0) return {ExitCode::kLocal, "", "no pipe"};
    close(ends[1]);
    std::ostringstream out;
    std::ostringstream err;
    Terminal terminal(ends[0], err, ends[0]);
    const Result result = RunAt(arguments, terminal, out, err);
    close(ends[0]);
    return result;
  }
  Result RunAt(const std::vector<std::string>& arguments, Terminal& terminal,
               std::ostringstream& out, std::ostream& err) {
    LoginPorts ports{
        .terminal = terminal,
        .out = out,
        .err = err,
        .live = false,
        .variable = [this](const char* name) { return environment_[name]; },
        .config = [this](const std::string&) { return config_; },
        .connect = [this](const ClientConfig&) -> absl::StatusOr<std::vector<BrokerEndpoint>> {
          return std::vector<BrokerEndpoint>{broker_.Endpoint()};
        },
        .token_file = [this]() -> absl::StatusOr<TokenFile> {
          return TokenFile(directory_ + "/token");
        },
        .renew = nullptr,
        .show_display =
            [this](const ClientConfig&, Language, const v1::Ready& ready,
                   const DisplayChoice& choice) {
              shown_.push_back({ready, choice});
              if (shown_.size() <= gateways_lost_) return absl::AbortedError("gateway lost");
              return shown_status_;
            },
        .now = [] { return kNow; },
        .retries = {.max_attempts = 3},
    };
    const ExitCode code = RunLogin(arguments, ports);
    const auto* text = dynamic_cast<std::ostringstream*>(&err);
    return {code, out.str(), text == nullptr ? "" : text->str()};
  }
  void SignIn() {
    const Result result = Run({"sign-in", "--user", "jan"}, "Geheim\n123456\n");
    ASSERT_EQ(result.code, ExitCode::kOk) << result.err;
  }
  void OfferPools(bool two_sessions = false) {
    v1::ListPoolsResponse pools;
    v1::PoolView* kantoor = pools.add_pools();
    kantoor->set_pool("kantoor");
    kantoor->set_description("Kantoorwerk");
    kantoor->set_available(true);
    kantoor->mutable_session()->set_session("s-1");
    kantoor->mutable_session()->set_pool("kantoor");
    kantoor->mutable_session()->set_desktop("kantoor-7f3a");
    kantoor->mutable_session()->set_state(v1::SESSION_STATE_DISCONNECTED);
    v1::PoolView* gis = pools.add_pools();
    gis->set_pool("gis");
    gis->set_unavailable_reason("draining");
    if (two_sessions) {
      gis->mutable_session()->set_session("s-2");
      gis->mutable_session()->set_pool("gis");
    }
    broker_.Reply("ListPools", pools);
  }

  static constexpr absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);
  FakeBroker broker_;
  std::string directory_;
  std::map<std::string, std::string> environment_;
  absl::StatusOr<ClientConfig> config_ = ClientConfig{};
  size_t gateways_lost_ = 0;
  absl::Status shown_status_;
  struct Shown {
    v1::Ready ready;
    DisplayChoice choice;
  };
  std::vector<Shown> shown_;
};

TEST_F(LoginProgramTest, SignsInFromTwoLinesAndKeepsTheToken) {
  const Result result = Run({"sign-in", "--user", "jan"}, "Geheim met spaties \n123 456\n");
  EXPECT_EQ(result.code, ExitCode::kOk) << result.err;
  EXPECT_THAT(result.out, HasSubstr("Signed in as Jan Jansen, until "));
  EXPECT_THAT(result.out, HasSubstr("Unused for 30 minutes"));
  EXPECT_THAT(result.out, HasSubstr("Please note: your password expires in 3 days"));
  EXPECT_THAT(result.out + result.err, Not(HasSubstr("t0ken")));
  const auto requests = broker_.Requests<v1::SignInRequest>("SignIn");
  ASSERT_EQ(requests.size(), 1);
  EXPECT_EQ(requests[0].user(), "jan");
  EXPECT_EQ(requests[0].password(), "Geheim met spaties ");
  EXPECT_EQ(requests[0].token_code(), "123456");
  EXPECT_EQ(requests[0].request_id().size(), 32);
  EXPECT_EQ(requests[0].client().language(), "en");
  OfferPools();
  EXPECT_EQ(Run({"list"}).code, ExitCode::kOk);
  EXPECT_EQ(broker_.LastAuthorization(), "Bearer t0ken");
}

TEST_F(LoginProgramTest, AsksAtATerminalAndShowsNothingSecret) {
  Pty pty;
  DescriptorBuffer buffer(pty.slave());
  std::ostream err(&buffer);
  std::ostringstream out;
  Terminal terminal(pty.slave(), err, pty.slave());
  Result result{};
  std::thread program([&] { result = RunAt({"sign-in"}, terminal, out, err); });
  pty.ReadUntil("User name: ");
  pty.Type("jan\n");
  pty.ReadUntil("Password: ");
  pty.Type("Geheim123!\r");
  pty.ReadUntil("One-time code: ");
  pty.Type("654321\r");
  program.join();
  EXPECT_EQ(result.code, ExitCode::kOk);
  EXPECT_EQ(pty.Screen(), "User name: jan\r\nPassword: \r\nOne-time code: \r\n");
  const auto requests = broker_.Requests<v1::SignInRequest>("SignIn");
  ASSERT_EQ(requests.size(), 1);
  EXPECT_EQ(requests[0].password(), "Geheim123!");
  EXPECT_EQ(requests[0].token_code(), "654321");
}

TEST_F(LoginProgramTest, TakesNoSecretAsAnArgument) {
  for (const char* flag : {"--password", "--code", "--token", "-p"}) {
    EXPECT_EQ(Run({"sign-in", "--user", "jan", flag, "x"}).code, ExitCode::kUsage) << flag;
  }
  EXPECT_TRUE(broker_.Methods().empty());
}

TEST_F(LoginProgramTest, NeedsAUserWhenNobodyCanBeAsked) {
  const Result result = Run({"sign-in"}, "a\nb\n");
  EXPECT_EQ(result.code, ExitCode::kUsage);
  EXPECT_THAT(result.err, HasSubstr("--user"));
}

TEST_F(LoginProgramTest, SaysHowASignInFailedInThePersonsLanguage) {
  broker_.Always("SignIn", FakeBroker::Fails(grpc::StatusCode::UNAUTHENTICATED, "sign-in failed"));
  environment_["LANG"] = "nl_NL.UTF-8";
  const Result result = Run({"sign-in", "--user", "jan"}, "x\n1\n");
  EXPECT_EQ(result.code, ExitCode::kSignInFailed);
  EXPECT_THAT(result.err, HasSubstr("Aanmelden mislukt."));
}

TEST_F(LoginProgramTest, SaysWhenTheServiceIsAway) {
  broker_.Stop();
  const Result result = Run({"sign-in", "--user", "jan"}, "x\n1\n");
  EXPECT_EQ(result.code, ExitCode::kUnavailable);
  EXPECT_THAT(result.err, HasSubstr("not available"));
  EXPECT_THAT(result.err, HasSubstr("Connection refused"));
}

TEST_F(LoginProgramTest, ListsPoolsWithSessions) {
  OfferPools();
  SignIn();
  EXPECT_EQ(Run({"list"}).out,
            "POOL     DESCRIPTION  YOUR SESSION                 AVAILABLE\n"
            "kantoor  Kantoorwerk  kantoor-7f3a, screen closed  yes\n"
            "gis      -            -                            no: draining\n");
  EXPECT_THAT(Run({"list", "--language", "nl"}).out, HasSubstr("kantoor-7f3a, scherm gesloten"));
  const auto json = nlohmann::json::parse(Run({"list", "-o", "json"}).out);
  EXPECT_EQ(json["pools"][0]["session"]["desktop"], "kantoor-7f3a");
}

TEST_F(LoginProgramTest, SaysWhenNotSignedIn) {
  broker_.Always("ListPools", FakeBroker::Fails(grpc::StatusCode::UNAUTHENTICATED, "no token"));
  const Result result = Run({"list"});
  EXPECT_EQ(result.code, ExitCode::kSignInFailed);
  EXPECT_EQ(result.err, "werkplek: You are not signed in (any more). Run: werkplek sign-in\n");
}

TEST_F(LoginProgramTest, AsksForNewTicketsWhenGatewaysAreLostButNotForEver) {
  OfferPools();
  v1::ConnectUpdate update;
  update.mutable_ready()->set_desktop("kantoor-1");
  FakeBroker::Answer stream;
  stream.messages.push_back(std::make_shared<v1::ConnectUpdate>(update));
  broker_.Always("Connect", stream);
  gateways_lost_ = 2;
  const Result result = Run({"connect", "kantoor", "--outside"});
  EXPECT_EQ(result.code, ExitCode::kOk) << result.err;
  ASSERT_EQ(shown_.size(), 3);
  EXPECT_TRUE(shown_[2].choice.outside);
  EXPECT_THAT(result.err, HasSubstr("The gateway was lost. Your work stays open"));
  gateways_lost_ = 1000;
  EXPECT_EQ(Run({"connect", "kantoor"}).code, ExitCode::kUnavailable);
  EXPECT_EQ(shown_.size(), 23);
}

TEST_F(LoginProgramTest, ConnectsThroughAllStages) {
  OfferPools();
  SignIn();
  std::vector<v1::ConnectUpdate> updates(4);
  updates[0].mutable_queued()->set_position(2);
  updates[0].mutable_queued()->set_deadline_unix_ms(absl::ToUnixMillis(kNow + absl::Minutes(5)));
  updates[1].mutable_starting()->set_desktop("kantoor-1");
  updates[2].mutable_preparing()->set_desktop("kantoor-1");
  updates[3].mutable_ready()->set_desktop("kantoor-1");
  updates[3].mutable_ready()->set_ticket("s3cret");
  FakeBroker::Answer stream;
  for (const v1::ConnectUpdate& update : updates) {
    stream.messages.push_back(std::make_shared<v1::ConnectUpdate>(update));
  }
  broker_.Always("Connect", stream);
  const Result result = Run({"connect", "kantoor"});
  EXPECT_EQ(result.code, ExitCode::kOk);
  EXPECT_EQ(result.err,
            "Asking for a desktop of kantoor\n"
            "Waiting for a desktop: position 2, at most 5m 0s longer\n"
            "Starting kantoor-1\n"
            "Preparing kantoor-1 for you\n"
            "Opening the screen of kantoor-1\n"
            "The screen is closed.\n"
            "Your session stays open for now. Back to it: werkplek connect kantoor. End it: "
            "werkplek end kantoor.\n");
  EXPECT_EQ(result.out, "");
  ASSERT_EQ(shown_.size(), 1);
  EXPECT_EQ(shown_[0].ready.ticket(), "s3cret");
  EXPECT_FALSE(shown_[0].choice.vnc);
  EXPECT_FALSE(shown_[0].choice.no_viewer);
}

TEST_F(LoginProgramTest, PassesTheChoiceOfDisplayOn) {
  SignIn();
  v1::ConnectUpdate ready;
  ready.mutable_ready()->set_desktop("d");
  broker_.Reply("Connect", ready);
  EXPECT_EQ(Run({"connect", "p", "--vnc"}).code, ExitCode::kOk);
  EXPECT_EQ(Run({"connect", "p", "--spice"}).code, ExitCode::kOk);
  EXPECT_EQ(Run({"connect", "p", "--screenshot", "a.png"}).code, ExitCode::kOk);
  EXPECT_EQ(Run({"connect", "p", "--vnc", "--no-viewer"}).code, ExitCode::kOk);
  ASSERT_EQ(shown_.size(), 4);
  EXPECT_TRUE(shown_[0].choice.vnc);
  EXPECT_FALSE(shown_[0].choice.no_viewer);
  EXPECT_FALSE(shown_[1].choice.vnc);
  EXPECT_TRUE(shown_[1].choice.no_viewer);
  EXPECT_EQ(shown_[2].choice.screenshot, "a.png");
  EXPECT_TRUE(shown_[3].choice.vnc && shown_[3].choice.no_viewer);
  EXPECT_EQ(Run({"connect", "p", "--vnc", "--spice"}).code, ExitCode::kUsage);
  EXPECT_EQ(Run({"connect", "p", "--vnc", "--screenshot", "x"}).code, ExitCode::kUsage);
}

TEST_F(LoginProgramTest, ARefusalSaysWhyAndIsNoTrouble) {
  SignIn();
  v1::ConnectUpdate update;
  update.mutable_refused()->set_rule("no-entitlement");
  update.mutable_refused()->set_explain_id("r-9");
  broker_.Reply("Connect", update);
  const Result result = Run({"connect", "gis"});
  EXPECT_EQ(result.code, ExitCode::kRefused);
  EXPECT_THAT(result.err, HasSubstr("No desktop of gis: you have no access to this pool"));
  EXPECT_THAT(result.err, HasSubstr("r-9"));
  EXPECT_TRUE(shown_.empty());
}

TEST_F(LoginProgramTest, AStreamThatEndsWithoutAnAnswerIsAFailure) {
  SignIn();
  broker_.Always("Connect", FakeBroker::Answer{});
  EXPECT_EQ(Run({"connect", "p"}).code, ExitCode::kUnavailable);
}

TEST_F(LoginProgramTest, DisplayTroubleHasItsOwnCode) {
  SignIn();
  v1::ConnectUpdate ready;
  ready.mutable_ready()->set_desktop("d");
  broker_.Reply("Connect", ready);
  shown_status_ = LocalProblem(absl::NotFoundError("no viewer"));
  EXPECT_EQ(Run({"connect", "p"}).code, ExitCode::kLocal);
}

TEST_F(LoginProgramTest, DisconnectsTheOnlySession) {
  OfferPools();
  SignIn();
  broker_.Reply("Disconnect", v1::DisconnectResponse());
  EXPECT_EQ(Run({"disconnect"}).code, ExitCode::kOk);
  EXPECT_EQ(broker_.Requests<v1::DisconnectRequest>("Disconnect").at(0).session(), "s-1");
  const Result none = Run({"disconnect", "gis"});
  EXPECT_EQ(none.code, ExitCode::kRefused);
  EXPECT_THAT(none.err, HasSubstr("You have no session in gis."));
}

TEST_F(LoginProgramTest, AsksWhichOfSeveralSessions) {
  OfferPools(/*two_sessions=*/true);
  SignIn();
  const Result result = Run({"disconnect"});
  EXPECT_EQ(result.code, ExitCode::kUsage);
  EXPECT_THAT(result.err, HasSubstr("kantoor, gis"));
}

TEST_F(LoginProgramTest, EndsOnlyWithAConfirmation) {
  OfferPools();
  SignIn();
  broker_.Reply("EndSession", v1::EndSessionResponse());
  EXPECT_EQ(Run({"end"}).code, ExitCode::kUsage);
  EXPECT_TRUE(broker_.Requests<v1::EndSessionRequest>("EndSession").empty());
  EXPECT_EQ(Run({"end", "kantoor", "--yes"}).code, ExitCode::kOk);
  EXPECT_EQ(broker_.Requests<v1::EndSessionRequest>("EndSession").at(0).session(), "s-1");
}

TEST_F(LoginProgramTest, SignsOutAndForgetsTheToken) {
  SignIn();
  broker_.Reply("SignOut", v1::SignOutResponse());
  EXPECT_EQ(Run({"sign-out"}).code, ExitCode::kOk);
  EXPECT_EQ(broker_.LastAuthorization(), "Bearer t0ken");
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/token"));
  // A token that the broker has forgotten is forgotten here too.
  SignIn();
  broker_.Always("SignOut", FakeBroker::Fails(grpc::StatusCode::UNAUTHENTICATED, "gone"));
  EXPECT_EQ(Run({"sign-out"}).code, ExitCode::kOk);
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/token"));
}

TEST_F(LoginProgramTest, KeepsTheTokenWhenTheBrokerIsAway) {
  SignIn();
  broker_.Stop();
  EXPECT_EQ(Run({"sign-out"}).code, ExitCode::kUnavailable);
  EXPECT_TRUE(std::filesystem::exists(directory_ + "/token"));
}

TEST_F(LoginProgramTest, StatusSaysNotSignedInAndNeedsCertificates) {
  config_->tls = {"/nonexistent/a", "/nonexistent/b", "/nonexistent/c"};
  const Result result = Run({"status"});
  EXPECT_EQ(result.code, ExitCode::kLocal);
  EXPECT_THAT(result.err, HasSubstr("/nonexistent/"));
}

TEST_F(LoginProgramTest, ChoosesTheLanguage) {
  EXPECT_THAT(Run({"--help"}).out, HasSubstr("Commands:"));
  environment_["LANG"] = "nl_NL.UTF-8";
  EXPECT_THAT(Run({"--help"}).out, HasSubstr("Opdrachten:"));
  environment_["LC_ALL"] = "C";
  EXPECT_THAT(Run({"--help"}).out, HasSubstr("Commands:"));
  config_->language = "nl";
  EXPECT_THAT(Run({"--help"}).out, HasSubstr("Opdrachten:"));
  EXPECT_THAT(Run({"--language", "en", "--help"}).out, HasSubstr("Commands:"));
  EXPECT_THAT(Run({"--language=en", "--help"}).out, HasSubstr("Commands:"));
}

TEST_F(LoginProgramTest, HelpNamesExamplesAndExitCodes) {
  const Result result = Run({"--help"});
  EXPECT_EQ(result.code, ExitCode::kOk);
  EXPECT_THAT(result.out, HasSubstr("werkplek connect kantoor"));
  EXPECT_THAT(result.out, HasSubstr("Exit codes: 0 done"));
  EXPECT_EQ(Run({"--version"}).out, std::string("werkplek ") + WERKPLEK_VERSION + "\n");
}

TEST_F(LoginProgramTest, WrongCommandLinesSayWhatThereIs) {
  const Result unknown = Run({"conect", "kantoor"});
  EXPECT_EQ(unknown.code, ExitCode::kUsage);
  EXPECT_THAT(unknown.err, HasSubstr("there is no command \"conect\""));
  EXPECT_THAT(unknown.err, HasSubstr("connect"));
  EXPECT_THAT(Run({"connect"}).err, HasSubstr("POOL is required"));
  EXPECT_EQ(Run({}).code, ExitCode::kUsage);
}

TEST_F(LoginProgramTest, WrongCommandLinesAreExplainedInBothLanguages) {
  struct Row {
    std::vector<std::string> words;
    std::string english;
    std::string dutch;
  };
  const std::string commands =
      "sign-in, list, connect, disconnect, end, sign-out, status, join, completion";
  const std::vector<Row> rows = {
      {{},
       "a command is missing; commands of werkplek: " + commands + "\nSee: werkplek --help\n",
       "er ontbreekt een opdracht; opdrachten van werkplek: " + commands +
           "\nZie: werkplek --help\n"},
      {{"conect", "kantoor", "--vnc"},
       "there is no command \"conect\"; commands of werkplek: " + commands +
           "\nDid you mean connect?\nSee: werkplek --help\n",
       "de opdracht \"conect\" bestaat niet; opdrachten van werkplek: " + commands +
           "\nBedoel je connect?\nZie: werkplek --help\n"},
      {{"completion", "zsh"},
       "there is no command \"zsh\"; commands of werkplek completion: bash\n"
       "See: werkplek completion --help\n",
       "de opdracht \"zsh\" bestaat niet; opdrachten van werkplek completion: bash\n"
       "Zie: werkplek completion --help\n"},
      {{"end", "kantoor", "--jes"},
       "werkplek end has no option --jes; it has: --help, --yes, --version, --config, --language, "
       "--output\nDid you mean --yes?\nSee: werkplek end --help\n",
       "werkplek end kent geen optie --jes; wel: --help, --yes, --version, --config, --language, "
       "--output\nBedoel je --yes?\nZie: werkplek end --help\n"},
      {{"connect", "a", "b"},
       "too many words; werkplek connect takes POOL\nSee: werkplek connect --help\n",
       "te veel woorden; bij werkplek connect hoort POOL\nZie: werkplek connect --help\n"},
      {{"list", "a"},
       "too many words; behind werkplek list come options only\nSee: werkplek list --help\n",
       "te veel woorden; achter werkplek list komen alleen opties\nZie: werkplek list --help\n"},
      {{"connect"},
       "POOL is required: The pool's name, as `werkplek list` shows it\n"
       "See: werkplek connect --help\n",
       "POOL ontbreekt: De naam van de pool, zoals `werkplek list` hem toont\n"
       "Zie: werkplek connect --help\n"},
      {{"join", "https://b/v1/join", "code", "00"},
       "--broker is required: A broker to sign in at; repeat it for more\n"
       "See: werkplek join --help\n",
       "--broker ontbreekt: Een broker om je bij aan te melden; herhaal voor meer\n"
       "Zie: werkplek join --help\n"},
      {{"sign-in", "--user"},
       "a value is missing behind --user: Your user name; asked for when left out\n"
       "See: werkplek sign-in --help\n",
       "achter --user ontbreekt een waarde: Je gebruikersnaam; wordt gevraagd als hij ontbreekt\n"
       "Zie: werkplek sign-in --help\n"},
      {{"end", "--yes=maybe"},
       "--yes takes no value: Do not ask for a confirmation\nSee: werkplek end --help\n",
       "bij --yes hoort geen waarde: Vraag geen bevestiging\nZie: werkplek end --help\n"},
      {{"-o", "xml", "list"},
       "--output must be one of: table, json, yaml\nSee: werkplek list --help\n",
       "--output moet een van deze zijn: table, json, yaml\nZie: werkplek list --help\n"},
  };
  for (const Row& row : rows) {
    for (const auto& [lang, said] : {std::pair{"C", row.english}, {"nl_NL.UTF-8", row.dutch}}) {
      environment_["LANG"] = lang;
      const Result result = Run(row.words);
      EXPECT_EQ(result.code, ExitCode::kUsage) << said;
      EXPECT_EQ(result.err, "werkplek: " + said);
      EXPECT_EQ(result.out, "");
    }
  }
  EXPECT_TRUE(broker_.Methods().empty());
}

TEST_F(LoginProgramTest, AWrongLanguageIsSaidInEnglish) {
  environment_["LANG"] = "nl_NL.UTF-8";
  EXPECT_EQ(Run({"--language", "de", "list"}).err,
            "werkplek: --language must be one of: nl, en\nSee: werkplek list --help\n");
}

TEST_F(LoginProgramTest, ASecretOnTheCommandLineIsNotRepeated) {
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"sign-in", "--password", "geheim"},
           {"sign-in", "--password=geheim"},
           {"sign-in", "-pgeheim"},
           {"sign-in", "--code", "-geheim"},
           {"sign-in", "jan", "geheim"},
           {"sign-in", "--user", "jan", "geheim", "--password"}}) {
    const Result result = Run(words);
    EXPECT_EQ(result.code, ExitCode::kUsage) << result.err;
    EXPECT_THAT(result.err, Not(HasSubstr("geheim")));
    EXPECT_THAT(result.err, HasSubstr("See: werkplek sign-in --help"));
  }
}

TEST_F(LoginProgramTest, AMissingConfigurationIsSaid) {
  config_ = LocalProblem(absl::NotFoundError("there is no configuration"));
  const Result result = Run({"list"});
  EXPECT_EQ(result.code, ExitCode::kLocal);
  EXPECT_EQ(result.err, "werkplek: there is no configuration\n");
}

}  // namespace
}  // namespace werkplek
