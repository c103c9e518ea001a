// Calls a store's loop-bound functions from a test's thread and waits for the answers.
#pragma once

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/node/ports.h"

namespace werkplek {

inline v1::Change PutChange(const std::string& table, const std::string& key,
                            const std::string& value) {
  v1::Change change;
  change.set_table(table);
  change.set_key(key);
  change.set_value(value);
  return change;
}

inline v1::Change EraseChange(const std::string& table, const std::string& key) {
  v1::Change change;
  change.set_table(table);
  change.set_key(key);
  return change;
}

// A desktop's record with some content.
inline v1::Change PutDesktop(const std::string& id, uint64_t generation) {
  v1::Desktop desktop;
  desktop.set_id(id);
  desktop.set_pool("kantoor");
  desktop.set_generation(generation);
  return PutChange("desktop", id, desktop.SerializeAsString());
}

inline v1::Change AppendAudit(uint64_t sequence, const std::string& actor) {
  v1::AuditRecord record;
  record.set_sequence(sequence);
  record.set_actor(actor);
  return PutChange("audit", absl::StrCat(absl::Dec(sequence, absl::kZeroPad20)),
                   record.SerializeAsString());
}

// The store's executor must run by itself (LoopExecutor).
class StoreClient {
 public:
  StoreClient(Store* store, Executor* executor) : store_(store), executor_(executor) {}

  absl::StatusOr<Fleet> Load(uint64_t epoch) {
    return Wait<absl::StatusOr<Fleet>>([&](auto done) { store_->Load(epoch, std::move(done)); });
  }
  absl::Status Commit(uint64_t epoch, ChangeSet changes) {
    return Wait<absl::Status>(
        [&](auto done) { store_->Commit(epoch, std::move(changes), std::move(done)); });
  }
  // All in a row, without waiting in between; the outcomes in order.
  std::vector<absl::Status> CommitAll(std::vector<std::pair<uint64_t, ChangeSet>> commits) {
    return Wait<std::vector<absl::Status>>([&](auto done) {
      auto outcomes = std::make_shared<std::vector<absl::Status>>();
      auto finished = std::make_shared<decltype(done)>(std::move(done));
      const size_t count = commits.size();
      for (auto& [epoch, changes] : commits) {
        store_->Commit(epoch, std::move(changes), [outcomes, finished, count](absl::Status s) {
          outcomes->push_back(s);
          if (outcomes->size() == count) (*finished)(*outcomes);
        });
      }
    });
  }
  absl::StatusOr<std::vector<v1::AuditRecord>> ReadAudit(uint64_t after, uint32_t limit) {
    return Wait<absl::StatusOr<std::vector<v1::AuditRecord>>>(
        [&](auto done) { store_->ReadAudit(after, limit, std::move(done)); });
  }

  // Calls `start` on the loop with a callback, and waits for what that is given.
  template <typename Answer, typename Start>
  Answer Wait(Start start) {
    auto promise = std::make_shared<std::promise<Answer>>();
    std::future<Answer> answer = promise->get_future();
    executor_->Post([&start, promise] {
      start([promise](Answer given) { promise->set_value(std::move(given)); });
    });
    if (answer.wait_for(std::chrono::seconds(60)) != std::future_status::ready) {
      std::abort();  // The store never answered: nothing that follows could be judged.
    }
    return answer.get();
  }

 private:
  Store* const store_;
  Executor* const executor_;
};

}  // namespace werkplek
