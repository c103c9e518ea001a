// What is done with one libvirt domain, and what is read from it. Blocking, without a bound of its
// own (LibvirtHypervisor adds it); thread-safe as libvirt is.
#pragma once

#include <libvirt/libvirt.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/hypervisor/domain_xml.h"
#include "agent/hypervisor/hypervisor.h"
#include "agent/hypervisor/libvirt_handles.h"

namespace werkplek {

// NOT_FOUND: there is none, or it is not ours.
absl::StatusOr<DomainHandle> FindDomain(virConnectPtr connection, const std::string& desktop);

// The tag in the lasting description (that of a running domain that was restored may be older).
// nullopt: not ours.
absl::StatusOr<std::optional<DomainTag>> ReadTag(virDomainPtr domain);
absl::Status WriteTag(virDomainPtr domain, const DomainTag& tag);

absl::StatusOr<DomainXmlFacts> ReadFacts(virDomainPtr domain);

struct DomainState {
  DomainPower power = DomainPower::kOff;
  // See DomainInfo.
  bool out_of_room = false;
};
absl::StatusOr<DomainState> ReadState(virDomainPtr domain);
absl::StatusOr<DomainPower> ReadPower(virDomainPtr domain);

// Every domain of ours, by desktop; one that cannot be read says why.
absl::StatusOr<std::vector<DomainInfo>> ReadInfos(virConnectPtr connection);

absl::Status CreateDomain(virConnectPtr connection, const DomainSpec& spec,
                          const DomainPlatform& platform);
absl::Status StartDomain(virDomainPtr domain);
absl::Status SuspendDomain(virDomainPtr domain, bool to_disk);
absl::Status ResumeDomain(virDomainPtr domain);
absl::Status ShutdownDomain(virDomainPtr domain, ShutdownMode mode);
absl::Status RemoveDomain(virDomainPtr domain);

// Powers off the machine of that UUID, hard. OK when there is none that runs.
absl::Status DestroyDomain(virConnectPtr connection, const std::string& desktop,
                           const std::string& uuid);
// Live to the libvirt at `uri` (CheckMigrationUri), which then has it for good.
absl::Status MigrateDomain(virDomainPtr domain, const std::string& uri, bool tls);
absl::Status AbortJob(virDomainPtr domain);

}  // namespace werkplek
