// SPDX-License-Identifier: Apache-2.0
#include "cli/names.h"

#include <fmt/format.h>
#include <signal.h>
#include <string.h>

#include "profiles/landlock.h"

namespace bulkhead {
namespace {

struct Bit {
  std::string_view name;
  uint64_t bit;
};

constexpr Bit kPortRights[] = {{"net.bind_tcp", landlock::kBindTcp},
                               {"net.connect_tcp", landlock::kConnectTcp}};
constexpr Bit kScopes[] = {{"scope.abstract_unix_socket", landlock::kScopeAbstractUnix},
                           {"scope.signal", landlock::kScopeSignal}};

template <typename Rows>
std::vector<std::string> BitNames(uint64_t mask, const Rows& rows) {
  std::vector<std::string> names;
  for (const auto& row : rows) {
    if ((mask & row.bit) != 0) names.emplace_back(row.name);
    mask &= ~row.bit;
  }
  for (unsigned bit = 0; bit < 64; ++bit) {
    if ((mask >> bit & 1) != 0) names.push_back("bit-" + std::to_string(bit));
  }
  return names;
}

}  // namespace

std::string_view NameOf(Stream stream) {
  switch (stream) {
    case Stream::kNull:
      return "null";
    case Stream::kLog:
      return "log";
  }
  return "unknown";
}

std::string_view NameOf(ViewKind kind) {
  switch (kind) {
    case ViewKind::kReadOnly:
      return "read-only";
    case ViewKind::kWritable:
      return "writable";
    case ViewKind::kState:
      return "state";
    case ViewKind::kRuntime:
      return "runtime";
    case ViewKind::kPrivate:
      return "private";
    case ViewKind::kDevice:
      return "device";
    case ViewKind::kEdge:
      return "edge";
    case ViewKind::kTripwire:
      return "tripwire";
    case ViewKind::kData:
      return "data";
  }
  return "unknown";
}

std::string_view NameOf(Network network) {
  switch (network) {
    case Network::kNone:
      return "none";
    case Network::kShared:
      return "shared";
  }
  return "unknown";
}

std::string_view NameOf(ListenerKind kind) {
  switch (kind) {
    case ListenerKind::kUnixStream:
      return "unix";
    case ListenerKind::kTcp:
      return "tcp";
    case ListenerKind::kVsock:
      return "vsock";
  }
  return "unknown";
}

std::string_view NameOf(ReadyKind kind) {
  switch (kind) {
    case ReadyKind::kStarted:
      return "started";
    case ReadyKind::kNotify:
      return "notify";
    case ReadyKind::kListening:
      return "listening";
    case ReadyKind::kFile:
      return "file";
    case ReadyKind::kExit:
      return "exit";
  }
  return "unknown";
}

std::string_view NameOf(RestartWhen when) {
  switch (when) {
    case RestartWhen::kNever:
      return "never";
    case RestartWhen::kOnFailure:
      return "on-failure";
    case RestartWhen::kAlways:
      return "always";
  }
  return "unknown";
}

std::string_view NameOf(OnViolation action) {
  switch (action) {
    case OnViolation::kRefuse:
      return "refuse";
    case OnViolation::kObserve:
      return "observe";
    case OnViolation::kKill:
      return "kill";
  }
  return "unknown";
}

std::string_view NameOf(ChannelKind kind) {
  switch (kind) {
    case ChannelKind::kStream:
      return "stream";
    case ChannelKind::kMessages:
      return "messages";
    case ChannelKind::kPipe:
      return "pipe";
    case ChannelKind::kMemory:
      return "memory";
    case ChannelKind::kConnected:
      return "connected";
  }
  return "unknown";
}

std::string_view NameOf(SinkKind kind) {
  switch (kind) {
    case SinkKind::kFile:
      return "file";
    case SinkKind::kUnix:
      return "unix";
    case SinkKind::kVsock:
      return "vsock";
    case SinkKind::kStdout:
      return "stdout";
  }
  return "unknown";
}

std::vector<std::string> FileRightNames(uint64_t access) {
  return BitNames(access, landlock::kRights);
}

std::vector<std::string> PortRightNames(uint64_t access) { return BitNames(access, kPortRights); }

std::vector<std::string> ScopeNames(uint64_t scoped) { return BitNames(scoped, kScopes); }

std::string SignalName(uint32_t signal) {
  const char* name = sigabbrev_np(static_cast<int>(signal));
  return name != nullptr ? name : std::to_string(signal);
}

std::string DigestText(const Digest& digest) { return "sha384:" + Hex(digest); }

std::string BrokerRuleText(const BrokerRule& rule) {
  constexpr std::string_view kKinds[] = {"tcp", "udp", "udp-bind", "vsock"};
  const uint32_t a = rule.address;
  const std::string address =
      rule.any ? "*"
      : rule.kind == BrokerKind::kVsockConnect
          ? std::to_string(a)
          : fmt::format("{}.{}.{}.{}", a >> 24, a >> 16 & 0xff, a >> 8 & 0xff, a & 0xff);
  return fmt::format("{}:{}:{}", kKinds[static_cast<size_t>(rule.kind)], address, rule.port);
}

}  // namespace bulkhead
