// SPDX-License-Identifier: Apache-2.0
// asker QUESTION...: a question is one argument, `NUMBER VERB WORD...`; the answer is a line
// `NUMBER passed`, `NUMBER nothing` where what is asked about could not be made, or `NUMBER ERRNO`.
// `ready` tells $NOTIFY_SOCKET; `later` before a verb tries again, for five seconds, until refused.
// `wait` goes on when `asker_may_go` is written to, which needs no system call.
// `execute` becomes another copy of this program, which says `passed` and goes on. `done` follows
// the last.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <span>

#include "tests/e2e/asker/asker.h"

extern "C" {
volatile int asker_may_go = 0;
}

namespace bulkhead::asker {
namespace {

void Say(const char* number, const char* what) {
  char line[96] = {};
  strncat(line, number, 16);
  strncat(line, " ", 2);
  strncat(line, what, 32);
  strncat(line, "\n", 2);
  Call(SYS_write, 1, Address(line), static_cast<long>(strlen(line)));
}

Words Split(char* text) {
  Words words;
  while (*text != '\0' && words.count < kWords) {
    words.word[words.count++] = text;
    text += strcspn(text, " ");
    if (*text != '\0') *text++ = '\0';
  }
  return words;
}

// Comes back only with a refusal.
void BecomeBy(const char* program, char** list, Tries& tries) {
  const long path = Address(program);
  const long own = Address(environ);
  tries.Note(Call(SYS_execve, path, Address(list), own));
  tries.Note(Call(SYS_execveat, AT_FDCWD, path, Address(list), own, 0));
  const long fd = Call(SYS_openat, AT_FDCWD, path, O_PATH | O_CLOEXEC);
  if (fd < 0) return;
  tries.Note(Call(SYS_execveat, fd, Address(""), Address(list), own, AT_EMPTY_PATH));
  Call(SYS_close, fd);
}

// The rest of the questions goes along; its own are cut up already.
void Execute(std::span<char*> arguments, size_t index, const Words& words, Tries& tries) {
  constexpr size_t kMost = 1100;
  static char* next[kMost];
  static char ran[32] = "ran ";
  char* const path = words.word[2];
  strcpy(ran + 4, words.At(0));
  next[0] = words.count > 3 ? words.word[3] : path;  // the loader
  next[1] = path;
  next[2] = ran;
  size_t count = 3;
  for (size_t i = index + 1; i < arguments.size() && count + 1 < kMost; ++i) {
    next[count++] = arguments[i];
  }
  next[count] = nullptr;
  BecomeBy(path, next + 1, tries);
  if (words.count > 3) BecomeBy(next[0], next, tries);
}

Words Behind(const Words& words) {
  Words rest;
  for (size_t i = 1; i < words.count; ++i) rest.word[rest.count++] = words.word[i];
  return rest;
}

constexpr const char* kFiles[] = {"read",    "list",     "write",     "truncate",
                                  "shorten", "create",   "make-anew", "remove",
                                  "rename",  "metadata", "make",      "make-dir"};
constexpr const char* kProcesses[] = {"signal", "trace", "memory", "capability", "call"};

bool IsOneOf(const char* word, std::span<const char* const> names) {
  for (const char* name : names) {
    if (Is(word, name)) return true;
  }
  return false;
}

void Answer(const Words& words, const Tries& tries) {
  const char* name = strerrorname_np(tries.error());
  if (tries.passed()) return Say(words.At(0), "passed");
  if (Is(words.At(1), "make") || Is(words.At(1), "make-dir")) return Say(words.At(0), "nothing");
  Say(words.At(0), name == nullptr ? "unknown" : name);
}

void TellReady(Tries& tries) {
  const char* path = getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path != nullptr) strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  const long fd = Call(SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const char text[] = "READY=1";
  const long connected = fd < 0 ? fd : Call(SYS_connect, fd, Address(&address), sizeof address);
  tries.Note(connected < 0 ? connected : Call(SYS_write, fd, Address(text), sizeof text - 1));
  if (fd >= 0) Call(SYS_close, fd);
}

uint64_t Milliseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);  // by the vDSO: no filter is asked
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1000000;
}

// Until it is told from outside that everything is in place.
void Wait(Tries& tries) {
  Say("wait", "waiting");
  const uint64_t end = Milliseconds() + 20000;
  while (asker_may_go == 0 && Milliseconds() < end) {
  }
  tries.Note(asker_may_go != 0 ? 0 : -ETIMEDOUT);
  asker_may_go = 0;
}

int Run(std::span<char*> arguments) {
  for (size_t i = 1; i < arguments.size(); ++i) {
    const Words words = Split(arguments[i]);
    if (Is(words.At(0), "ran")) {
      Say(words.At(1), "passed");
      continue;
    }
    Tries tries;
    if (Is(words.At(1), "execute")) {
      Execute(arguments, i, words, tries);
    } else if (Is(words.At(1), "wait")) {
      Wait(tries);
    } else if (Is(words.At(1), "ready")) {
      TellReady(tries);
    } else if (Is(words.At(1), "later")) {
      const uint64_t end = Milliseconds() + 5000;
      do {
        tries = {};
        AskProcess(Behind(Behind(words)), tries);
      } while ((tries.passed() || !MayBeFiltered(-tries.error())) && Milliseconds() < end);
    } else if (IsOneOf(words.At(1), kFiles)) {
      AskFile(Behind(words), tries);
    } else if (IsOneOf(words.At(1), kProcesses)) {
      AskProcess(Behind(words), tries);
    } else {
      AskSocket(Behind(words), tries);
    }
    Answer(words, tries);
  }
  Say("all", "done");
#ifdef SYS_pause
  for (;;) Call(SYS_pause);
#else
  for (;;) Call(SYS_ppoll);
#endif
}

}  // namespace

long Call(long nr, long a, long b, long c, long d, long e, long f) {
  const long answer = syscall(nr, a, b, c, d, e, f);
  return answer == -1 ? -errno : answer;
}

bool MayBeFiltered(long answer) { return answer == -EPERM || answer == -ENOSYS; }

bool Tries::Note(long answer) {
  const auto rank = [](int error) {
    return error == 0 ? 0 : error == ENOSYS ? 1 : error == EPERM ? 2 : 3;
  };
  if (answer >= 0 || answer < -4095) {
    passed_ = true;
  } else if (rank(static_cast<int>(-answer)) > rank(error_)) {
    error_ = static_cast<int>(-answer);
  }
  return passed_;
}

long Words::Number(size_t index) const {
  const char* text = At(index);
  return *text == '-' ? strtol(text, nullptr, 10) : static_cast<long>(strtoul(text, nullptr, 10));
}

bool Is(const char* word, const char* name) { return strcmp(word, name) == 0; }

}  // namespace bulkhead::asker

int main(int argc, char** argv) { return bulkhead::asker::Run({argv, static_cast<size_t>(argc)}); }
