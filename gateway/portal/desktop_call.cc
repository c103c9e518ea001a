#include "gateway/portal/desktop_call.h"

#include <utility>

namespace werkplek {

class DesktopCall::Stream : public std::enable_shared_from_this<Stream> {
 public:
  Stream(BrokerLines* lines, CalledFor whom, v1::ConnectRequest request, Listener listener)
      : lines_(lines),
        whom_(std::move(whom)),
        request_(std::move(request)),
        listener_(std::move(listener)) {}

  void Try() { (new Attempt(shared_from_this()))->Start(); }

  void Cancel() {
    MutexLock lock(mutex_);
    cancelled_ = true;
    if (context_ != nullptr) context_->TryCancel();
  }

 private:
  // The stream of one broker; belongs to gRPC until OnDone.
  class Attempt : public grpc::ClientReadReactor<v1::ConnectUpdate> {
   public:
    explicit Attempt(std::shared_ptr<Stream> stream)
        : stream_(std::move(stream)),
          line_(stream_->lines_->Nearest()),
          stub_(stream_->lines_->StubForStream(line_)) {}

    void Start() {
      if (!stream_->Begin(*context_)) {
        stream_->listener_.end(absl::CancelledError("given up"));
        delete this;
        return;
      }
      stub_->async()->Connect(context_.get(), &stream_->request_, this);
      StartRead(&update_);
      StartCall();
    }

    void OnReadDone(bool ok) override {
      if (!ok) return;
      stream_->Update(update_);
      update_.Clear();
      StartRead(&update_);
    }

    void OnDone(const grpc::Status& status) override {
      BrokerLines* const lines = stream_->lines_;
      stream_->Ended(line_, status);
      std::unique_ptr<grpc::ClientContext> context = std::move(context_);
      delete this;
      lines->End(std::move(context));
    }

   private:
    const std::shared_ptr<Stream> stream_;
    const BrokerLines::Line& line_;
    const std::shared_ptr<v1::SessionService::Stub> stub_;
    std::unique_ptr<grpc::ClientContext> context_ = std::make_unique<grpc::ClientContext>();
    v1::ConnectUpdate update_;
  };

  bool Begin(grpc::ClientContext& context) {
    MutexLock lock(mutex_);
    if (cancelled_ || !lines_->Begin(context, whom_)) return false;
    context_ = &context;
    return true;
  }

  void Update(const v1::ConnectUpdate& update) {
    // What was heard shows that this broker is well: failures are counted anew from here.
    failures_ = 0;
    listener_.update(update);
  }

  void Ended(const BrokerLines::Line& line, const grpc::Status& status) {
    bool cancelled = false;
    {
      MutexLock lock(mutex_);
      context_ = nullptr;
      cancelled = cancelled_;
    }
    if (status.error_code() == grpc::StatusCode::UNAVAILABLE && !cancelled &&
        ++failures_ <= lines_->size()) {
      lines_->PassOver(line);
      return Try();
    }
    listener_.end(
        absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message()));
  }

  BrokerLines* const lines_;
  const CalledFor whom_;
  const v1::ConnectRequest request_;
  const Listener listener_;
  // Of one attempt after the other.
  size_t failures_ = 0;
  Mutex mutex_;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::ClientContext* context_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

DesktopCall::DesktopCall(BrokerLines* lines, CalledFor whom, v1::ConnectRequest request,
                         Listener listener)
    : stream_(std::make_shared<Stream>(lines, std::move(whom), std::move(request),
                                       std::move(listener))) {
  stream_->Try();
}

DesktopCall::~DesktopCall() { stream_->Cancel(); }

}  // namespace werkplek
