// SPDX-License-Identifier: Apache-2.0
// Where the tests against the running kernel make calls: children in namespaces of their own
// (mounts, PIDs, network, IPC, host name), beneath an empty tmpfs, as nobody, without capabilities
// or descriptors, within small limits. A user namespace of their own would give them capabilities
// where they now have none. Needs root. One at a time; not thread-safe.
#pragma once

#include <sys/mman.h>
#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <stdexcept>

#include "profiles/filter.h"

namespace bulkhead::testing {

class KernelCell {
 public:
  // Until the end of the cell all children of this process are in its PID namespace.
  // std::runtime_error when the kernel refuses a part of it.
  KernelCell();
  ~KernelCell();
  KernelCell(const KernelCell&) = delete;
  KernelCell& operator=(const KernelCell&) = delete;

  // A child that runs `body` and exits with 0. It exits with kNotConfined, before `body`, when it
  // can't be confined.
  pid_t Start(const std::function<void()>& body) const;

  static constexpr int kNotConfined = 99;

  // Waits for the end: the exit code, or minus the signal.
  static int End(pid_t child);

 private:
  int own_namespace_ = -1;
  int first_pidfd_ = -1;
  pid_t first_ = -1;  // PID 1 of the cell
};

// Loads the filter into the calling process; with a listener its descriptor is returned. Minus the
// errno when it is refused.
long LoadFilter(const Filter& filter, bool listener);

// Zeroed memory that is shared with the children started after.
template <typename T>
class SharedArray {
 public:
  explicit SharedArray(size_t size)
      : size_(size),
        items_(static_cast<T*>(
            mmap(nullptr, Bytes(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {
    if (items_ == MAP_FAILED) throw std::runtime_error("mmap");
  }
  ~SharedArray() { munmap(items_, Bytes()); }
  SharedArray(const SharedArray&) = delete;
  SharedArray& operator=(const SharedArray&) = delete;

  T& operator[](size_t index) const { return items_[index]; }
  size_t size() const { return size_; }

 private:
  size_t Bytes() const { return sizeof(T) * (size_ + 1); }
  size_t size_;
  T* items_;
};

}  // namespace bulkhead::testing
