// Makes one call at one broker with exactly the request that is given, as often as a test likes:
// for requests that come twice, late, or at another broker. The real client makes a new id each
// time.
//   ask_broker CONFIG BROKER METHOD REQUEST
// BROKER is its place in the configuration, from 0; REQUEST is JSON. The access token comes in the
// variable ACCESS_TOKEN. Prints the answer as JSON, of a stream its last message.
#include <google/protobuf/util/json_util.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "client/api/broker_client.h"
#include "client/api/client_config.h"
#include "common/base/status_macros.h"
#include "common/tls/process_tls.h"
#include "werkplek/v1/admin.grpc.pb.h"
#include "werkplek/v1/session.grpc.pb.h"

namespace werkplek {
namespace {

using Channel = std::shared_ptr<grpc::Channel>;
using google::protobuf::Message;

constexpr absl::Duration kPatience = absl::Seconds(60);

absl::Status Fill(const std::string& json, Message& request) {
  const auto status = google::protobuf::util::JsonStringToMessage(json, &request);
  if (status.ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("REQUEST: ", status.ToString()));
}

absl::StatusOr<std::string> Told(const grpc::Status& status, const Message& answer) {
  if (!status.ok()) {
    return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  }
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  const auto printed = google::protobuf::util::MessageToJsonString(answer, &text, options);
  if (!printed.ok()) return absl::InternalError(printed.ToString());
  return text;
}

void Prepare(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(kPatience));
  const char* token = std::getenv("ACCESS_TOKEN");
  if (token != nullptr) context.AddMetadata("authorization", absl::StrCat("Bearer ", token));
}

template <typename Stub, typename Request, typename Response>
absl::StatusOr<std::string> Ask(const Channel& channel, const std::string& json,
                                grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*)) {
  Request request;
  RETURN_IF_ERROR(Fill(json, request));
  grpc::ClientContext context;
  Prepare(context);
  Response response;
  const grpc::Status status = (Stub(channel).*method)(&context, request, &response);
  return Told(status, response);
}

absl::StatusOr<std::string> Connect(const Channel& channel, const std::string& json) {
  v1::ConnectRequest request;
  RETURN_IF_ERROR(Fill(json, request));
  grpc::ClientContext context;
  Prepare(context);
  v1::SessionService::Stub stub(channel);
  const auto reader = stub.Connect(&context, request);
  v1::ConnectUpdate update;
  v1::ConnectUpdate last;
  while (reader->Read(&update)) last = update;
  return Told(reader->Finish(), last);
}

absl::StatusOr<std::string> Call(const Channel& channel, const std::string& method,
                                 const std::string& json) {
  using Sessions = v1::SessionService::Stub;
  using Admin = v1::AdminService::Stub;
  if (method == "SignIn") return Ask(channel, json, &Sessions::SignIn);
  if (method == "Connect") return Connect(channel, json);
  if (method == "Disconnect") return Ask(channel, json, &Sessions::Disconnect);
  if (method == "EndSession") return Ask(channel, json, &Sessions::EndSession);
  if (method == "CreateResource") return Ask(channel, json, &Admin::CreateResource);
  if (method == "UpdateResource") return Ask(channel, json, &Admin::UpdateResource);
  if (method == "DeleteResource") return Ask(channel, json, &Admin::DeleteResource);
  return absl::InvalidArgumentError(absl::StrCat("METHOD: there is no ", method, " here"));
}

absl::StatusOr<std::string> Run(const std::vector<std::string>& words) {
  RETURN_IF_ERROR(RequireTls13InThisProcess());
  ASSIGN_OR_RETURN(const ClientConfig config, LoadClientConfig(words[0]));
  ASSIGN_OR_RETURN(const std::vector<BrokerEndpoint> brokers, OpenBrokers(config));
  size_t broker = 0;
  if (!absl::SimpleAtoi(words[1], &broker) || broker >= brokers.size()) {
    return absl::InvalidArgumentError("BROKER: give its place in the configuration, from 0");
  }
  return Call(brokers[broker].channel, words[2], words[3]);
}

int Main(const std::vector<std::string>& words) {
  if (words.size() != 4) {
    std::cerr << "ask_broker CONFIG BROKER METHOD REQUEST\n";
    return 2;
  }
  const absl::StatusOr<std::string> answer = Run(words);
  if (!answer.ok()) {
    std::cerr << answer.status() << "\n";
    return 1;
  }
  std::cout << *answer << "\n";
  return 0;
}

}  // namespace
}  // namespace werkplek

int main(int argc, char** argv) { return werkplek::Main({argv + 1, argv + argc}); }
