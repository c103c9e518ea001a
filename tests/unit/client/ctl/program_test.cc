#include "client/ctl/program.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include <regex>
#include <set>

#include "tests/unit/client/ctl/ctl_test.h"

extern char** environ;

namespace werkplek {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

class CtlProgramTest : public CtlTest {
 protected:
  // What bash offers for the words of a command line, the last one unfinished.
  std::vector<std::string> Complete(const std::vector<std::string>& words) {
    std::string script = Run({"completion", "bash"}).out;
    script += "COMP_WORDS=(werkplekctl";
    for (const std::string& word : words) script += " '" + word + "'";
    script += ")\nCOMP_CWORD=" + std::to_string(words.size()) +
              "\n_werkplekctl\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n";
    const std::string out = Bash(File("complete.sh", script));
    std::vector<std::string> offered;
    std::istringstream lines(out);
    for (std::string line; std::getline(lines, line);) {
      if (!line.empty()) offered.push_back(line);
    }
    return offered;
  }

  std::string Bash(const std::string& script) {
    const std::string result = directory_ + "/out";
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, result.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                     0600);
    std::string program = "bash";
    std::string no_rc = "--norc";
    std::string strict = "-eu";
    std::string path = script;
    char* arguments[] = {program.data(), no_rc.data(), strict.data(), path.data(), nullptr};
    pid_t child = 0;
    EXPECT_EQ(posix_spawnp(&child, "bash", &actions, nullptr, arguments, environ), 0);
    int status = 0;
    waitpid(child, &status, 0);
    posix_spawn_file_actions_destroy(&actions);
    EXPECT_EQ(status, 0);
    std::ifstream file(result);
    return {std::istreambuf_iterator<char>(file), {}};
  }
};

TEST_F(CtlProgramTest, CompletesCommandsFlagsAndValues) {
  EXPECT_EQ(Complete({"ho"}), (std::vector<std::string>{"host"}));
  EXPECT_THAT(Complete({""}), Contains("pool"));
  EXPECT_EQ(Complete({"pool", "st"}), (std::vector<std::string>{"status"}));
  EXPECT_THAT(Complete({"pool", "create", "x", "--mem"}), Contains("--memory-mib"));
  EXPECT_EQ(Complete({"pool", "create", "x", "--kind", ""}),
            (std::vector<std::string>{"floating", "dedicated"}));
  EXPECT_EQ(Complete({"pool", "create", "--kind", "=", "d"}),
            (std::vector<std::string>{"dedicated"}));
  EXPECT_EQ(Complete({"pool", "create", "--kind", "="}),
            (std::vector<std::string>{"floating", "dedicated"}));
  EXPECT_EQ(Complete({"session", "list", "-o", "j"}), (std::vector<std::string>{"json"}));
  EXPECT_EQ(Complete({"-o", "json", "sess"}), (std::vector<std::string>{"session"}));
  EXPECT_THAT(Complete({"session", "end", "x", "--"}), Contains("--yes"));
  EXPECT_THAT(Complete({"sign-in", "re"}), Contains("revoke"));
}

TEST_F(CtlProgramTest, CompletesFilesWhereAFileIsWanted) {
  File("pools.yaml", "");
  EXPECT_THAT(Complete({"apply", "-f", directory_ + "/poo"}), Contains(directory_ + "/pools.yaml"));
  EXPECT_TRUE(Complete({"pool", "create", "--image", ""}).empty());
}

TEST_F(CtlProgramTest, EveryCommandIsCompleted) {
  for (const CommandEntry& entry : AllCommands()) {
    const std::vector<std::string> above = entry.noun.empty() || entry.verb.empty()
                                               ? std::vector<std::string>{""}
                                               : std::vector<std::string>{entry.noun, ""};
    EXPECT_THAT(Complete(above), Contains(entry.verb.empty() ? entry.noun : entry.verb));
  }
}

TEST_F(CtlProgramTest, EveryMethodOfTheAdminServiceIsReached) {
  // What each command calls, in the text of the commands themselves.
  const std::string source = std::getenv("WERKPLEK_SOURCE_DIR");
  std::string text;
  for (const auto& file : std::filesystem::directory_iterator(source + "/client/ctl")) {
    std::ifstream in(file.path());
    text.append(std::istreambuf_iterator<char>(in), {});
  }
  const auto* service = v1::AdminService::service_full_name();
  const auto* descriptor =
      google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(service);
  ASSERT_NE(descriptor, nullptr);
  for (int i = 0; i < descriptor->method_count(); ++i) {
    EXPECT_THAT(text, HasSubstr("Stub::" + descriptor->method(i)->name() + ","));
  }
}

TEST_F(CtlProgramTest, EveryCommandHasHelpAndEveryFlagExplainsItself) {
  for (const CommandEntry& entry : AllCommands()) {
    std::vector<std::string> words;
    for (const std::string& word : {entry.noun, entry.verb}) {
      if (!word.empty()) words.push_back(word);
    }
    words.push_back("--help");
    const Result result = Run(words);
    EXPECT_EQ(result.code, ExitCode::kOk) << entry.noun << " " << entry.verb;
    EXPECT_THAT(result.out, HasSubstr(entry.summary));
    EXPECT_THAT(result.out, HasSubstr("Usage: werkplekctl"));
  }
  EXPECT_THAT(Run({"--help"}).out, HasSubstr("Exit codes: 0 done"));
}

