// The service for admins: changes go to the node, reads come from its picture.
#pragma once

#include "broker/rpc/rpc_functions.h"
#include "broker/rpc/settings.h"
#include "broker/rpc/unary.h"
#include "werkplek/v1/admin.grpc.pb.h"

namespace werkplek {

class AdminRpc final : public v1::AdminService::CallbackService {
 public:
  AdminRpc(const ServiceParts& parts, const RpcSettings& settings,
           AddJoinCodeFunction add_join_code);

  grpc::ServerUnaryReactor* CreateResource(grpc::CallbackServerContext* context,
                                           const v1::CreateResourceRequest* request,
                                           v1::Resource* response) override;
  grpc::ServerUnaryReactor* GetResource(grpc::CallbackServerContext* context,
                                        const v1::GetResourceRequest* request,
                                        v1::Resource* response) override;
  grpc::ServerUnaryReactor* ListResources(grpc::CallbackServerContext* context,
                                          const v1::ListResourcesRequest* request,
                                          v1::ListResourcesResponse* response) override;
  grpc::ServerUnaryReactor* UpdateResource(grpc::CallbackServerContext* context,
                                           const v1::UpdateResourceRequest* request,
                                           v1::Resource* response) override;
  grpc::ServerUnaryReactor* DeleteResource(grpc::CallbackServerContext* context,
                                           const v1::DeleteResourceRequest* request,
                                           v1::DeleteResourceResponse* response) override;
  grpc::ServerUnaryReactor* SetSchedulability(grpc::CallbackServerContext* context,
                                              const v1::SetSchedulabilityRequest* request,
                                              v1::Resource* response) override;
  grpc::ServerUnaryReactor* AddJoinCode(grpc::CallbackServerContext* context,
                                        const v1::AddJoinCodeRequest* request,
                                        v1::AddJoinCodeResponse* response) override;
  grpc::ServerUnaryReactor* ListHosts(grpc::CallbackServerContext* context,
                                      const v1::ListHostsRequest* request,
                                      v1::ListHostsResponse* response) override;
  grpc::ServerUnaryReactor* ListPoolStatus(grpc::CallbackServerContext* context,
                                           const v1::ListPoolStatusRequest* request,
                                           v1::ListPoolStatusResponse* response) override;
  grpc::ServerUnaryReactor* ListDesktops(grpc::CallbackServerContext* context,
                                         const v1::ListDesktopsRequest* request,
                                         v1::ListDesktopsResponse* response) override;
  grpc::ServerUnaryReactor* GetDesktop(grpc::CallbackServerContext* context,
                                       const v1::GetDesktopRequest* request,
                                       v1::DesktopStatus* response) override;
  grpc::ServerUnaryReactor* ResetDesktop(grpc::CallbackServerContext* context,
                                         const v1::ResetDesktopRequest* request,
                                         v1::DesktopStatus* response) override;
  grpc::ServerUnaryReactor* ListSessions(grpc::CallbackServerContext* context,
                                         const v1::ListSessionsRequest* request,
                                         v1::ListSessionsResponse* response) override;
  grpc::ServerUnaryReactor* GetSession(grpc::CallbackServerContext* context,
                                       const v1::GetSessionRequest* request,
                                       v1::Session* response) override;
  grpc::ServerUnaryReactor* EndAnySession(grpc::CallbackServerContext* context,
                                          const v1::EndAnySessionRequest* request,
                                          v1::Session* response) override;
  grpc::ServerWriteReactor<v1::WatchEvent>* Watch(grpc::CallbackServerContext* context,
                                                  const v1::WatchRequest* request) override;
  grpc::ServerUnaryReactor* EnrolToken(grpc::CallbackServerContext* context,
                                       const v1::EnrolTokenRequest* request,
                                       v1::EnrolTokenResponse* response) override;
  grpc::ServerUnaryReactor* ConfirmToken(grpc::CallbackServerContext* context,
                                         const v1::ConfirmTokenRequest* request,
                                         v1::ConfirmTokenResponse* response) override;
  grpc::ServerUnaryReactor* RevokeToken(grpc::CallbackServerContext* context,
                                        const v1::RevokeTokenRequest* request,
                                        v1::RevokeTokenResponse* response) override;
  grpc::ServerUnaryReactor* ListTokens(grpc::CallbackServerContext* context,
                                       const v1::ListTokensRequest* request,
                                       v1::ListTokensResponse* response) override;
  grpc::ServerUnaryReactor* ListSignIns(grpc::CallbackServerContext* context,
                                        const v1::ListSignInsRequest* request,
                                        v1::ListSignInsResponse* response) override;
  grpc::ServerUnaryReactor* RevokeSignIns(grpc::CallbackServerContext* context,
                                          const v1::RevokeSignInsRequest* request,
                                          v1::RevokeSignInsResponse* response) override;
  grpc::ServerUnaryReactor* ListSites(grpc::CallbackServerContext* context,
                                      const v1::ListSitesRequest* request,
                                      v1::ListSitesResponse* response) override;
  grpc::ServerUnaryReactor* RehearseSiteLoss(grpc::CallbackServerContext* context,
                                             const v1::RehearseSiteLossRequest* request,
                                             v1::RehearseSiteLossResponse* response) override;
  grpc::ServerUnaryReactor* ConfirmSiteLoss(grpc::CallbackServerContext* context,
                                            const v1::ConfirmSiteLossRequest* request,
                                            v1::SiteStatus* response) override;
  grpc::ServerUnaryReactor* ReadmitSite(grpc::CallbackServerContext* context,
                                        const v1::ReadmitSiteRequest* request,
                                        v1::SiteStatus* response) override;
  grpc::ServerUnaryReactor* AssignDesktop(grpc::CallbackServerContext* context,
                                          const v1::AssignDesktopRequest* request,
                                          v1::DesktopStatus* response) override;
  grpc::ServerUnaryReactor* OverrideFence(grpc::CallbackServerContext* context,
                                          const v1::OverrideFenceRequest* request,
                                          v1::DesktopStatus* response) override;
  grpc::ServerUnaryReactor* Rebalance(grpc::CallbackServerContext* context,
                                      const v1::RebalanceRequest* request,
                                      v1::RebalanceResponse* response) override;
  grpc::ServerUnaryReactor* RevokeCertificates(grpc::CallbackServerContext* context,
                                               const v1::RevokeCertificatesRequest* request,
                                               v1::RevokeCertificatesResponse* response) override;
  grpc::ServerUnaryReactor* ListRevocations(grpc::CallbackServerContext* context,
                                            const v1::ListRevocationsRequest* request,
                                            v1::ListRevocationsResponse* response) override;
  grpc::ServerUnaryReactor* Explain(grpc::CallbackServerContext* context,
                                    const v1::ExplainRequest* request,
                                    v1::Explanation* response) override;
  grpc::ServerUnaryReactor* ListAudit(grpc::CallbackServerContext* context,
                                      const v1::ListAuditRequest* request,
                                      v1::ListAuditResponse* response) override;

 private:
  const ServiceParts parts_;
  const size_t max_waiting_commits_;
  const AddJoinCodeFunction add_join_code_;
};

}  // namespace werkplek
