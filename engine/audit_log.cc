// SPDX-License-Identifier: Apache-2.0
#include "engine/audit_log.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace bulkhead {
namespace {

uint64_t ReadClock(clockid_t clock) {
  timespec now = {};
  clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000 + static_cast<uint64_t>(now.tv_nsec);
}

bool Folds(EventKind kind) { return kind == EventKind::kViolation || kind == EventKind::kAbsent; }

Digest FoldKey(const Event& event) {
  std::string bytes(1, static_cast<char>(event.kind));
  for (const std::string* part : {&event.component, &event.control, &event.action, &event.object,
                                  &event.verdict, &event.error, &event.rule}) {
    bytes += std::to_string(part->size()) + ':' + *part;  // no two lists give the same bytes
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

Event LossEvent(const std::string& sink, uint64_t events, uint64_t records, int error) {
  Event event;
  event.kind = EventKind::kLoss;
  event.control = "supervisor";
  event.action = "write";
  event.object = sink;
  event.verdict = "failed";
  event.error = ErrnoName(error);
  event.count = events;
  event.extra = {{"records", std::to_string(records)}};
  return event;
}

}  // namespace

AuditClock SystemAuditClock() {
  return {[] { return ReadClock(CLOCK_BOOTTIME); }, [] { return ReadClock(CLOCK_REALTIME); }};
}

std::string ReadBootId() {
  char text[64];
  const int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  const ssize_t got = read(fd, text, sizeof text);
  close(fd);
  if (got <= 0) return "";
  const std::string_view id(text, static_cast<size_t>(got));
  return std::string(id.substr(0, id.find('\n')));
}

tl::expected<AuditLog, SinkError> AuditLog::Open(const std::vector<Sink>& sinks,
                                                 const Digest& bundle, std::string boot,
                                                 AuditClock clock) {
  if (sinks.empty()) return tl::unexpected(SinkError{"open", EINVAL, "no sink"});
  AuditLog log(std::move(boot), clock);
  const ChainPoint start = ChainStart(bundle, EscapeText(log.boot_).text);
  for (const Sink& sink : sinks) {
    auto opened = AuditSink::Open(sink);
    if (!opened) {
      log.outputs_.clear();
      return tl::unexpected(opened.error());
    }
    log.outputs_.emplace_back(std::move(*opened), start);
  }
  for (Output& output : log.outputs_) {
    log.Lifecycle(output, kLogOpen, Hex(bundle));
    if (output.lost == 0) continue;
    const SinkError error{"write", output.error, output.sink.Name()};
    log.outputs_.clear();
    return tl::unexpected(error);
  }
  return log;
}

Event AuditLog::Stamp(Event event) const {
  event.boot_ns = clock_.boot();
  event.claimed_ns = clock_.claimed();
  event.boot = boot_;
  return event;
}

int AuditLog::WriteTo(Output& output, const Event& event) {
  const ChainedLine linked = Link(output.point, event);
  const int error = output.sink.Write(linked.line);
  if (error != 0) return error;
  output.point = linked.next;
  if (&output == &outputs_.front()) {
    head_ = output.point;
    ++counters_.records;
  }
  return 0;
}

bool AuditLog::PayLoss(Output& output) {
  if (output.lost == 0) return true;
  const Event loss =
      Stamp(LossEvent(output.sink.Name(), output.lost, output.lost_records, output.error));
  if (WriteTo(output, loss) != 0) return false;
  output.lost = output.lost_records = 0;
  output.error = 0;
  return true;
}

bool AuditLog::Deliver(Output& output, const Event& event) {
  const int error = PayLoss(output) ? WriteTo(output, event) : output.error;
  if (error == 0) return true;
  if (output.lost == 0) output.error = error;
  output.lost += event.count;
  ++output.lost_records;
  return false;
}

uint64_t AuditLog::Emit(const Event& event) {
  uint64_t sequence = 0;
  bool whole = true;
  for (Output& output : outputs_) {
    const bool delivered = Deliver(output, event);
    if (delivered && &output == &outputs_.front()) sequence = output.point.sequence;
    whole = whole && delivered;
  }
  if (!whole) counters_.lost += event.count;
  return sequence;
}

uint64_t AuditLog::Append(Event event) {
  if (outputs_.empty() || event.count == 0) return 0;
  counters_.events += event.count;
  Event stamped = Stamp(std::move(event));
  return Folds(stamped.kind) ? AppendFolded(std::move(stamped)) : Emit(stamped);
}

bool AuditLog::Spend(const std::string& component, uint64_t now) {
  Budget& budget = budgets_.try_emplace(component, Budget{kBurst, now}).first->second;
  const uint64_t refill = (now - budget.since) / (kFoldWindow / kRefill);
  budget.records = std::min(kBurst, budget.records + refill);
  budget.since += refill * (kFoldWindow / kRefill);
  if (budget.records == 0) return false;
  --budget.records;
  return true;
}

uint64_t AuditLog::AddTo(Fold& fold, Event event) {
  const uint64_t now = event.boot_ns;
  counters_.folded += event.count;
  event.count += fold.event.count;
  fold_bytes_ += HeldBytes(event);
  fold_bytes_ -= HeldBytes(fold.event);
  fold.event = std::move(event);
  if (now - fold.since < kFoldWindow) return 0;
  if (!fold.several && !Spend(fold.event.component, now)) return 0;
  const uint64_t sequence = Emit(fold.event);
  fold.event.count = 0;
  fold.since = now;
  return sequence;
}

uint64_t AuditLog::AppendFolded(Event event) {
  Digest key = FoldKey(event);
  const uint64_t now = event.boot_ns;
  if (const auto found = folds_.find(key); found != folds_.end()) {
    return AddTo(found->second, std::move(event));
  }
  const bool several = !Spend(event.component, now);
  if (several) {
    event.action = event.object = kSeveral;
    event.extra.clear();
    key = FoldKey(event);
    if (const auto found = folds_.find(key); found != folds_.end()) {
      return AddTo(found->second, std::move(event));
    }
  }
  const size_t bytes = HeldBytes(event);
  if (folds_.size() >= kMaxFoldKeys || fold_bytes_ + bytes > kMaxFoldBytes) {
    FlushFolds(UINT64_MAX);
    folds_.clear();
    fold_bytes_ = 0;
  }
  const uint64_t sequence = Emit(event);
  event.count = 0;
  fold_bytes_ += bytes;
  folds_.emplace(key, Fold{std::move(event), now, several});
  return sequence;
}

void AuditLog::FlushFolds(uint64_t older_than) {
  const uint64_t now = clock_.boot();
  for (auto entry = folds_.begin(); entry != folds_.end();) {
    Fold& fold = entry->second;
    if (fold.since > older_than) {
      ++entry;
      continue;
    }
    if (fold.event.count == 0) {
      fold_bytes_ -= HeldBytes(fold.event);
      entry = folds_.erase(entry);
      continue;
    }
    // Over budget the count waits; at the end, and when the table is full, it is written anyway.
    const bool due = older_than == UINT64_MAX || fold.several || Spend(fold.event.component, now);
    if (due) {
      Emit(Stamp(fold.event));
      fold.event.count = 0;
      fold.since = now;
    }
    ++entry;
  }
}

void AuditLog::Tick() {
  const uint64_t now = clock_.boot();
  if (now >= kFoldWindow) FlushFolds(now - kFoldWindow);
  for (Output& output : outputs_) PayLoss(output);
}

void AuditLog::Lifecycle(Output& output, std::string_view action, std::string object) {
  Event event;
  event.pid = getpid();
  event.control = "supervisor";
  event.action = action;
  event.object = std::move(object);
  event.verdict = "done";
  if (!Deliver(output, Stamp(std::move(event)))) ++counters_.lost;
}

bool AuditLog::Close() {
  FlushFolds(UINT64_MAX);
  folds_.clear();
  bool whole = true;
  for (Output& output : outputs_) {
    Lifecycle(output, kLogClose, output.sink.Name());
    whole = whole && output.lost == 0;
  }
  outputs_.clear();
  return whole;
}

tl::expected<void, SinkError> AuditLog::Reopen() {
  tl::expected<void, SinkError> result;
  for (Output& output : outputs_) {
    if (!output.sink.is_file()) continue;
    if (auto reopened = output.sink.Reopen(); reopened) {
      Lifecycle(output, kLogReopen, output.sink.Name());
    } else if (result) {
      result = tl::unexpected(reopened.error());
    }
  }
  return result;
}

}  // namespace bulkhead
