// SPDX-License-Identifier: Apache-2.0
#include "compiler/ask_file_ways.h"

#include <algorithm>
#include <initializer_list>
#include <string_view>
#include <utility>

#include "compiler/resolve_calls.h"
#include "profiles/landlock.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

using Ways = std::vector<FileWay>;

constexpr uint64_t kAccess = 3;  // O_ACCMODE, asm-generic/fcntl.h
constexpr uint64_t kReadOnly = 0;
constexpr uint64_t kWriteOnly = 1;
constexpr uint64_t kReadWrite = 2;
constexpr uint64_t kCreate = 0100;
constexpr uint64_t kTruncate = 01000;
constexpr uint64_t kPathOnly = 010000000;
constexpr uint64_t kAtFlags = 0x1100;       // AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH
constexpr uint64_t kNoReplace = 1;          // RENAME_NOREPLACE
constexpr uint64_t kFileType = 0170000;     // S_IFMT
constexpr uint64_t kRegularFile = 0100000;  // S_IFREG
constexpr uint64_t kNoFileType = 0;         // mknod(2) makes a regular file, too

// Flags of an opening; what is in neither list does not matter.
struct OpenFlags {
  uint64_t access = kReadOnly;
  uint64_t set = 0;
  uint64_t clear = 0;
};

Condition Opens(unsigned arg, const OpenFlags& flags) {
  return MaskedEqual(arg, 32, kAccess | kPathOnly | flags.set | flags.clear,
                     flags.access | flags.set);
}

// openat, or an older or newer call that opens; openat2 has its flags in memory.
std::vector<CallForm> Openings(const OpenFlags& flags) {
  return {{"openat", {Opens(2, flags)}}, {"open", {Opens(1, flags)}}, {"openat2", {}}};
}

// What Landlock wants on a file for this access.
uint64_t AccessRights(uint64_t access) {
  if (access == kReadOnly) return landlock::kReadFile;
  return access == kWriteOnly ? landlock::kWriteFile : landlock::kReadFile | landlock::kWriteFile;
}

// Each opening call, then `next`.
void AddOpenings(Ways& ways, const OpenFlags& flags, const FileWay& rest) {
  for (CallForm& opening : Openings(flags)) {
    FileWay way = rest;
    way.calls.insert(way.calls.begin(), std::move(opening));
    ways.push_back(std::move(way));
  }
}

void AddCalls(Ways& ways, std::initializer_list<std::string_view> calls, const FileWay& rest) {
  for (const std::string_view call : calls) {
    FileWay way = rest;
    way.calls.push_back({call, {}});
    ways.push_back(std::move(way));
  }
}

// O_CREAT makes nothing where a file is, and O_TRUNC opens it all the same.
Ways WriteWays(bool device) {
  const uint64_t truncates = device ? 0 : landlock::kTruncate;  // a device is not cut off
  Ways ways;
  for (const uint64_t access : {kWriteOnly, kReadWrite}) {
    const uint64_t rights = AccessRights(access);
    AddOpenings(ways, {access, 0, kTruncate}, {{}, rights, 0, false});
    AddOpenings(ways, {access, kTruncate}, {{}, rights | truncates, 0, false});
  }
  AddCalls(ways, {"creat"}, {{}, landlock::kWriteFile | truncates, 0, false});
  return ways;
}

// The kernel cuts off by O_TRUNC also what is opened to be read.
Ways TruncateWays() {
  Ways ways;
  AddCalls(ways, {"truncate"}, {{}, landlock::kTruncate, 0, false});
  for (const uint64_t access : {kWriteOnly, kReadWrite, kReadOnly}) {
    const uint64_t rights = AccessRights(access) | landlock::kTruncate;
    AddOpenings(ways, {access, kTruncate}, {{}, rights, 0, false});
    if (access == kReadOnly) continue;
    AddOpenings(ways, {access, 0, kTruncate}, {{{"ftruncate", {}}}, rights, 0, false});
  }
  AddCalls(ways, {"creat"}, {{}, landlock::kWriteFile | landlock::kTruncate, 0, false});
  return ways;
}

