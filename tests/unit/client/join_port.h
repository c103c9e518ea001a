// A broker's join port over real TLS, on loopback, for tests of `join`.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/crypto.h"
#include "common/http/http_server.h"
#include "common/http/join_endpoint.h"
#include "common/pki/certificate_office.h"
#include "common/tls/ssl_context.h"
#include "gtest/gtest.h"
#include "tests/support/pki/test_pki.h"

namespace werkplek {

class JoinPort {
 public:
  JoinPort() {
    HttpServerSettings settings;
    settings.address = "127.0.0.1:0";
    auto server = HttpServer::Start(settings, context_.get(), JoinEndpoint(&office_));
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  std::string url() const {
    return absl::StrCat("https://127.0.0.1:", server_->port(), "/v1/join");
  }
  std::string ca_sha256() const { return HexEncode(pki_.authority().sha256()); }
  // A code for a machine.
  std::string Code(v1::Identity identity, const std::string& name) {
    v1::AddJoinCodeRequest request;
    request.set_request_id(name);
    request.set_identity(identity);
    request.set_name(name);
    return office_.AddJoinCode(request, "admin/a")->code();
  }
  // A folder that goes with this.
  const std::string& folder() const { return pki_.folder(); }

 private:
  TestPki pki_;
  JoinCodes codes_{{}, [] { return absl::Hours(1); }};
  CertificateOffice office_{{}, &pki_.authority(), &codes_, [] { return absl::Now(); }};
  std::unique_ptr<FollowingContext> context_ =
      *FollowingContext::Create(pki_.Issue(v1::IDENTITY_BROKER, "b1"), MakeOpenServerContext);
  std::unique_ptr<HttpServer> server_;
};

}  // namespace werkplek
