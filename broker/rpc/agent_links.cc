#include "broker/rpc/agent_links.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace werkplek {

std::string CoalescingKey(const v1::AgentCommand& command) {
  switch (command.verb()) {
    case v1::COMMAND_START:
    case v1::COMMAND_SUSPEND:
    case v1::COMMAND_RESUME:
    case v1::COMMAND_STOP:
    case v1::COMMAND_RESET:
    case v1::COMMAND_REMOVE:
      return absl::StrCat("power/", command.desktop());
    case v1::COMMAND_FETCH_IMAGE:
    case v1::COMMAND_DROP_IMAGE:
      return absl::StrCat("image/", command.image_name());
    default:
      return absl::StrCat(static_cast<int>(command.verb()), "/", command.desktop());
  }
}

void GrpcAgentLinks::Send(const std::string& host, uint64_t link, const v1::AgentCommand& command) {
  if (const auto stream = Find(host, link); stream != nullptr) stream->Send(command);
}

void GrpcAgentLinks::Close(const std::string& host, uint64_t link, const absl::Status& why) {
  if (const auto stream = Find(host, link); stream != nullptr) stream->Close(why);
}

std::shared_ptr<AgentLink> GrpcAgentLinks::Register(const std::string& host, uint64_t link,
                                                    std::shared_ptr<AgentLink> stream) {
  MutexLock lock(mutex_);
  Entry& entry = links_[host];
  entry.link = link;
  return std::exchange(entry.stream, std::move(stream));
}

void GrpcAgentLinks::Unregister(const std::string& host, uint64_t link) {
  std::shared_ptr<AgentLink> ended;  // its destructor runs without the lock
  MutexLock lock(mutex_);
  const auto found = links_.find(host);
  if (found == links_.end() || found->second.link != link) return;
  ended = std::move(found->second.stream);
  links_.erase(found);
}

void GrpcAgentLinks::CloseUnwelcome(absl::FunctionRef<absl::Status(const Caller& caller)> judge) {
  std::vector<std::shared_ptr<AgentLink>> streams;
  {
    MutexLock lock(mutex_);
    streams.reserve(links_.size());
    for (const auto& [host, entry] : links_) streams.push_back(entry.stream);
  }
  for (const auto& stream : streams) {
    if (const absl::Status welcome = judge(stream->caller()); !welcome.ok()) stream->Close(welcome);
  }
}

size_t GrpcAgentLinks::size() const {
  MutexLock lock(mutex_);
  return links_.size();
}

std::shared_ptr<AgentLink> GrpcAgentLinks::Find(const std::string& host, uint64_t link) const {
  MutexLock lock(mutex_);
  const auto found = links_.find(host);
  if (found == links_.end() || found->second.link != link) return nullptr;
  return found->second.stream;
}

}  // namespace werkplek
