// SPDX-License-Identifier: Apache-2.0
#include "bench/measure.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

namespace bulkhead::bench {

double Seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double Samples::Least() const { return *std::ranges::min_element(values); }

double Samples::Median() const {
  std::vector<double> sorted = values;
  std::ranges::sort(sorted);
  return sorted[sorted.size() / 2];
}

long RunProcess(const std::vector<std::string>& words, int most) {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(null, STDOUT_FILENO);
    execv(argv[0], argv.data());
    _exit(127);
  }
  int status = 0;
  rusage usage{};
  const bool ended = child > 0 && wait4(child, &status, 0, &usage) == child;
  if (!ended || !WIFEXITED(status) || WEXITSTATUS(status) > most) {
    fmt::print(stderr, "`{} {}` failed\n", words[0], words.size() > 1 ? words[1] : "");
    std::exit(1);
  }
  return usage.ru_maxrss;
}

}  // namespace bulkhead::bench