TEST_F(CtlProgramTest, EveryNounSaysWhatItIs) {
  const std::string help = Run({"--help"}).out;
  for (const CommandEntry& entry : AllCommands()) {
    if (entry.noun.empty()) continue;
    // "  store                       The whole store of a broker, in a file"
    const std::string pattern = "\n  " + entry.noun + "  +[A-Z][^\n]+\n";
    EXPECT_TRUE(std::regex_search(help, std::regex(pattern))) << entry.noun;
  }
}

TEST_F(CtlProgramTest, AResultThatCannotBeWrittenIsAFailure) {
  broker_.Reply("ListHosts", v1::ListHostsResponse());
  std::ofstream full("/dev/full");
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"host", "list"}, {"--help"}}) {
    std::ostringstream err;
    Terminal terminal(-1, err, -1);
    EXPECT_EQ(RunAt(words, terminal, full, err), ExitCode::kLocal);
    EXPECT_THAT(err.str(), HasSubstr("could not be written"));
    full.clear();
  }
}

TEST_F(CtlProgramTest, AProblemWithAStoreIsOneOfThisMachine) {
  const Result store = Run(
      {"store", "export", "--broker-config", directory_ + "/none.yaml", "--to", directory_ + "/x"});
  EXPECT_EQ(store.code, ExitCode::kLocal);
  EXPECT_THAT(store.err, Not(HasSubstr("store list")));
}

TEST_F(CtlProgramTest, WithoutASignInNothingIsAsked) {
  ASSERT_TRUE(Tokens().Remove().ok());
  const Result result = Run({"pool", "list"});
  EXPECT_EQ(result.code, ExitCode::kSignInFailed);
  EXPECT_EQ(result.err, "werkplekctl: not signed in\nSign in with: werkplekctl sign-in\n");
  EXPECT_TRUE(broker_.Methods().empty());
}

TEST_F(CtlProgramTest, SaysWhatToDoAboutEachFailure) {
  using grpc::StatusCode;
  for (const auto& [code, advice, exit] :
       {std::tuple{StatusCode::UNAUTHENTICATED, "Sign in with: ", ExitCode::kSignInFailed},
        {StatusCode::PERMISSION_DENIED, "Your roles do not allow this", ExitCode::kRefused},
        {StatusCode::NOT_FOUND, "werkplekctl pool list", ExitCode::kRefused},
        {StatusCode::ABORTED, "has changed meanwhile", ExitCode::kRefused},
        {StatusCode::UNAVAILABLE, "Try again in a moment", ExitCode::kUnavailable},
        {StatusCode::RESOURCE_EXHAUSTED, "Try again in a moment", ExitCode::kUnavailable}}) {
    broker_.Always("GetResource", FakeBroker::Fails(code, "because of a reason"));
    const Result result = Run({"pool", "get", "x"});
    EXPECT_EQ(result.code, exit);
    EXPECT_THAT(result.err, HasSubstr("werkplekctl: because of a reason\n"));
    EXPECT_THAT(result.err, HasSubstr(advice));
  }
  broker_.Always("CreateResource", FakeBroker::Fails(StatusCode::ALREADY_EXISTS, "taken"));
  EXPECT_THAT(Run({"site", "create", "a"}).err, HasSubstr("werkplekctl site update NAME"));
}

TEST_F(CtlProgramTest, WrongCommandLinesSayWhatThereIs) {
  EXPECT_THAT(Run({"host", "lst"}).err,
              HasSubstr("there is no command \"lst\"; commands of werkplekctl host: add, create"));
  EXPECT_THAT(Run({}).err, HasSubstr("a command is missing"));
  EXPECT_THAT(Run({"pool", "update"}).err, HasSubstr("NAME is required"));
  EXPECT_THAT(Run({"pool", "lst"}).err, HasSubstr("Did you mean list?"));
  EXPECT_THAT(Run({"sign-in", "--password", "geheim"}).err,
              AllOf(HasSubstr("werkplekctl sign-in has no option --password; it has: "),
                    Not(HasSubstr("geheim"))));
  EXPECT_THAT(Run({"pool", "get", "x", "--flavour"}).err,
              HasSubstr("See: werkplekctl pool get --help"));
  for (const auto& words : std::vector<std::vector<std::string>>{{},
                                                                 {"host"},
                                                                 {"host", "lst"},
                                                                 {"-o", "xml", "pool", "list"},
                                                                 {"pool", "update", "a", "b"}}) {
    EXPECT_EQ(Run(words).code, ExitCode::kUsage);
  }
  EXPECT_TRUE(broker_.Methods().empty());
}

TEST_F(CtlProgramTest, TakesNoSecretAsAFlag) {
  std::set<std::string> suspicious;
  for (const char* flag : {"--password", "--code", "--token", "--secret"}) {
    for (const auto& words : std::vector<std::vector<std::string>>{
             {"sign-in", flag, "x"}, {"token", "confirm", "jan", flag, "x"}}) {
      if (Run(words).code != ExitCode::kUsage) suspicious.insert(flag);
    }
  }
  EXPECT_TRUE(suspicious.empty());
}

}  // namespace
}  // namespace werkplek
