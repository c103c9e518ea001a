// Requests and answers of our small HTTPS endpoints.
#pragma once

#include <functional>
#include <string>

namespace werkplek {

struct HttpRequest {
  std::string method;
  // As sent, path and query: "/v1/join".
  std::string target;
  std::string content_type;
  std::string body;
  // The peer's, without port: "192.0.2.7".
  std::string address;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  // An answer's field `Date`, as it came; empty: none. Not sent.
  std::string date = {};
};

// Runs on a thread of the server and must not block it for long.
using HttpHandler = std::function<HttpResponse(const HttpRequest&)>;

}  // namespace werkplek
