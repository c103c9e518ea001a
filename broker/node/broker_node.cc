#include "broker/node/broker_node.h"

#include "broker/node/node_loop.h"

namespace werkplek {

BrokerNode::BrokerNode(NodeSettings settings, NodeParts parts)
    : loop_(std::make_shared<NodeLoop>(std::move(settings), std::move(parts))) {}

BrokerNode::~BrokerNode() { loop_->Stop(); }

void BrokerNode::Start() { loop_->Start(); }

void BrokerNode::Stop() { loop_->Stop(); }

Picture BrokerNode::picture() const { return loop_->picture(); }

void BrokerNode::SignIn(const Caller& caller, const v1::SignInRequest& request,
                        ReplyCallback done) {
  loop_->SignIn(caller, request, std::move(done));
}

absl::Status BrokerNode::TryPassword(const Caller& caller, const std::string& user) {
  return loop_->TryPassword(caller, user);
}

void BrokerNode::SubmitSignIn(SignInChecked checked, ReplyCallback done) {
  loop_->SubmitSignIn(std::move(checked), std::move(done));
}
void BrokerNode::Call(const Caller& caller, MessagePointer request, ReplyCallback done) {
  loop_->Call(caller, std::move(request), std::move(done));
}

CallId BrokerNode::Connect(const Caller& caller, const v1::ConnectRequest& request,
                           ConnectCallback update) {
  return loop_->Connect(caller, request, std::move(update));
}

void BrokerNode::Cancel(CallId call) { loop_->Cancel(call); }

void BrokerNode::SignInUsed(const std::string& token_sha256) { loop_->SignInUsed(token_sha256); }

void BrokerNode::RecordCertificate(CertificateIssued issued, ReplyCallback done) {
  loop_->RecordCertificate(std::move(issued), std::move(done));
}

void BrokerNode::ReadAudit(
    uint64_t after, uint32_t limit,
    absl::AnyInvocable<void(absl::StatusOr<std::vector<v1::AuditRecord>>)> done) {
  loop_->ReadAudit(after, limit, std::move(done));
}

uint64_t BrokerNode::Watch(WatchCallback callback) { return loop_->Watch(std::move(callback)); }

void BrokerNode::Unwatch(uint64_t id) { loop_->Unwatch(id); }

uint64_t BrokerNode::AgentAttached(const std::string& host) { return loop_->AgentAttached(host); }

void BrokerNode::AgentReported(const std::string& host, uint64_t link, v1::AgentReport report) {
  loop_->AgentReported(host, link, std::move(report));
}

void BrokerNode::AgentDetached(const std::string& host, uint64_t link) {
  loop_->AgentDetached(host, link);
}

}  // namespace werkplek
