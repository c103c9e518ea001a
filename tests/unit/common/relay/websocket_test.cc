// Browsers at the relay: the upgrade, and frames as RFC 6455 writes them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/relay/relay_server.h"
#include "common/relay/websocket_end.h"
#include "tests/unit/common/relay/relay_harness.h"

namespace werkplek {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr char kOrigin[] = "https://werkplek.example.nl";

class WebSocketTest : public RelayTest {
 protected:
  void SetUp() override {
    options_.origins = {kOrigin, "https://other.example.nl:8443"};
    Start();
  }

  static std::string Upgrade(const std::string& origin_line,
                             const std::string& protocols = "werkplek.display, werkplek.ticket.abc",
                             const std::string& target = "/kantoor-1") {
    return absl::StrCat("GET ", target, " HTTP/1.1\r\nHost: gw\r\n", origin_line,
                        "Upgrade: websocket\r\nConnection: Upgrade\r\n",
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
                        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ", protocols,
                        "\r\n\r\n");
  }
  static std::string Good() { return Upgrade(absl::StrCat("Origin: ", kOrigin, "\r\n")); }

  // A client's frame: final, masked with zeros (which leaves the text readable here).
  static std::string Frame(int opcode, const std::string& payload, bool masked = true) {
    std::string frame(1, static_cast<char>(0x80 | opcode));
    const char mask = masked ? static_cast<char>(0x80) : 0;
    if (payload.size() < 126) {
      frame += static_cast<char>(mask | static_cast<char>(payload.size()));
    } else {
      frame += static_cast<char>(mask | 127);
      for (int shift = 56; shift >= 0; shift -= 8) {
        frame += static_cast<char>((payload.size() >> shift) & 0xff);
      }
    }
    if (masked) frame += std::string(4, '\0');
    return frame + payload;
  }

  // The close code of the close frame that the server sends next.
  static int CloseCode(RawClient& client) {
    const std::string frame = client.Receive(4);
    if (frame.size() < 4 || static_cast<unsigned char>(frame[0]) != 0x88) return -1;
    return static_cast<unsigned char>(frame[2]) * 256 + static_cast<unsigned char>(frame[3]);
  }
};

TEST_F(WebSocketTest, BinaryMessagesAreTheDisplaysBytes) {
  RawClient client = Raw();
  ASSERT_TRUE(client.Send(Good()));
  const std::string head = client.ReceiveHead();
  EXPECT_THAT(head, StartsWith("HTTP/1.1 101 "));
  EXPECT_THAT(head, HasSubstr("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
  EXPECT_THAT(head, HasSubstr("Sec-WebSocket-Protocol: werkplek.display\r\n"));
  EXPECT_THAT(head, testing::Not(HasSubstr("abc"))) << "the ticket does not come back";
  const Descriptor display = TakeDisplay();
  ASSERT_TRUE(client.Send(Frame(2, "RFB 003.008\n")));
  EXPECT_EQ(ReadFrom(display.get(), 12), "RFB 003.008\n");
  WriteTo(display.get(), "RFB 003.008\n");
  EXPECT_EQ(client.Receive(14), std::string("\x82\x0cRFB 003.008\n", 14));
  MutexLock lock(mutex_);
  EXPECT_EQ(requests_[0].kind, RelayChannelKind::kVnc);
  EXPECT_EQ(requests_[0].ticket_sha256, Sha256("abc"));
  EXPECT_EQ(requests_[0].viewer, "");
}

TEST_F(WebSocketTest, OnlyTheListedOriginsExactly) {
  for (const char* line :
       {"", "Origin: null\r\n", "Origin: \r\n", "Origin: https://werkplek.example.nl.evil.net\r\n",
        "Origin: https://evil-werkplek.example.nl\r\n",
        "Origin: https://werkplek.example.nl:444\r\n", "Origin: https://WERKPLEK.example.nl\r\n",
        "Origin: http://werkplek.example.nl\r\n", "Origin: https://other.example.nl\r\n",
        "Origin: https://werkplek.example.nl/\r\n",
        "Origin: https://werkplek.example.nl\r\nOrigin: https://evil.net\r\n"}) {
    RawClient client = Raw();
    client.Send(Upgrade(line));
    EXPECT_THAT(client.ReceiveAll(), StartsWith("HTTP/1.1 403 ")) << line;
  }
  MutexLock lock(mutex_);
  EXPECT_TRUE(requests_.empty());
}

TEST_F(WebSocketTest, BadUpgradesAreRefused) {
  const std::string origin = absl::StrCat("Origin: ", kOrigin, "\r\n");
  const std::vector<std::pair<std::string, std::string>> bad = {
      {Upgrade(origin, "werkplek.ticket.abc"), "400"},
      {Upgrade(origin, "werkplek.display"), "401"},
      {Upgrade(origin, "werkplek.display, werkplek.ticket.a, werkplek.ticket.b"), "401"},
      {Upgrade(origin, "werkplek.display, werkplek.ticket.a/b"), "401"},
      {Upgrade(origin, "werkplek.display, werkplek.ticket.abc", "/a/b"), "400"},
      {Upgrade(origin, "werkplek.display, werkplek.ticket.abc", "kantoor-1"), "400"},
  };
  for (const auto& [head, status] : bad) {
    RawClient client = Raw();
    client.Send(head);
    EXPECT_THAT(client.ReceiveAll(), StartsWith(absl::StrCat("HTTP/1.1 ", status, " "))) << head;
  }
}

TEST_F(WebSocketTest, FramesThatBreakTheRulesEndIt) {
  const std::vector<std::pair<std::string, int>> bad = {
      // Not masked.
      {Frame(2, "hello", false), 1002},
      // Longer than a message may be.
      {Frame(2, std::string(WebSocketEnd::kMaxMessageBytes + 1, 'x')), 1009},
      // A reserved opcode.
      {Frame(3, "hello"), 1002},
      // A control frame that is too long.
      {Frame(9, std::string(200, 'p')), 1002},
  };
  for (const auto& [frame, code] : bad) {
    RawClient client = Raw();
    ASSERT_TRUE(client.Send(Good()));
    client.ReceiveHead();
    const Descriptor display = TakeDisplay();
    client.Send(frame);
    EXPECT_EQ(CloseCode(client), code);
    EXPECT_TRUE(AtEnd(display.get()));
  }
}

TEST_F(WebSocketTest, TextEndsIt) {
  RawClient client = Raw();
  ASSERT_TRUE(client.Send(Good()));
  client.ReceiveHead();
  const Descriptor display = TakeDisplay();
  client.Send(Frame(1, "hello"));
  EXPECT_TRUE(AtEnd(display.get()));
  EXPECT_EQ(WaitForClosed(1), 1u);
}

TEST_F(WebSocketTest, ClosingIsAnswered) {
  RawClient client = Raw();
  ASSERT_TRUE(client.Send(Good()));
  client.ReceiveHead();
  const Descriptor display = TakeDisplay();
  client.Send(Frame(8, std::string("\x03\xe8", 2)));
  EXPECT_EQ(CloseCode(client), 1000);
  EXPECT_TRUE(AtEnd(display.get()));
}

}  // namespace
}  // namespace werkplek
