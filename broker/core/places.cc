#include "broker/core/places.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/source.h"

namespace werkplek {
namespace {

constexpr int kPlacesKept = 8;

}  // namespace

std::string PlaceOf(const Caller& caller) {
  if (caller.identity != v1::IDENTITY_GATEWAY) return caller.peer;
  return absl::StrCat("browser/", SourceOf(caller.address));
}

bool IsKnownPlace(const v1::TokenEnrolment& token, const std::string& place) {
  return std::find(token.places().begin(), token.places().end(), place) != token.places().end();
}

void RememberPlace(const std::string& place, v1::TokenEnrolment& token) {
  auto& places = *token.mutable_places();
  auto found = std::find(places.begin(), places.end(), place);
  if (found == places.end()) {
    if (places.size() >= kPlacesKept) places.RemoveLast();
    *places.Add() = place;
    found = places.end() - 1;
  }
  std::rotate(places.begin(), found, found + 1);
}

}  // namespace werkplek
