#include "agent/hypervisor/guest_agent_protocol.h"

#include <sodium.h>

#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

using nlohmann::json;

absl::Status BadAnswer() {
  return absl::UnavailableError("the guest agent gave an answer that is none");
}

// The value of "return" when it is an object.
absl::StatusOr<json> ReturnOf(absl::string_view text) {
  json answer = json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object() || !answer.contains("return") || !answer["return"].is_object()) {
    return BadAnswer();
  }
  return std::move(answer["return"]);
}

absl::Status AppendDecoded(const json& answer, const char* key, std::string& output) {
  if (!answer.contains(key)) return absl::OkStatus();
  if (!answer[key].is_string()) return BadAnswer();
  const std::string& encoded = answer[key].get_ref<const std::string&>();
  std::string decoded(encoded.size(), '\0');
  size_t length = 0;
  if (sodium_base642bin(reinterpret_cast<unsigned char*>(decoded.data()), decoded.size(),
                        encoded.data(), encoded.size(), nullptr, &length, nullptr,
                        sodium_base64_VARIANT_ORIGINAL) != 0) {
    return BadAnswer();
  }
  output.append(decoded, 0, std::min(length, kMaxGuestOutput - output.size()));
  return absl::OkStatus();
}

}  // namespace

std::string GuestExecRequest(const std::vector<std::string>& command, const std::string& input) {
  json arguments = {{"path", command[0]},
                    {"arg", std::vector<std::string>(command.begin() + 1, command.end())},
                    {"capture-output", true}};
  if (!input.empty()) arguments["input-data"] = absl::Base64Escape(input);
  return json{{"execute", "guest-exec"}, {"arguments", arguments}}.dump(
      -1, ' ', /*ensure_ascii=*/true, json::error_handler_t::replace);
}

absl::StatusOr<int64_t> ParseGuestExecAnswer(absl::string_view text) {
  ASSIGN_OR_RETURN(const json answer, ReturnOf(text));
  if (!answer.contains("pid") || !answer["pid"].is_number_integer()) return BadAnswer();
  return answer["pid"].get<int64_t>();
}

std::string GuestExecStatusRequest(int64_t pid) {
  return json{{"execute", "guest-exec-status"}, {"arguments", {{"pid", pid}}}}.dump();
}

absl::StatusOr<std::optional<GuestExecResult>> ParseGuestExecStatus(absl::string_view text) {
  ASSIGN_OR_RETURN(const json answer, ReturnOf(text));
  if (!answer.contains("exited") || !answer["exited"].is_boolean()) return BadAnswer();
  if (!answer["exited"].get<bool>()) return std::optional<GuestExecResult>();
  GuestExecResult result;
  if (answer.contains("signal") && answer["signal"].is_number_integer()) {
    result.exit_code = 128 + static_cast<int>(answer["signal"].get<int64_t>() & 0x7f);
  } else if (answer.contains("exitcode") && answer["exitcode"].is_number_integer()) {
    result.exit_code = static_cast<int>(answer["exitcode"].get<int64_t>());
  } else {
    return BadAnswer();
  }
  RETURN_IF_ERROR(AppendDecoded(answer, "out-data", result.output));
  RETURN_IF_ERROR(AppendDecoded(answer, "err-data", result.output));
  return std::optional<GuestExecResult>(std::move(result));
}

}  // namespace werkplek
