// OpenSSL contexts for our own TLS ports and connections (display relay, join, portal): TLS 1.3,
// our authority only, and peers judged by the URI in their certificate, never by host name.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "common/tls/certificate.h"
#include "common/tls/tls_files.h"

namespace werkplek {

// Whether a peer with a valid certificate of our authority is welcome. Called inside of the
// handshake, on its thread. An error ends the handshake.
using PeerCheck = std::function<absl::Status(const PeerCertificate& peer)>;

// Exactly this peer: PERMISSION_DENIED for any other.
PeerCheck ExpectPeer(PeerName expected);
// Any peer of one of these identities.
PeerCheck ExpectIdentity(std::vector<v1::Identity> expected);

// A server that demands a client certificate. Errors are of bad PEM or a key that does not fit.
absl::StatusOr<SslContextPointer> MakeServerContext(const TlsMaterial& own, PeerCheck check);
// A server for newcomers that have no certificate yet; it asks for none.
absl::StatusOr<SslContextPointer> MakeOpenServerContext(const TlsMaterial& own);
// A server for browsers: it asks for no certificate, and shows what was sent with its own.
absl::StatusOr<SslContextPointer> MakeBrowserContext(const TlsMaterial& own);
// A client that believes the certificate of `own` alone: to look at a port of this process that
// MakeBrowserContext serves.
absl::StatusOr<SslContextPointer> MakeOwnProbeContext(const TlsMaterial& own);
absl::StatusOr<SslContextPointer> MakeClientContext(const TlsMaterial& own, PeerCheck check);
// For a newcomer: no own certificate, and the only thing known of the authority is the SHA-256 (32
// bytes) of its certificate, which the server must send along. The server must be a broker.
absl::StatusOr<SslContextPointer> MakePinnedClientContext(const std::string& ca_sha256);

// Who the other side is, after a handshake. UNAUTHENTICATED: it showed no certificate.
absl::StatusOr<PeerCertificate> PeerOf(const SSL* ssl);

// A context that follows its files: a renewed certificate is used by the next handshake.
// Thread-safe.
class FollowingContext {
 public:
  using Make = std::function<absl::StatusOr<SslContextPointer>(const TlsMaterial&)>;
  using Clock = std::function<absl::Time()>;
  using Load = std::function<absl::StatusOr<TlsMaterial>(const TlsFiles&, absl::Time)>;

  // The files must be good now. `load`: LoadTlsFiles or LoadBrowserFacingFiles.
  static absl::StatusOr<std::unique_ptr<FollowingContext>> Create(
      TlsFiles files, Make make, Clock clock = [] { return absl::Now(); },
      Load load = LoadTlsFiles);

  // The context to use for the next handshake. Looks at the files at most once a second; new ones
  // that are bad are logged, and the old context stays.
  SslContextPointer Get();

 private:
  FollowingContext(TlsFiles files, Make make, Clock clock, Load load);

  const Make make_;
  const Clock clock_;
  const Load load_;
  Mutex mutex_;
  TlsFilesWatch watch_ ABSL_GUARDED_BY(mutex_);
  SslContextPointer context_ ABSL_GUARDED_BY(mutex_);
  absl::Time looked_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace werkplek
