#include "agent/hypervisor/libvirt_error.h"

#include <gtest/gtest.h>
#include <libvirt/virterror.h>

namespace werkplek {
namespace {

TEST(LibvirtErrorTest, StatusesSayWhatLibvirtSaid) {
  const absl::Status status = LibvirtStatus(VIR_ERR_NO_DOMAIN, "Domain not found", "desktop d1");
  EXPECT_EQ(status, absl::NotFoundError("desktop d1: Domain not found"));
  EXPECT_EQ(LibvirtStatus(VIR_ERR_RPC, "x", "y").code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(LibvirtStatus(VIR_ERR_ACCESS_DENIED, "x", "y").code(),
            absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(LibvirtStatus(VIR_ERR_INTERNAL_ERROR, "x", "y").code(), absl::StatusCode::kInternal);
}

TEST(LibvirtErrorTest, AnAgentsSocketThatEndedTookTheShutdown) {
  EXPECT_EQ(
      JudgeGuestShutdown(VIR_ERR_INTERNAL_ERROR, "internal error: End of file from agent socket"),
      ShutdownAnswer::kTaken);
}

TEST(LibvirtErrorTest, WhatTheDomainMustTell) {
  // The same in another language, or another fault of the agent's.
  EXPECT_EQ(JudgeGuestShutdown(VIR_ERR_INTERNAL_ERROR, "interne fout: einde van bestand"),
            ShutdownAnswer::kPerhaps);
  EXPECT_EQ(JudgeGuestShutdown(VIR_ERR_INTERNAL_ERROR, ""), ShutdownAnswer::kPerhaps);
  EXPECT_EQ(JudgeGuestShutdown(VIR_ERR_OPERATION_INVALID, "domain is not running"),
            ShutdownAnswer::kPerhaps);
  EXPECT_EQ(JudgeGuestShutdown(VIR_ERR_AGENT_UNSYNCED, "?"), ShutdownAnswer::kPerhaps);
}

TEST(LibvirtErrorTest, AnAgentThatIsNotThereTookNothing) {
  for (const int code :
       {VIR_ERR_AGENT_UNRESPONSIVE, VIR_ERR_ARGUMENT_UNSUPPORTED, VIR_ERR_CONFIG_UNSUPPORTED,
        VIR_ERR_NO_DOMAIN, VIR_ERR_RPC, VIR_ERR_OPERATION_TIMEOUT, VIR_ERR_NO_SUPPORT}) {
    // Whatever the message says.
    EXPECT_EQ(JudgeGuestShutdown(code, "End of file from agent socket"), ShutdownAnswer::kNotTaken)
        << code;
  }
}

}  // namespace
}  // namespace werkplek
