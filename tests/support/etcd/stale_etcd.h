// An etcd that answers every read from the past, as 3.4 can after a pause; writes go through. Only
// what a transaction does through the cluster's log is true.
#pragma once

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <atomic>
#include <future>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "broker/etcd/etcd_client.h"
#include "common/tls/tls_files.h"
#include "etcd_proto/etcd.grpc.pb.h"
#include "tests/support/process/child_process.h"

namespace werkplek {

class StaleEtcd : public etcdserverpb::KV::Service {
 public:
  // `real` outlives it; `own` are a server's files.
  StaleEtcd(EtcdClient* real, const TlsFiles& own)
      : real_(real), endpoint_(absl::StrCat("127.0.0.1:", FreeLoopbackPort())) {
    grpc::SslServerCredentialsOptions options(
        GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    options.pem_root_certs = ReadWholeFile(own.ca);
    options.pem_key_cert_pairs.push_back({ReadWholeFile(own.key), ReadWholeFile(own.certificate)});
    grpc::ServerBuilder builder;
    builder.AddListeningPort(endpoint_, grpc::SslServerCredentials(options));
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~StaleEtcd() override { server_->Shutdown(); }

  const std::string& endpoint() const { return endpoint_; }
  // Reads are answered as of this revision from now on.
  void Freeze(int64_t revision) { revision_ = revision; }
  int stale_answers() const { return stale_answers_; }

  grpc::Status Range(grpc::ServerContext*, const etcdserverpb::RangeRequest* request,
                     etcdserverpb::RangeResponse* response) override {
    *response = RangeThen(*request);
    return grpc::Status::OK;
  }

  grpc::Status Txn(grpc::ServerContext*, const etcdserverpb::TxnRequest* request,
                   etcdserverpb::TxnResponse* response) override {
    if (revision_ != 0 && OnlyReads(*request)) {
      *response = TxnThen(*request);
      return grpc::Status::OK;
    }
    auto answer = real_->TxnAndWait(*request, EtcdRepeat::kIfNotDone, absl::Seconds(5));
    if (!answer.ok()) {
      return grpc::Status(grpc::StatusCode::UNAVAILABLE, std::string(answer.status().message()));
    }
    *response = *std::move(answer);
    return grpc::Status::OK;
  }

 private:
  // As etcd judges it (etcdserver/v3_server.go, isTxnReadonly).
  static bool OnlyReads(const etcdserverpb::TxnRequest& txn) {
    for (const auto* branch : {&txn.success(), &txn.failure()}) {
      for (const auto& op : *branch) {
        if (!op.has_request_range()) return false;
      }
    }
    return true;
  }

  etcdserverpb::RangeResponse RangeThen(etcdserverpb::RangeRequest request) {
    if (request.revision() == 0 && revision_ != 0) {
      request.set_revision(revision_);
      ++stale_answers_;
    }
    auto promise = std::make_shared<std::promise<etcdserverpb::RangeResponse>>();
    real_->Range(std::move(request), absl::Seconds(5), [promise](auto answer) {
      promise->set_value(answer.ok() ? *std::move(answer) : etcdserverpb::RangeResponse());
    });
    etcdserverpb::RangeResponse response = promise->get_future().get();
    if (revision_ != 0) response.mutable_header()->set_revision(revision_);
    return response;
  }

  // Our guards in reads are all on values.
  etcdserverpb::TxnResponse TxnThen(const etcdserverpb::TxnRequest& txn) {
    etcdserverpb::TxnResponse response;
    response.set_succeeded(true);
    for (const auto& compare : txn.compare()) {
      etcdserverpb::RangeRequest range;
      range.set_key(compare.key());
      const auto found = RangeThen(range);
      if (found.kvs().empty() || found.kvs(0).value() != compare.value()) {
        response.set_succeeded(false);
      }
    }
    for (const auto& op : response.succeeded() ? txn.success() : txn.failure()) {
      *response.add_responses()->mutable_response_range() = RangeThen(op.request_range());
    }
    response.mutable_header()->set_revision(revision_);
    return response;
  }

  EtcdClient* const real_;
  const std::string endpoint_;
  std::atomic<int64_t> revision_ = 0;
  std::atomic<int> stale_answers_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace werkplek
