// SPDX-License-Identifier: Apache-2.0
// Runs bulkhead-init on a bundle made by hand, as a user would, and looks at what it left.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "profiles/bundle.h"

namespace bulkhead::test {

// A directory of its own below /tmp, removed with everything in it at the end.
class TempDirectory {
 public:
  TempDirectory();
  ~TempDirectory();
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;
  const std::string& path() const { return path_; }
  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

void WriteFile(const std::string& path, const std::string& content);
std::string ReadWholeFile(const std::string& path);

// A running bulkhead-init. The destructor ends it (SIGTERM, then SIGKILL after 5 s).
class Init {
 public:
  // `data` gets an audit file sink in `directory`; further arguments go after the bundle.
  Init(const TempDirectory& directory, BundleData data, std::vector<std::string> before = {},
       std::vector<std::string> after = {});
  ~Init();
  Init(const Init&) = delete;
  Init& operator=(const Init&) = delete;

  pid_t pid() const { return pid_; }
  // Waits for the end; the exit code, or -signal, or -1000 when it did not end in `seconds`.
  int Wait(double seconds = 20);
  void Signal(int signal) const;
  // Waits until the output (standard error and output together) holds `text`.
  bool WaitForOutput(const std::string& text, double seconds = 10) const;
  std::string Output() const;
  std::string Audit() const;
  // Pids of processes whose real uid is `uid`.
  static std::vector<pid_t> ProcessesOf(uint32_t uid);

 private:
  const TempDirectory& directory_;
  pid_t pid_ = -1;
};

// False (and a failed test when BULKHEAD_REQUIRE_KERNEL is set) when this process may not confine.
bool CanConfine();

}  // namespace bulkhead::test
