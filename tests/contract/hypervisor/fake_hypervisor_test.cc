#include "tests/support/fake_hypervisor/fake_hypervisor.h"

#include "tests/contract/hypervisor/hypervisor_contract.h"

namespace werkplek {
namespace {

class FakeKit : public HypervisorKit {
 public:
  Hypervisor& hypervisor() override { return fake_; }
  DomainSpec Spec(const std::string& desktop, int number) override {
    DomainSpec spec = PlainSpec(desktop, number);
    spec.guest_agent = true;
    return spec;
  }
  bool has_displays() const override { return true; }
  bool has_guests() const override { return true; }
  Hypervisor* other() override { return &other_; }
  std::string other_uri() override {
    fake_.ConnectTo("qemu+tcp://hv-b/system", &other_);
    return "qemu+tcp://hv-b/system";
  }

 private:
  FakeHypervisor other_;
  FakeHypervisor fake_;
};

INSTANTIATE_TEST_SUITE_P(Fake, HypervisorContract,
                         testing::Values(KitParameter{"fake",
                                                      [] { return std::make_unique<FakeKit>(); }}));

}  // namespace
}  // namespace werkplek
