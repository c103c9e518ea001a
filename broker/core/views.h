// What the read-only calls answer, from a picture of the fleet. Pure and thread-safe. Whether the
// caller may ask is judged before (access.h).
#pragma once

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "broker/core/settings.h"
#include "broker/model/fleet.h"
#include "werkplek/v1/admin.pb.h"
#include "werkplek/v1/session.pb.h"

namespace werkplek {

// What every view is made from. `me` is the caller's sign-in (SignInOf in access.h); it is needed
// by ListPools only.
struct ViewContext {
  const Fleet& fleet;
  const BrokerSettings& settings;
  absl::Time now;
  const v1::SignIn* me = nullptr;
};

// A page is cut at `limit` (0 or more than 1,000: 1,000) and at 48 KiB, whichever comes first; its
// first entry is always given. INVALID_ARGUMENT names the field; NOT_FOUND names what is not there.
absl::StatusOr<v1::ListPoolsResponse> View(const ViewContext& context,
                                           const v1::ListPoolsRequest& request);
absl::StatusOr<v1::Resource> View(const ViewContext& context,
                                  const v1::GetResourceRequest& request);
absl::StatusOr<v1::ListResourcesResponse> View(const ViewContext& context,
                                               const v1::ListResourcesRequest& request);
absl::StatusOr<v1::ListHostsResponse> View(const ViewContext& context,
                                           const v1::ListHostsRequest& request);
absl::StatusOr<v1::ListPoolStatusResponse> View(const ViewContext& context,
                                                const v1::ListPoolStatusRequest& request);
absl::StatusOr<v1::ListDesktopsResponse> View(const ViewContext& context,
                                              const v1::ListDesktopsRequest& request);
absl::StatusOr<v1::DesktopStatus> View(const ViewContext& context,
                                       const v1::GetDesktopRequest& request);
// Without their explanations, which GetSession and Explain give.
absl::StatusOr<v1::ListSessionsResponse> View(const ViewContext& context,
                                              const v1::ListSessionsRequest& request);
absl::StatusOr<v1::Session> View(const ViewContext& context, const v1::GetSessionRequest& request);
absl::StatusOr<v1::ListTokensResponse> View(const ViewContext& context,
                                            const v1::ListTokensRequest& request);
absl::StatusOr<v1::ListSignInsResponse> View(const ViewContext& context,
                                             const v1::ListSignInsRequest& request);
absl::StatusOr<v1::Explanation> View(const ViewContext& context, const v1::ExplainRequest& request);
absl::StatusOr<v1::ListRevocationsResponse> View(const ViewContext& context,
                                                 const v1::ListRevocationsRequest& request);

// A desktop with what its host last said; while the host is not up, the reported power is
// POWER_UNSPECIFIED and no error is reported. Nor is one of an older generation.
v1::DesktopStatus DesktopStatusOf(const ViewContext& context, const v1::Desktop& desktop);

// A session as its owner sees it.
v1::SessionView SessionViewOf(const v1::Session& session);

}  // namespace werkplek
