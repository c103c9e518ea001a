#include "common/tls/ssl_context.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/base/crypto.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

// What a context judges peers by; owned by the context through its ex_data.
struct Judge {
  PeerCheck check;
  // Not empty: the one authority, by SHA-256.
  std::string pinned_ca_sha256;
  // Not empty: the one certificate, by SHA-256; nothing else is judged.
  std::string pinned_leaf_sha256 = "";
};

int JudgeIndex() {
  static const int index = SSL_CTX_get_ex_new_index(
      0, nullptr, nullptr, nullptr, [](void*, void* judge, CRYPTO_EX_DATA*, int, long, void*) {
        delete static_cast<Judge*>(judge);
      });
  return index;
}

// A pinned newcomer trusts no store: it takes the authority out of what the server sent, if its
// hash is the pinned one.
int VerifyPinned(const Judge& judge, X509_STORE_CTX* context) {
  STACK_OF(X509)* sent = X509_STORE_CTX_get0_untrusted(context);
  STACK_OF(X509)* trusted = sk_X509_new_null();
  const absl::Cleanup free_trusted = [trusted] { sk_X509_free(trusted); };
  for (int i = 0; sent != nullptr && i < sk_X509_num(sent); ++i) {
    X509* certificate = sk_X509_value(sent, i);
    if (EqualInConstantTime(CertificateSha256(*certificate), judge.pinned_ca_sha256)) {
      sk_X509_push(trusted, certificate);
    }
  }
  X509_STORE_CTX_set0_trusted_stack(context, trusted);
  return X509_verify_cert(context);
}

int Refuse(X509_STORE_CTX* context, int error, const std::string& why) {
  X509_STORE_CTX_set_error(context, error);
  Log(Severity::kWarning, "tls-peer-refused", {{"reason", why}});
  return 0;
}

// Replaces OpenSSL's verification step: chain and life first, then the name.
int Verify(X509_STORE_CTX* context, void* argument) {
  const Judge& judge = *static_cast<const Judge*>(argument);
  X509* leaf = X509_STORE_CTX_get0_cert(context);
  if (!judge.pinned_leaf_sha256.empty()) {
    if (EqualInConstantTime(CertificateSha256(*leaf), judge.pinned_leaf_sha256)) return 1;
    return Refuse(context, X509_V_ERR_APPLICATION_VERIFICATION, "it is another certificate");
  }
  const bool chain_ok = (judge.pinned_ca_sha256.empty() ? X509_verify_cert(context)
                                                        : VerifyPinned(judge, context)) == 1;
  if (!chain_ok) {
    const int error = X509_STORE_CTX_get_error(context);
    const absl::Status life =
        leaf == nullptr ? absl::OkStatus() : CheckCertificateTime(*leaf, absl::Now(), "peer");
    return Refuse(context, error,
                  life.ok() ? X509_verify_cert_error_string(error) : std::string(life.message()));
  }
  const absl::StatusOr<PeerCertificate> peer = ReadPeerCertificate(*leaf);
  if (!peer.ok()) {
    return Refuse(context, X509_V_ERR_APPLICATION_VERIFICATION,
                  std::string(peer.status().message()));
  }
  const absl::Status welcome = judge.check(*peer);
  if (!welcome.ok()) {
    return Refuse(context, X509_V_ERR_APPLICATION_VERIFICATION, std::string(welcome.message()));
  }
  return 1;
}

absl::StatusOr<SslContextPointer> MakeContext(const SSL_METHOD* method) {
  SslContextPointer context(SSL_CTX_new(method), [](SSL_CTX* c) { SSL_CTX_free(c); });
  if (context == nullptr) return absl::InternalError(OpensslError());
  SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // Each connection proves itself anew: no session lives on after a certificate was revoked.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context.get(), 0);
  return context;
}

void JudgePeers(SSL_CTX* context, Judge judge) {
  auto owned = std::make_unique<Judge>(std::move(judge));
  SSL_CTX_set_cert_verify_callback(context, Verify, owned.get());
  SSL_CTX_set_ex_data(context, JudgeIndex(), owned.release());
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
}

// `with_authority`: the server shows its authority too, for newcomers that pin it.
absl::Status ShowOwn(SSL_CTX* context, const TlsMaterial& own, bool with_authority) {
  ASSIGN_OR_RETURN(std::vector<X509Pointer> chain,
                   ParseCertificatesPem(own.certificate_pem, "own certificate"));
  ASSIGN_OR_RETURN(const KeyPointer key, ParseKeyPem(own.key_pem.Reveal(), "own key"));
  if (with_authority) {
    ASSIGN_OR_RETURN(std::vector<X509Pointer> authorities,
                     ParseCertificatesPem(own.ca_pem, "authority"));
    for (X509Pointer& authority : authorities) chain.push_back(std::move(authority));
  }
  if (SSL_CTX_use_certificate(context, chain.front().get()) != 1 ||
      SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1) {
    return absl::FailedPreconditionError(
        absl::StrCat("the key does not fit the certificate: ", OpensslError()));
  }
  for (size_t i = 1; i < chain.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context, chain[i].get()) != 1) {
      return absl::InternalError(OpensslError());
    }
  }
  return absl::OkStatus();
}

absl::Status TrustAuthority(SSL_CTX* context, const TlsMaterial& own) {
  ASSIGN_OR_RETURN(const std::vector<X509Pointer> authorities,
                   ParseCertificatesPem(own.ca_pem, "authority"));
  for (const X509Pointer& authority : authorities) {
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority.get()) != 1) {
      return absl::InternalError(OpensslError());
    }
    SSL_CTX_add_client_CA(context, authority.get());
  }
  return absl::OkStatus();
}

