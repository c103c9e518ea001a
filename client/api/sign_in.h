// Signing in and out, as both client programs do it.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/api/broker_client.h"
#include "client/api/terminal.h"
#include "client/api/token_file.h"
#include "werkplek/v1/session.grpc.pb.h"

namespace werkplek {

struct Credentials {
  std::string user;
  Secret password;
  // Empty: none given, which is right where the broker asks for none.
  Secret token_code;
};

// What the questions are called in the person's language.
struct CredentialQuestions {
  std::string user;
  std::string password;
  std::string token_code;
  // For when there is nobody to ask for the user's name, or for the password.
  std::string user_missing;
  std::string password_missing;
};

// Asks for what is missing: `user` when empty, then password and code, both hidden. When the input
// is no terminal it reads two lines, password and code.
absl::StatusOr<Credentials> AskCredentials(Terminal& terminal, const CredentialQuestions& questions,
                                           absl::string_view user);

// What this machine says of itself.
v1::ClientFacts FactsOfThisMachine(absl::string_view program, absl::string_view language);

// Signs in and keeps the access token in `file`; an older sign-in there is replaced.
absl::StatusOr<v1::SignInResponse> SignInAndKeep(BrokerClient& client, const TokenFile& file,
                                                 const Credentials& credentials,
                                                 const v1::ClientFacts& facts);

// Ends the sign-in at the broker, then here. One that the broker does not know any more is fine.
absl::Status SignOutAndForget(BrokerClient& client, const TokenFile& file);

}  // namespace werkplek
