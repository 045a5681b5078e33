// SPDX-License-Identifier: Apache-2.0
// What the supervisor answers over its control socket, and what it does then.
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "engine/clock.h"
#include "engine/supervisor.h"

namespace bulkhead {
namespace {

// Of the process alone, in bytes: the second number of its statm, in pages.
uint64_t ResidentMemory(pid_t pid) {
  const std::string text = ReadSmallFile("/proc/" + std::to_string(pid) + "/statm");
  const size_t second = text.find(' ');
  if (second == std::string::npos) return 0;
  uint64_t pages = 0;
  std::from_chars(text.data() + second + 1, text.data() + text.size(), pages);
  return pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

// The last `count` lines.
std::string_view LastLines(std::string_view text, uint32_t count) {
  size_t at = text.size();
  while (at > 0 && count > 0) {
    const size_t before = text.rfind('\n', at - 2);
    at = at < 2 || before == std::string_view::npos ? 0 : before + 1;
    --count;
  }
  return text.substr(at);
}

}  // namespace

void Supervisor::Remember(Component& component, std::string_view text, size_t label) {
  if (text.empty()) return;
  // Of an instance the lines stay with its component.
  Component& owner = OwnerOf(component);
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    const std::string_view line = text.substr(at + label, end - at - label);
    owner.recent.append(line).append("\n");
    control_.Said(owner.profile->name, line);
    at = end + 1;
  }
  if (owner.recent.size() <= kKeptOutput) return;
  const size_t cut = owner.recent.find('\n', owner.recent.size() - kKeptOutput);
  owner.recent.erase(0, cut + 1);
}

std::string Supervisor::StatusLine(const Component& component) const {
  const bool runs = component.pid > 0 && component.reaper > 0;
  ControlLine line;
  line.Text("component", NameOf(component))
      .Text("state", UnitStateName(component.unit.state()))
      .Flag("ready", component.unit.state() == UnitState::kUp ||
                         (component.unit.state() == UnitState::kDone && component.unit.satisfied()))
      .Number("restarts", component.unit.restarts())
      .Number("violations", component.all_violations);
  if (!runs) return line.Null("pid").Null("uptime_ms").Null("memory").Finish();
  const auto in_group = component.cgroup ? component.cgroup->MemoryInUse() : std::nullopt;
  return line.Number("pid", static_cast<uint64_t>(component.pid))
      .Number("uptime_ms", NowMs() - component.since)
      .Number("memory", in_group ? *in_group : ResidentMemory(component.pid))
      .Finish();
}

std::string Supervisor::StatusText() const {
  std::string text = ControlOk();
  text += ControlLine()
              .Text("enclave", bundle_->enclave)
              .Text("digest", Hex(digest_))
              .Number("pid", static_cast<uint64_t>(getpid()))
              .Flag("stopping", stopping_)
              .Finish();
  for (const auto& component : components_) {
    // Of instances those that run.
    if (component->instance != 0 && component->reaper <= 0) continue;
    text += StatusLine(*component);
  }
  return text;
}

ControlSocket::Answer Supervisor::LogsAnswer(const ControlRequest& request) const {
  std::string text = ControlOk();
  for (const auto& component : components_) {
    const std::string& name = component->profile->name;
    if (component->instance != 0) continue;
    if (!request.component.empty() && request.component != name) continue;
    // No more than a client may leave unread.
    if (text.size() + 2 * kKeptOutput > ControlSocket::kMaxUnread) break;
    std::string_view lines = LastLines(component->recent, request.lines);
    while (!lines.empty()) {
      const size_t end = lines.find('\n');
      text += ControlLine().Text("component", name).Escaped("line", lines.substr(0, end)).Finish();
      lines.remove_prefix(end + 1);
    }
  }
  return {std::move(text), request.follow};
}

void Supervisor::RecordControl(const ControlRequest& request, const ControlPeer& peer) {
  Event event;
  event.component = request.component;
  event.kind = EventKind::kLifecycle;
  event.control = "supervisor";
  event.action = request.verb == ControlVerb::kStop ? "control-stop" : "control-restart";
  event.object = request.component.empty() ? "enclave" : request.component;
  event.verdict = "done";
  event.extra = {{"uid", std::to_string(peer.uid)}, {"pid", std::to_string(peer.pid)}};
  Status("asked by process " + std::to_string(peer.pid) +
         (request.verb == ControlVerb::kStop ? " to stop " : " to restart ") +
         (request.component.empty() ? "the enclave" : "`" + request.component + "`"));
  log_.Append(std::move(event));
}

ControlSocket::Answer Supervisor::StopOrRestart(const ControlRequest& request) {
  if (request.component.empty()) {
    stopping_ = true;
    return {ControlOk(), true};  // it hears the end
  }
  if (stopping_) return {ControlError("the enclave is being stopped")};
  const bool restart = request.verb == ControlVerb::kRestart;
  for (auto& component : components_) {
    if (component->profile->name != request.component) continue;
    // Instances end with their component's stop, and begin with a client.
    const bool again = restart && component->instance == 0;
    Act(*component, again ? component->unit.Restart(NowMs()) : component->unit.Stop(NowMs()));
  }
  return {ControlOk()};
}

// The answer is that it is asked for; what came of it is on record.
ControlSocket::Answer Supervisor::MeasureOnRequest(const ControlPeer& peer) {
  if (stopping_) return {ControlError("the enclave is being stopped, which measures it, too")};
  const auto head = SubmitAuditHead();
  if (!head) return {ControlError(head.error())};
  Status("asked by process " + std::to_string(peer.pid) + " to measure the audit log");
  return {ControlOk() +
          ControlLine()
              .Text("head", Hex(*head))
              .Text("register", RegisterName(bundle_->measure.kind, *bundle_->measure.events))
              .Finish()};
}

ControlSocket::Answer Supervisor::AnswerControl(const ControlRequest& request,
                                                const ControlPeer& peer) {
  const bool known =
      request.component.empty() || std::ranges::any_of(components_, [&](const auto& component) {
        return component->profile->name == request.component;
      });
  if (!known) return {ControlError("no component `" + request.component + "`")};
  switch (request.verb) {
    case ControlVerb::kMeasure:
      return MeasureOnRequest(peer);
    case ControlVerb::kStatus:
      return {StatusText()};
    case ControlVerb::kLogs:
      return LogsAnswer(request);
    case ControlVerb::kStop:
    case ControlVerb::kRestart:
      RecordControl(request, peer);
      return StopOrRestart(request);
  }
  return {ControlError("an unknown verb")};
}

void Supervisor::OnControlRequests() {
  control_.Turn(NowMs(), [this](const ControlRequest& request, const ControlPeer& peer) {
    return AnswerControl(request, peer);
  });
}

}  // namespace bulkhead