absl::StatusOr<SslContextPointer> MakeMutual(const SSL_METHOD* method, const TlsMaterial& own,
                                             PeerCheck check) {
  ASSIGN_OR_RETURN(SslContextPointer context, MakeContext(method));
  RETURN_IF_ERROR(ShowOwn(context.get(), own, /*with_authority=*/false));
  RETURN_IF_ERROR(TrustAuthority(context.get(), own));
  JudgePeers(context.get(), Judge{std::move(check), ""});
  return context;
}

absl::StatusOr<SslContextPointer> MakeOpen(const TlsMaterial& own, bool with_authority) {
  ASSIGN_OR_RETURN(SslContextPointer context, MakeContext(TLS_server_method()));
  RETURN_IF_ERROR(ShowOwn(context.get(), own, with_authority));
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  return context;
}

}  // namespace

PeerCheck ExpectPeer(PeerName expected) {
  return [expected = std::move(expected)](const PeerCertificate& peer) {
    if (peer.name == expected) return absl::OkStatus();
    return absl::PermissionDeniedError(
        absl::StrCat("the peer is ", PeerLabel(peer.name), ", expected ", PeerLabel(expected)));
  };
}

PeerCheck ExpectIdentity(std::vector<v1::Identity> expected) {
  return [expected = std::move(expected)](const PeerCertificate& peer) {
    std::string words;
    for (const v1::Identity identity : expected) {
      if (peer.name.identity == identity) return absl::OkStatus();
      absl::StrAppend(&words, words.empty() ? "" : " or ", IdentityWord(identity));
    }
    return absl::PermissionDeniedError(
        absl::StrCat("the peer is ", PeerLabel(peer.name), ", expected a ", words));
  };
}

absl::StatusOr<SslContextPointer> MakeServerContext(const TlsMaterial& own, PeerCheck check) {
  return MakeMutual(TLS_server_method(), own, std::move(check));
}

absl::StatusOr<SslContextPointer> MakeClientContext(const TlsMaterial& own, PeerCheck check) {
  return MakeMutual(TLS_client_method(), own, std::move(check));
}

absl::StatusOr<SslContextPointer> MakeOpenServerContext(const TlsMaterial& own) {
  return MakeOpen(own, /*with_authority=*/true);
}

absl::StatusOr<SslContextPointer> MakeBrowserContext(const TlsMaterial& own) {
  return MakeOpen(own, /*with_authority=*/false);
}

absl::StatusOr<SslContextPointer> MakeOwnProbeContext(const TlsMaterial& own) {
  ASSIGN_OR_RETURN(const std::vector<X509Pointer> chain,
                   ParseCertificatesPem(own.certificate_pem, "own certificate"));
  ASSIGN_OR_RETURN(SslContextPointer context, MakeContext(TLS_client_method()));
  JudgePeers(context.get(), Judge{nullptr, "", CertificateSha256(*chain.front())});
  return context;
}

absl::StatusOr<SslContextPointer> MakePinnedClientContext(const std::string& ca_sha256) {
  if (ca_sha256.size() != 32) {
    return absl::InvalidArgumentError("the authority's SHA-256 must be 64 hexadecimal digits");
  }
  ASSIGN_OR_RETURN(SslContextPointer context, MakeContext(TLS_client_method()));
  JudgePeers(context.get(), Judge{ExpectIdentity({v1::IDENTITY_BROKER}), ca_sha256});
  return context;
}

absl::StatusOr<PeerCertificate> PeerOf(const SSL* ssl) {
  const X509* certificate = SSL_get0_peer_certificate(ssl);
  if (certificate == nullptr) return absl::UnauthenticatedError("the peer showed no certificate");
  return ReadPeerCertificate(*certificate);
}

absl::StatusOr<std::unique_ptr<FollowingContext>> FollowingContext::Create(TlsFiles files,
                                                                           Make make, Clock clock,
                                                                           Load load) {
  // First the watch, then the reading: a change in between is then seen later, not missed.
  std::unique_ptr<FollowingContext> following(
      new FollowingContext(std::move(files), std::move(make), std::move(clock), std::move(load)));
  MutexLock lock(following->mutex_);
  ASSIGN_OR_RETURN(const TlsMaterial material,
                   following->load_(following->watch_.files(), following->clock_()));
  ASSIGN_OR_RETURN(following->context_, following->make_(material));
  return following;
}

FollowingContext::FollowingContext(TlsFiles files, Make make, Clock clock, Load load)
    : make_(std::move(make)),
      clock_(std::move(clock)),
      load_(std::move(load)),
      watch_(std::move(files)) {}

SslContextPointer FollowingContext::Get() {
  MutexLock lock(mutex_);
  const absl::Time now = clock_();
  if (now - looked_ < absl::Seconds(1) && now >= looked_) return context_;
  looked_ = now;
  if (!watch_.Changed()) return context_;
  const absl::StatusOr<TlsMaterial> material = load_(watch_.files(), now);
  const absl::StatusOr<SslContextPointer> made =
      material.ok() ? make_(*material) : absl::StatusOr<SslContextPointer>(material.status());
  if (made.ok()) {
    context_ = *made;
    Log(Severity::kInfo, "certificate-reloaded",
        {{"file", watch_.files().certificate}, {"until", FormatUtc(material->own.not_after)}});
  } else {
    // The three files are replaced one after the other: between two of them they do not fit.
    Log(Severity::kWarning, "certificate-not-reloaded",
        {{"reason", std::string(made.status().message())}});
  }
  return context_;
}

}  // namespace werkplek
