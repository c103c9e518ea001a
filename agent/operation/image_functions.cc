#include <set>

#include "absl/strings/str_cat.h"
#include "agent/operation/run_operation.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

using SharedStorages = std::map<std::string, std::unique_ptr<SharedStorage>>;

absl::StatusOr<SharedStorage*> Find(const SharedStorages& shared, const std::string& storage) {
  const auto found = shared.find(storage);
  if (found != shared.end()) return found->second.get();
  return absl::NotFoundError(absl::StrCat("this host has no storage ", storage));
}

void AddDisks(ImageStore& store, const SharedStorages& shared, ImageFunctions& functions) {
  functions.create_overlay = [&](const DiskKey& disk,
                                 const std::string& image_sha256) -> absl::StatusOr<Overlay> {
    if (disk.storage.empty()) return store.CreateOverlay(disk, image_sha256);
    ASSIGN_OR_RETURN(SharedStorage* const there, Find(shared, disk.storage));
    return there->CreateOverlay(disk, image_sha256);
  };
  functions.take_disk = [&](const DiskKey& disk) -> absl::StatusOr<std::string> {
    if (disk.storage.empty()) return store.FindDisk(disk);
    ASSIGN_OR_RETURN(SharedStorage* const there, Find(shared, disk.storage));
    return there->TakeDisk(disk);
  };
  functions.remove_overlays = [&](const DiskKey& disk, const std::string& except) -> absl::Status {
    if (disk.storage.empty()) return store.RemoveOverlays(disk.desktop, except);
    ASSIGN_OR_RETURN(SharedStorage* const there, Find(shared, disk.storage));
    return there->RemoveDisks(disk, except);
  };
  functions.hand_over = [&](const DiskKey& disk, const std::string& host) -> absl::Status {
    ASSIGN_OR_RETURN(SharedStorage* const there, Find(shared, disk.storage));
    return there->HandOver(disk, host);
  };
  functions.take_back = [&](const DiskKey& disk) -> absl::Status {
    ASSIGN_OR_RETURN(SharedStorage* const there, Find(shared, disk.storage));
    return there->TakeBack(disk);
  };
}

}  // namespace

ImageFunctions FunctionsOf(ImageStore& store, const SharedStorages& shared) {
  ImageFunctions functions;
  functions.fetch = [&](const std::string& storage, const std::string& name,
                        const v1::Image& image) -> absl::Status {
    if (storage.empty()) return store.Fetch(name, image);
    ASSIGN_OR_RETURN(SharedStorage* const there, Find(shared, storage));
    return there->Fetch(name, image);
  };
  functions.report = [&](const std::string& storage) {
    if (storage.empty()) return store.Report();
    const absl::StatusOr<SharedStorage*> there = Find(shared, storage);
    return there.ok() ? (*there)->Report() : std::vector<v1::ImageReport>();
  };
  functions.drop = [&](const std::string& storage, const std::string& name) -> absl::Status {
    if (storage.empty()) return store.Drop(name);
    ASSIGN_OR_RETURN(SharedStorage* const there, Find(shared, storage));
    return there->Drop(name);
  };
  functions.remove_leftovers = [&](absl::Duration now, const StopAsked& stop) {
    store.RemoveLeftovers(stop);
    // The broker keeps a copy on each host of whatever a pool may need, also of one with a storage.
    std::set<std::string> wanted;
    for (const v1::ImageReport& image : store.Report()) wanted.insert(image.sha256());
    for (const auto& [name, storage] : shared) storage->RemoveLeftovers(wanted, now, stop);
  };
  AddDisks(store, shared, functions);
  return functions;
}

}  // namespace werkplek
