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

bool Folds(EventKind kind) {
  return kind == EventKind::kViolation || kind == EventKind::kAbsent ||
         kind == EventKind::kBrokered;
}

Event LossEvent(const std::string& sink, uint64_t events, int error) {
  Event event;
  event.kind = EventKind::kLoss;
  event.control = "supervisor";
  event.action = "write";
  event.object = sink;
  event.verdict = "failed";
  event.error = ErrnoName(error);
  event.count = events;
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
                                                 AuditClock clock, Dial dial) {
  if (sinks.empty()) return tl::unexpected(SinkError{"open", EINVAL, "no sink"});
  auto key = AuditKey::Make();
  if (!key) return tl::unexpected(SinkError{key.error().step, key.error().error, "the key"});
  AuditLog log(std::move(*key), std::move(boot), clock);
  const ChainPoint start = ChainStart(bundle, EscapeText(log.boot_).text);
  for (const Sink& sink : sinks) {
    auto opened = AuditSink::Open(sink, dial);
    if (!opened) {
      log.outputs_.clear();
      return tl::unexpected(opened.error());
    }
    log.outputs_.emplace_back(std::move(*opened), start);
  }
  for (Output& output : log.outputs_) {
    const int error = log.WriteOwn(output, kLogOpen, Hex(bundle));
    if (error == 0) continue;
    const SinkError failure{"write", error, output.sink.Name()};
    log.outputs_.clear();
    return tl::unexpected(failure);
  }
  return log;
}

AuditSink* AuditLog::StandardOutput() {
  for (Output& output : outputs_) {
    if (output.sink.is_stdout()) return &output.sink;
  }
  return nullptr;
}

Event AuditLog::Stamp(Event event) const {
  if (event.boot_ns == 0) event.boot_ns = clock_.boot();
  event.claimed_ns = clock_.claimed();
  event.boot = boot_;
  return event;
}

int AuditLog::Put(Output& output, const ChainedLine& linked) {
  const int error = output.sink.Write(linked.line, clock_.boot());
  if (error != 0) return error;
  output.point = linked.next;
  if (&output == &outputs_.front()) {
    head_ = output.point;
    ++counters_.records;
  }
  return 0;
}

int AuditLog::WriteOwn(Output& output, std::string_view action, std::string object,
                       std::vector<EventField> extra, int about) {
  Event event;
  event.pid = getpid();
  event.kind = action == kCheckpoint ? EventKind::kCheckpoint : EventKind::kLifecycle;
  event.control = "supervisor";
  event.action = action;
  event.object = std::move(object);
  event.verdict = "done";
  event.error = ErrnoName(about);
  event.extra = {{"events", std::to_string(counters_.events)},
                 {"folded", std::to_string(counters_.folded)},
                 {"lost", std::to_string(output.all_lost)}};
  event.extra.insert(event.extra.end(), extra.begin(), extra.end());
  if (action == kLogOpen || action == kLogReopen) {
    event.extra.push_back({"public_key", Hex(key_.public_key())});
  }
  const int error = Put(output, LinkSigned(output.point, Stamp(std::move(event)), key_));
  if (error != 0) return error;
  output.unsigned_records = 0;
  output.sink.Settle(false);
  return 0;
}

// What has to stand in the sink before a record of the time `now`.
int AuditLog::WriteDue(Output& output, uint64_t now) {
  if (output.reopened) {
    const int error = WriteOwn(output, kLogReopen, output.sink.Name());
    if (error != 0) return error;
    output.reopened = false;
  }
  const bool due = output.unsigned_records >= kSignedRecords ||
                   (output.unsigned_records != 0 && now >= output.unsigned_since + kSignedTime);
  return due ? WriteOwn(output, kCheckpoint) : 0;
}

int AuditLog::WriteTo(Output& output, const Event& event) {
  int error = WriteDue(output, event.boot_ns);
  if (error == 0) error = Put(output, Link(output.point, event));
  if (error != 0) return error;
  if (output.unsigned_records++ == 0) output.unsigned_since = event.boot_ns;
  // One that does not go through now is tried again before the next record.
  WriteDue(output, event.boot_ns);
  return 0;
}

int AuditLog::WriteGap(Output& output) {
  const Gap& gap = output.gap;
  return WriteOwn(output, kLogGap, output.sink.Name(),
                  {{"missed", std::to_string(gap.events)},
                   {"missed_records", std::to_string(gap.records)},
                   {"entries", std::to_string(gap.entries)},
                   {"unheld", std::to_string(gap.unheld)},
                   {"first", DecimalSeconds(gap.first)},
                   {"last", DecimalSeconds(gap.last)}},
                  gap.error);
}

int AuditLog::CatchUp(Output& output) {
  if (output.gap.records == 0) return 0;
  if (const int error = output.sink.Advance(clock_.boot()); error != 0) return error;
  while (const Backlogged* held = output.backlog.Front()) {
    Event event = held->event;
    event.boot_ns = 0;  // it is written now
    event.extra.insert(event.extra.begin(), {{"first", DecimalSeconds(held->first)},
                                             {"last", DecimalSeconds(held->last)}});
    if (const int error = WriteTo(output, Stamp(std::move(event))); error != 0) return error;
    output.backlog.Pop();
    ++output.gap.entries;
  }
  if (const uint64_t unheld = output.backlog.unheld(); unheld != 0) {
    const Event loss = Stamp(LossEvent(output.sink.Name(), unheld, output.gap.error));
    if (const int error = WriteTo(output, loss); error != 0) return error;
    output.backlog.ForgetUnheld();
  }
  if (const int error = WriteGap(output); error != 0) return error;
  output.gap = {};
  output.sink.set_behind(false);
  return 0;
}

