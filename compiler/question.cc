// SPDX-License-Identifier: Apache-2.0
#include "compiler/question.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <iterator>
#include <optional>
#include <sstream>
#include <utility>

#include "compiler/constants.h"
#include "profiles/profile.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

using K = ObjectKind;

constexpr ActionRow kActions[] = {
    {Action::kRead, "read", K::kPath, "opens a file to read it", "/etc/shadow"},
    {Action::kList, "list", K::kPath, "opens a directory and reads its names", "/srv"},
    {Action::kWrite, "write", K::kPath, "opens a file to write it", "/var/lib/app/db"},
    {Action::kTruncate, "truncate", K::kPath, "cuts a file off", "/var/lib/app/db"},
    {Action::kCreate, "create", K::kPath, "makes a new file", "/tmp/new"},
    {Action::kRemove, "remove", K::kPath, "removes a file", "/tmp/old"},
    {Action::kRename, "rename", K::kTwoPaths, "gives a file another name", "/tmp/a /tmp/b"},
    {Action::kMetadata, "metadata", K::kPath, "changes the mode or the times of a file", "/tmp/a"},
    {Action::kExecute, "execute", K::kPath, "runs a program", "/usr/bin/true"},
    {Action::kConnect, "connect", K::kEndpoint,
     "connects a socket to tcp:[ADDRESS:]PORT, udp:[ADDRESS:]PORT, unix:/PATH, unix:@NAME, "
     "vsock:CID:PORT or vsock:parent:PORT",
     "tcp:443"},
    {Action::kListen, "listen", K::kEndpoint, "listens on a socket (of vsock: vsock:PORT)",
     "unix:/run/edges/a/s.sock"},
    {Action::kSocket, "socket", K::kSocket, "makes a socket", "AF_INET SOCK_STREAM"},
    {Action::kSyscall, "syscall", K::kCall, "makes a system call", "ioctl request=TCGETS"},
    {Action::kSignal, "signal", K::kComponent, "sends a signal to a process", "tools"},
    {Action::kTrace, "trace", K::kComponent, "traces a process", "tools"},
    {Action::kMemory, "memory", K::kComponent, "reads or writes the memory of a process", "tools"},
    {Action::kCapability, "capability", K::kCapability, "uses a capability", "CAP_NET_RAW"},
    {Action::kReach, "reach", K::kTarget, "gets at a component, or at an asset's files", "signer"},
    {Action::kAttest, "attest", K::kAttestation,
     "asks for an attestation: document, public-key (a key of its own in one) or random (bytes)",
     "document"},
};

constexpr bool InOrder() {
  for (size_t i = 0; i < std::size(kActions); ++i) {
    if (static_cast<size_t>(kActions[i].action) != i) return false;
  }
  return true;
}
static_assert(InOrder(), "Row() indexes by the enum");

// include/uapi/linux/capability.h, Linux 7.2; in the order of their numbers.
constexpr std::string_view kCapabilities[] = {"CAP_CHOWN",
                                              "CAP_DAC_OVERRIDE",
                                              "CAP_DAC_READ_SEARCH",
                                              "CAP_FOWNER",
                                              "CAP_FSETID",
                                              "CAP_KILL",
                                              "CAP_SETGID",
                                              "CAP_SETUID",
                                              "CAP_SETPCAP",
                                              "CAP_LINUX_IMMUTABLE",
                                              "CAP_NET_BIND_SERVICE",
                                              "CAP_NET_BROADCAST",
                                              "CAP_NET_ADMIN",
                                              "CAP_NET_RAW",
                                              "CAP_IPC_LOCK",
                                              "CAP_IPC_OWNER",
                                              "CAP_SYS_MODULE",
                                              "CAP_SYS_RAWIO",
                                              "CAP_SYS_CHROOT",
                                              "CAP_SYS_PTRACE",
                                              "CAP_SYS_PACCT",
                                              "CAP_SYS_ADMIN",
                                              "CAP_SYS_BOOT",
                                              "CAP_SYS_NICE",
                                              "CAP_SYS_RESOURCE",
                                              "CAP_SYS_TIME",
                                              "CAP_SYS_TTY_CONFIG",
                                              "CAP_MKNOD",
                                              "CAP_LEASE",
                                              "CAP_AUDIT_WRITE",
                                              "CAP_AUDIT_CONTROL",
                                              "CAP_SETFCAP",
                                              "CAP_MAC_OVERRIDE",
                                              "CAP_MAC_ADMIN",
                                              "CAP_SYSLOG",
                                              "CAP_WAKE_ALARM",
                                              "CAP_BLOCK_SUSPEND",
                                              "CAP_AUDIT_READ",
                                              "CAP_PERFMON",
                                              "CAP_BPF",
                                              "CAP_CHECKPOINT_RESTORE"};

