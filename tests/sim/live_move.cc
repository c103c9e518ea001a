#include "tests/sim/live_move.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/sim/world.h"

namespace werkplek::sim {
namespace {

// One move. Kept alive by what it has yet to do.
class LiveMove : public std::enable_shared_from_this<LiveMove> {
 public:
  LiveMove(World& world, Machine& from, const Operation& operation,
           std::function<void(absl::Status)> told)
      : world_(world),
        from_(from),
        to_(world.agent(operation.move_to).machine()),
        desktop_(operation.desktop),
        generation_(operation.tag.generation),
        uri_(operation.migration_uri),
        boot_(from.boots),
        told_(std::move(told)) {}

  void Begin() {
    Chance& chance = world_.chance();
    if (!Reaches() || Rolls(6)) return Tell(absl::InternalError("cannot connect"));
    if (const absl::Status begun = from_.hypervisor().BeginMove(desktop_, uri_); !begun.ok()) {
      return Tell(begun);
    }
    Note(MoveSeen::Step::kBegun);
    absl::Duration takes = chance.Between(absl::Milliseconds(300), absl::Seconds(4));
    if (Rolls(25)) takes = chance.Between(absl::Seconds(4), absl::Seconds(25));
    if (Rolls(4)) takes = chance.Between(absl::Seconds(30), absl::Seconds(70));
    if (Rolls(10)) {
      After(takes / 2, [this] { CallOff(absl::InternalError("the line broke")); });
    } else if (Rolls(4)) {
      After(takes, [this] { CallOff(absl::DeadlineExceededError("it takes too long")); });
    } else {
      After(takes, [this] { HandOver(); });
    }
    // The agent's connection to libvirt goes; the move goes on.
    if (Rolls(8)) {
      After(chance.Between(absl::ZeroDuration(), takes), [this] {
        from_.hypervisor().SetConnected(false);
        Tell(absl::UnavailableError("the connection is gone"));
        world_.After(world_.chance().Between(absl::Seconds(1), absl::Seconds(4)),
                     [&from = from_] { from.hypervisor().SetConnected(true); });
      });
    }
  }

 private:
  bool Rolls(int percent) { return world_.busy() && world_.chance().Percent(percent); }
  bool Reaches() { return to_.powered && world_.network().OpenBothWays(from_.name(), to_.name()); }
  // Posts for as long as the machine has power.
  void After(absl::Duration delay, std::function<void()> task) {
    world_.After(delay, [self = shared_from_this(), task = std::move(task)] {
      if (self->from_.boots == self->boot_) task();
    });
  }
  void Tell(absl::Status status) {
    if (const auto told = std::exchange(told_, nullptr)) told(std::move(status));
  }
  void Note(MoveSeen::Step step) {
    static constexpr const char* kWords[] = {"begins", "is handed over", "ends", "is called off"};
    world_.Say("move of ", desktop_, " ", generation_, " from ", from_.name(), " to ", to_.name(),
               " ", kWords[static_cast<int>(step)]);
    world_.history().moves.push_back(
        {world_.now(), step, desktop_, generation_, from_.name(), to_.name()});
    world_.NoteLoad(from_);
    world_.NoteLoad(to_);
  }
  void CallOff(const absl::Status& why) {
    from_.hypervisor().CallOffMove(desktop_);
    Note(MoveSeen::Step::kCalledOff);
    Tell(why);
  }
  void HandOver() {
    if (!Reaches()) return CallOff(absl::InternalError("the other host does not answer"));
    const absl::Status handed = from_.hypervisor().HandOver(desktop_);
    if (!handed.ok()) return CallOff(handed);
    Note(MoveSeen::Step::kHandedOver);
    absl::Duration takes = world_.chance().Between(absl::Milliseconds(1), absl::Milliseconds(200));
    if (Rolls(10)) takes = world_.chance().Between(absl::Milliseconds(200), absl::Seconds(4));
    After(takes, [this] { End(); });
    if (Rolls(4)) LoseSoon(from_);
    if (Rolls(4)) LoseSoon(to_);
    if (world_.scenario().sabotage == Sabotage::kRemoveArrived) {
      world_.After(absl::Milliseconds(300), [this, self = shared_from_this()] {
        world_.agent(to_.name()).HearRemove(desktop_, generation_);
      });
    }
  }
  // The worst moment for it.
  void LoseSoon(Machine& machine) {
    world_.After(world_.chance().Between(absl::ZeroDuration(), absl::Milliseconds(300)),
                 [&world = world_, name = machine.name()] {
                   if (world.busy()) {
                     world.LosePower(name,
                                     world.chance().Between(absl::Seconds(2), absl::Seconds(40)));
                   }
                 });
  }
  void End() {
    from_.hypervisor().EndMove(desktop_).IgnoreError();
    Note(MoveSeen::Step::kEnded);
    Tell(absl::OkStatus());
  }

  World& world_;
  Machine& from_;
  Machine& to_;
  const std::string desktop_;
  const uint64_t generation_;
  const std::string uri_;
  const uint64_t boot_;
  std::function<void(absl::Status)> told_;
};

}  // namespace

void MoveLive(World& world, Machine& from, const Operation& operation,
              std::function<void(absl::Status)> told) {
  std::make_shared<LiveMove>(world, from, operation, std::move(told))->Begin();
}

}  // namespace werkplek::sim
