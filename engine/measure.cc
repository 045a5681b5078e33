// SPDX-License-Identifier: Apache-2.0
#include "engine/measure.h"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>

#include "engine/event.h"
#include "engine/nsm.h"
#include "engine/tdx.h"
#include "engine/tpm.h"
#include "profiles/attestation.h"

namespace bulkhead {
namespace {

using Result = tl::expected<Measured, std::string>;
using Done = tl::expected<void, std::string>;

tl::unexpected<std::string> Stop(std::string what) { return tl::make_unexpected(std::move(what)); }

MeasuredEvent DigestEvent(std::string_view name, const Digest& digest) {
  return {std::string(name), {digest.begin(), digest.end()}};
}

// --- Nitro ---

class NitroRegister {
 public:
  NitroRegister(DeviceDoor& door, const Measure& measure, uint32_t number)
      : door_(door), path_(measure.nsm), number_(number) {}

  std::string name() const { return RegisterName(RegisterKind::kNitro, number_); }
  tl::unexpected<std::string> Failed(const char* step, const std::string& why) const {
    return Stop(std::string(step) + " " + name() + " (`" + path_ + "`): " + why);
  }
  tl::expected<NsmRegister, std::string> Describe() const {
    auto found = DescribeNsmRegister(door_, path_, number_);
    if (!found) return Failed("describe", found.error());
    return found;
  }
  Done Extend(const Digest& data, const Digest& expected) const {
    const auto now = ExtendNsmRegister(door_, path_, number_, data);
    if (!now) return Failed("extend", now.error());
    if (*now != expected) {
      return Failed("extend", "it holds " + Hex(*now) + " instead of " + Hex(expected));
    }
    return {};
  }
  Done Lock(const Digest& expected) const {
    if (const auto locked = LockNsmRegister(door_, path_, number_); !locked) {
      return Failed("lock", locked.error());
    }
    const auto now = Describe();
    if (!now) return Stop(now.error());
    if (!now->locked) return Failed("lock", "it is not locked afterwards");
    if (now->value != expected) {
      return Failed("lock", "it holds " + Hex(now->value) + " instead of " + Hex(expected));
    }
    return {};
  }

 private:
  DeviceDoor& door_;
  const std::string& path_;
  uint32_t number_;
};

// Whether the register holds `expected` for good; false: it is untouched. Anything else is an end.
tl::expected<bool, std::string> FoundMeasured(const NitroRegister& policy, const Digest& expected) {
  const auto found = policy.Describe();
  if (!found) return Stop(found.error());
  if (found->locked) {
    if (found->value == expected) return true;
    return policy.Failed("describe", "it is locked with another value, " + Hex(found->value));
  }
  if (found->value != Digest{}) {
    return policy.Failed("describe", "it is not zero: " + Hex(found->value));
  }
  return false;
}

// What is to take events must take them.
Done CheckEvents(DeviceDoor& door, const Measure& measure, bool again) {
  if (!measure.events) return {};
  const NitroRegister events(door, measure, *measure.events);
  const auto found = events.Describe();
  if (!found) return Stop(found.error());
  if (found->locked) return events.Failed("describe", "it is locked");
  if (!again && found->value != Digest{}) {
    return events.Failed("describe", "it is not zero: " + Hex(found->value));
  }
  return {};
}

Result MeasureNitro(DeviceDoor& door, const Measure& measure, const Digest& bundle) {
  const NitroRegister policy(door, measure, measure.policy);
  const Digest expected = PolicyRegister(bundle);
  const auto again = FoundMeasured(policy, expected);
  if (!again) return Stop(again.error());
  if (const auto good = CheckEvents(door, measure, *again); !good) return Stop(good.error());
  if (!*again) {
    if (const auto done = policy.Extend(bundle, expected); !done) return Stop(done.error());
    if (const auto done = policy.Lock(expected); !done) return Stop(done.error());
  } else if (measure.events) {
    const auto told = MeasureEvent(door, measure, DigestEvent(kEventRestarted, bundle));
    if (!told) return Stop(told.error());
  }
  return Measured{policy.name(), expected, *again};
}

// --- registers with a log ---

class LoggedRegister {
 public:
  LoggedRegister(DeviceDoor& door, const Measure& measure) : door_(door), measure_(measure) {}