Ways CreateWays() {
  Ways ways;
  for (const uint64_t access : {kWriteOnly, kReadWrite, kReadOnly}) {
    AddOpenings(ways, {access, kCreate}, {{}, AccessRights(access), landlock::kMakeReg, false});
  }
  AddCalls(ways, {"creat"}, {{}, landlock::kWriteFile, landlock::kMakeReg, false});
  for (const uint64_t type : {kRegularFile, kNoFileType}) {
    for (const CallForm& node : {CallForm{"mknodat", {MaskedEqual(2, 32, kFileType, type)}},
                                 CallForm{"mknod", {MaskedEqual(1, 32, kFileType, type)}}}) {
      ways.push_back({{node}, 0, landlock::kMakeReg, false});
    }
  }
  return ways;
}

Ways RemoveWays() {
  Ways ways;
  ways.push_back({{{"unlinkat", {Equal(2, 32, 0)}}}, 0, landlock::kRemoveFile, false});
  AddCalls(ways, {"unlink"}, {{}, 0, landlock::kRemoveFile, false});
  return ways;
}

// To exchange two files the other one must be there, and a whiteout needs CAP_MKNOD.
Ways RenameWays() {
  constexpr uint64_t kRights = landlock::kRemoveFile | landlock::kMakeReg;
  Ways ways;
  ways.push_back({{{"renameat2", {MaskedEqual(4, 32, ~kNoReplace, 0)}}}, 0, kRights, false});
  AddCalls(ways, {"renameat", "rename"}, {{}, 0, kRights, false});
  return ways;
}

// The mode is its owner's to change, the times anybody's who may write.
Ways MetadataWays(bool directory) {
  Ways ways;
  // Flags that it does not know are refused.
  ways.push_back({{{"utimensat", {MaskedEqual(3, 32, ~kAtFlags, 0)}}}, 0, 0, false});
  AddCalls(ways, {"utimes", "utime", "futimesat"}, {});
  AddCalls(ways, {"fchmodat", "chmod", "fchmodat2"}, {{}, 0, 0, true});
  for (const uint64_t access : {kReadOnly, kWriteOnly, kReadWrite}) {
    const uint64_t rights = directory ? landlock::kReadDir : AccessRights(access);
    if (directory && access != kReadOnly) break;
    // A directory is not opened by what would make a file.
    const uint64_t without = directory ? kCreate | kTruncate : kTruncate;
    AddOpenings(ways, {access, 0, without}, {{{"fchmod", {}}}, rights, 0, true});
  }
  return ways;
}

Ways ListWays() {
  Ways ways;
  for (const std::string_view call : {"getdents64", "getdents"}) {
    AddOpenings(ways, {kReadOnly, 0, kCreate | kTruncate},
                {{{call, {}}}, landlock::kReadDir, 0, false});
  }
  return ways;
}

}  // namespace

std::vector<FileWay> WaysOfFile(Action action, bool directory, bool device) {
  Ways ways;
  switch (action) {
    case Action::kRead:
      if (directory) {
        AddOpenings(ways, {kReadOnly, 0, kCreate | kTruncate}, {{}, landlock::kReadDir, 0, false});
        return ways;
      }
      for (const uint64_t access : {kReadOnly, kReadWrite}) {
        AddOpenings(ways, {access, 0, kTruncate}, {{}, AccessRights(access), 0, false});
      }
      return ways;
    case Action::kList:
      return ListWays();
    case Action::kWrite:
      return WriteWays(device);
    case Action::kTruncate:
      return TruncateWays();
    case Action::kCreate:
      return CreateWays();
    case Action::kRemove:
      return RemoveWays();
    case Action::kRename:
      return RenameWays();
    case Action::kMetadata:
      return MetadataWays(directory);
    default:
      AddCalls(ways, {"execve", "execveat"}, {{}, landlock::kExecute, 0, false});
      return ways;
  }
}

std::vector<uint32_t> CallsOfFiles(Arch arch) {
  std::vector<uint32_t> numbers;
  const auto add = [&](std::string_view call) {
    if (const auto nr = SyscallNumber(arch, call)) numbers.push_back(*nr);
  };
  for (const ActionRow& row : Actions()) {
    if (row.object != ObjectKind::kPath && row.object != ObjectKind::kTwoPaths) continue;
    for (const bool directory : {false, true}) {
      for (const bool device : {false, true}) {
        for (const FileWay& way : WaysOfFile(row.action, directory, device)) {
          for (const CallForm& form : way.calls) add(form.call);
        }
      }
    }
  }
  for (const char* by_the_loader : {"read", "mmap"}) add(by_the_loader);
  std::ranges::sort(numbers);
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  return numbers;
}

CallForm OpensToRead() { return {"openat", {Opens(2, {kReadOnly, 0, kCreate | kTruncate})}}; }

}  // namespace bulkhead
