#include "broker/rpc/agent_links.h"

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace werkplek {
namespace {

class RecordingLink : public AgentLink {
 public:
  void Send(const v1::AgentCommand& command) override { sent.push_back(command.desktop()); }
  void Close(const absl::Status& why) override { closed = why; }
  const Caller& caller() const override { return peer; }

  std::vector<std::string> sent;
  absl::Status closed;
  Caller peer;
};

v1::AgentCommand For(const std::string& desktop, v1::CommandVerb verb) {
  v1::AgentCommand command;
  command.set_desktop(desktop);
  command.set_verb(verb);
  return command;
}

TEST(GrpcAgentLinks, SendsToTheHostsCurrentStreamOnly) {
  GrpcAgentLinks links;
  const auto first = std::make_shared<RecordingLink>();
  const auto second = std::make_shared<RecordingLink>();
  EXPECT_EQ(links.Register("hv-a1", 1, first), nullptr);
  links.Send("hv-a1", 1, For("d1", v1::COMMAND_START));
  EXPECT_EQ(links.Register("hv-a1", 2, second), first);
  links.Send("hv-a1", 1, For("d2", v1::COMMAND_START));
  links.Send("hv-a1", 2, For("d3", v1::COMMAND_START));
  links.Send("hv-a2", 2, For("d4", v1::COMMAND_START));
  EXPECT_EQ(first->sent, std::vector<std::string>{"d1"});
  EXPECT_EQ(second->sent, std::vector<std::string>{"d3"});
}

TEST(GrpcAgentLinks, AnEndedStreamDoesNotTakeItsSuccessorAlong) {
  GrpcAgentLinks links;
  const auto first = std::make_shared<RecordingLink>();
  const auto second = std::make_shared<RecordingLink>();
  links.Register("hv-a1", 1, first);
  links.Register("hv-a1", 2, second);
  links.Unregister("hv-a1", 1);
  EXPECT_EQ(links.size(), 1u);
  links.Close("hv-a1", 2, absl::AbortedError("x"));
  EXPECT_TRUE(absl::IsAborted(second->closed));
  links.Unregister("hv-a1", 2);
  EXPECT_EQ(links.size(), 0u);
  EXPECT_EQ(second.use_count(), 1);
}

TEST(CoalescingKey, OnePerDesktopForWhatAMachineShouldBe) {
  const std::string start = CoalescingKey(For("d1", v1::COMMAND_START));
  for (const v1::CommandVerb verb : {v1::COMMAND_SUSPEND, v1::COMMAND_RESUME, v1::COMMAND_STOP,
                                     v1::COMMAND_RESET, v1::COMMAND_REMOVE}) {
    EXPECT_EQ(CoalescingKey(For("d1", verb)), start) << verb;
    EXPECT_NE(CoalescingKey(For("d2", verb)), start) << verb;
  }
}

TEST(CoalescingKey, OtherVerbsKeepToThemselves) {
  std::vector<std::string> keys;
  for (const v1::CommandVerb verb :
       {v1::COMMAND_START, v1::COMMAND_BEGIN_SESSION, v1::COMMAND_END_SESSION,
        v1::COMMAND_GRANT_TICKET, v1::COMMAND_CLOSE_DISPLAY, v1::COMMAND_HEARD}) {
    keys.push_back(CoalescingKey(For("d1", verb)));
  }
  for (size_t i = 0; i < keys.size(); ++i) {
    EXPECT_FALSE(keys[i].empty());
    for (size_t j = 0; j < i; ++j) EXPECT_NE(keys[i], keys[j]);
  }
}

TEST(CoalescingKey, ImagesAreKnownByTheirNames) {
  v1::AgentCommand fetch = For("", v1::COMMAND_FETCH_IMAGE);
  fetch.set_image_name("kantoor-1");
  v1::AgentCommand drop = For("", v1::COMMAND_DROP_IMAGE);
  drop.set_image_name("kantoor-1");
  v1::AgentCommand other = fetch;
  other.set_image_name("kantoor-2");
  EXPECT_EQ(CoalescingKey(fetch), CoalescingKey(drop));
  EXPECT_NE(CoalescingKey(fetch), CoalescingKey(other));
}

TEST(GrpcAgentLinks, ClosesThoseThatAreNotWelcome) {
  GrpcAgentLinks links;
  const auto good = std::make_shared<RecordingLink>();
  const auto bad = std::make_shared<RecordingLink>();
  good->peer.peer = "host/hv-a1";
  bad->peer.peer = "host/hv-a2";
  links.Register("hv-a1", 1, good);
  links.Register("hv-a2", 2, bad);
  links.CloseUnwelcome([](const Caller& caller) {
    return caller.peer == "host/hv-a2" ? absl::PermissionDeniedError("revoked") : absl::OkStatus();
  });
  EXPECT_TRUE(good->closed.ok());
  EXPECT_EQ(bad->closed, absl::PermissionDeniedError("revoked"));
}

}  // namespace
}  // namespace werkplek
