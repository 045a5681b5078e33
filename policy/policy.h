// SPDX-License-Identifier: Apache-2.0
// A policy as its author meant it: typed, with profiles merged and variables substituted, each
// statement with its place and its stable id. Nothing here knows a kernel; system call names,
// groups ("@io"), constants and path sets ("@libraries") are still names. Plain values.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "policy/diagnostics.h"
#include "profiles/arch.h"
#include "profiles/bundle.h"
#include "profiles/features.h"

namespace bulkhead {

// A statement's stable id is the dotted path of its keys, "components.tools.network.tcp.connect";
// an item of a list adds ":" and its own value, "components.tools.files.read:/opt/tools".
struct Statement {
  std::string id;
  Place place;
};

struct Text {  // a scalar with its statement
  std::string value;
  Statement at;
};

// --- system calls ---

struct ArgValue {  // a name ("AF_UNIX") or a number
  std::string name;
  int64_t number = 0;  // when name is empty
  Place place;
  bool wide = false;  // number is the bits of an unsigned number above its largest
};

struct ArgTest {
  enum class Kind : uint8_t { kAnyOf, kBitsClear, kBitsSet, kMaskEquals, kRange, kNot };
  Kind kind = Kind::kAnyOf;
  // kAnyOf: alternatives; kBitsClear, kBitsSet: bits, or-ed together;
  // kMaskEquals: {mask, equals}; kRange: {from, to}, both included.
  std::vector<ArgValue> values;
  std::vector<ArgTest> inner;  // kNot: exactly one; kBits*: when both keys stand in one map the
                               // test is an AND of `this` and all of inner
  Place place;
};

struct SyscallRule {
  std::string name;                                   // "ioctl", or "@io" for a group
  std::vector<std::pair<std::string, ArgTest>> args;  // all must hold
  std::optional<Arch> only_on;                        // from `on: {x86_64: [...]}`
  std::string why;                                    // in groups
  Statement at;
};

struct SyscallGroup {
  std::string name;  // without "@"
  std::string about;
  std::vector<SyscallRule> calls;
  Statement at;
};

// --- components ---

enum class Verb : uint8_t { kExecute, kRead, kWrite, kCreate, kState, kRuntime, kPrivate };

struct FileRule {
  Verb verb = Verb::kRead;
  std::string path;   // absolute, or "@libraries"
  uint64_t size = 0;  // kPrivate and kRuntime, bytes; 0 where not stated
  bool optional = false;
  Statement at;
};

struct UnixListen {
  std::string path;
  std::string name;           // LISTEN_FDNAMES; empty when by_component
  std::vector<Text> from;     // component names
  bool by_component = false;  // `by: component`: the component makes the socket itself
  bool nonblocking = false;
  Statement at;
};

struct TcpListen {  // opened by the supervisor and handed over
  std::string address = "127.0.0.1";
  uint16_t port = 0;
  std::string name;
  bool nonblocking = false;
  Statement at;
};

struct VsockListen {  // opened by the supervisor and handed over
  uint32_t port = 0;
  std::string name;
  bool nonblocking = false;
  Statement at;
};

struct TcpPort {  // of TCP or UDP
  uint16_t port = 0;
  Statement at;
};

// Where connections or messages may go: the broker lets them.
struct Destination {
  std::string address;  // IPv4, or the CID of vsock; empty: any
  uint32_t port = 0;
  Statement at;
};

struct NetworkPolicy {
  std::vector<UnixListen> unix_listen;
  std::vector<Text> unix_connect;
  std::vector<TcpListen> tcp_listen;
  std::vector<VsockListen> vsock_listen;
  std::vector<TcpPort> tcp_bind;
  std::vector<TcpPort> tcp_connect;  // any address
  std::vector<Destination> tcp_connect_to;
  std::vector<Destination> udp_connect;
  std::vector<TcpPort> udp_bind;
  std::vector<Destination> vsock_connect;
};

struct SecretPolicy {
  std::string name;
  std::string path;
  Statement at;
};

struct AttestationPolicy {
  bool random = false;
  bool attest = false;
  bool public_key = false;
  std::pair<uint32_t, uint32_t> rate;  // how many in how many milliseconds
  Statement at;
  Statement public_key_at;
};

struct ComponentPolicy {
  std::string name;
  Statement at;
  std::vector<Text> exec;
  std::optional<Digest> pin;
  std::vector<std::pair<std::string, Text>> env;
  Text directory{"/", {}};
  uint32_t umask = 077;
  Stream stdin_from = Stream::kNull;
  Stream stdout_to = Stream::kLog;
  Stream stderr_to = Stream::kLog;
  std::optional<uint32_t> user;  // nullopt: auto
  Statement user_at;
  std::vector<FileRule> files;
  std::vector<Text> devices;
  NetworkPolicy network;
  std::vector<SecretPolicy> secrets;
  std::optional<AttestationPolicy> attestation;
  std::vector<SyscallRule> allow;
  std::vector<SyscallRule> deny;
  std::vector<SyscallRule> startup;  // allowed until it is ready
  Limits limits;
  std::map<std::string, Statement> limits_at;  // by key: memory, processes, files, cpu, file-size
  Lifecycle lifecycle;                         // `after` unsorted, as written
  std::vector<Text> after;
  Statement ready_at;
  Statement watchdog_at;
  OnViolation on_violation = OnViolation::kRefuse;
  Statement on_violation_at;
  Instances instances;
  Statement instances_at;
};

struct ChannelPolicy {
  std::string name;
  Text from;
  Text to;
  ChannelKind kind = ChannelKind::kStream;
  uint64_t size = 0;  // bytes; 0: not stated
  Text listener;      // empty: not stated
  bool as_server = false;
  Statement identity_at;
  Statement at;
};

struct AssetPolicy {
  std::string name;
  std::vector<Text> files;
  Statement at;
};

struct WaiverPolicy {
  std::string component;  // may be empty: the enclave
  std::string statement;  // relative to the component: "network.tcp", or "measure"
  std::string reason;
  std::string until;  // YYYY-MM-DD
  Place component_place;
  Statement at;
};

struct TestPolicy {
  Text component;
  std::string action;  // as of `bulkhead why`: "read"
  Text object;         // words, as they stand after the action there
  std::string expect;  // the answer: "allow", "until-ready" or "deny"
  Statement at;
};

struct Policy {
  std::string enclave;
  Text target;  // a shipped target's name, or a path
  std::vector<std::pair<std::string, Text>> vars;
  std::vector<NamedDigest> sources;
  std::vector<Sink> sinks;             // of the audit log; none: the default one
  Place sinks_at;                      // the target's where nothing is said of them
  OutputPlan output;                   // with its defaults
  std::optional<Text> measure;         // "none" or a register
  std::optional<Text> measure_events;  // a register
  std::vector<AssetPolicy> assets;
  std::vector<ComponentPolicy> components;  // sorted by name
  std::vector<ChannelPolicy> channels;
  std::vector<WaiverPolicy> waivers;
  std::vector<Text> invariants;  // sentences (compiler/invariants.h)
  std::vector<TestPolicy> tests;
  std::vector<SyscallGroup> groups;  // the shipped ones and those of `groups:`, sorted by name
};

// A target with its path sets and attestation facts, read from YAML.
struct TargetSpec {
  Target target;
  std::map<std::string, std::vector<std::string>> path_sets;  // "libraries" -> paths
  std::map<std::string, std::string> devices;                 // "nsm" -> path, all that there are
};

}  // namespace bulkhead
