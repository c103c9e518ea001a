#include "broker/rpc/admin_service.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "broker/core/site_views.h"
#include "broker/rpc/refused_stream.h"
#include "broker/rpc/watch_stream.h"

namespace werkplek {
namespace {

constexpr uint32_t kMaxAuditPage = 1000;
constexpr size_t kMaxPageBytes = 48 << 10;

// A page of at most `limit` entries and kMaxPageBytes; its first entry is always given.
v1::ListAuditResponse AuditPage(const std::vector<v1::AuditRecord>& records, uint32_t limit) {
  v1::ListAuditResponse page;
  size_t bytes = 0;
  for (const v1::AuditRecord& record : records) {
    bytes += record.ByteSizeLong();
    const auto given = static_cast<uint32_t>(page.entries_size());
    if (given == limit || (given > 0 && bytes > kMaxPageBytes)) {
      page.set_more(true);
      break;
    }
    v1::AuditEntry* entry = page.add_entries();
    entry->set_sequence(record.sequence());
    entry->set_time_unix_ms(record.time_unix_ms());
    entry->set_actor(record.actor());
    entry->set_action(record.action());
    entry->set_object(record.object());
    entry->set_result(record.result());
    entry->set_origin(record.origin());
  }
  return page;
}

// The sequence after which the page that is asked for begins; `newest` is the last one there is.
absl::StatusOr<uint64_t> AuditStart(const v1::ListAuditRequest& request, uint64_t newest) {
  if (request.last() == 0) return request.after_sequence();
  if (request.after_sequence() != 0) {
    return absl::InvalidArgumentError(
        "last: give it for the first page only, without after_sequence");
  }
  return newest - std::min<uint64_t>(newest, request.last());
}

}  // namespace

AdminRpc::AdminRpc(const ServiceParts& parts, const RpcSettings& settings,
                   AddJoinCodeFunction add_join_code)
    : parts_(parts),
      max_waiting_commits_(settings.max_waiting_commits),
      add_join_code_(std::move(add_join_code)) {}

grpc::ServerUnaryReactor* AdminRpc::CreateResource(grpc::CallbackServerContext* context,
                                                   const v1::CreateResourceRequest* request,
                                                   v1::Resource* response) {
  return HandleChange(parts_, context, request, response);
}

grpc::ServerUnaryReactor* AdminRpc::GetResource(grpc::CallbackServerContext* context,
                                                const v1::GetResourceRequest* request,
                                                v1::Resource* response) {
  return HandleRead(parts_, context, request, response);
}

grpc::ServerUnaryReactor* AdminRpc::ListResources(grpc::CallbackServerContext* context,
                                                  const v1::ListResourcesRequest* request,
                                                  v1::ListResourcesResponse* response) {
  return HandleRead(parts_, context, request, response);
}

grpc::ServerUnaryReactor* AdminRpc::UpdateResource(grpc::CallbackServerContext* context,
                                                   const v1::UpdateResourceRequest* request,
                                                   v1::Resource* response) {
  return HandleChange(parts_, context, request, response);
}

grpc::ServerUnaryReactor* AdminRpc::DeleteResource(grpc::CallbackServerContext* context,
                                                   const v1::DeleteResourceRequest* request,
                                                   v1::DeleteResourceResponse* response) {
  return HandleChange(parts_, context, request, response);
}

grpc::ServerUnaryReactor* AdminRpc::SetSchedulability(grpc::CallbackServerContext* context,
                                                      const v1::SetSchedulabilityRequest* request,
                                                      v1::Resource* response) {
  return HandleChange(parts_, context, request, response);
}

grpc::ServerUnaryReactor* AdminRpc::ListHosts(grpc::CallbackServerContext* context,
                                              const v1::ListHostsRequest* request,
                                              v1::ListHostsResponse* response) {
  return HandleRead(parts_, context, request, response);
}

grpc::ServerUnaryReactor* AdminRpc::ListPoolStatus(grpc::CallbackServerContext* context,
                                                   const v1::ListPoolStatusRequest* request,
                                                   v1::ListPoolStatusResponse* response) {
  return HandleRead(parts_, context, request, response);
}

grpc::ServerUnaryReactor* AdminRpc::ListDesktops(grpc::CallbackServerContext* context,
                                                 const v1::ListDesktopsRequest* request,
                                                 v1::ListDesktopsResponse* response) {
  return HandleRead(parts_, context, request, response);
}

grpc::ServerUnaryReactor* AdminRpc::GetDesktop(grpc::CallbackServerContext* context,
                                               const v1::GetDesktopRequest* request,
                                               v1::DesktopStatus* response) {
  return HandleRead(parts_, context, request, response);
}

grpc::ServerUnaryReactor* AdminRpc::ResetDesktop(grpc::CallbackServerContext* context,
                                                 const v1::ResetDesktopRequest* request,
                                                 v1::DesktopStatus* response) {
  return HandleChange(parts_, context, request, response);
}

grpc::ServerUnaryReactor* AdminRpc::ListSessions(grpc::CallbackServerContext* context,
                                                 const v1::ListSessionsRequest* request,
                                                 v1::ListSessionsResponse* response) {
  return HandleRead(parts_, context, request, response);
}

grpc::ServerUnaryReactor* AdminRpc::GetSession(grpc::CallbackServerContext* context,
                                               const v1::GetSessionRequest* request,
                                               v1::Session* response) {
  return HandleRead(parts_, context, request, response);
}

grpc::ServerUnaryReactor* AdminRpc::EndAnySession(grpc::CallbackServerContext* context,
                                                  const v1::EndAnySessionRequest* request,
                                                  v1::Session* response) {
  return HandleChange(parts_, context, request, response);
}

grpc::ServerUnaryReactor* AdminRpc::EnrolToken(grpc::CallbackServerContext* context,
                                               const v1::EnrolTokenRequest* request,
                                               v1::EnrolTokenResponse* response) {
  return HandleChange(parts_, context, request, response);
}

grpc::ServerUnaryReactor* AdminRpc::ConfirmToken(grpc::CallbackServerContext* context,
                                                 const v1::ConfirmTokenRequest* request,
                                                 v1::ConfirmTokenResponse* response) {
  return HandleChange(parts_, context, request, response);
}

grpc::ServerUnaryReactor* AdminRpc::RevokeToken(grpc::CallbackServerContext* context,
                                                const v1::RevokeTokenRequest* request,
                                                v1::RevokeTokenResponse* response) {
  return HandleChange(parts_, context, request, response);
}

grpc::ServerUnaryReactor* AdminRpc::ListTokens(grpc::CallbackServerContext* context,
                                               const v1::ListTokensRequest* request,
                                               v1::ListTokensResponse* response) {
  return HandleRead(parts_, context, request, response);
}

grpc::ServerUnaryReactor* AdminRpc::ListSignIns(grpc::CallbackServerContext* context,
                                                const v1::ListSignInsRequest* request,
                                                v1::ListSignInsResponse* response) {
  return HandleRead(parts_, context, request, response);
}

grpc::ServerUnaryReactor* AdminRpc::RevokeSignIns(grpc::CallbackServerContext* context,
                                                  const v1::RevokeSignInsRequest* request,
                                                  v1::RevokeSignInsResponse* response) {
  return HandleChange(parts_, context, request, response);
}

grpc::ServerUnaryReactor* AdminRpc::ListSites(grpc::CallbackServerContext* context,
                                              const v1::ListSitesRequest* request,
                                              v1::ListSitesResponse* response) {
  return HandleRead(parts_, context, request, response);
}

grpc::ServerUnaryReactor* AdminRpc::RehearseSiteLoss(grpc::CallbackServerContext* context,
                                                     const v1::RehearseSiteLossRequest* request,
                                                     v1::RehearseSiteLossResponse* response) {
  return HandleRead(parts_, context, request, response);
}

grpc::ServerUnaryReactor* AdminRpc::ConfirmSiteLoss(grpc::CallbackServerContext* context,
                                                    const v1::ConfirmSiteLossRequest* request,
                                                    v1::SiteStatus* response) {
  return HandleChange(parts_, context, request, response);
}

grpc::ServerUnaryReactor* AdminRpc::ReadmitSite(grpc::CallbackServerContext* context,
                                                const v1::ReadmitSiteRequest* request,
                                                v1::SiteStatus* response) {
  return HandleChange(parts_, context, request, response);
}

grpc::ServerUnaryReactor* AdminRpc::AssignDesktop(grpc::CallbackServerContext* context,
                                                  const v1::AssignDesktopRequest* request,
                                                  v1::DesktopStatus* response) {
  return HandleChange(parts_, context, request, response);
}

grpc::ServerUnaryReactor* AdminRpc::OverrideFence(grpc::CallbackServerContext* context,
                                                  const v1::OverrideFenceRequest* request,
                                                  v1::DesktopStatus* response) {
  return HandleChange(parts_, context, request, response);
}

grpc::ServerUnaryReactor* AdminRpc::Rebalance(grpc::CallbackServerContext* context,
                                              const v1::RebalanceRequest* request,
                                              v1::RebalanceResponse* response) {
  return HandleChange(parts_, context, request, response);
}

grpc::ServerUnaryReactor* AdminRpc::RevokeCertificates(grpc::CallbackServerContext* context,
                                                       const v1::RevokeCertificatesRequest* request,
                                                       v1::RevokeCertificatesResponse* response) {
  return HandleChange(parts_, context, request, response);
}

grpc::ServerUnaryReactor* AdminRpc::ListRevocations(grpc::CallbackServerContext* context,
                                                    const v1::ListRevocationsRequest* request,
                                                    v1::ListRevocationsResponse* response) {
  return HandleRead(parts_, context, request, response);
}

grpc::ServerUnaryReactor* AdminRpc::Explain(grpc::CallbackServerContext* context,
                                            const v1::ExplainRequest* request,
                                            v1::Explanation* response) {
  return HandleRead(parts_, context, request, response);
}

grpc::ServerUnaryReactor* AdminRpc::AddJoinCode(grpc::CallbackServerContext* context,
                                                const v1::AddJoinCodeRequest* request,
                                                v1::AddJoinCodeResponse* response) {
  return HandleUnary(parts_, context, request, response,
                     [this](const Admitted& admitted, const auto& asked, const auto& call) {
                       CountUse(parts_, admitted);
                       add_join_code_(admitted.caller, asked,
                                      [call](auto made) { call->Answer(std::move(made)); });
                     });
}

grpc::ServerUnaryReactor* AdminRpc::ListAudit(grpc::CallbackServerContext* context,
                                              const v1::ListAuditRequest* request,
                                              v1::ListAuditResponse* response) {
  return HandleUnary(
      parts_, context, request, response,
      [this](const Admitted& admitted, const auto& asked, const auto& call) {
        if (admitted.picture == nullptr) return call->End(NotInCharge());
        CountUse(parts_, admitted);
        const absl::StatusOr<uint64_t> after = AuditStart(asked, admitted.picture->audit_sequence);
        if (!after.ok()) return call->End(after.status());
        const uint32_t limit =
            asked.limit() == 0 ? kMaxAuditPage : std::min(asked.limit(), kMaxAuditPage);
        // One more than the page, to see whether there is more.
        parts_.node->ReadAudit(*after, limit + 1,
                               [call, limit](absl::StatusOr<std::vector<v1::AuditRecord>> records) {
                                 if (!records.ok()) return call->End(records.status());
                                 call->Answer(AuditPage(*records, limit));
                               });
      });
}

grpc::ServerWriteReactor<v1::WatchEvent>* AdminRpc::Watch(grpc::CallbackServerContext* context,
                                                          const v1::WatchRequest* request) {
  absl::StatusOr<Admitted> admitted = parts_.gate->Admit(*context, v1::WatchRequest::descriptor());
  if (admitted.ok() && admitted->elsewhere) {
    return ForwardedStream<v1::WatchRequest, v1::WatchEvent>::Begin(parts_.leader, context,
                                                                    *admitted, *request);
  }
  if (admitted.ok() && admitted->picture == nullptr) admitted = NotInCharge();
  if (!admitted.ok()) {
    return new RefusedStream<grpc::ServerWriteReactor<v1::WatchEvent>>(context, admitted.status());
  }
  CountUse(parts_, *admitted);
  return WatchStream::Begin(parts_.node, context, max_waiting_commits_,
                            [gate = parts_.gate, caller = admitted->caller](const Fleet& fleet) {
                              return Authorize(fleet, *AccessFor(v1::WatchRequest::descriptor()),
                                               caller, gate->settings(), gate->Now());
                            });
}

}  // namespace werkplek