template <typename Type>
std::optional<Type> Number(std::string_view text, int base = 10) {
  Type value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || rest != text.data() + text.size()) return std::nullopt;
  return value;
}

// A constant, or a number: 5, -1, 0x5401, 0o644.
std::optional<uint64_t> ParseWord(Arch arch, std::string_view text) {
  if (const auto constant = ConstantValue(arch, text)) return constant;
  if (text.starts_with("-")) {
    const auto value = Number<int64_t>(text);
    return value ? std::optional(static_cast<uint64_t>(*value)) : std::nullopt;
  }
  if (text.starts_with("0x")) return Number<uint64_t>(text.substr(2), 16);
  if (text.starts_with("0o")) return Number<uint64_t>(text.substr(2), 8);
  return Number<uint64_t>(text);
}

// One, or several with a bar between: the bits of all.
std::optional<uint64_t> ParseValue(Arch arch, std::string_view text) {
  uint64_t value = 0;
  for (;;) {
    const size_t bar = text.find('|');
    const auto word = ParseWord(arch, text.substr(0, bar));
    if (!word) return std::nullopt;
    value |= *word;
    if (bar == std::string_view::npos) return value;
    text.remove_prefix(bar + 1);
  }
}

bool IsAddress(const std::string& text) {
  std::array<unsigned char, sizeof(in6_addr)> address{};
  return inet_pton(AF_INET, text.c_str(), address.data()) == 1 ||
         inet_pton(AF_INET6, text.c_str(), address.data()) == 1;
}

// PORT or ADDRESS:PORT; an IPv6 address in brackets.
bool ParseInternet(std::string_view text, Endpoint& endpoint) {
  const size_t colon = text.rfind(':');
  const auto port =
      Number<uint16_t>(colon == std::string_view::npos ? text : text.substr(colon + 1));
  if (!port || *port == 0) return false;
  endpoint.port = *port;
  if (colon == std::string_view::npos) return true;
  std::string_view address = text.substr(0, colon);
  const bool bracketed = address.starts_with("[") && address.ends_with("]");
  if (bracketed) address = address.substr(1, address.size() - 2);
  endpoint.address = address;
  endpoint.is_name = !IsAddress(endpoint.address);
  return !address.empty() && (bracketed || address.find(':') == std::string_view::npos);
}

// CID:PORT, or `parent:PORT` for the host of a guest; to listen PORT, as no policy names a CID
// there.
bool ParseVsock(std::string_view text, bool listens, Endpoint& endpoint) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) {
    const auto port = Number<uint32_t>(text);
    endpoint.port = port.value_or(0);
    return listens && port;
  }
  endpoint.address = text.substr(0, colon);
  const auto port = Number<uint32_t>(text.substr(colon + 1));
  endpoint.port = port.value_or(0);
  return port && (endpoint.address == "parent" || Number<uint32_t>(endpoint.address));
}

std::optional<Endpoint> ParseEndpoint(std::string_view text, bool listens) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view kind = text.substr(0, colon);
  const std::string_view rest = text.substr(colon + 1);
  Endpoint endpoint;
  bool good = false;
  if (kind == "tcp" || kind == "udp") {
    endpoint.kind = kind == "tcp" ? Endpoint::Kind::kTcp : Endpoint::Kind::kUdp;
    good = ParseInternet(rest, endpoint);
  } else if (kind == "unix" && rest.starts_with("@")) {
    endpoint.kind = Endpoint::Kind::kAbstract;
    endpoint.address = rest.substr(1);
    good = !endpoint.address.empty();
  } else if (kind == "unix") {
    endpoint.kind = Endpoint::Kind::kUnix;
    endpoint.address = rest;
    good = IsNormalPath(rest);
  } else if (kind == "vsock") {
    endpoint.kind = Endpoint::Kind::kVsock;
    good = ParseVsock(rest, listens, endpoint);
  }
  return good ? std::optional(endpoint) : std::nullopt;
}

using Parsed = tl::expected<void, std::string>;

Parsed ParseCall(Arch arch, const std::vector<std::string>& words, Question& question) {
  question.call = words[0];
  if (!SyscallNumber(arch, question.call)) {
    return tl::make_unexpected(
        fmt::format("`{}` is no system call of {}", question.call, ArchName(arch)));
  }
  const SyscallArgList infos = SyscallArgs(arch, question.call);
  for (size_t i = 1; i < words.size(); ++i) {
    const size_t equals = words[i].find('=');
    const auto index = infos.Find(words[i].substr(0, equals));
    const auto value = equals == std::string::npos
                           ? std::nullopt
                           : ParseValue(arch, std::string_view(words[i]).substr(equals + 1));
    if (!index || !value) {
      return tl::make_unexpected(
          fmt::format("`{}` is not ARGUMENT=VALUE of {}", words[i], question.call));
    }
    question.args[*index] = *value;
  }
  return {};
}

