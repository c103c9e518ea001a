#include "agent/operation/run_operation.h"

namespace werkplek {

ImageFunctions FunctionsOf(ImageStore& store) {
  ImageFunctions functions;
  functions.fetch = [&store](const std::string& name, const v1::Image& image) {
    return store.Fetch(name, image);
  };
  functions.report = [&store] { return store.Report(); };
  functions.create_overlay = [&store](const std::string& desktop, uint64_t generation,
                                      const std::string& image_sha256) {
    return store.CreateOverlay(desktop, generation, image_sha256);
  };
  functions.remove_overlays = [&store](const std::string& desktop, const std::string& except) {
    return store.RemoveOverlays(desktop, except);
  };
  functions.drop = [&store](const std::string& name) { return store.Drop(name); };
  return functions;
}

}  // namespace werkplek
