// SPDX-License-Identifier: Apache-2.0
// What an answer costs: whole processes of why, test, diff and check, on a policy of a few services
// and on one of 1,000. bench/README.md says how to read it.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "bench/enclave.h"
#include "bench/measure.h"

namespace bulkhead::bench {
namespace {

constexpr unsigned kRounds = 9;
constexpr int kNo = 1;  // a question's answer, or a widening: no failure of the program

std::string Read(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// The same with one more call allowed to one component.
std::string Edited(std::string text) {
  const std::string list = "syscalls: {allow: [";
  const size_t at = text.find(list);
  if (at != std::string::npos) text.insert(at + list.size(), "mlockall, ");
  return text;
}

void Measure(const std::string& name, const std::string& policy, const std::string& component) {
  const std::filesystem::path path(policy);
  const std::string edited = (path.parent_path() / ("edited-" + path.filename().string())).string();
  std::ofstream(edited, std::ios::binary) << Edited(Read(policy));
  const std::vector<std::vector<std::string>> commands = {
      {"check", policy},
      {"why", policy, component, "read", "/etc/shadow"},
      {"test", policy},
      {"diff", policy, edited},
  };
  fmt::print("\n{}\n", name);
  for (const std::vector<std::string>& command : commands) {
    std::vector<std::string> words{BULKHEAD_PATH};
    words.insert(words.end(), command.begin(), command.end());
    Samples seconds;
    long peak = 0;
    for (unsigned round = 0; round < kRounds; ++round) {
      seconds.Add(Seconds([&] { peak = std::max(peak, RunProcess(words, kNo)); }));
    }
    fmt::print("  {:<6} {:9.1f} ms median {:9.1f} ms least {:8.1f} MiB\n", command[0],
               seconds.Median() * 1e3, seconds.Least() * 1e3, static_cast<double>(peak) / 1024);
  }
  std::filesystem::remove(edited);
}

int Run(const std::string& example) {
  char directory[] = "/dev/shm/bench-answers.XXXXXX";
  if (mkdtemp(directory) == nullptr) return 1;
  const std::string policy = std::string(directory) + "/enclave.yaml";
  std::ofstream(policy, std::ios::binary) << Read(example);
  Measure(example, policy, "agent");
  std::ofstream(policy, std::ios::binary) << EnclaveText(1000);
  Measure("1,000 components", policy, "agent7");
  std::filesystem::remove_all(directory);
  return 0;
}

}  // namespace
}  // namespace bulkhead::bench

int main(int argc, char** argv) {
  if (argc == 2) return bulkhead::bench::Run(argv[1]);
  fmt::print(stderr, "usage: bench-answers POLICY\n");
  return 2;
}
