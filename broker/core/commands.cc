#include "broker/core/commands.h"

#include <utility>

#include "broker/model/kept.h"

namespace werkplek {
namespace {

v1::AgentCommand Make(Turn& turn, const v1::Desktop& desktop, v1::CommandVerb verb) {
  v1::AgentCommand command;
  command.set_epoch(turn.state().epoch);
  command.set_desktop(desktop.id());
  command.set_generation(desktop.generation());
  command.set_verb(verb);
  return command;
}

void Go(Turn& turn, const v1::Desktop& desktop, v1::AgentCommand command) {
  turn.state().sent[{desktop.id(), command.verb()}] = {desktop.generation(), turn.now()};
  turn.Emit(SendCommand{desktop.host(), std::move(command)});
}

// What agents take: 256 bytes, cut between characters (UTF-8).
std::string CutName(const std::string& name) {
  constexpr size_t kMax = 256;
  if (name.size() <= kMax) return name;
  size_t end = kMax;
  while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xc0) == 0x80) --end;
  return name.substr(0, end);
}

void FillSession(Turn& turn, const v1::Session& session, v1::AgentCommand& command) {
  command.set_session(session.id());
  command.set_user(session.user());
  const v1::SignIn* sign_in = turn.fleet().sign_ins.Find(session.sign_in());
  command.set_display_name(CutName(sign_in == nullptr ? session.user() : sign_in->display_name()));
}

// About a desktop that stands elsewhere, or nowhere, by the broker's records.
void SendToHost(Turn& turn, const std::string& host, const std::string& desktop,
                uint64_t generation, v1::CommandVerb verb) {
  v1::AgentCommand command;
  command.set_epoch(turn.state().epoch);
  command.set_desktop(desktop);
  command.set_generation(generation);
  command.set_verb(verb);
  turn.Emit(SendCommand{host, std::move(command)});
}

}  // namespace

void Send(Turn& turn, const v1::Desktop& desktop, v1::CommandVerb verb) {
  v1::AgentCommand command = Make(turn, desktop, verb);
  if (verb == v1::COMMAND_START || verb == v1::COMMAND_RESET) {
    command.mutable_spec()->set_pool(desktop.pool());
    command.mutable_spec()->set_image(desktop.image());
    command.mutable_spec()->set_memory_mib(desktop.memory_mib());
    command.mutable_spec()->set_vcpus(desktop.vcpus());
    command.mutable_spec()->set_network(desktop.network());
    if (const v1::Resource* pool = turn.fleet().pools.Find(desktop.pool())) {
      command.mutable_spec()->set_kept(pool->pool().kind() == v1::POOL_KIND_DEDICATED);
      command.mutable_spec()->set_fencing_required(IsFenced(pool->pool()));
      command.mutable_spec()->set_storage(pool->pool().storage());
    }
    command.set_image_name(desktop.image());
    const v1::Resource* image = turn.fleet().images.Find(desktop.image());
    if (image != nullptr) *command.mutable_image() = image->image();
  }
  Go(turn, desktop, std::move(command));
}

void SendSession(Turn& turn, const v1::Desktop& desktop, const v1::Session& session,
                 v1::CommandVerb verb) {
  v1::AgentCommand command = Make(turn, desktop, verb);
  FillSession(turn, session, command);
  Go(turn, desktop, std::move(command));
}

void SendTicket(Turn& turn, const v1::Desktop& desktop, const v1::Session& session,
                const ConnectCall& call) {
  v1::AgentCommand command = Make(turn, desktop, v1::COMMAND_GRANT_TICKET);
  FillSession(turn, session, command);
  v1::TicketGrant& grant = *command.mutable_ticket();
  grant.set_ticket_sha256(call.ticket_sha256);
  grant.set_lifetime_ms(
      static_cast<uint32_t>(absl::ToInt64Milliseconds(turn.settings().ticket_lifetime)));
  grant.set_certificate_sha256(call.certificate_sha256);
  Go(turn, desktop, std::move(command));
}

void SendMigrate(Turn& turn, const v1::Desktop& desktop, const std::string& uri) {
  v1::AgentCommand command = Make(turn, desktop, v1::COMMAND_MIGRATE);
  command.set_move_to(desktop.moving_to());
  command.set_migration_uri(uri);
  Go(turn, desktop, std::move(command));
}

void SendRemove(Turn& turn, const std::string& host, const std::string& desktop,
                uint64_t generation) {
  SendToHost(turn, host, desktop, generation, v1::COMMAND_REMOVE);
}

void SendStop(Turn& turn, const std::string& host, const std::string& desktop,
              uint64_t generation) {
  SendToHost(turn, host, desktop, generation, v1::COMMAND_STOP);
}

void SendEnd(Turn& turn, const v1::Desktop& desktop, const std::string& session) {
  v1::AgentCommand command = Make(turn, desktop, v1::COMMAND_END_SESSION);
  command.set_session(session);
  Go(turn, desktop, std::move(command));
}

v1::AgentCommand HeardCommand(const BrokerSettings& settings, uint64_t epoch, uint64_t sequence) {
  v1::AgentCommand heard;
  heard.set_epoch(epoch);
  heard.set_verb(v1::COMMAND_HEARD);
  heard.set_heard_sequence(sequence);
  heard.set_report_interval_ms(
      static_cast<uint32_t>(absl::ToInt64Milliseconds(settings.heartbeat)));
  heard.set_fence_after_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(settings.fence_after)));
  return heard;
}

bool SentLately(const Turn& turn, const v1::Desktop& desktop, v1::CommandVerb verb) {
  const auto& sent = turn.state().sent;
  const auto at = sent.find({desktop.id(), verb});
  return at != sent.end() && at->second.generation == desktop.generation() &&
         turn.now() - at->second.at < turn.settings().heartbeat;
}

}  // namespace werkplek
