#include "common/http/http_client.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"
#include "common/config/units.h"

namespace werkplek {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Tcp = asio::ip::tcp;
using Error = boost::system::error_code;

constexpr size_t kMaxAnswerBytes = 64 * 1024;
constexpr size_t kMaxUrlBytes = 1024;

struct Url {
  HostPort authority;
  // "NAME:PORT" for the Host header.
  std::string host_header;
  std::string target;
};

absl::StatusOr<Url> ParseUrl(const std::string& text) {
  const absl::Status bad =
      absl::InvalidArgumentError("the URL must have the form https://NAME:PORT/PATH");
  absl::string_view rest = text;
  if (text.size() > kMaxUrlBytes || !absl::ConsumePrefix(&rest, "https://")) return bad;
  const size_t slash = rest.find('/');
  if (slash == absl::string_view::npos) return bad;
  Url url;
  url.target = std::string(rest.substr(slash));
  for (const char c : url.target) {
    if (c <= ' ' || c >= 0x7f) return bad;
  }
  url.host_header = std::string(rest.substr(0, slash));
  absl::StatusOr<HostPort> authority = ParseHostPort(url.host_header);
  if (!authority.ok()) authority = ParseHostPort(absl::StrCat(url.host_header, ":443"));
  if (!authority.ok() || authority->port == 0) return bad;
  url.authority = *authority;
  return url;
}

// One exchange on its own io_context; each step starts the next.
class Exchange {
 public:
  Exchange(const Url& url, asio::ssl::context context)
      : url_(url), context_(std::move(context)), stream_(io_, context_) {
    request_.method(http::verb::get);
    request_.version(11);
    request_.target(url.target);
    request_.set(http::field::host, url.host_header);
    request_.keep_alive(false);
    parser_.body_limit(kMaxAnswerBytes);
  }

  void Post(absl::string_view content_type, const std::string& body) {
    request_.method(http::verb::post);
    request_.set(http::field::content_type,
                 boost::string_view(content_type.data(), content_type.size()));
    request_.body() = body;
    request_.prepare_payload();
  }

  absl::StatusOr<HttpResponse> Run(absl::Duration limit) {
    // RFC 6066 section 3: names only, no addresses.
    Error not_an_address;
    asio::ip::make_address(url_.authority.host, not_an_address);
    if (not_an_address) {
      SSL_set_tlsext_host_name(stream_.native_handle(), url_.authority.host.c_str());
    }
    resolver_.async_resolve(url_.authority.host, std::to_string(url_.authority.port),
                            [this](Error error, const Tcp::resolver::results_type& found) {
                              if (!Step("no address", error)) return;
                              beast::get_lowest_layer(stream_).async_connect(
                                  found, [this](Error connected, const Tcp::endpoint&) {
                                    if (Step("no connection", connected)) Shake();
                                  });
                            });
    io_.run_for(absl::ToChronoMilliseconds(limit));
    if (done_) return std::move(answer_);
    return absl::UnavailableError(
        absl::StrCat("no answer within ", DurationText(limit), " (", step_, ")"));
  }

 private:
  void Shake() {
    step_ = "TLS handshake";
    stream_.async_handshake(asio::ssl::stream_base::client, [this](Error error) {
      if (!Step("TLS failed", error)) return;
      step_ = "request";
      http::async_write(stream_, request_, [this](Error written, size_t) {
        if (!Step("the request was not taken", written)) return;
        step_ = "answer";
        http::async_read(stream_, buffer_, parser_, [this](Error read, size_t) {
          if (Step("no whole answer", read)) Finish();
        });
      });
    });
  }

  void Finish() {
    const auto& message = parser_.get();
    HttpResponse response;
    response.status = int(message.result_int());
    response.content_type = std::string(message[http::field::content_type]);
    response.body = message.body();
    response.date = std::string(message[http::field::date]);
    answer_ = std::move(response);
    done_ = true;
  }

  // False: the exchange is over.
  bool Step(absl::string_view what, Error error) {
    if (!error) return true;
    answer_ = absl::UnavailableError(absl::StrCat(what, ": ", error.message()));
    done_ = true;
    return false;
  }

  const Url url_;
  asio::io_context io_{1};
  asio::ssl::context context_;
  Tcp::resolver resolver_{io_};
  beast::ssl_stream<beast::tcp_stream> stream_;
  http::request<http::string_body> request_;
  http::response_parser<http::string_body> parser_;
  // Bounded: Beast's limits do not count a chunk's extension, nor what comes behind the last chunk.
  beast::flat_buffer buffer_{32 * 1024};
  std::string step_ = "connection";
  bool done_ = false;
  absl::StatusOr<HttpResponse> answer_ = absl::UnavailableError("not begun");
};

absl::StatusOr<HttpResponse> Run(Exchange& exchange, const std::string& url, absl::Duration limit) {
  absl::StatusOr<HttpResponse> answer = exchange.Run(limit);
  OpensslError();
  if (answer.ok()) return answer;
  return absl::Status(answer.status().code(), absl::StrCat(url, ": ", answer.status().message()));
}

}  // namespace

absl::StatusOr<HttpResponse> HttpsPost(const std::string& url, const SslContextPointer& context,
                                       absl::string_view content_type, const std::string& body,
                                       absl::Duration limit) {
  ASSIGN_OR_RETURN(const Url parsed, ParseUrl(url));
  SSL_CTX_up_ref(context.get());
  Exchange exchange(parsed, asio::ssl::context(context.get()));
  exchange.Post(content_type, body);
  return Run(exchange, url, limit);
}

absl::StatusOr<HttpResponse> HttpsGet(const std::string& url, const SslContextPointer& context,
                                      absl::Duration limit) {
  ASSIGN_OR_RETURN(const Url parsed, ParseUrl(url));
  SSL_CTX_up_ref(context.get());
  Exchange exchange(parsed, asio::ssl::context(context.get()));
  return Run(exchange, url, limit);
}

}  // namespace werkplek
