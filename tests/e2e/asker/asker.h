// SPDX-License-Identifier: Apache-2.0
// Executes questions (compiler/question.h) inside a component. Each is tried by the alternatives
// that a program has; it passed when any of them did. Shares nothing with who answers them, needs
// write, brk, arch_prctl, pause and exit_group, allocates nothing. Single-threaded.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <initializer_list>

namespace bulkhead::asker {

// A system call's answer, or minus its errno.
long Call(long nr, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0);
inline long Address(const void* pointer) { return reinterpret_cast<long>(pointer); }

// Whether a filter may have refused, so that another form of the call is worth trying.
bool MayBeFiltered(long answer);

// What several tries of one thing come to.
class Tries {
 public:
  // True when it passed. Of errors that one is kept that says most: a control behind the filter
  // before EPERM, EPERM before ENOSYS.
  bool Note(long answer);
  bool passed() const { return passed_; }
  int error() const { return error_; }

 private:
  bool passed_ = false;
  int error_ = 0;
};

// The words of a question, without its number; at most kWords.
inline constexpr size_t kWords = 10;
struct Words {
  char* word[kWords] = {};
  size_t count = 0;

  const char* At(size_t index) const { return index < count ? word[index] : ""; }
  long Number(size_t index) const;  // decimal or negative; 0 where there is none
};

void AskFile(const Words& words, Tries& tries);
void AskSocket(const Words& words, Tries& tries);
void AskProcess(const Words& words, Tries& tries);

// The first descriptor that opens, or -1. The flags are those that matter; others are varied.
int Opens(const char* path, int flags, Tries& tries);
bool Is(const char* word, const char* name);

}  // namespace bulkhead::asker
