// What comes from the broker: judged, refused, or put in line.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/core/agent_core.h"
#include "agent/image/image_declaration.h"
#include "common/base/text.h"

namespace werkplek {
namespace {

constexpr size_t kDigestBytes = 32;
constexpr size_t kMaxNameBytes = 256;
constexpr size_t kMaxUriBytes = 256;
constexpr uint32_t kMaxTicketLifetimeMs = 300'000;
constexpr absl::Duration kLeastReportInterval = absl::Milliseconds(100);
constexpr absl::Duration kMostReportInterval = absl::Seconds(60);

// As it will be opened, not as it is written: a URL may spell ".." in many ways.
std::string FaultOfPlaces(const v1::Image& image, const std::vector<std::string>& folders) {
  if (folders.empty()) return "";
  std::vector<std::string> paths = {image.kernel(), image.initrd()};
  if (!image.source().empty()) {
    absl::StatusOr<std::string> source = SourcePath(image.source());
    if (!source.ok()) return absl::StrCat("image.", source.status().message());
    paths.push_back(*std::move(source));
  }
  for (const std::string& path : paths) {
    if (!path.empty() && !LiesIn(path, folders)) {
      return absl::StrCat("image: ", path, " lies in none of this host's image folders");
    }
  }
  return "";
}

bool IsForImages(v1::CommandVerb verb) {
  return verb == v1::COMMAND_FETCH_IMAGE || verb == v1::COMMAND_DROP_IMAGE;
}

bool MakesFresh(v1::CommandVerb verb) {
  return verb == v1::COMMAND_START || verb == v1::COMMAND_RESET;
}

// Says what the machine shall be; the last one said counts.
bool IsForPower(v1::CommandVerb verb) {
  return (verb >= v1::COMMAND_START && verb <= v1::COMMAND_REMOVE) || verb == v1::COMMAND_MIGRATE;
}

bool IsForDesktops(v1::CommandVerb verb) {
  return (verb >= v1::COMMAND_START && verb <= v1::COMMAND_CLOSE_DISPLAY) ||
         verb == v1::COMMAND_MIGRATE;
}

// Whether the two ask for the same.
bool IsSame(const v1::AgentCommand& a, const v1::AgentCommand& b) {
  return a.verb() == b.verb() && a.generation() == b.generation() && a.session() == b.session() &&
         a.ticket().ticket_sha256() == b.ticket().ticket_sha256() && a.move_to() == b.move_to();
}

}  // namespace

void AgentCore::Obey(const v1::AgentCommand& command) {
  if (command.verb() == v1::COMMAND_HEARD) {
    if (command.report_interval_ms() > 0) {
      report_interval_ = std::clamp(absl::Milliseconds(command.report_interval_ms()),
                                    kLeastReportInterval, kMostReportInterval);
    }
    Heard(command);
    return;
  }
  const std::string fault = FaultOf(command);
  if (!fault.empty()) {
    Refuse(command, "bad-command", fault);
    return;
  }
  if (!adopted_) {
    Refuse(command, "not-adopted", "the host's domains are not known yet");
    return;
  }
  if (IsForImages(command.verb())) {
    ObeyImage(command);
  } else {
    ObeyDesktop(command);
  }
}

std::string AgentCore::FaultOfImage(const v1::AgentCommand& command) const {
  if (!IsPlainName(command.image_name())) return "image_name: not a name";
  const v1::Image& image = command.image();
  if (!IsSha256(image.sha256())) return "image.sha256: not 64 lower-case hexadecimal digits";
  if (command.verb() == v1::COMMAND_DROP_IMAGE) return "";
  return FaultOfPlaces(image, settings_.image_folders);
}

std::string AgentCore::FaultOfMove(const v1::AgentCommand& command) const {
  if (!IsPlainName(command.move_to())) return "move_to: not a name";
  if (command.move_to() == host_) return "move_to: this host";
  const std::string& uri = command.migration_uri();
  if (uri.empty() || uri.size() > kMaxUriBytes) return "migration_uri: empty or too long";
  return "";
}

std::string AgentCore::FaultOf(const v1::AgentCommand& command) const {
  if (IsForImages(command.verb())) return FaultOfImage(command);
  if (!IsForDesktops(command.verb())) {
    return absl::StrCat("verb: ", command.verb(), " is not known to this agent");
  }
  if (!IsPlainName(command.desktop())) return "desktop: not a name";
  if (command.generation() == 0) return "generation: 0";
  if (command.verb() == v1::COMMAND_MIGRATE) return FaultOfMove(command);
  if (MakesFresh(command.verb())) {
    if (command.spec().memory_mib() == 0) return "spec.memory_mib: 0";
    if (command.spec().vcpus() == 0) return "spec.vcpus: 0";
    const std::string& storage = command.spec().storage();
    if (!storage.empty() && !IsPlainName(storage)) return "spec.storage: not a name";
    const std::string& network = command.spec().network();
    if (!network.empty() && !IsPlainName(network)) return "spec.network: not a name";
    return FaultOfImage(command);
  }
  if (command.verb() == v1::COMMAND_BEGIN_SESSION || command.verb() == v1::COMMAND_END_SESSION ||
      command.verb() == v1::COMMAND_GRANT_TICKET) {
    if (command.session().empty() || command.session().size() > kMaxNameBytes) {
      return "session: empty or too long";
    }
    if (command.user().size() > kMaxNameBytes) return "user: too long";
    if (command.display_name().size() > kMaxNameBytes) return "display_name: too long";
  }
  if (command.verb() == v1::COMMAND_GRANT_TICKET) {
    const v1::TicketGrant& ticket = command.ticket();
    if (ticket.ticket_sha256().size() != kDigestBytes) return "ticket.ticket_sha256: not 32 bytes";
    if (ticket.certificate_sha256().size() != kDigestBytes) {
      return "ticket.certificate_sha256: not 32 bytes";
    }
    if (ticket.lifetime_ms() == 0 || ticket.lifetime_ms() > kMaxTicketLifetimeMs) {
      return absl::StrCat("ticket.lifetime_ms: not 1 to ", kMaxTicketLifetimeMs);
    }
  }
  return "";
}

void AgentCore::ObeyImage(const v1::AgentCommand& command) {
  const std::string& name = command.image_name();
  const bool fetches = command.verb() == v1::COMMAND_FETCH_IMAGE;
  std::vector<ImageKey> keys;
  if (fetches) keys.emplace_back("", name);
  for (const auto& [key, image] : images_) {
    if (!fetches && key.second == name) keys.push_back(key);
  }
  for (const ImageKey& key : keys) {
    const auto found = images_.find(key);
    if (found != images_.end() && found->second.busy) continue;
    if (image_operations_.size() >= settings_.max_image_operations) {
      Refuse(command, "too-many", "too many images are being fetched");
      return;
    }
    if (!fetches) {
      LaunchImage(OperationKind::kDropImage, key, command.image());
    } else if (!IsAtHand(key, command.image().sha256())) {
      FetchImage(key, command.image());
    }
  }
}

void AgentCore::ObeyDesktop(const v1::AgentCommand& command) {
  const std::string& id = command.desktop();
  const auto found = desktops_.find(id);
  const bool known = found != desktops_.end();
  if (known && command.generation() < found->second.generation) {
    Refuse(
        command, "old-generation",
        absl::StrCat("generation ", command.generation(), " is below ", found->second.generation));
    return;
  }
  if (const auto [rule, why] = FenceFaultOf(known ? &found->second : nullptr, command);
      !rule.empty()) {
    Refuse(command, rule, why);
    return;
  }
  const DesktopAction action = Plan(known ? found->second : Desktop(), command);
  if (action == DesktopAction::kRefused) {
    Refuse(command, "other-generation", "the desktop here is of an older generation");
    return;
  }
  const bool absent = !known || (!found->second.domain.has_value() && !IsBeingMade(found->second));
  if (absent && action == DesktopAction::kImpossible) {
    Refuse(command, "no-desktop", "there is no such desktop on this host");
    return;
  }
  if (!known) ForgetGone();
  if (!known && desktops_.size() >= settings_.max_desktops) {
    Refuse(command, "too-many", absl::StrCat("this host has ", desktops_.size(), " desktops"));
    return;
  }
  Desktop& desktop = desktops_[id];
  if (desktop.generation < command.generation()) {
    desktop.generation = command.generation();
    desktop.failed_verb = v1::COMMAND_UNSPECIFIED;
    desktop.error.clear();
  }
  if (command.verb() == v1::COMMAND_CLOSE_DISPLAY || command.verb() == v1::COMMAND_END_SESSION) {
    CloseDisplays(id, desktop);
    if (command.verb() == v1::COMMAND_CLOSE_DISPLAY) return;
  }
  Enqueue(desktop, command);
}

void AgentCore::Enqueue(Desktop& desktop, const v1::AgentCommand& command) {
  if (desktop.running.has_value() && IsSame(desktop.running_for, command)) return;
  auto& waiting = desktop.waiting;
  const v1::CommandVerb verb = command.verb();
  const bool replaces_all = verb == v1::COMMAND_RESET || verb == v1::COMMAND_REMOVE;
  for (auto at = waiting.begin(); at != waiting.end();) {
    const v1::AgentCommand& other = at->command;
    if (IsSame(other, command)) return;
    const bool superseded = replaces_all || other.verb() == verb ||
                            (IsForPower(other.verb()) && IsForPower(verb)) ||
                            other.generation() < command.generation();
    at = superseded ? waiting.erase(at) : at + 1;
  }
  waiting.push_back({command, now_, ++last_order_});
  Changed();
}

std::string AgentCore::ShortError(absl::string_view why) {
  return PrintableText(why, kMaxReportedErrorBytes);
}

DesktopAction AgentCore::Plan(const Desktop& desktop, const v1::AgentCommand& command) const {
  if (!desktop.domain.has_value()) {
    return PlanFor(DesktopCondition::kAbsent, GenerationOrder::kSame, command.verb(),
                   command.spec().kept());
  }
  const uint64_t here = desktop.domain->tag.generation;
  const GenerationOrder order = command.generation() < here    ? GenerationOrder::kOlder
                                : command.generation() == here ? GenerationOrder::kSame
                                                               : GenerationOrder::kNewer;
  return PlanFor(ConditionOf(desktop.domain->power), order, command.verb(), command.spec().kept());
}

void AgentCore::Fail(Desktop& desktop, const v1::AgentCommand& command, absl::string_view why) {
  desktop.failed_verb = command.verb();
  desktop.error = ShortError(why);
  Changed();
  Count("failed_operations", v1::CommandVerb_Name(command.verb()));
  Note(Severity::kWarning, "operation-failed",
       {{"desktop", command.desktop()},
        {"verb", v1::CommandVerb_Name(command.verb())},
        {"generation", absl::StrCat(command.generation())},
        {"error", std::string(why)}});
}

void AgentCore::Refuse(const v1::AgentCommand& command, absl::string_view rule,
                       absl::string_view why) {
  Changed();
  Count("refused_commands", rule);
  Note(Severity::kWarning, "command-refused",
       {{"verb", absl::StrCat(command.verb())},
        {"desktop", command.desktop()},
        {"generation", absl::StrCat(command.generation())},
        {"epoch", absl::StrCat(command.epoch())},
        {"rule", std::string(rule)},
        {"reason", std::string(why)}});
}

}  // namespace werkplek
