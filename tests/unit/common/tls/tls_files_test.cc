#include "common/tls/tls_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "tests/support/pki/browser_pki.h"
#include "tests/support/pki/test_pki.h"

namespace werkplek {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

class TlsFilesTest : public testing::Test {
 protected:
  TestPki pki_;
  TlsFiles files_ = pki_.Issue(v1::IDENTITY_HOST, "hv-a1");
};

TEST_F(TlsFilesTest, GoodFilesLoad) {
  const auto material = LoadTlsFiles(files_, absl::Now());
  ASSERT_TRUE(material.ok()) << material.status();
  EXPECT_EQ(PeerLabel(material->own.name), "host/hv-a1");
  EXPECT_EQ(material->own.sha256.size(), 32u);
}

TEST_F(TlsFilesTest, AMissingFileIsNamed) {
  files_.ca = "/nowhere/ca.pem";
  const absl::Status status = LoadTlsFiles(files_, absl::Now()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(Message(status), HasSubstr("/nowhere/ca.pem: cannot open it: No such file"));
}

TEST_F(TlsFilesTest, AKeyThatOthersCanReadIsRefused) {
  for (const int mode : {0604, 0644, 0602, 0620, 0777}) {
    chmod(files_.key.c_str(), mode_t(mode));
    const absl::Status status = LoadTlsFiles(files_, absl::Now()).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << mode;
    EXPECT_THAT(Message(status), AllOf(HasSubstr(files_.key), HasSubstr("chmod 0600")));
  }
  chmod(files_.key.c_str(), 0640);
  EXPECT_TRUE(LoadTlsFiles(files_, absl::Now()).ok());
}

TEST_F(TlsFilesTest, AKeyOfAnotherCertificateIsRefused) {
  files_.key = pki_.Issue(v1::IDENTITY_HOST, "hv-a2").key;
  EXPECT_THAT(Message(LoadTlsFiles(files_, absl::Now()).status()),
              HasSubstr("hv-a2.key: does not belong to the certificate in "));
}

TEST_F(TlsFilesTest, AnotherAuthorityIsRefused) {
  TestPki other;
  files_.ca = other.authority_files().certificate;
  EXPECT_THAT(Message(LoadTlsFiles(files_, absl::Now()).status()),
              HasSubstr("not issued by the authority in " + files_.ca));
}

TEST_F(TlsFilesTest, ExpiredAndNotYetValidTellBothTimes) {
  const absl::Time late = absl::Now() + absl::Hours(2);
  EXPECT_THAT(Message(LoadTlsFiles(files_, late).status()),
              AllOf(HasSubstr("expired"), HasSubstr(FormatUtc(late))));
  const absl::Time early = absl::Now() - absl::Hours(2);
  EXPECT_THAT(Message(LoadTlsFiles(files_, early).status()),
              AllOf(HasSubstr("not valid yet"), HasSubstr(FormatUtc(early))));
}

TEST_F(TlsFilesTest, FoldersAndGiantsAreRefused) {
  EXPECT_THAT(Message(ReadWholeFile(pki_.folder(), 10).status()), HasSubstr("not a regular file"));
  const std::string big = pki_.folder() + "/big";
  ASSERT_TRUE(WriteFileAtomically(big, std::string(11, 'x'), 0600).ok());
  EXPECT_EQ(ReadWholeFile(big, 10).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(TlsFilesTest, AWriteHasItsModeAndLeavesNothingElse) {
  const std::string folder = pki_.folder() + "/w";
  std::filesystem::create_directory(folder);
  ASSERT_TRUE(WriteFileAtomically(folder + "/f", "one", 0600).ok());
  ASSERT_TRUE(WriteFileAtomically(folder + "/f", "two", 0640).ok());
  struct stat status {};
  ASSERT_EQ(stat((folder + "/f").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, mode_t(0640));
  EXPECT_EQ(*ReadWholeFile(folder + "/f", 10), "two");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
  EXPECT_FALSE(WriteFileAtomically(folder + "/no/f", "x", 0600).ok());
}

TEST_F(TlsFilesTest, FilesThatBelongTogetherChangeTogetherOrNotAtAll) {
  const std::string folder = pki_.folder() + "/t";
  std::filesystem::create_directory(folder);
  ASSERT_TRUE(WriteFileAtomically(folder + "/a", "old", 0600).ok());
  EXPECT_FALSE(
      WriteFilesTogether({{folder + "/a", "new", 0600}, {folder + "/no/b", "new", 0644}}).ok());
  EXPECT_EQ(*ReadWholeFile(folder + "/a", 10), "old");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
  ASSERT_TRUE(WriteFilesTogether({{folder + "/a", "1", 0600}, {folder + "/b", "2", 0644}}).ok());
  EXPECT_EQ(*ReadWholeFile(folder + "/a", 10) + *ReadWholeFile(folder + "/b", 10), "12");
}

TEST_F(TlsFilesTest, AGroupThatMayReadIsKeptWhereThatIsWantedAndNothingMore) {
  const std::string path = pki_.folder() + "/shared";
  for (const auto& [before, keep, after] : {std::tuple<mode_t, bool, mode_t>{0640, true, 0640},
                                            {0640, false, 0600},
                                            {0666, true, 0640},
                                            {0600, true, 0600}}) {
    ASSERT_TRUE(WriteFileAtomically(path, "old", int(before)).ok());
    ASSERT_TRUE(WriteFilesTogether({{path, "new", 0600, keep}}).ok());
    struct stat status {};
    ASSERT_EQ(stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, after);
  }
}

TEST_F(TlsFilesTest, AChangeIsToldOnce) {
  TlsFilesWatch watch(files_);
  EXPECT_FALSE(watch.Changed());
  pki_.Issue(v1::IDENTITY_HOST, "hv-a1");
  EXPECT_TRUE(watch.Changed());
  EXPECT_FALSE(watch.Changed());
  unlink(files_.key.c_str());
  EXPECT_FALSE(watch.Changed()) << "a renewal under way";
  pki_.Issue(v1::IDENTITY_HOST, "hv-a1");
  EXPECT_TRUE(watch.Changed());
}

class BrowserFacingFilesTest : public testing::Test {
 protected:
  absl::Status Refusal() const { return LoadBrowserFacingFiles(files_, absl::Now()).status(); }

  TestPki pki_;
  BrowserPki browser_pki_{pki_.folder()};
  TlsFiles files_ = browser_pki_.Issue("werkplek.example");
};

TEST_F(BrowserFacingFilesTest, AnyAuthorityAndAnyNameWillDo) {
  const auto material = LoadBrowserFacingFiles(files_, absl::Now());
  ASSERT_TRUE(material.ok()) << material.status();
  EXPECT_THAT(material->certificate_pem, HasSubstr(CertificatePem(browser_pki_.between())));
  EXPECT_EQ(material->ca_pem, "");
  EXPECT_EQ(material->own.name, PeerName{});
  EXPECT_EQ(material->own.not_after - material->own.not_before, absl::Hours(1));
  // Peers of ours would not have it.
  files_.ca = pki_.authority_files().certificate;
  EXPECT_FALSE(LoadTlsFiles(files_, absl::Now()).ok());
}

TEST_F(BrowserFacingFilesTest, AMachinesOwnWillDoToo) {
  TlsFiles own = pki_.Issue(v1::IDENTITY_GATEWAY, "gw-a");
  own.ca = "/nowhere/is-not-read.pem";
  EXPECT_TRUE(LoadBrowserFacingFiles(own, absl::Now()).ok());
}

TEST_F(BrowserFacingFilesTest, AKeyOfAnotherCertificateIsRefused) {
  files_.key = browser_pki_.Issue("other.example").key;
  EXPECT_THAT(
      Message(Refusal()),
      HasSubstr(files_.key + ": does not belong to the certificate in " + files_.certificate));
}

TEST_F(BrowserFacingFilesTest, AKeyThatOthersCanReadIsRefused) {
  chmod(files_.key.c_str(), 0644);
  EXPECT_EQ(Refusal().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(Message(Refusal()), AllOf(HasSubstr(files_.key), HasSubstr("chmod 0600")));
}

TEST_F(BrowserFacingFilesTest, ExpiredAndNotYetValidAreRefused) {
  for (const absl::Duration away : {absl::Hours(2), absl::Hours(-2)}) {
    const absl::Status status = LoadBrowserFacingFiles(files_, absl::Now() + away).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(Message(status),
                HasSubstr(files_.certificate +
                          (away > absl::ZeroDuration() ? ": expired" : ": not valid yet")));
  }
}

TEST_F(BrowserFacingFilesTest, MissingAndNonsenseAreNamed) {
  ASSERT_TRUE(WriteFileAtomically(files_.certificate, "nonsense", 0644).ok());
  EXPECT_THAT(Message(Refusal()), HasSubstr(files_.certificate));
  unlink(files_.certificate.c_str());
  EXPECT_EQ(Refusal().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(Message(Refusal()), HasSubstr(files_.certificate + ": cannot open it"));
}

TEST_F(BrowserFacingFilesTest, AChangeIsToldOnceWithoutAnAuthoritysFile) {
  TlsFilesWatch watch(files_);
  EXPECT_FALSE(watch.Changed());
  browser_pki_.Issue("werkplek.example");
  EXPECT_TRUE(watch.Changed());
  EXPECT_FALSE(watch.Changed());
  unlink(files_.certificate.c_str());
  EXPECT_FALSE(watch.Changed()) << "a renewal under way";
  browser_pki_.Issue("werkplek.example");
  EXPECT_TRUE(watch.Changed());
}

}  // namespace
}  // namespace werkplek
