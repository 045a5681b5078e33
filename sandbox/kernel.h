// SPDX-License-Identifier: Apache-2.0
// The one door to the kernel's controls. Everything the sandbox asks of the kernel goes through
// Kernel::Call, so a test can refuse call n for every n and see that nothing runs less confined.
// Used from one thread; the child of a fork uses its own copy.
#pragma once

#include <cstdint>
#include <type_traits>

namespace bulkhead {

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

 protected:
  virtual long Call(long number, const long (&args)[6]) = 0;

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
  long Call(long number, const long (&args)[6]) override;
};

}  // namespace bulkhead
