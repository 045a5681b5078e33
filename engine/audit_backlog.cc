// SPDX-License-Identifier: Apache-2.0
#include "engine/audit_backlog.h"

#include <algorithm>
#include <string>
#include <utility>

namespace bulkhead {

Digest EventIdentity(const Event& event) {
  std::string bytes(1, static_cast<char>(event.kind));
  for (const std::string* part : {&event.component, &event.control, &event.action, &event.object,
                                  &event.verdict, &event.error, &event.rule}) {
    bytes += std::to_string(part->size()) + ':' + *part;  // no two lists give the same bytes
  }
  // Whoever ended has perhaps violated nothing: not one record with those who have.
  for (const EventField& field : event.extra) {
    if (field.name == "caller") bytes += field.value;
  }
  return Sha384(bytes);
}

size_t HeldBytes(const Event& event) {
  size_t bytes = sizeof(Event) + event.component.size() + event.exe.size() + event.control.size() +
                 event.action.size() + event.object.size() + event.verdict.size() +
                 event.error.size() + event.rule.size();
  for (const EventField& field : event.extra) {
    bytes += sizeof(EventField) + field.name.size() + field.value.size();
  }
  return bytes;
}

bool AuditBacklog::Join(Held& held, const Digest& key, const Event& event) {
  const auto found = held.find(key);
  if (found == held.end()) return false;
  Backlogged& entry = found->second;
  // The first one's pid, program and extras stay: the table's bytes do not grow by this.
  entry.event.count += event.count;
  entry.last = event.boot_ns;
  return true;
}

void AuditBacklog::Add(const Event& event) {
  const Digest key = EventIdentity(event);
  if (Join(held_, key, event)) return;
  const size_t bytes = HeldBytes(event);
  if (held_.size() < kMaxKinds && bytes_ + bytes <= kMaxBytes) {
    bytes_ += bytes;
    held_.emplace(key, Backlogged{event, event.boot_ns, event.boot_ns});
    return;
  }
  Event coarse = event;
  coarse.action = coarse.object = kSeveral;
  coarse.exe.clear();
  coarse.extra.clear();
  const Digest coarse_key = EventIdentity(coarse);
  if (Join(coarse_, coarse_key, coarse)) return;
  if (coarse_.size() < kMaxCoarse) {
    coarse_.emplace(coarse_key, Backlogged{coarse, coarse.boot_ns, coarse.boot_ns});
  } else {
    unheld_ += event.count;
  }
}

AuditBacklog::Held::const_iterator AuditBacklog::Oldest(const Held& held) {
  return std::min_element(held.begin(), held.end(), [](const auto& one, const auto& other) {
    return one.second.first < other.second.first;
  });
}

const Backlogged* AuditBacklog::Front() const {
  const Held& held = held_.empty() ? coarse_ : held_;
  return held.empty() ? nullptr : &Oldest(held)->second;
}

void AuditBacklog::Pop() {
  if (held_.empty()) {
    coarse_.erase(Oldest(coarse_));
    return;
  }
  const auto oldest = Oldest(held_);
  bytes_ -= HeldBytes(oldest->second.event);
  held_.erase(oldest);
}

}  // namespace bulkhead
