#include "broker/rpc/watch_source.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace werkplek {
namespace {

void Set(const v1::Resource& resource, v1::WatchEvent& event) {
  *event.mutable_resource() = resource;
}
void Set(const v1::Desktop& desktop, v1::WatchEvent& event) { *event.mutable_desktop() = desktop; }
void Set(const v1::Session& session, v1::WatchEvent& event) { *event.mutable_session() = session; }

bool IsResourceTable(absl::string_view table) {
  return table == kSiteTable || table == kHostTable || table == kImageTable ||
         table == kPoolTable || table == kEntitlementTable;
}

// Sign-ins, tokens, answers and audit are not watched.
bool IsWatched(absl::string_view table) {
  return IsResourceTable(table) || table == kDesktopTable || table == kSessionTable;
}

// False: the change is not for watchers.
bool EventOf(const v1::Change& change, v1::WatchEvent& event) {
  if (!IsWatched(change.table())) return false;
  if (!change.has_value()) {
    event.set_deleted(absl::StrCat(change.table(), "/", change.key()));
    return true;
  }
  if (change.table() == kDesktopTable) {
    return event.mutable_desktop()->ParseFromString(change.value());
  }
  if (change.table() == kSessionTable) {
    return event.mutable_session()->ParseFromString(change.value());
  }
  return event.mutable_resource()->ParseFromString(change.value());
}

}  // namespace

bool WatchSource::Add(const Committed& committed) {
  if (begun_ && committed.picture->revision <= told_revision_) return true;
  if (commits_.size() >= max_waiting_) return false;
  commits_.push_back(committed);
  return true;
}

void WatchSource::Begin(Picture picture) {
  begun_ = true;
  told_revision_ = picture->revision;
  while (!commits_.empty() && commits_.front().picture->revision <= told_revision_) {
    commits_.pop_front();
  }
  picture_ = std::move(picture);
}

std::optional<v1::WatchEvent> WatchSource::Next() {
  v1::WatchEvent event;
  if (!begun_) return std::nullopt;
  if (picture_ != nullptr) {
    event.set_revision(picture_->revision);
    if (NextOfPicture(event)) return event;
    event.set_caught_up(true);
    picture_.reset();
    return event;
  }
  if (NextOfCommits(event)) return event;
  return std::nullopt;
}

bool WatchSource::NextOfPicture(v1::WatchEvent& event) {
  const Fleet& fleet = *picture_;
  for (;; ++table_, after_.clear()) {
    switch (table_) {
      case 0:
        if (NextOfTable(fleet.sites, event)) return true;
        break;
      case 1:
        if (NextOfTable(fleet.hosts, event)) return true;
        break;
      case 2:
        if (NextOfTable(fleet.images, event)) return true;
        break;
      case 3:
        if (NextOfTable(fleet.pools, event)) return true;
        break;
      case 4:
        if (NextOfTable(fleet.entitlements, event)) return true;
        break;
      case 5:
        if (NextOfTable(fleet.desktops, event)) return true;
        break;
      case 6:
        if (NextOfTable(fleet.sessions, event)) return true;
        break;
      default:
        return false;
    }
  }
}

template <typename Record>
bool WatchSource::NextOfTable(const Table<Record>& table, v1::WatchEvent& event) {
  const auto at = table.After(after_);
  if (at == table.end()) return false;
  after_ = at->key;
  Set(*at->record, event);
  return true;
}

bool WatchSource::NextOfCommits(v1::WatchEvent& event) {
  while (!commits_.empty()) {
    const Committed& commit = commits_.front();
    while (change_ < commit.changes->size()) {
      event.Clear();
      event.set_revision(commit.picture->revision);
      if (EventOf((*commit.changes)[change_++], event)) return true;
    }
    commits_.pop_front();
    change_ = 0;
  }
  return false;
}

}  // namespace werkplek
