#include "client/ctl/resource_schema.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "client/api/exit_code.h"
#include "client/api/message_text.h"

namespace werkplek {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// What `--help` says of each field; a test demands one for every field.
const std::map<std::string, std::string>& FieldHelp() {
  static const auto* const kHelp = new std::map<std::string, std::string>({
      {"site.description", "For people"},
      {"site.max_starts_in_flight", "Starts at once in the whole site; 0: the broker's default"},
      {"site.schedulability", "Whether new work may come"},
      {"site.on_return", "After a loss: back in use by itself, or when an administrator says so"},
      {"host.site", "The site it stands in"},
      {"host.schedulability", "Whether new work may come"},
      {"host.memory_limit_mib", "Memory for desktops, MiB; 0: what it has, less a tenth"},
      {"host.max_desktops", "Most desktops here; 0: bounded by memory alone"},
      {"host.max_starts_in_flight", "Starts at once; 0: the broker's default"},
      {"image.source", "Absolute path or file:// URL of the disk, on each host"},
      {"image.sha256", "SHA-256 of the file, 64 hexadecimal digits"},
      {"image.size_bytes", "Size of the file; 0: not checked"},
      {"image.format", "qcow2 or raw"},
      {"image.kernel", "Direct boot: path of the kernel on each host"},
      {"image.initrd", "Direct boot: path of the initial file system on each host"},
      {"image.kernel_arguments", "Direct boot: the kernel's command line"},
      {"image.guest_agent", "The image runs the guest agent with the session hook"},
      {"pool.description", "For people"},
      {"pool.kind", "Clean desktop for each session, or one per user, kept"},
      {"pool.image", "The image its desktops are cloned from"},
      {"pool.min_desktops", "Desktops that exist at least"},
      {"pool.max_desktops", "Desktops that exist at most"},
      {"pool.running_spares", "Clean desktops kept running for the next people"},
      {"pool.vcpus", "Processors of a desktop"},
      {"pool.memory_mib", "Memory of a desktop, MiB"},
      {"pool.disconnect.suspend_after_s", "Suspend so long after the screen closed, s; 0: never"},
      {"pool.disconnect.end_after_s", "End the session so long after that, s; 0: never"},
      {"pool.queue_deadline_s", "Longest wait in the queue, s; 0: the broker's default"},
      {"pool.queue_limit", "People that may wait; 0: the broker's default"},
      {"pool.start_deadline_s", "Longest start of a desktop, s; 0: the broker's default"},
      {"pool.max_failures", "Failures until a desktop is an error; 0: the broker's default"},
      {"pool.breaker_failures", "Failed starts until the pool pauses; 0: the broker's default"},
      {"pool.schedulability", "Whether new work may come"},
      {"pool.sites", "Sites that may carry it, with commas; none: every site"},
      {"pool.fencing", "Must an old copy be surely stopped before a new start elsewhere"},
      {"pool.storage", "Shared storage that holds its disks; none: those of each host"},
      {"pool.network", "Network that its desktops have a card in; none: they have no card"},
      {"pool.priority", "Higher is served first where room is short"},
      {"pool.home_site", "Where its desktops stand as long as there is room"},
      {"pool.home_site_rule", "Whether they may stand elsewhere when there is none"},
      {"entitlement.pool", "The pool that may be used"},
      {"entitlement.group", "A directory group, by its DN or its cn"},
      {"entitlement.user", "One user, by the sign-in name"},
      {"entitlement.home_site", "Where these people's desktops stand; goes before the pool's"},
      {"entitlement.home_site_rule", "Whether they may stand elsewhere when there is no room"},
  });
  return *kHelp;
}

std::string ValueName(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32:
    case FieldDescriptor::CPPTYPE_UINT64:
      return "NUMBER";
    case FieldDescriptor::CPPTYPE_BOOL:
      return "true|false";
    case FieldDescriptor::CPPTYPE_ENUM: {
      std::vector<std::string> words;
      for (int i = 0; i < field.enum_type()->value_count(); ++i) {
        const std::string word = EnumWord(*field.enum_type()->value(i));
        if (word != "unspecified") words.push_back(word);
      }
      return absl::StrJoin(words, "|");
    }
    default:
      return "TEXT";
  }
}

void Collect(const Descriptor& type, const std::string& name,
             const std::vector<const FieldDescriptor*>& above, std::vector<FieldFlag>& flags) {
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor* field = type.field(i);
    const std::string path = absl::StrCat(name, ".", field->name());
    std::vector<const FieldDescriptor*> down = above;
    down.push_back(field);
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      Collect(*field->message_type(), path, down, flags);
      continue;
    }
    const auto help = FieldHelp().find(path);
    flags.push_back({
        .flag = absl::StrCat("--", absl::StrReplaceAll(field->name(), {{"_", "-"}})),
        .value_name = ValueName(*field),
        .help = help == FieldHelp().end() ? "" : help->second,
        .repeated = field->is_repeated(),
        .path = std::move(down),
    });
  }
}

const FieldDescriptor& KindField(v1::ResourceKind kind) {
  return *v1::Resource::descriptor()->FindFieldByName(KindWord(kind));
}

}  // namespace

std::vector<FieldFlag> FlagsOf(v1::ResourceKind kind) {
  std::vector<FieldFlag> flags;
  Collect(*KindField(kind).message_type(), KindWord(kind), {}, flags);
  return flags;
}

absl::Status ApplyFlag(const FieldFlag& flag, absl::string_view value, v1::Resource& resource) {
  Message* message =
      resource.GetReflection()->MutableMessage(&resource, &KindField(KindOf(resource)));
  for (size_t i = 0; i + 1 < flag.path.size(); ++i) {
    message = message->GetReflection()->MutableMessage(message, flag.path[i]);
  }
  const FieldDescriptor& field = *flag.path.back();
  std::vector<std::string> values = {std::string(value)};
  if (flag.repeated) {
    message->GetReflection()->ClearField(message, &field);
    values = absl::StrSplit(value, ',', absl::SkipWhitespace());
  }
  for (const std::string& one : values) {
    const absl::Status status = SetField(*message, field, one);
    if (!status.ok()) {
      return UsageProblem(
          absl::InvalidArgumentError(absl::StrCat(flag.flag, " ", status.message())));
    }
  }
  return absl::OkStatus();
}

std::string KindWord(v1::ResourceKind kind) { return EnumWord(kind); }

v1::ResourceKind KindOf(const v1::Resource& resource) {
  for (const v1::ResourceKind kind : AllKinds()) {
    if (resource.GetReflection()->HasField(resource, &KindField(kind))) return kind;
  }
  return v1::RESOURCE_KIND_UNSPECIFIED;
}

v1::Resource NewResource(v1::ResourceKind kind, absl::string_view name) {
  v1::Resource resource;
  resource.set_name(std::string(name));
  resource.GetReflection()->MutableMessage(&resource, &KindField(kind));
  return resource;
}

const std::vector<v1::ResourceKind>& AllKinds() {
  static const auto* const kKinds = new std::vector<v1::ResourceKind>(
      {v1::RESOURCE_KIND_SITE, v1::RESOURCE_KIND_HOST, v1::RESOURCE_KIND_IMAGE,
       v1::RESOURCE_KIND_POOL, v1::RESOURCE_KIND_ENTITLEMENT});
  return *kKinds;
}

}  // namespace werkplek
