#include "agent/hypervisor/libvirt_host.h"

#include <gtest/gtest.h>
#include <libvirt/virterror.h>

#include "agent/hypervisor/libvirt_error.h"

namespace werkplek {
namespace {

TEST(LibvirtHostTest, MemoryPressure) {
  EXPECT_DOUBLE_EQ(ParseMemoryPressure("some avg10=12.50 avg60=1.00 avg300=0.00 total=1\n"
                                       "full avg10=99.00 avg60=0.00 avg300=0.00 total=0\n"),
                   0.125);
  EXPECT_EQ(ParseMemoryPressure(""), 0);
  EXPECT_EQ(ParseMemoryPressure("some avg10=x"), 0);
  EXPECT_EQ(ParseMemoryPressure("some avg10=250.0"), 1);
  EXPECT_EQ(ReadMemoryPressure("/nonexistent"), 0);
}

TEST(LibvirtHostTest, TheBusyShareIsBetweenTwoReadings) {
  EXPECT_EQ(CpuShare({0, 0}, {50, 100}), 0);
  EXPECT_DOUBLE_EQ(CpuShare({50, 100}, {75, 200}), 0.25);
  EXPECT_EQ(CpuShare({50, 100}, {50, 100}), 0);
  // Counters that went back (another libvirtd, a resumed machine).
  EXPECT_EQ(CpuShare({50, 100}, {10, 20}), 0);
  EXPECT_EQ(CpuShare({50, 100}, {10, 200}), 0);
}

TEST(LibvirtErrorTest, CodesAndWords) {
  const auto code = [](int error) { return LibvirtStatus(error, "m", "w").code(); };
  EXPECT_EQ(code(VIR_ERR_NO_DOMAIN), absl::StatusCode::kNotFound);
  EXPECT_EQ(code(VIR_ERR_AGENT_UNRESPONSIVE), absl::StatusCode::kUnavailable);
  EXPECT_EQ(code(VIR_ERR_OPERATION_TIMEOUT), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(code(VIR_ERR_NO_SUPPORT), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(code(VIR_ERR_INTERNAL_ERROR), absl::StatusCode::kInternal);
  EXPECT_EQ(LibvirtStatus(VIR_ERR_NO_DOMAIN, "none", "look").message(), "look: none");
  ASSERT_EQ(virInitialize(), 0);
  EXPECT_EQ(LastLibvirtStatus("look").code(), absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace werkplek
