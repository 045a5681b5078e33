// SPDX-License-Identifier: Apache-2.0
// Kernel modules of a guest's image.
#pragma once

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

namespace bulkhead::test {

// Inserts the files of /modules in the order of their names; gives those that were not, each with
// errno's text. No such directory: nothing is to be inserted.
inline std::vector<std::string> InsertModules() {
  std::error_code error;
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator("/modules", error)) {
    if (!entry.path().filename().string().starts_with('.')) paths.push_back(entry.path());
  }
  std::ranges::sort(paths);
  std::vector<std::string> failed;
  for (const std::string& path : paths) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (syscall(SYS_finit_module, fd, "", 0) != 0)
      failed.push_back(path + ": " + std::strerror(errno));
    close(fd);
  }
  return failed;
}

}  // namespace bulkhead::test
