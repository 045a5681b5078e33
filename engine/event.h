// SPDX-License-Identifier: Apache-2.0
// One audit event and its canonical JSON form: fixed key order, no spaces, bounded length. A value
// an attacker chose reaches the log only as printable UTF-8: every other byte becomes the text
// \xNN, a backslash becomes two, so the text can be turned back into the bytes and no terminal is
// ever handed a control character. The format is normative in docs/AUDIT.md. Plain values, pure
// functions, thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead {

enum class EventKind : uint8_t {
  kViolation,   // refused, and no honest program does it
  kAbsent,      // answered ENOSYS: honest code probes for it
  kWitness,     // a confined process tried what its policy refuses or allows
  kLifecycle,   // a component, or the log itself, changed state
  kMeasure,     // the bundle digest went into a register
  kLedger,      // what is enforced, substituted or waived
  kLoss,        // events that could not be written or were never received, with their number
  kCheckpoint,  // sequence, head and counters at one moment
  kObserved,    // refused by the policy and let pass, as it says `on-violation: observe`
  kBrokered,    // allowed, and made by the broker
};
std::string_view EventKindName(EventKind kind);

inline constexpr std::string_view kVerdicts[] = {"refused", "killed", "passed",
                                                 "allowed", "done",   "failed"};

struct EventField {
  std::string name;  // ours, never from outside
  std::string value;
  bool operator==(const EventField&) const = default;
};

struct Event {
  // The log sets these four, but for the time of what was over before it came to the log.
  uint64_t sequence = 0;
  uint64_t boot_ns = 0;     // CLOCK_BOOTTIME
  uint64_t claimed_ns = 0;  // CLOCK_REALTIME: the host owns that clock, so it is a claim
  std::string boot;         // /proc/sys/kernel/random/boot_id

  std::string component;  // empty for the enclave
  int32_t pid = 0;        // in the supervisor's PID namespace, 0 if unknown
  std::string exe;        // empty if unknown
  EventKind kind = EventKind::kLifecycle;
  std::string control;  // seccomp, landlock, tripwire, view, cgroup, supervisor
  std::string action;   // what was tried: a call, a right, a state
  std::string object;   // on what
  std::string verdict;  // one of kVerdicts
  std::string error;    // name of the errno answered, empty for none
  std::string rule;     // statement id
  uint64_t count = 1;   // how many such events this record stands for
  std::vector<EventField> extra;
};

inline constexpr size_t kMaxEventField = 512;   // bytes of escaped text
inline constexpr size_t kMaxEventExtras = 16;   // further ones are counted in `cut`
inline constexpr size_t kMaxEventLine = 65536;  // no line is longer, newline included

// The canonical object without its closing brace: the log adds "prev" and "hash".
std::string EncodeEvent(const Event& event);

struct EscapedText {
  std::string text;
  bool cut = false;  // the text then ends in U+2026
};
// Printable UTF-8 of at most `limit` bytes that stands for exactly these bytes.
EscapedText EscapeText(std::string_view bytes, size_t limit = kMaxEventField);

// The bytes behind an escaped text, or nothing if EscapeText would not have written it. A cut
// text gives the bytes that are left and the ellipsis.
std::optional<std::string> UnescapeText(std::string_view text);

// "12.000000345" of 12000000345.
std::string DecimalSeconds(uint64_t nanoseconds);

// "EPERM"; the number for one without a name; empty for 0.
std::string ErrnoName(int error);

}  // namespace bulkhead