  std::string name() const { return RegisterName(measure_.kind, measure_.policy); }
  const std::vector<MeasuredEvent>& events() const { return events_; }
  const Digest& value() const { return value_; }

  // Reads both, and compares.
  Done Load() {
    const auto value = Read();
    if (!value) return Stop(value.error());
    value_ = *value;
    const auto bytes = door_.Read(measure_.event_log, kMaxEventLog);
    if (!bytes && bytes.error() != ENOENT) {
      return Stop("read `" + measure_.event_log + "`: " + ErrnoName(bytes.error()));
    }
    if (bytes) {
      auto read = ReadEventLog({reinterpret_cast<const char*>(bytes->data()), bytes->size()});
      if (!read) return Stop("read `" + measure_.event_log + "`: " + read.error());
      events_ = std::move(*read);
    }
    Digest start{};
    if (measure_.kind == RegisterKind::kTpm) {
      if (auto found = TakeFound(start); !found) return found;
    }
    if (const Digest replayed = Replay(events_, start); replayed != value_) {
      return Stop("replay `" + measure_.event_log + "`: it comes to " + Hex(replayed) + ", but " +
                  name() + " holds " + Hex(value_));
    }
    return {};
  }

  Done Add(const MeasuredEvent& event) {
    const Digest digest = EventDigest(event);
    const Digest expected = Extended(value_, digest);
    if (auto done = Extend(digest, expected); !done) return done;
    value_ = expected;
    events_.push_back(event);
    return Log(event);
  }

 private:
  // Others may have used a TPM's register; the first line says what was found then.
  Done TakeFound(Digest& start) {
    if (events_.empty()) {
      start = value_;
      return Log(DigestEvent(kEventFound, value_));
    }
    const MeasuredEvent& first = events_.front();
    if (first.name != kEventFound || first.payload.size() != start.size()) {
      return Stop("read `" + measure_.event_log + "`: it does not start with the value found");
    }
    std::copy(first.payload.begin(), first.payload.end(), start.begin());
    events_.erase(events_.begin());
    return {};
  }
  tl::expected<Digest, std::string> Read() const {
    if (measure_.kind == RegisterKind::kTdx) return ReadTdx();
    auto value = TpmRegister(door_, measure_.tpm, measure_.policy);
    if (!value) return Stop("read " + name() + " (`" + measure_.tpm + "`): " + value.error());
    return value;
  }
  // The kernel's file, and the TDX module's own word: a file that is not the register's is found.
  tl::expected<Digest, std::string> ReadTdx() const {
    auto value = ReadRtmr(door_, measure_.rtmr, measure_.policy);
    if (!value) return value;
    auto reported = ReportedRtmr(door_, measure_.tdx, measure_.policy, *value);
    if (!reported) return reported;
    if (*reported != *value) {
      return Stop("compare " + name() + ": the report of `" + measure_.tdx + "` says " +
                  Hex(*reported) + ", but `" + Where() + "` holds " + Hex(*value));
    }
    return value;
  }

  std::string Where() const {
    return measure_.kind == RegisterKind::kTdx ? RtmrPath(measure_.rtmr, measure_.policy)
                                               : measure_.tpm;
  }

  Done Extend(const Digest& digest, const Digest& expected) const {
    if (measure_.kind == RegisterKind::kTdx) {
      auto done = ExtendRtmr(door_, measure_.rtmr, measure_.policy, digest);
      if (!done) return done;
    } else {
      const auto done = ExtendTpmRegister(door_, measure_.tpm, measure_.policy, digest);
      if (!done) return Stop("extend " + name() + " (`" + measure_.tpm + "`): " + done.error());
    }
    const auto now = Read();
    if (!now) return Stop(now.error());
    if (*now != expected) {
      return Stop("compare " + name() + " (`" + Where() + "`): it holds " + Hex(*now) +
                  " instead of " + Hex(expected));
    }
    return {};
  }
  Done Log(const MeasuredEvent& event) {
    const auto done = door_.Append(measure_.event_log, EventLine(event));
    if (!done) return Stop("write `" + measure_.event_log + "`: " + ErrnoName(done.error()));
    return {};
  }

