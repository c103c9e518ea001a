#include "agent/hypervisor/migration_uri.h"

#include <gtest/gtest.h>

namespace werkplek {
namespace {

TEST(MigrationUriTest, HostsOverTlsOrTcp) {
  for (const char* uri : {"qemu+tls://hv-a1/system", "qemu+tls://hv-a1.example:16514/system",
                          "qemu+tcp://192.0.2.1/system", "qemu+tls://[2001:db8::1]/system",
                          "qemu+tls://[2001:db8::1]:16514/system"}) {
    EXPECT_TRUE(CheckMigrationUri(uri).ok()) << uri;
  }
  EXPECT_EQ(HostOfMigrationUri("qemu+tls://hv-a1.example:16514/system"), "hv-a1.example");
  EXPECT_EQ(HostOfMigrationUri("qemu+tls://[2001:db8::1]:16514/system"), "[2001:db8::1]");
}

TEST(MigrationUriTest, NothingThatRunsAProgramOrGoesElsewhere) {
  for (const char* uri :
       {"", "qemu:///system", "qemu+ext:///system?command=/bin/sh", "qemu+ssh://hv-a1/system",
        "qemu+tls://hv-a1/system?command=/bin/sh", "qemu+tls:///system", "qemu+tls://hv-a1/session",
        "qemu+tls://root@hv-a1/system", "qemu+tls://hv-a1:0/system", "qemu+tls://hv-a1:x/system",
        "qemu+tls://hv a1/system", "qemu+tls://[::1/system", "qemu+libssh://hv-a1/system",
        "qemu+tls://hv-a1/x/system", "qemu+unix://hv-a1/system"}) {
    EXPECT_FALSE(CheckMigrationUri(uri).ok()) << uri;
  }
  EXPECT_FALSE(CheckMigrationUri("qemu+tls://" + std::string(300, 'a') + "/system").ok());
}

}  // namespace
}  // namespace werkplek
