// Images: fetched once, at hand or not.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/core/agent_core.h"

namespace werkplek {

bool AgentCore::IsAtHand(const ImageKey& key, const std::string& sha256) const {
  const auto found = images_.find(key);
  return found != images_.end() && found->second.report.verified() &&
         found->second.report.sha256() == sha256;
}

void AgentCore::FetchImage(const ImageKey& key, const v1::Image& image) {
  const auto found = images_.find(key);
  if (found != images_.end() && found->second.busy) return;
  if (image_operations_.size() >= settings_.max_image_operations) return;
  LaunchImage(OperationKind::kFetchImage, key, image);
}

void AgentCore::LaunchImage(OperationKind kind, const ImageKey& key, const v1::Image& image) {
  Operation operation = NewOperation(kind, "");
  operation.storage = key.first;
  operation.image_name = key.second;
  operation.image = image;
  last_operation_ = operation.id;
  image_operations_[operation.id] = operation;
  images_[key].busy = true;
  Emit(agent::StartOperation{std::move(operation)});
}

void AgentCore::ImageDone(const Operation& operation, const OperationResult& result) {
  const std::string& name = operation.image_name;
  const ImageKey key(operation.storage, name);
  images_[key].busy = false;
  KnowImages(operation.storage, result.images);
  if (result.status.ok()) return;
  const std::string why = absl::StrCat("image ", name, ": ", result.status.message());
  Count("failed_operations",
        operation.kind == OperationKind::kFetchImage ? "FETCH_IMAGE" : "DROP_IMAGE");
  Note(Severity::kWarning, "image-failed",
       {{"image", name}, {"storage", operation.storage}, {"error", why}});
  v1::ImageReport& report = images_[key].report;
  if (operation.kind != OperationKind::kFetchImage || report.verified()) return;
  report.set_image(name);
  report.set_sha256(operation.image.sha256());
  report.set_error(ShortError(result.status.message()));
  // Who waits for it waits no longer: the broker decides what to try next.
  for (auto& [id, desktop] : desktops_) {
    for (auto at = desktop.waiting.begin(); at != desktop.waiting.end();) {
      const v1::AgentCommand& command = at->command;
      const bool waits = command.image_name() == name &&
                         command.spec().storage() == operation.storage &&
                         command.image().sha256() == operation.image.sha256();
      if (!waits) {
        ++at;
        continue;
      }
      Fail(desktop, command, why);
      at = desktop.waiting.erase(at);
    }
  }
}

void AgentCore::KnowImages(const std::string& storage, const std::vector<v1::ImageReport>& images) {
  for (auto at = images_.begin(); at != images_.end();) {
    if (at->first.first != storage) {
      ++at;
      continue;
    }
    at->second.report.Clear();
    at = at->second.busy ? std::next(at) : images_.erase(at);
  }
  for (const v1::ImageReport& known : images) {
    v1::ImageReport& report = images_[{storage, known.image()}].report;
    report = known;
    report.set_error(ShortError(known.error()));
  }
  Changed();
}

}  // namespace werkplek