Parsed ParseSocket(Arch arch, const std::vector<std::string>& words, Question& question) {
  question.call = "socket";
  for (unsigned i = 0; i < words.size(); ++i) {
    const auto value = ParseValue(arch, words[i]);
    if (!value) {
      return tl::make_unexpected(fmt::format("`{}` is no constant and no number", words[i]));
    }
    question.args[i] = *value;
  }
  return {};
}

Parsed Wrong(const ActionRow& row, std::string_view what) {
  return tl::make_unexpected(fmt::format("`{}` takes {}", row.name, what));
}

Parsed ParseObject(Arch arch, const ActionRow& row, const std::vector<std::string>& words,
                   Question& question) {
  switch (row.object) {
    case ObjectKind::kPath:
      if (words.size() != 1 || !IsNormalPath(words[0])) return Wrong(row, "one absolute path");
      question.path = words[0];
      return {};
    case ObjectKind::kTwoPaths:
      if (words.size() != 2 || !IsNormalPath(words[0]) || !IsNormalPath(words[1])) {
        return Wrong(row, "two absolute paths");
      }
      question.path = words[0];
      question.to = words[1];
      return {};
    case ObjectKind::kEndpoint: {
      // `vsock parent:9001` is another way to write `vsock:parent:9001`.
      const bool listens = row.action == Action::kListen;
      const auto endpoint = words.size() == 1   ? ParseEndpoint(words[0], listens)
                            : words.size() == 2 ? ParseEndpoint(words[0] + ":" + words[1], listens)
                                                : std::nullopt;
      if (!endpoint) {
        return Wrong(row, fmt::format("tcp:[ADDRESS:]PORT, udp:[ADDRESS:]PORT, unix:/PATH, "
                                      "unix:@NAME or {}",
                                      listens ? "vsock:PORT" : "vsock:CID:PORT"));
      }
      question.endpoint = *endpoint;
      return {};
    }
    case ObjectKind::kSocket:
      if (words.empty() || words.size() > 3) return Wrong(row, "FAMILY [TYPE [PROTOCOL]]");
      return ParseSocket(arch, words, question);
    case ObjectKind::kCall:
      if (words.empty()) return Wrong(row, "a name and arguments");
      return ParseCall(arch, words, question);
    case ObjectKind::kCapability:
      if (words.size() != 1 ||
          std::ranges::find(kCapabilities, words[0]) == std::end(kCapabilities)) {
        return Wrong(row, "the name of a capability, such as CAP_NET_RAW");
      }
      question.name = words[0];
      return {};
    case ObjectKind::kAttestation:
      if (words.size() != 1 || std::ranges::find(kAttested, words[0]) == std::end(kAttested)) {
        return Wrong(row, fmt::format("{}, {} or {}", kAttestDocument, kAttestKey, kAttestRandom));
      }
      question.name = words[0];
      return {};
    case ObjectKind::kComponent:
    case ObjectKind::kTarget:
      if (words.size() != 1) {
        return Wrong(row,
                     row.object == ObjectKind::kTarget ? "a component or an asset" : "a component");
      }
      question.name = words[0];
      return {};
  }
  return {};
}

}  // namespace

std::span<const ActionRow> Actions() { return kActions; }

const ActionRow& Row(Action action) { return kActions[static_cast<size_t>(action)]; }

const ActionRow* FindAction(std::string_view name) {
  const auto found = std::ranges::find(kActions, name, &ActionRow::name);
  return found == std::end(kActions) ? nullptr : found;
}

std::string ActionNames() {
  std::string names;
  for (const ActionRow& row : kActions) {
    names.append(names.empty() ? "" : ", ").append(row.name);
  }
  return names;
}

std::vector<std::string> ObjectWords(ObjectKind kind, const std::string& text) {
  if (kind == ObjectKind::kPath) return {text};
  std::vector<std::string> words;
  std::istringstream rest(text);
  for (std::string word; rest >> word;) words.push_back(std::move(word));
  return words;
}

tl::expected<Question, std::string> ParseQuestion(Arch arch, std::string_view action,
                                                  const std::vector<std::string>& object) {
  const ActionRow* row = FindAction(action);
  if (row == nullptr) {
    return tl::make_unexpected(fmt::format("`{}` is no action: {}", action, ActionNames()));
  }
  Question question;
  question.action = row->action;
  if (auto parsed = ParseObject(arch, *row, object, question); !parsed) {
    return tl::make_unexpected(parsed.error());
  }
  return question;
}

}  // namespace bulkhead