  DeviceDoor& door_;
  const Measure& measure_;
  std::vector<MeasuredEvent> events_;
  Digest value_{};
};

// Why a log with a bundle event in it is not that of a supervisor of this bundle; empty: it is.
std::string WhyAnother(const LogJudgement& log, const Digest& bundle) {
  if (log.bundles.size() != 1) return "it holds several bundle events";
  if (log.bundles[0] != bundle) return "it is about another bundle, " + Hex(log.bundles[0]);
  if (!log.boundary) return "its bundle event has no boundary event";
  if (log.foreign_after != 0) return "somebody else measured after the boundary";
  return {};
}

Result MeasureLogged(DeviceDoor& door, const Measure& measure, const Digest& bundle,
                     const std::string& enclave) {
  LoggedRegister logged(door, measure);
  if (const auto loaded = logged.Load(); !loaded) return Stop(loaded.error());
  const LogJudgement log = JudgeEvents(logged.events());
  const bool again = !log.bundles.empty();
  std::vector<MeasuredEvent> events;
  if (again) {
    if (const std::string why = WhyAnother(log, bundle); !why.empty()) {
      return Stop("judge `" + measure.event_log + "`: " + why);
    }
    events.push_back(DigestEvent(kEventRestarted, bundle));
  } else {
    events.push_back(DigestEvent(kEventBundle, bundle));
    events.push_back({std::string(kEventBoundary), {enclave.begin(), enclave.end()}});
  }
  for (const MeasuredEvent& event : events) {
    if (const auto done = logged.Add(event); !done) return Stop(done.error());
  }
  return Measured{logged.name(), logged.value(), again};
}

}  // namespace

tl::expected<Fd, std::string> LockMeasuring() {
  constexpr const char* kDirectory = "/run/bulkhead";
  Fd lock(open(kDirectory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!lock || flock(lock.get(), LOCK_EX) != 0) {
    return Stop(std::string("lock `") + kDirectory + "`: " + ErrnoName(errno));
  }
  return lock;
}

Result MeasureBundle(DeviceDoor& door, const Measure& measure, const Digest& bundle,
                     const std::string& enclave) {
  switch (measure.kind) {
    case RegisterKind::kNone:
      return Measured{};
    case RegisterKind::kNitro:
      return MeasureNitro(door, measure, bundle);
    case RegisterKind::kTdx:
    case RegisterKind::kTpm:
      return MeasureLogged(door, measure, bundle, enclave);
  }
  return Stop("an unknown register");
}

tl::expected<Digest, std::string> MeasureEvent(DeviceDoor& door, const Measure& measure,
                                               const MeasuredEvent& event) {
  if (measure.kind == RegisterKind::kNitro) {
    const NitroRegister events(door, measure, measure.events.value_or(0));
    const auto found = events.Describe();
    if (!found) return Stop(found.error());
    if (found->locked) return events.Failed("describe", "it is locked");
    const Digest digest = EventDigest(event);
    const Digest expected = Extended(found->value, digest);
    if (const auto done = events.Extend(digest, expected); !done) return Stop(done.error());
    return expected;
  }
  LoggedRegister logged(door, measure);
  if (const auto loaded = logged.Load(); !loaded) return Stop(loaded.error());
  if (const auto done = logged.Add(event); !done) return Stop(done.error());
  return logged.value();
}

tl::expected<Digest, std::string> MeasureLater(DeviceDoor& door, const Measure& measure,
                                               const MeasuredEvent& event) {
  const auto lock = LockMeasuring();
  if (!lock) return tl::make_unexpected(lock.error());
  return MeasureEvent(door, measure, event);
}

}  // namespace bulkhead
