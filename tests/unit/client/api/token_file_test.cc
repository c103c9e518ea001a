#include "client/api/token_file.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "client/api/exit_code.h"

namespace werkplek {
namespace {

class TokenFileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/token-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    setenv("XDG_RUNTIME_DIR", directory_.c_str(), 1);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  static KeptSignIn SignedIn() {
    KeptSignIn kept;
    kept.access_token = Secret("s3cret-token");
    kept.user = "jan";
    kept.display_name = "Jan \"de Tester\" Jansen";
    kept.expires = absl::FromUnixSeconds(2000);
    return kept;
  }

  std::string directory_;
};

TEST_F(TokenFileTest, GivesBackWhatWasKept) {
  const absl::StatusOr<TokenFile> file = TokenFile::For("werkplek");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->path(), directory_ + "/werkplek/werkplek.token");
  ASSERT_TRUE(file->Save(SignedIn()).ok());
  const absl::StatusOr<KeptSignIn> kept = file->Load(absl::FromUnixSeconds(1000));
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_EQ(kept->access_token.Reveal(), "s3cret-token");
  EXPECT_EQ(kept->user, "jan");
  EXPECT_EQ(kept->display_name, "Jan \"de Tester\" Jansen");
  EXPECT_EQ(kept->expires, absl::FromUnixSeconds(2000));
}

TEST_F(TokenFileTest, IsForItsUserAlone) {
  const TokenFile file = *TokenFile::For("werkplek");
  ASSERT_TRUE(file.Save(SignedIn()).ok());
  struct stat about = {};
  ASSERT_EQ(stat(file.path().c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600);
  ASSERT_EQ(stat((directory_ + "/werkplek").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0700);
}

TEST_F(TokenFileTest, SaysNotSignedInWhenThereIsNoneOrItIsTooOld) {
  const TokenFile file = *TokenFile::For("werkplek");
  EXPECT_EQ(ExitCodeFor(file.Load(absl::UnixEpoch()).status()), ExitCode::kSignInFailed);
  ASSERT_TRUE(file.Save(SignedIn()).ok());
  EXPECT_EQ(ExitCodeFor(file.Load(absl::FromUnixSeconds(2000)).status()), ExitCode::kSignInFailed);
  ASSERT_TRUE(file.Remove().ok());
  ASSERT_TRUE(file.Remove().ok());
  EXPECT_TRUE(absl::IsUnauthenticated(file.Load(absl::UnixEpoch()).status()));
}

TEST_F(TokenFileTest, RefusesAFileThatOthersCanRead) {
  const TokenFile file = *TokenFile::For("werkplek");
  for (const int mode : {0604, 0640, 0620, 0602}) {
    ASSERT_TRUE(file.Save(SignedIn()).ok());
    ASSERT_EQ(chmod(file.path().c_str(), mode), 0);
    const absl::Status status = file.Load(absl::UnixEpoch()).status();
    EXPECT_EQ(ExitCodeFor(status), ExitCode::kLocal) << std::oct << mode;
    EXPECT_EQ(status.ToString().find("s3cret"), std::string::npos);
  }
}

TEST_F(TokenFileTest, RefusesASymbolicLink) {
  const TokenFile file = *TokenFile::For("werkplek");
  ASSERT_TRUE(file.Save(SignedIn()).ok());
  const std::string elsewhere = directory_ + "/elsewhere";
  std::filesystem::rename(file.path(), elsewhere);
  ASSERT_EQ(symlink(elsewhere.c_str(), file.path().c_str()), 0);
  EXPECT_EQ(ExitCodeFor(file.Load(absl::UnixEpoch()).status()), ExitCode::kLocal);
}

TEST_F(TokenFileTest, RefusesAFolderThatOthersCanEnter) {
  ASSERT_EQ(mkdir((directory_ + "/werkplek").c_str(), 0700), 0);
  ASSERT_EQ(chmod((directory_ + "/werkplek").c_str(), 0755), 0);
  EXPECT_EQ(ExitCodeFor(TokenFile::For("werkplek").status()), ExitCode::kLocal);
}

TEST_F(TokenFileTest, RefusesADamagedFileWithoutShowingIt) {
  const TokenFile file = *TokenFile::For("werkplek");
  for (const char* bad : {"", "{", "[]", "{\"token\": 5, \"expires_unix_ms\": 1}",
                          "{\"token\": \"s3cret\", \"expires_unix_ms\": \"x\"}",
                          "{\"token\": \"\", \"expires_unix_ms\": 9999999999999}"}) {
    std::ofstream(file.path()) << bad;
    ASSERT_EQ(chmod(file.path().c_str(), 0600), 0);
    const absl::Status status = file.Load(absl::UnixEpoch()).status();
    EXPECT_EQ(ExitCodeFor(status), ExitCode::kLocal) << bad;
    EXPECT_EQ(status.ToString().find("s3cret"), std::string::npos);
  }
}

TEST_F(TokenFileTest, UsesTheCacheWithoutARuntimeFolder) {
  unsetenv("XDG_RUNTIME_DIR");
  setenv("HOME", directory_.c_str(), 1);
  EXPECT_EQ(TokenFile::For("werkplekctl")->path(),
            directory_ + "/.cache/werkplek/werkplekctl.token");
}

}  // namespace
}  // namespace werkplek
