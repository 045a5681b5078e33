// SPDX-License-Identifier: Apache-2.0
// A profile: everything the runtime needs to confine, start and keep one component, compiled and
// closed. ProfileData is plain data; a Profile can only be made by Profile::Make, which refuses
// whatever would leave a component less than wholly confined: "unconfined" is not representable.
// Immutable after construction, so reading it from several threads is safe.
#pragma once

#include <tl/expected.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "profiles/arch.h"
#include "profiles/broker.h"
#include "profiles/digest.h"
#include "profiles/filter.h"
#include "profiles/measure.h"

namespace bulkhead {

enum class Stream : uint8_t { kNull, kLog };  // /dev/null, or captured by the supervisor

struct EnvVar {
  std::string name;
  std::string value;
  bool operator==(const EnvVar&) const = default;
};

// Such as LISTEN_FDS: set by the supervisor alone.
constexpr bool IsSupervisorsVariable(std::string_view name) {
  return name.starts_with("LISTEN_") || name.starts_with("WATCHDOG_") || name == "NOTIFY_SOCKET";
}

// How one path comes into a component's mount view. The root is an empty read-only tmpfs.
enum class ViewKind : uint8_t {
  kReadOnly,  // bind, ro nosuid nodev; code may be mapped from it (libraries)
  kWritable,  // bind, rw nosuid nodev noexec; existing path on the enclave's file system
  kState,     // as kWritable; must exist with the component as its owner
  kRuntime,   // tmpfs directory of its own, empty at every start, noexec
  kPrivate,   // tmpfs of its own, `size` bytes, mode 01777, noexec
  kDevice,    // one device node, bind, nosuid noexec
  kEdge,      // the directory of a unix edge, bind, nosuid nodev noexec
  kTripwire,  // an empty readable file or directory standing where an asset is
  kData,      // bind, ro nosuid nodev noexec: neither executed nor mapped as code
};

constexpr bool IsReadOnlyBind(ViewKind kind) {
  return kind == ViewKind::kReadOnly || kind == ViewKind::kData;
}

struct ViewEntry {
  std::string path;  // absolute, normal, inside the view and (for binds) on the enclave
  ViewKind kind = ViewKind::kReadOnly;
  uint64_t size = 0;      // bytes, for kPrivate and kRuntime
  bool optional = false;  // a missing source is left out instead of stopping the boot
  bool directory = true;  // for kTripwire: which kind of empty thing
  std::string rule;       // statement id
  bool operator==(const ViewEntry&) const = default;
};

struct LandlockRule {
  std::string path;     // inside the view
  uint64_t access = 0;  // landlock::k*; bits that do not fit a file are masked when it is one
  bool optional = false;
  std::string rule;
  bool operator==(const LandlockRule&) const = default;
};

struct LandlockPort {
  uint16_t port = 0;
  uint64_t access = 0;  // landlock::kBindTcp | kConnectTcp
  std::string rule;
  bool operator==(const LandlockPort&) const = default;
};

struct LandlockPlan {
  uint64_t handled_files = 0;  // 0 in all three: no Landlock on this target
  uint64_t handled_net = 0;
  uint64_t scoped = 0;
  bool log = false;  // ABI 7: denials of the launched program become audit records
  std::vector<LandlockRule> rules;
  std::vector<LandlockPort> ports;
  bool operator==(const LandlockPlan&) const = default;
};

enum class Network : uint8_t { kNone, kShared };  // an empty namespace of its own, or the enclave's

enum class ListenerKind : uint8_t { kUnixStream, kTcp, kVsock };

// A listener the supervisor opens and hands over by the sd_listen_fds convention. Its peer
// credentials are the component's: the component's own process calls listen() on it.
struct Listener {
  std::string name;  // in LISTEN_FDNAMES
  ListenerKind kind = ListenerKind::kUnixStream;
  std::string path;          // kUnixStream: absolute, in an edge directory
  std::string address;       // kTcp: IPv4 literal
  uint32_t port = 0;         // kTcp, and kVsock: of any CID
  bool nonblocking = false;  // O_NONBLOCK at every start
  bool guarded = false;      // kTcp: made under a ConnectGuard
  std::string rule;
  bool operator==(const Listener&) const = default;
};

// The directory of one unix edge: owner and group are enough for the server to listen and for the
// stated clients to connect, and for nobody else.
struct EdgeDirectory {
  std::string path;     // absolute
  uint32_t group = 0;   // the edge's own gid
  bool server = false;  // this component makes sockets in it itself (owner, mode 2750)
  std::string rule;
  bool operator==(const EdgeDirectory&) const = default;
};

// A file that the supervisor reads before any component runs. The component gets its contents by
// the sd_listen_fds convention, as a sealed memory file, and needs no way to the file itself.
struct Secret {
  std::string name;  // in LISTEN_FDNAMES
  std::string path;  // on the enclave
  std::string rule;
  bool operator==(const Secret&) const = default;
};
inline constexpr size_t kMaxSecretBytes = 65536;

enum class ReadyKind : uint8_t { kStarted, kNotify, kListening, kFile, kExit };

struct Readiness {
  ReadyKind kind = ReadyKind::kStarted;
  std::string path;        // kFile, and kListening for a socket the component makes itself
  uint32_t exit_code = 0;  // kExit
  uint32_t within_ms = 30000;
  bool operator==(const Readiness&) const = default;
};

enum class RestartWhen : uint8_t { kNever, kOnFailure, kAlways };

struct Lifecycle {
  std::vector<std::string> after;  // sorted component names
  Readiness ready;
  uint32_t watchdog_ms = 0;  // 0: none
  uint32_t stop_signal = 15;
  uint32_t stop_within_ms = 5000;
  RestartWhen restart = RestartWhen::kOnFailure;
  uint32_t restart_at_most = 5;
  uint32_t restart_within_ms = 60000;
  bool critical = false;
  bool operator==(const Lifecycle&) const = default;
};

struct Limits {              // 0: not limited by the policy
  uint64_t memory = 0;       // bytes, cgroup
  uint32_t processes = 0;    // cgroup pids and RLIMIT_NPROC; threads count
  uint32_t files = 0;        // RLIMIT_NOFILE
  uint32_t cpu_percent = 0;  // of one CPU, cgroup
  uint64_t file_size = 0;    // RLIMIT_FSIZE, bytes
  bool cpu_yields = false;   // the CPU only when nobody else wants it, cgroup
  bool operator==(const Limits&) const = default;
};

// A run of the component for each connection to one of its listeners, each a compartment of its
// own: the supervisor accepts and hands the connection over as descriptor 3 under the listener's
// name.
struct Instances {
  uint32_t at_most = 0;      // at a time, at most kMaxInstances; 0: one run, which accepts itself
  uint32_t lifetime_ms = 0;  // killed then
  bool operator==(const Instances&) const = default;
};
inline constexpr uint32_t kMaxInstances = 64;

enum class OnViolation : uint8_t {
  kRefuse,
  kKill,
  kObserve,  // refused calls are told and let pass: for development
};

struct ProfileData {
  std::string name;
  // Execution.
  std::vector<std::string> argv;    // argv[0] is an absolute path inside the view
  std::optional<Digest> pin;        // SHA-384 of the program
  std::vector<EnvVar> environment;  // sorted by name; exactly this and the LISTEN_* variables
  std::string directory = "/";
  uint32_t umask = 077;
  Stream stdin_from = Stream::kNull;
  Stream stdout_to = Stream::kLog;
  Stream stderr_to = Stream::kLog;
  // Identity.
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<uint32_t> groups;  // supplementary, sorted
  // Reach.
  std::vector<ViewEntry> view;  // sorted by path, unique
  LandlockPlan landlock;
  Network network = Network::kNone;
  std::vector<Listener> listeners;   // in the order they are handed over: sorted by name
  std::vector<EdgeDirectory> edges;  // sorted by path
  std::vector<Secret> secrets;       // sorted by name
  Attestation attestation;
  BrokerPlan broker;
  // System calls.
  Arch arch = Arch::kX86_64;
  Filter filter;
  // Until the component is ready the supervisor lets be made what this allows of the calls that
  // `filter` refuses, judged by its registers alone. It allows all that `filter` allows. Empty:
  // none.
  Filter startup;
  std::vector<uint32_t> absent;  // sorted numbers whose refusal is ENOSYS and no violation
  // Refusals reach the supervisor. Otherwise the filter answers them itself, and the launch's exec,
  // where it is no allowed call, is kRetTrace (sandbox/launch_trace.h).
  bool notifies = true;
  OnViolation on_violation = OnViolation::kRefuse;
  Limits limits;  // with instances: of each
  Lifecycle lifecycle;
  Instances instances;
  bool operator==(const ProfileData&) const = default;
};

class Profile {
 public:
  // Checks every field; the error names the field and what is wrong with it.
  static tl::expected<Profile, std::string> Make(ProfileData data);

  const ProfileData& operator*() const { return data_; }
  const ProfileData* operator->() const { return &data_; }
  bool operator==(const Profile&) const = default;

 private:
  explicit Profile(ProfileData data) : data_(std::move(data)) {}
  ProfileData data_;
};

// Allows every call that the component can ever make.
inline const Filter& WidestFilter(const ProfileData& profile) {
  return profile.startup.empty() ? profile.filter : profile.startup;
}

// Absolute, no empty, "." or ".." part, no trailing slash (except "/"), no control characters, at
// most 4095 bytes.
bool IsNormalPath(std::string_view path);

// Whether `path` is `ancestor` or lies beneath it. Both are normal.
bool Covers(std::string_view ancestor, std::string_view path);

// System calls that no filter may ever allow, whatever its arguments: each defeats confinement as
// a whole. Profile::Make evaluates the filter on every one of them.
std::vector<uint32_t> ForbiddenCalls(Arch arch);

}  // namespace bulkhead
