#include "client/api/join.h"

#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "client/api/exit_code.h"
#include "tests/unit/client/join_port.h"

namespace werkplek {
namespace {

using testing::HasSubstr;

struct stat About(const std::string& path) {
  struct stat about = {};
  EXPECT_EQ(stat(path.c_str(), &about), 0) << path;
  return about;
}

class JoinTest : public testing::Test {
 protected:
  JoinTest() {
    request_.url = port_.url();
    request_.code = Secret(port_.Code(v1::IDENTITY_CLIENT, "tc-017"));
    request_.ca_sha256 = port_.ca_sha256();
    request_.identity = v1::IDENTITY_CLIENT;
    request_.config_path = etc_ + "/client.yaml";
    request_.brokers = {"127.0.0.1:7443"};
  }

  JoinPort port_;
  const std::string etc_ = port_.folder() + "/etc/werkplek";
  JoinRequest request_;
};

TEST_F(JoinTest, TheKeyIsItsOwnersAlone) {
  const absl::StatusOr<JoinResult> result = JoinMachine(request_);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(About(etc_ + "/client/key.pem").st_mode & 07777, 0600u);
  EXPECT_EQ(About(etc_ + "/client").st_mode & 07777, 0700u);
}

TEST_F(JoinTest, AGroupMayReadTheKeyAndNobodyElse) {
  const group* own = getgrgid(getegid());
  ASSERT_NE(own, nullptr);
  request_.group = own->gr_name;
  const mode_t before = umask(0077);
  const absl::StatusOr<JoinResult> result = JoinMachine(request_);
  umask(before);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(About(etc_ + "/client/key.pem").st_mode & 07777, 0640u);
  EXPECT_EQ(About(etc_ + "/client/key.pem").st_gid, getegid());
  EXPECT_EQ(About(etc_ + "/client").st_mode & 07777, 0750u);
  // The configuration is no secret, whatever the umask says.
  EXPECT_EQ(About(etc_).st_mode & 07777, 0755u);
  EXPECT_EQ(About(etc_ + "/client.yaml").st_mode & 07777, 0644u);
}

TEST_F(JoinTest, AGroupThatIsNotThereIsSaidBeforeTheCodeIsUsed) {
  request_.group = "no-such-group";
  const absl::Status status = JoinMachine(request_).status();
  EXPECT_EQ(ExitCodeFor(status), ExitCode::kUsage);
  EXPECT_THAT(std::string(status.message()), HasSubstr("--group no-such-group"));
  EXPECT_FALSE(std::filesystem::exists(etc_));
  request_.group.clear();
  EXPECT_TRUE(JoinMachine(request_).ok());
}

}  // namespace
}  // namespace werkplek