bool AuditLog::Deliver(Output& output, const Event& event) {
  int error = CatchUp(output);
  if (error == 0) error = WriteTo(output, event);
  if (error == 0) return true;
  Gap& gap = output.gap;
  output.sink.set_behind(true);
  if (gap.records++ == 0) {
    gap.error = error;
    gap.first = event.boot_ns;
  }
  gap.events += event.count;
  output.all_missed += event.count;
  gap.last = event.boot_ns;
  const uint64_t before = output.backlog.unheld();
  output.backlog.Add(event);
  const uint64_t unheld = output.backlog.unheld() - before;
  gap.unheld += unheld;
  output.all_lost += unheld;
  return false;
}

std::vector<AuditLog::SinkState> AuditLog::Sinks() const {
  std::vector<SinkState> states;
  for (const Output& output : outputs_) {
    const Gap& gap = output.gap;
    states.push_back({output.sink.Name(), gap.events, output.all_missed, output.all_lost,
                      gap.records != 0 ? gap.error : 0});
  }
  return states;
}

uint64_t AuditLog::Emit(const Event& event) {
  uint64_t sequence = 0;
  bool whole = true;
  for (Output& output : outputs_) {
    const bool delivered = Deliver(output, event);
    if (delivered && &output == &outputs_.front()) sequence = output.point.sequence;
    whole = whole && delivered;
  }
  if (!whole) counters_.missed += event.count;
  return sequence;
}

uint64_t AuditLog::Append(Event event) {
  if (outputs_.empty() || event.count == 0) return 0;
  counters_.events += event.count;
  Event stamped = Stamp(std::move(event));
  return Folds(stamped.kind) ? AppendFolded(std::move(stamped)) : Emit(stamped);
}

bool AuditLog::Spend(const Event& event, uint64_t now) {
  auto& budgets = event.kind == EventKind::kBrokered ? brokered_budgets_ : budgets_;
  Budget& budget = budgets.try_emplace(event.component, Budget{kBurst, now}).first->second;
  const uint64_t refill = (now - budget.since) / (kFoldWindow / kRefill);
  budget.records = std::min(kBurst, budget.records + refill);
  budget.since += refill * (kFoldWindow / kRefill);
  if (budget.records == 0) return false;
  --budget.records;
  return true;
}

uint64_t AuditLog::AddTo(Fold& fold, Event event) {
  const uint64_t now = clock_.boot();
  counters_.folded += event.count;
  event.count += fold.event.count;
  fold_bytes_ += HeldBytes(event);
  fold_bytes_ -= HeldBytes(fold.event);
  fold.event = std::move(event);
  if (now - fold.since < kFoldWindow) return 0;
  if (!fold.several && !Spend(fold.event, now)) return 0;
  const uint64_t sequence = Emit(fold.event);
  fold.event.count = 0;
  fold.since = now;
  return sequence;
}

uint64_t AuditLog::AppendFolded(Event event) {
  Digest key = EventIdentity(event);
  const uint64_t now = clock_.boot();
  if (const auto found = folds_.find(key); found != folds_.end()) {
    return AddTo(found->second, std::move(event));
  }
  const bool several = !Spend(event, now);
  if (several) {
    event.action = event.object = kSeveral;
    event.extra.clear();
    key = EventIdentity(event);
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
    const bool due = older_than == UINT64_MAX || fold.several || Spend(fold.event, now);
    if (due) {
      fold.event.boot_ns = 0;  // the count is of now
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
  for (Output& output : outputs_) {
    if (CatchUp(output) == 0) WriteDue(output, clock_.boot());
    output.sink.Advance(clock_.boot());
  }
}

bool AuditLog::Finish(Output& output) {
  if (CatchUp(output) != 0 || WriteDue(output, clock_.boot()) != 0) return false;
  if (WriteOwn(output, kLogClose, output.sink.Name()) != 0) return false;
  output.sink.Settle(true);
  return true;
}

bool AuditLog::Close() {
  FlushFolds(UINT64_MAX);
  folds_.clear();
  bool whole = true;
  constexpr int kWaits = 20;  // of 100 ms, for a receiver
  for (Output& output : outputs_) {
    bool closed = Finish(output);
    for (int i = 0; i < kWaits && !closed && output.sink.Wait(100); ++i) closed = Finish(output);
    bool sent = output.sink.Advance(clock_.boot()) == 0;
    for (int i = 0; i < kWaits && closed && !sent && output.sink.Wait(100); ++i) {
      sent = output.sink.Advance(clock_.boot()) == 0;
    }
    whole = whole && closed && sent;
  }
  outputs_.clear();
  return whole;
}

tl::expected<void, SinkError> AuditLog::Reopen() {
  tl::expected<void, SinkError> result;
  for (Output& output : outputs_) {
    if (!output.sink.is_file()) continue;
    // The old file's end is signed, as nothing comes after it.
    if (output.unsigned_records != 0) WriteOwn(output, kCheckpoint);
    if (auto reopened = output.sink.Reopen(); reopened) {
      output.reopened = true;
      WriteDue(output, clock_.boot());
    } else if (result) {
      result = tl::unexpected(reopened.error());
    }
  }
  return result;
}

}  // namespace bulkhead
