#include "broker/rpc/attach_stream.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/monotonic.h"

namespace werkplek {

AttachStream* AttachStream::Begin(const Parts& parts, grpc::CallbackServerContext* context,
                                  Admitted admitted) {
  const std::shared_ptr<AttachStream> stream(new AttachStream(parts, context, std::move(admitted)));
  stream->self_ = stream;
  stream->link_ = parts.node->AgentAttached(stream->host_);
  const std::shared_ptr<AgentLink> before =
      parts.links->Register(stream->host_, stream->link_, stream);
  if (before != nullptr) {
    before->Close(absl::AbortedError("another stream of this host took over"));
  }
  stream->StartRead(&stream->report_);
  return stream.get();
}

AttachStream::AttachStream(const Parts& parts, grpc::CallbackServerContext* context,
                           Admitted admitted)
    : StreamWriter(context, parts.max_waiting),
      parts_(parts),
      admitted_(std::move(admitted)),
      host_(absl::StripPrefix(admitted_.caller.peer, "host/")) {}

void AttachStream::Send(const v1::AgentCommand& command) {
  // A full queue drops the command: the next report shows that it is still to be done.
  (void)Push(CoalescingKey(command), command);
}

void AttachStream::Close(const absl::Status& why) { Abort(why); }

void AttachStream::OnReadDone(bool ok) {
  if (!ok) return End(absl::OkStatus());
  if (report_.host() != host_) {
    return Refuse(absl::PermissionDeniedError(absl::StrCat(
        "this certificate is of host ", host_, "; it cannot report about another host")));
  }
  const absl::Duration wait = parts_.report_rate->Take(host_, MonotonicNow());
  if (wait > absl::ZeroDuration()) {
    return Refuse(absl::ResourceExhaustedError("too many reports; attach again"));
  }
  parts_.node->AgentReported(host_, link_, std::exchange(report_, v1::AgentReport()));
  StartRead(&report_);
}

void AttachStream::Refuse(const absl::Status& why) {
  parts_.gate->LogRefusal(admitted_, why);
  Abort(why);
}

void AttachStream::OnCancel() { Abort(absl::CancelledError("the agent went away")); }

void AttachStream::OnDone() {
  const std::shared_ptr<AttachStream> last = std::move(self_);
  parts_.links->Unregister(host_, link_);
  parts_.node->AgentDetached(host_, link_);
}

}  // namespace werkplek
