#include "client/login/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/unit/client/join_port.h"
#include "tests/unit/client/login/login_program.h"
#include "tests/unit/client/pty.h"

namespace werkplek {
namespace {

using testing::HasSubstr;
using testing::Not;

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
  const Result result = RunAt(pty, {"sign-in"}, [&pty] {
    pty.ReadUntil("User name: ");
    pty.Type("jan\n");
    pty.ReadUntil("Password: ");
    pty.Type("Geheim123!\r");
    pty.ReadUntil("One-time code: ");
    pty.Type("654321\r");
  });
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

TEST_F(LoginProgramTest, SaysHowLongAPauseOfWrongPasswordsIs) {
  broker_.Always("SignIn",
                 FakeBroker::Fails(grpc::StatusCode::UNAUTHENTICATED, "too many", "1740001"));
  const Result result = Run({"sign-in", "--user", "jan"}, "x\n1\n");
  EXPECT_EQ(result.code, ExitCode::kSignInFailed);
  EXPECT_THAT(result.err, HasSubstr("Wait 30 minutes, or sign in"));
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

TEST_F(LoginProgramTest, SaysInThePersonsLanguageWhyAPoolIsNotAvailable) {
  v1::ListPoolsResponse pools;
  v1::PoolView* pool = pools.add_pools();
  pool->set_pool("gis");
  pool->set_unavailable_reason("the pool is being drained");
  pool->set_unavailable_rule("pool-maintenance");
  broker_.Reply("ListPools", pools);
  SignIn();
  EXPECT_THAT(Run({"list", "--language", "nl"}).out, HasSubstr("nee: de pool is in onderhoud."));
}

// What others say is English, and stands behind a word that tells whom it is for.
TEST_F(LoginProgramTest, SaysEveryFailureInDutch) {
  environment_["LANG"] = "nl_NL.UTF-8";
  SignIn();
  struct Row {
    grpc::StatusCode code;
    std::string said;
  };
  for (const Row& row : {Row{grpc::StatusCode::UNAVAILABLE, "De dienst is niet beschikbaar.\n"},
                         Row{grpc::StatusCode::PERMISSION_DENIED, "De broker weigert dit.\n"},
                         Row{grpc::StatusCode::INTERNAL, "De dienst is niet beschikbaar.\n"}}) {
    broker_.Always("ListPools", FakeBroker::Fails(row.code, "some English"));
    EXPECT_THAT(Run({"list"}).err,
                testing::StartsWith("werkplek: " + row.said + "Voor de helpdesk: some English\n"));
  }
  for (const auto& [cause, said] :
       {std::pair{LocalCause::kNoConfiguration, "Dit apparaat is nog niet ingericht"},
        {LocalCause::kConfiguration, "De configuratie van dit apparaat klopt niet."},
        {LocalCause::kCertificate, "Het certificaat van dit apparaat is niet bruikbaar"},
        {LocalCause::kTokenFile, "De map of het bestand voor je aanmelding"},
        {LocalCause::kOther, "Dit lukt niet op dit apparaat."}}) {
    config_ = LocalProblem(absl::NotFoundError("some English"), cause);
    const Result result = Run({"list"});
    EXPECT_EQ(result.code, ExitCode::kLocal);
    EXPECT_THAT(result.err, testing::StartsWith(std::string("werkplek: ") + said));
    EXPECT_THAT(result.err, testing::EndsWith("\nVoor de helpdesk: some English\n"));
  }
}

TEST_F(LoginProgramTest, AsksForAConfirmationInThePersonsLanguage) {
  environment_["LANG"] = "nl_NL.UTF-8";
  OfferPools();
  SignIn();
  EXPECT_THAT(Run({"end"}).err, HasSubstr("er is niemand om het te vragen; geef --yes"));
  Pty pty;
  const Result result = RunAt(pty, {"end"}, [&pty] {
    pty.ReadUntil("[j/N] ");
    pty.Type("n\n");
  });
  EXPECT_EQ(result.code, ExitCode::kInterrupted);
  EXPECT_THAT(pty.Screen(), HasSubstr("Er is niets veranderd."));
}

TEST_F(LoginProgramTest, AnInputThatEndsIsAnIncompleteCommandLine) {
  const Result result = Run({"sign-in", "--user", "jan", "--language", "nl"}, "");
  EXPECT_EQ(result.code, ExitCode::kUsage);
  EXPECT_EQ(result.err, "werkplek: het wachtwoord ontbreekt: de standaardinvoer is op\n");
}

TEST_F(LoginProgramTest, AResultThatCannotBeWrittenIsAFailure) {
  OfferPools();
  SignIn();
  std::ofstream full("/dev/full");
  std::ostringstream err;
  Terminal terminal(-1, err, -1);
  EXPECT_EQ(RunAt({"list"}, terminal, full, err).code, ExitCode::kLocal);
  EXPECT_THAT(err.str(), HasSubstr("could not be written"));
}

TEST_F(LoginProgramTest, SaysWhenNotSignedIn) {
  broker_.Always("ListPools", FakeBroker::Fails(grpc::StatusCode::UNAUTHENTICATED, "no token"));
  const Result result = Run({"list"});
  EXPECT_EQ(result.code, ExitCode::kSignInFailed);
  EXPECT_EQ(result.err, "werkplek: You are not signed in (any more). Run: werkplek sign-in\n");
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

TEST_F(LoginProgramTest, SaysInDutchThatAJoinCodeIsRefused) {
  const JoinPort port;
  const Result result =
      Run({"join", port.url(), "WRONG", port.ca_sha256(), "--broker", "127.0.0.1:7443", "--config",
           directory_ + "/client.yaml", "--language", "nl"});
  EXPECT_EQ(result.code, ExitCode::kRefused);
  EXPECT_THAT(result.err, testing::StartsWith("werkplek: De code is niet aanvaard. "));
}

TEST_F(LoginProgramTest, AMissingConfigurationIsSaid) {
  config_ = LocalProblem(absl::NotFoundError("there is no configuration"));
  const Result result = Run({"list"});
  EXPECT_EQ(result.code, ExitCode::kLocal);
  EXPECT_EQ(result.err, "werkplek: there is no configuration\n");
}

}  // namespace
}  // namespace werkplek
