// SPDX-License-Identifier: Apache-2.0
#include "engine/observed_call.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

// Arguments that are options, by their names in the table of calls.
constexpr std::string_view kTold[] = {"advice",   "arg2",    "cmd",      "domain",  "flags",
                                      "level",    "op",      "option",   "optname", "prot",
                                      "protocol", "request", "resource", "type",    "which"};
// Only whether it is the caller itself.
constexpr std::string_view kSelf[] = {"pid", "who"};
constexpr std::string_view kWithMode[] = {"chmod", "fchmod",  "fchmodat", "fchmodat2",
                                          "mkdir", "mkdirat", "mknod",    "mknodat"};
constexpr uint64_t kSetOwner = 8;        // F_SETOWN
constexpr uint64_t kMaxOption = 0xffff;  // of prctl's second argument; above are pointers

template <size_t N>
bool IsIn(const std::string_view (&list)[N], std::string_view name) {
  return std::find(std::begin(list), std::end(list), name) != std::end(list);
}

std::optional<uint64_t> Told(std::string_view call, const ArgInfo& arg, uint64_t value,
                             const SeccompData& data) {
  if (!IsToldArgument(call, arg.name)) return std::nullopt;
  const unsigned bits = ArgBits(arg.type);
  if (bits < 64) value &= (uint64_t{1} << bits) - 1;
  if (IsIn(kSelf, arg.name)) return value == 0 ? 0 : 1;
  if (arg.name == "arg2" && value > kMaxOption) return std::nullopt;
  if (arg.name == "arg") {
    if (data.args[1] != kSetOwner) return std::nullopt;
    return static_cast<int32_t>(value) > 0 ? 1 : value;
  }
  return value;
}

constexpr PathArgument At(int directory, int path, PathUse use, int flags = -1) {
  return {directory, path, use, flags};
}

struct PathCall {
  std::string_view call;
  PathArgument first;
  std::optional<PathArgument> second = {};
};
using Use = PathUse;
constexpr PathCall kPathCalls[] = {
    {"access", At(-1, 0, Use::kLook)},
    {"chdir", At(-1, 0, Use::kLook)},
    {"chmod", At(-1, 0, Use::kMetadata)},
    {"chown", At(-1, 0, Use::kMetadata)},
    {"creat", At(-1, 0, Use::kMake)},
    {"execve", At(-1, 0, Use::kExecute)},
    {"execveat", At(0, 1, Use::kExecute)},
    {"faccessat", At(0, 1, Use::kLook)},
    {"faccessat2", At(0, 1, Use::kLook)},
    {"fchmodat", At(0, 1, Use::kMetadata)},
    {"fchmodat2", At(0, 1, Use::kMetadata)},
    {"fchownat", At(0, 1, Use::kMetadata)},
    {"futimesat", At(0, 1, Use::kMetadata)},
    {"getxattr", At(-1, 0, Use::kLook)},
    {"inotify_add_watch", At(-1, 1, Use::kLook)},
    {"lchown", At(-1, 0, Use::kMetadata)},
    {"lgetxattr", At(-1, 0, Use::kLook)},
    {"link", At(-1, 0, Use::kRemove), At(-1, 1, Use::kNew)},
    {"linkat", At(0, 1, Use::kRemove), At(2, 3, Use::kNew)},
    {"listxattr", At(-1, 0, Use::kLook)},
    {"llistxattr", At(-1, 0, Use::kLook)},
    {"lsetxattr", At(-1, 0, Use::kMetadata)},
    {"lstat", At(-1, 0, Use::kLook)},
    {"mkdir", At(-1, 0, Use::kNew)},
    {"mkdirat", At(0, 1, Use::kNew)},
    {"mknod", At(-1, 0, Use::kNew)},
    {"mknodat", At(0, 1, Use::kNew)},
    {"newfstatat", At(0, 1, Use::kLook)},
    {"open", At(-1, 0, Use::kOpen, 1)},
    {"openat", At(0, 1, Use::kOpen, 2)},
    {"readlink", At(-1, 0, Use::kLook)},
    {"readlinkat", At(0, 1, Use::kLook)},
    {"rename", At(-1, 0, Use::kRemove), At(-1, 1, Use::kMake)},
    {"renameat", At(0, 1, Use::kRemove), At(2, 3, Use::kMake)},
    {"renameat2", At(0, 1, Use::kRemove), At(2, 3, Use::kMake)},
    {"rmdir", At(-1, 0, Use::kRemove)},
    {"setxattr", At(-1, 0, Use::kMetadata)},
    {"stat", At(-1, 0, Use::kLook)},
    {"statfs", At(-1, 0, Use::kLook)},
    {"statx", At(0, 1, Use::kLook)},
    {"symlink", At(-1, 1, Use::kNew)},
    {"symlinkat", At(1, 2, Use::kNew)},
    {"truncate", At(-1, 0, Use::kWrite)},
    {"unlink", At(-1, 0, Use::kRemove)},
    {"unlinkat", At(0, 1, Use::kRemove)},
    {"utime", At(-1, 0, Use::kMetadata)},
    {"utimensat", At(0, 1, Use::kMetadata)},
    {"utimes", At(-1, 0, Use::kMetadata)},
};

}  // namespace

bool IsToldArgument(std::string_view call, std::string_view argument) {
  if (argument == "mode") return IsIn(kWithMode, call);
  if (argument == "arg") return call == "fcntl";
  if (argument == "pid" && (call == "kill" || call == "wait4")) return false;
  return IsIn(kTold, argument) || IsIn(kSelf, argument);
}

std::string ToldArguments(Arch arch, const SeccompData& data) {
  const std::string_view name = SyscallName(arch, data.nr);
  const SyscallArgList args = SyscallArgs(arch, name);
  std::string text;
  for (size_t i = 0; i < args.size(); ++i) {
    if (args[i].type == ArgType::kPointer) continue;
    const auto value = Told(name, args[i], data.args[i], data);
    if (!value) continue;
    std::array<char, 19> hex{};
    snprintf(hex.data(), hex.size(), "0x%lx", *value);
    text += (text.empty() ? "" : " ") + std::string(args[i].name) + "=" + hex.data();
  }
  return text;
}

PathArguments PathsOf(std::string_view call) {
  const auto* row = std::find_if(std::begin(kPathCalls), std::end(kPathCalls),
                                 [&](const PathCall& item) { return item.call == call; });
  if (row == std::end(kPathCalls)) return {};
  return {row->first, row->second};
}

}  // namespace bulkhead
