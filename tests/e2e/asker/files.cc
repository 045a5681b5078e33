// SPDX-License-Identifier: Apache-2.0
// Questions about files. Whatever leaves a file in the state that is asked for counts, also where
// the call is meant for something else: creat(2) opens, O_TRUNC of a file opened to read truncates.
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "tests/e2e/asker/asker.h"

namespace bulkhead::asker {
namespace {

constexpr int kMode = 0666;

// What a program may add to any opening.
constexpr int kUnknown = 4;  // open and openat ignore what is no flag
constexpr int kAll = O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_APPEND;
constexpr int kVariants[] = {0,        O_CLOEXEC, O_NONBLOCK, O_NOFOLLOW,
                             O_APPEND, O_NOCTTY,  kUnknown,   kAll};

long OpenBy(int form, const char* path, int flags) {
  const int mode = (flags & O_CREAT) != 0 ? kMode : 0;
  if (form == 0) return Call(SYS_openat, AT_FDCWD, Address(path), flags, mode);
#ifdef SYS_open
  if (form == 1) return Call(SYS_open, Address(path), flags, mode);
#else
  if (form == 1) return -ENOSYS;
#endif
  open_how how{};
  how.flags = static_cast<uint64_t>(flags);
  how.mode = static_cast<uint64_t>(mode);
  return Call(SYS_openat2, AT_FDCWD, Address(path), Address(&how), sizeof how);
}

// Of one form of the call with these flags; asked once, by a path that is none, because a refusal
// is a notice to the supervisor, who counts them.
bool IsFiltered(int form, int flags) {
  struct Known {
    int key;
    bool filtered;
  };
  static Known known[512];
  static size_t count = 0;
  const int key = form == 2 ? -1 : flags * 2 + form;
  for (size_t i = 0; i < count; ++i) {
    if (known[i].key == key) return known[i].filtered;
  }
  const bool filtered = MayBeFiltered(OpenBy(form, nullptr, flags));
  if (count < sizeof known / sizeof known[0]) known[count++] = {key, filtered};
  return filtered;
}

void Close(long fd) {
  if (fd >= 0) Call(SYS_close, fd);
}

bool OpensAny(const char* path, std::initializer_list<int> flags, Tries& tries) {
  for (const int one : flags) {
    const int fd = Opens(path, one, tries);
    Close(fd);
    if (fd >= 0) return true;
  }
  return false;
}

#ifdef SYS_creat
long Creat(const char* path) { return Call(SYS_creat, Address(path), kMode); }
#else
long Creat(const char*) { return -ENOSYS; }
#endif

bool Creates(const char* path, Tries& tries) {
  const long fd = Creat(path);
  Close(fd);
  return tries.Note(fd);
}

void List(const char* path, Tries& tries) {
  static char names[4096];
  for (const int flags : {O_RDONLY, O_RDONLY | O_DIRECTORY}) {
    Tries opened;
    const int fd = Opens(path, flags, opened);
    if (fd < 0) {
      tries.Note(-opened.error());
      continue;
    }
    tries.Note(Call(SYS_getdents64, fd, Address(names), sizeof names));
#ifdef SYS_getdents
    tries.Note(Call(SYS_getdents, fd, Address(names), sizeof names));
#endif
    Close(fd);
    if (tries.passed()) return;
  }
}

void Write(const char* path, Tries& tries) {
  for (const int access : {O_WRONLY, O_RDWR}) {
    if (OpensAny(path, {access, access | O_APPEND, access | O_CREAT, access | O_TRUNC}, tries)) {
      return;
    }
  }
  Creates(path, tries);
}

// What is shorter than the files that the asker is given.
constexpr long kLengths[] = {0, 1, 2, 4096, 4097};

// By length alone: what does that to a device, too, is not tried.
void Shorten(const char* path, Tries& tries) {
  for (const long length : kLengths) {
    if (tries.Note(Call(SYS_truncate, Address(path), length))) return;
  }
  for (const int access : {O_WRONLY, O_RDWR}) {
    Tries opened;
    const int fd = Opens(path, access, opened);
    if (fd < 0) tries.Note(-opened.error());
    for (const long length : kLengths) {
      if (fd >= 0 && tries.Note(Call(SYS_ftruncate, fd, length))) break;
    }
    Close(fd);
    if (tries.passed()) return;
  }
}

void Truncate(const char* path, Tries& tries) {
  Shorten(path, tries);
  if (tries.passed()) return;
  for (const int access : {O_WRONLY, O_RDWR, O_RDONLY}) {
    if (OpensAny(path, {access | O_TRUNC, access | O_TRUNC | O_CREAT}, tries)) return;
  }
  Creates(path, tries);
}

void Create(const char* path, Tries& tries) {
  for (const int access : {O_WRONLY, O_RDWR, O_RDONLY}) {
    if (OpensAny(path, {access | O_CREAT | O_EXCL, access | O_CREAT | O_EXCL | O_TRUNC}, tries)) {
      return;
    }
  }
  for (const long mode : {S_IFREG | kMode, kMode, S_IFREG | 0600, 0600, S_IFREG | 06777, 06777}) {
    if (tries.Note(Call(SYS_mknodat, AT_FDCWD, Address(path), mode, 0))) return;
#ifdef SYS_mknod
    if (tries.Note(Call(SYS_mknod, Address(path), mode, 0))) return;
#endif
  }
}

// Where nothing is, also by calls that would open what is there.
void CreateNew(const char* path, Tries& tries) {
  Create(path, tries);
  if (tries.passed()) return;
  if (OpensAny(path, {O_WRONLY | O_CREAT, O_RDWR | O_CREAT, O_RDONLY | O_CREAT}, tries)) return;
  Creates(path, tries);
}

void Remove(const char* path, Tries& tries) {
  if (tries.Note(Call(SYS_unlinkat, AT_FDCWD, Address(path), 0))) return;
#ifdef SYS_unlink
  tries.Note(Call(SYS_unlink, Address(path)));
#endif
}

void Rename(const char* from, const char* to, Tries& tries) {
  constexpr long kNoReplace = 1;
  for (const long flags : {0L, kNoReplace}) {
    const long answer = Call(SYS_renameat2, AT_FDCWD, Address(from), AT_FDCWD, Address(to), flags);
    if (tries.Note(answer)) return;
  }
#ifdef SYS_renameat
  if (tries.Note(Call(SYS_renameat, AT_FDCWD, Address(from), AT_FDCWD, Address(to)))) return;
#endif
#ifdef SYS_rename
  tries.Note(Call(SYS_rename, Address(from), Address(to)));
#endif
}

constexpr long kFchmodat2 = 452;

// The first ones leave a file or a directory to its owner, for whatever is asked next.
constexpr long kModes[] = {0777, 0700, 04755, 02755, 0600, kMode};

// Times first, which whoever may write may set to now.
void ChangeByPath(const char* path, Tries& tries) {
  for (const long flags : {0L, static_cast<long>(AT_SYMLINK_NOFOLLOW)}) {
    if (tries.Note(Call(SYS_utimensat, AT_FDCWD, Address(path), 0, flags))) return;
  }
#ifdef SYS_utimes
  if (tries.Note(Call(SYS_utimes, Address(path), 0))) return;
  if (tries.Note(Call(SYS_utime, Address(path), 0))) return;
  if (tries.Note(Call(SYS_futimesat, AT_FDCWD, Address(path), 0))) return;
#endif
  for (const long mode : kModes) {
#ifdef SYS_chmod
    if (tries.Note(Call(SYS_chmod, Address(path), mode))) return;
#endif
    if (tries.Note(Call(SYS_fchmodat, AT_FDCWD, Address(path), mode))) return;
    if (tries.Note(Call(kFchmodat2, AT_FDCWD, Address(path), mode, 0))) return;
  }
}

void Metadata(const char* path, Tries& tries) {
  ChangeByPath(path, tries);
  // To make what is there opens it.
  for (const int access : {O_RDONLY, O_WRONLY, O_RDONLY | O_CREAT, O_WRONLY | O_CREAT}) {
    if (tries.passed()) return;
    Tries opened;
    const int fd = Opens(path, access, opened);
    if (fd < 0) continue;
    for (const long mode : kModes) {
      if (tries.Note(Call(SYS_fchmod, fd, mode))) break;
    }
    tries.Note(Call(SYS_utimensat, fd, 0, 0, 0));
    Close(fd);
  }
}

}  // namespace

int Opens(const char* path, int flags, Tries& tries) {
  for (int form = 0; form < 3; ++form) {
    for (const int more : kVariants) {
      if (IsFiltered(form, flags | more)) {
        tries.Note(-EPERM);
        continue;
      }
      const long answer = OpenBy(form, path, flags | more);
      tries.Note(answer);
      if (answer >= 0) return static_cast<int>(answer);
      break;
    }
  }
  return -1;
}

void AskFile(const Words& words, Tries& tries) {
  const char* const verb = words.At(0);
  const char* const path = words.At(1);
  if (Is(verb, "read")) OpensAny(path, {O_RDONLY, O_RDWR, O_RDONLY | O_CREAT}, tries);
  if (Is(verb, "list")) List(path, tries);
  if (Is(verb, "write")) Write(path, tries);
  if (Is(verb, "truncate")) Truncate(path, tries);
  if (Is(verb, "shorten")) Shorten(path, tries);
  if (Is(verb, "make-anew")) Create(path, tries);
  if (Is(verb, "create") || Is(verb, "make")) CreateNew(path, tries);
  if (Is(verb, "make-dir")) tries.Note(Call(SYS_mkdirat, AT_FDCWD, Address(path), 0777));
  if (Is(verb, "remove")) Remove(path, tries);
  if (Is(verb, "rename")) Rename(path, words.At(2), tries);
  if (Is(verb, "metadata")) Metadata(path, tries);
}

}  // namespace bulkhead::asker
