// SPDX-License-Identifier: Apache-2.0
// The one door to the kernel's controls. Everything the sandbox asks of the kernel goes through
// Kernel::Call or Kernel::Spawn, so a test can refuse call n for every n and see that nothing runs
// less confined. Used from one thread; the child of a fork uses its own copy, that of a Spawn the
// same one beside its parent: an implementation keeps nothing, nor does it touch errno.
#pragma once

#include <cstdint>
#include <type_traits>

namespace bulkhead {

// One system call with nothing around it: its result, or minus the errno. Neither allocates nor
// touches errno, which belongs to the thread whose memory it is.
long RawCall(long number, const long (&args)[6]);

// What a process runs that begins with a stack of its own.
struct SpawnTarget {
  void* stack_top = nullptr;     // aligned to 16
  void (*run)(void*) = nullptr;  // never returns
  void* argument = nullptr;
};

// clone(2) or clone3(2), whose arguments say that the child has this stack and may share the
// caller's memory (CLONE_VM): in the caller the call's result, in the child `run`.
long RawSpawn(long number, const long (&args)[6], const SpawnTarget& target);

class Kernel {
 public:
  virtual ~Kernel() = default;

  // One raw system call: its result, or minus the errno. Neither allocates nor touches errno, so it
  // may be used between clone and exec.
  template <typename... Args>
  long operator()(long number, Args... args) {
    static_assert(sizeof...(Args) <= 6);
    const long words[6] = {Word(args)...};
    return Call(number, words);
  }

  template <typename... Args>
  long Spawn(const SpawnTarget& target, long number, Args... args) {
    static_assert(sizeof...(Args) <= 6);
    const long words[6] = {Word(args)...};
    return Spawning(number, words, target);
  }

 protected:
  virtual long Call(long number, const long (&args)[6]) = 0;
  virtual long Spawning(long number, const long (&args)[6], const SpawnTarget& target) = 0;

 private:
  template <typename T>
  static long Word(T value) {
    if constexpr (std::is_pointer_v<T> || std::is_null_pointer_v<T>) {
      return reinterpret_cast<long>(static_cast<const void*>(value));
    } else {
      return static_cast<long>(value);
    }
  }
};

class RealKernel final : public Kernel {
 protected:
  long Call(long number, const long (&args)[6]) override { return RawCall(number, args); }
  long Spawning(long number, const long (&args)[6], const SpawnTarget& target) override {
    return RawSpawn(number, args, target);
  }
};

}  // namespace bulkhead
