#include "common/relay/splice.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <utility>

namespace werkplek {

namespace asio = boost::asio;
using boost::system::error_code;

std::shared_ptr<Splice> Splice::Start(asio::io_context& io, std::unique_ptr<StreamEnd> a,
                                      std::unique_ptr<StreamEnd> b, std::string early,
                                      absl::Duration linger, absl::AnyInvocable<void()> done) {
  std::shared_ptr<Splice> splice(
      new Splice(io, std::move(a), std::move(b), std::move(early), linger, std::move(done)));
  if (splice->early_.empty()) {
    splice->Pump(splice->there_);
  } else {
    splice->Forward(splice->there_, splice->early_.data(), splice->early_.size());
  }
  splice->Pump(splice->back_);
  return splice;
}

Splice::Splice(asio::io_context& io, std::unique_ptr<StreamEnd> a, std::unique_ptr<StreamEnd> b,
               std::string early, absl::Duration linger, absl::AnyInvocable<void()> done)
    : io_(io),
      a_(std::move(a)),
      b_(std::move(b)),
      early_(std::move(early)),
      linger_(linger),
      done_(std::move(done)),
      timer_(io) {
  there_.from = back_.to = a_.get();
  there_.to = back_.from = b_.get();
}

void Splice::Pump(Direction& direction) {
  direction.from->Read(asio::buffer(direction.buffer),
                       [self = shared_from_this(), &direction](error_code error, size_t size) {
                         if (self->finished_) return;
                         if (error == asio::error::eof) {
                           direction.to->ShutdownWrite();
                           self->End(direction);
                         } else if (error) {
                           // The line is dead: nothing goes either way.
                           direction.to->ShutdownWrite();
                           self->Finish();
                         } else {
                           self->Forward(direction, direction.buffer.data(), size);
                         }
                       });
}

void Splice::Forward(Direction& direction, const char* data, size_t size) {
  direction.to->Write(asio::const_buffer(data, size),
                      [self = shared_from_this(), &direction](error_code error, size_t written) {
                        if (self->finished_) return;
                        self->bytes_ += written;
                        if (error) {
                          // That side takes no more; what it had sent before is still delivered.
                          self->End(direction);
                        } else {
                          self->Pump(direction);
                        }
                      });
}

void Splice::End(Direction& direction) {
  direction.ended = true;
  if (there_.ended && back_.ended) {
    Finish();
  } else {
    Linger();
  }
}

void Splice::Linger() {
  timer_.expires_after(absl::ToChronoNanoseconds(linger_));
  timer_.async_wait([self = shared_from_this(), before = bytes_](error_code error) {
    if (error || self->finished_) return;
    if (self->bytes_ == before) {
      self->Finish();
    } else {
      self->Linger();
    }
  });
}

void Splice::Cut() {
  if (!finished_) Finish();
}

void Splice::Finish() {
  finished_ = true;
  timer_.cancel();
  a_->Close();
  b_->Close();
  asio::post(io_, [self = shared_from_this()] { self->done_(); });
}

}  // namespace werkplek
