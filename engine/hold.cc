// SPDX-License-Identifier: Apache-2.0
// Who is refused more by Landlock than can be recorded is stopped until the next second; who undoes
// that is killed.
#include <sys/socket.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>
#include <csignal>

#include "engine/clock.h"
#include "engine/supervisor.h"

namespace bulkhead {
namespace {

constexpr uint64_t kStopSignal = uint64_t{1} << (SIGSTOP - 1);

// What follows the label in a /proc/PID/status, empty without it.
std::string_view StatusField(std::string_view status, std::string_view label) {
  const size_t at = status.find(label);
  if (at == std::string_view::npos) return {};
  status.remove_prefix(at + label.size());
  return status.substr(0, status.find('\n'));
}

// One that has not come to its stop for want of a processor still has it pending; a SIGCONT takes
// that back (signal(7)).
bool Runs(std::string_view pid) {
  const std::string status = ReadSmallFile("/proc/" + std::string(pid) + "/status");
  const std::string_view state = StatusField(status, "State:\t");
  if (!state.starts_with('R') && !state.starts_with('S')) return false;
  const std::string_view pending = StatusField(status, "ShdPnd:\t");
  uint64_t signals = 0;
  std::from_chars(pending.data(), pending.data() + pending.size(), signals, 16);
  return (signals & kStopSignal) == 0;
}

}  // namespace

// Whether any thread of it is not stopped: it may have undone its stop in a process that is not its
// first, and a process whose first thread has ended goes on in others. How many there are is its
// own choice, so a part of them is looked at, another one the next time.
bool Supervisor::AnyRuns(Component& component) {
  constexpr size_t kMostLooks = 128;  // a second
  if (component.looks >= kMostLooks) return false;
  const auto groups =
      component.cgroup ? component.cgroup->Directories() : std::vector<std::string>();
  std::string text;
  for (const char* name : {"/cgroup.threads", "/tasks"}) {
    if (text.empty() && !groups.empty()) text = ReadSmallFile(groups.front() + name);
  }
  if (text.empty()) text = std::to_string(component.pid) + "\n";
  if (component.look_from >= text.size()) component.look_from = 0;
  // From the next whole line on, and around.
  const size_t line = component.look_from == 0 ? 0 : text.find('\n', component.look_from) + 1;
  const std::string_view all(text);
  const std::string_view parts[] = {all.substr(std::min(line, all.size())), all.substr(0, line)};
  for (std::string_view threads : parts) {
    while (!threads.empty() && component.looks < kMostLooks) {
      const size_t end = std::min(threads.find('\n'), threads.size());
      ++component.looks;
      component.look_from = static_cast<size_t>(threads.data() - all.data());
      if (Runs(threads.substr(0, end))) return true;
      threads.remove_prefix(std::min(end + 1, threads.size()));
    }
  }
  return false;
}

void Supervisor::Hold(Component& component) {
  // One that is to end must hear the signal; its grace time bounds what it does until then.
  const bool stopping = component.unit.state() == UnitState::kStopping;
  if (component.held || component.ending || stopping || !component.control) return;
  const ReaperCommand stop{SIGSTOP, 1};
  component.held =
      send(component.control.get(), &stop, sizeof stop, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
  if (!component.held && errno != EAGAIN) return;  // it has ended
  if (!component.held) {
    // Its reaper has taken nothing for minutes.
    Lifecycle(component, "hold", "failed", "its reaper takes no orders: it is killed");
    return KillAll(component);
  }
  // As long as an earlier one is unsaid it counts from that: a reaper can be kept from its work.
  if (component.stops_said == component.stops_told) component.held_since = NowMs();
  component.stopped_since = 0;
  ++component.stops_told;
  if (component.held_before) return;
  component.held_before = true;
  Lifecycle(component, "hold", "done",
            "over " + std::to_string(kDenialBudget) + " refusals by Landlock a second");
}

// Where processors are wanted by many, or the machine itself stands still for a while, the reaper
// may get to it late.
bool Supervisor::IsStopOver(const Component& component, uint64_t now) {
  if (!component.held) return false;
  if (component.stopped_since != 0) return now - component.stopped_since >= kStopTakes;
  return now - component.held_since >= kUnsaidStopTakes;
}

// Looked at with the records of what it is still refused, and before it is let go: who does one of
// the two without the other is seen all the same. A second whose stop came late says nothing.
void Supervisor::JudgeStop(Component& component) {
  if (component.ending || !IsStopOver(component, NowMs())) return;
  const bool runs = component.runs_on || AnyRuns(component);
  component.ran_on = static_cast<uint8_t>((component.ran_on << 1) | (runs ? 1 : 0));
  if (!runs || std::popcount(component.ran_on) < 3) return;
  Lifecycle(component, "hold", "failed", "it goes on though it is stopped: it is killed");
  KillAll(component);
}

void Supervisor::Release(Component& component) {
  component.runs_on = false;
  component.denials = 0;
  component.looks = 0;
  if (!component.held) return;
  component.held = false;
  const ReaperCommand go{SIGCONT, 1};
  send(component.control.get(), &go, sizeof go, MSG_NOSIGNAL | MSG_DONTWAIT);
}

}  // namespace bulkhead
