// TLS to etcd's members: our client certificate, their own authority, and their host names checked.
#pragma once

#include <grpcpp/security/credentials.h>

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "broker/etcd/etcd_settings.h"

namespace werkplek {

// Whether the three files are there, fit together and are good at `now`. Errors name the file.
absl::Status CheckEtcdFiles(const EtcdSettings& settings, absl::Time now);

// Renewed files are taken within seconds.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> EtcdCredentials(
    const EtcdSettings& settings);

}  // namespace werkplek
