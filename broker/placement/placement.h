// Where a new desktop goes: filters, then scores, then the pick. Pure; the same candidates give the
// same pick, in whatever order they come. Ties go by name.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "werkplek/v1/resources.pb.h"

namespace werkplek {

// What the desktop needs.
struct PlacementNeed {
  uint64_t memory_mib = 0;
  // Sites that may carry it; empty: every site.
  std::vector<std::string> sites;
  // Where it should stand; empty: anywhere.
  std::string home_site;
  // There or nowhere; otherwise there as long as there is room.
  bool home_required = false;
  // The shared storage that its disk lies in; empty: the host's own.
  std::string storage;
  // It must never run twice: in shared storage only where the agent stops it by itself and libvirt
  // locks disks.
  bool fenced = false;
  // The network that it has a card in; empty: none.
  std::string network;
};

// One host, with what is committed there already: desktops that exist or are being made, starts in
// flight included.
struct HostCandidate {
  std::string name;
  std::string site;
  v1::Schedulability site_schedulability = v1::SCHEDULABILITY_OPEN;
  // Why the site takes no work after a loss, for people; empty: it does.
  std::string site_loss;
  v1::Schedulability schedulability = v1::SCHEDULABILITY_OPEN;
  v1::Liveness liveness = v1::LIVENESS_UNSPECIFIED;
  // Its agent has a stream on which commands can go.
  bool linked = false;
  // Why the image failed there; empty: it did not.
  std::string image_error;
  // The image is there already.
  bool image_ready = false;
  uint64_t memory_limit_mib = 0;
  uint64_t memory_committed_mib = 0;
  uint32_t desktops = 0;
  // 0: bounded by memory alone.
  uint32_t max_desktops = 0;
  uint32_t starts = 0;
  uint32_t max_starts = 0;
  uint32_t site_starts = 0;
  uint32_t site_max_starts = 0;
  // Shared storages at hand there.
  std::vector<std::string> storages;
  // Networks at hand there.
  std::vector<std::string> networks;
  // libvirt's lock manager; empty: not known.
  std::string lock_manager;
  // After how long without a leader its agent stops fenced desktops. 0: it was not told, or does
  // not.
  uint32_t fence_after_ms = 0;
  // Shares, 0 to 1.
  double cpu_used = 0;
  double memory_pressure = 0;
  // Emptied for the night: taken when the others are full or much busier.
  bool rests = false;
};

struct Placement {
  // Empty: nowhere.
  std::string host;
  // One for each candidate, in the order of their names.
  std::vector<v1::HostVerdict> verdicts;
};

// The rules, as HostVerdict.rejected_by names them, in the order in which they are asked.
inline constexpr char kRuleSite[] = "site";
inline constexpr char kRuleHomeSite[] = "home-site";
inline constexpr char kRuleSiteLoss[] = "site-loss";
inline constexpr char kRuleSiteOpen[] = "site-open";
inline constexpr char kRuleHostOpen[] = "host-open";
inline constexpr char kRuleHostUp[] = "host-up";
inline constexpr char kRuleStorage[] = "storage";
inline constexpr char kRuleNetwork[] = "network";
inline constexpr char kRuleLockManager[] = "lock-manager";
inline constexpr char kRuleFencing[] = "fencing";
inline constexpr char kRuleImage[] = "image";
inline constexpr char kRuleMemory[] = "memory";
inline constexpr char kRuleMaxDesktops[] = "max-desktops";
inline constexpr char kRuleHostStarts[] = "host-starts";
inline constexpr char kRuleSiteStarts[] = "site-starts";

Placement Place(const PlacementNeed& need, const std::vector<HostCandidate>& candidates);

// Place().host alone, without the verdicts: for those who ask thousands of times.
std::string PlaceQuietly(const PlacementNeed& need, const std::vector<HostCandidate>& candidates);

}  // namespace werkplek
