#include "agent/hypervisor/libvirt_error.h"

#include <libvirt/virterror.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace werkplek {
namespace {

absl::StatusCode CodeOf(int code) {
  switch (code) {
    case VIR_ERR_NO_DOMAIN:
    case VIR_ERR_NO_DOMAIN_METADATA:
      return absl::StatusCode::kNotFound;
    case VIR_ERR_DOM_EXIST:
      return absl::StatusCode::kAlreadyExists;
    case VIR_ERR_OPERATION_INVALID:
      return absl::StatusCode::kFailedPrecondition;
    case VIR_ERR_OPERATION_TIMEOUT:
      return absl::StatusCode::kDeadlineExceeded;
    case VIR_ERR_AGENT_UNRESPONSIVE:
    case VIR_ERR_AGENT_UNSYNCED:
    case VIR_ERR_NO_CONNECT:
    case VIR_ERR_INVALID_CONN:
    case VIR_ERR_RPC:
    case VIR_ERR_SYSTEM_ERROR:
    case VIR_ERR_RESOURCE_BUSY:
      return absl::StatusCode::kUnavailable;
    case VIR_ERR_NO_SUPPORT:
    case VIR_ERR_OPERATION_UNSUPPORTED:
    case VIR_ERR_CONFIG_UNSUPPORTED:
    case VIR_ERR_ARGUMENT_UNSUPPORTED:
      return absl::StatusCode::kUnimplemented;
    case VIR_ERR_INVALID_ARG:
    case VIR_ERR_XML_ERROR:
    case VIR_ERR_XML_DETAIL:
    case VIR_ERR_XML_INVALID_SCHEMA:
      return absl::StatusCode::kInvalidArgument;
    case VIR_ERR_NO_MEMORY:
      return absl::StatusCode::kResourceExhausted;
    case VIR_ERR_ACCESS_DENIED:
    case VIR_ERR_AUTH_FAILED:
      return absl::StatusCode::kPermissionDenied;
    default:
      return absl::StatusCode::kInternal;
  }
}

}  // namespace

absl::Status LibvirtStatus(int code, absl::string_view message, absl::string_view what) {
  return absl::Status(CodeOf(code), absl::StrCat(what, ": ", message));
}

ShutdownAnswer JudgeGuestShutdown(int code, absl::string_view message) {
  switch (code) {
    case VIR_ERR_INTERNAL_ERROR:
      return absl::StrContains(message, "End of file from agent socket") ? ShutdownAnswer::kTaken
                                                                         : ShutdownAnswer::kPerhaps;
    case VIR_ERR_OPERATION_INVALID:  // "domain is not running", now.
    case VIR_ERR_OPERATION_FAILED:
    case VIR_ERR_AGENT_UNSYNCED:
      return ShutdownAnswer::kPerhaps;
    default:
      return ShutdownAnswer::kNotTaken;
  }
}

absl::Status LastLibvirtStatus(absl::string_view what) {
  const virErrorPtr error = virGetLastError();
  absl::Status status =
      error == nullptr || error->code == VIR_ERR_OK
          ? absl::InternalError(absl::StrCat(what, ": libvirt gave no reason"))
          : LibvirtStatus(error->code, error->message ? error->message : "", what);
  virResetLastError();
  return status;
}

}  // namespace werkplek
