// An LDAPS server that does what a test tells it to, right or wrong. One thread per connection.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/slapd/slapd.h"

struct ssl_ctx_st;
struct ssl_st;

namespace werkplek {

// BER (X.690): one element.
std::string Ber(uint8_t tag, const std::string& content);
// A whole LDAP message around a protocol operation.
std::string LdapMessageBytes(int id, const std::string& operation);
// LDAPResult components (RFC 4511 section 4.1.9) under the tag of a response.
std::string LdapResultBytes(uint8_t tag, int code);
// A search entry with one value per attribute.
std::string LdapEntryBytes(const std::string& dn,
                           const std::vector<std::pair<std::string, std::string>>& attributes);

inline constexpr uint8_t kLdapBindRequest = 0x60;
inline constexpr uint8_t kLdapBindResponse = 0x61;
inline constexpr uint8_t kLdapSearchRequest = 0x63;
inline constexpr uint8_t kLdapSearchEntry = 0x64;
inline constexpr uint8_t kLdapSearchDone = 0x65;
inline constexpr uint8_t kLdapExtendedResponse = 0x78;

class ScriptedLdapServer {
 public:
  struct Request {
    int id = 0;
    uint8_t operation = 0;
    // The whole message.
    std::string bytes;
  };
  class Session {
   public:
    // False: the connection is gone, or the server stops.
    bool Write(const std::string& bytes);
    // Waits a moment, or until the other side says or ends something; false as Write.
    bool Pause();

   private:
    friend class ScriptedLdapServer;
    bool Read(Request& request);
    bool ReadExactly(char* to, size_t count);
    ssl_st* ssl = nullptr;
    int descriptor = -1;
    const std::atomic<bool>* stopping = nullptr;
  };
  // Answers one request; false ends the connection.
  using Script = std::function<bool(Session& session, const Request& request)>;

  ScriptedLdapServer(const ServerCertificate& certificate, Script script);
  ~ScriptedLdapServer();
  ScriptedLdapServer(const ScriptedLdapServer&) = delete;
  ScriptedLdapServer& operator=(const ScriptedLdapServer&) = delete;

  std::string url() const;
  int connections() const { return taken_; }

 private:
  void Accept();
  void Serve(int descriptor);

  const Script script_;
  ssl_ctx_st* context_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> taken_ = 0;
  std::vector<std::thread> sessions_;
  std::thread acceptor_;
};

}  // namespace werkplek
