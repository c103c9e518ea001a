// The broker's own certificate, which it renews itself: it has the authority at hand.
#pragma once

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "broker/program/broker_config.h"
#include "common/pki/authority.h"

namespace werkplek {

// Renews it when two thirds of its life are over at `now`. True: it was renewed; those who follow
// the files take it over.
absl::StatusOr<bool> RenewOwnCertificateWhenDue(const BrokerConfig& config,
                                                const CertificateAuthority& authority,
                                                absl::Time now);

}  // namespace werkplek
