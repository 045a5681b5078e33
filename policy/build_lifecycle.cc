// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <string>

#include "policy/build.h"
#include "policy/scalars.h"
#include "policy/text.h"

namespace bulkhead {
namespace {

uint32_t Milliseconds(const Section& section, std::string_view key, std::string_view fallback) {
  return static_cast<uint32_t>(ParseTime(section.TextOf(key, fallback)).value_or(0));
}

void BuildReadyMap(const Section& ready, Readiness& built, Diagnostics& diagnostics) {
  if (ready.Has("file") == ready.Has("exit")) {
    diagnostics.Error(ready.node()->place, "E0228", "`ready` takes either `file` or `exit`",
                      "write `{file: PATH}` or `{exit: 0}`");
    return;
  }
  built.kind = ready.Has("file") ? ReadyKind::kFile : ReadyKind::kExit;
  built.path = ready.TextOf("file");
  built.exit_code = static_cast<uint32_t>(ParseInteger(ready.TextOf("exit")).value_or(0));
}

Readiness BuildReady(const Section& component, Diagnostics& diagnostics) {
  Readiness built;
  built.within_ms = Milliseconds(component, "start-within", "30s");
  const Node* ready = component.Get("ready");
  if (ready == nullptr) return built;
  if (ready->kind == NodeKind::kMap) {
    // An empty map was reported when it was checked, and so were its unknown keys.
    if (!ready->entries.empty()) BuildReadyMap(component.Sub("ready"), built, diagnostics);
  } else if (ready->text == "notify") {
    built.kind = ReadyKind::kNotify;
  } else if (ready->text == "listening") {
    built.kind = ReadyKind::kListening;
  }
  return built;
}

RestartWhen ParseRestart(const std::string& word) {
  if (word == "never") return RestartWhen::kNever;
  if (word == "always") return RestartWhen::kAlways;
  return RestartWhen::kOnFailure;
}

}  // namespace

Instances BuildInstances(const Section& component) {
  if (!component.Has("instances")) return {};
  const Section section = component.Sub("instances");
  return {static_cast<uint32_t>(ParseInteger(section.TextOf("at-most", "8")).value_or(8)),
          Milliseconds(section, "lifetime", "60s")};
}

Lifecycle BuildLifecycle(const Section& component, Diagnostics& diagnostics) {
  Lifecycle built;
  for (const Node& item : component.Items("after")) built.after.push_back(item.text);
  built.ready = BuildReady(component, diagnostics);
  if (component.Has("watchdog")) built.watchdog_ms = Milliseconds(component, "watchdog", "0");
  const Section stop = component.Sub("stop");
  built.stop_signal = ParseSignal(stop.TextOf("signal", "TERM")).value_or(15);
  built.stop_within_ms = Milliseconds(stop, "within", "5s");
  const Section restart = component.Sub("restart");
  built.restart = ParseRestart(restart.TextOf("when", "on-failure"));
  built.restart_at_most =
      static_cast<uint32_t>(ParseInteger(restart.TextOf("at-most", "5")).value_or(5));
  built.restart_within_ms = Milliseconds(restart, "within", "60s");
  built.critical = component.TextOf("critical") == "true";
  if (built.ready.kind == ReadyKind::kExit && built.restart == RestartWhen::kAlways) {
    diagnostics.Error(restart.Get("when")->place, "E0419",
                      "a component that is ready by ending can't be restarted always",
                      "write `when: on-failure` or `when: never`");
  }
  return built;
}

}  // namespace bulkhead
