// People of a test with one-time codes.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "broker/node/ports.h"
#include "broker/token/token_authority.h"

namespace werkplek {

class Enrolments {
 public:
  Enrolments();

  // Enrols these, and commits it under epoch 1, before any broker leads. Any failure ends the test
  // program. The store's executor must run by itself.
  void Commit(const std::vector<std::string>& users, Store* store, Executor* executor);

  // What brokers judge the codes with.
  const TokenAuthority& tokens() const { return *tokens_; }
  // The person's code now. Good for one sign-in.
  std::string CodeNow(const std::string& user) const;

 private:
  std::unique_ptr<TokenAuthority> tokens_;
  std::map<std::string, std::string> seeds_;
};

}  // namespace werkplek
