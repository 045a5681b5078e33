// SPDX-License-Identifier: Apache-2.0
// fuzz-seeds FOLDER: writes FOLDER/<target>/seed-N, what each fuzz target starts from, and
// FOLDER/<target>.dict where a target has words of its own. Prints the targets' names.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/fuzz/seeds.h"

namespace {

bool Write(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream stream(path, std::ios::binary);
  stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return stream.good();
}

bool WriteTarget(const std::filesystem::path& folder, const bulkhead::testing::FuzzTarget& target) {
  const std::string name(target.name);
  std::filesystem::create_directories(folder / name);
  size_t count = 0;
  for (const auto& inputs : {target.seeds(), bulkhead::testing::FindingsOf(name)}) {
    for (const std::string& input : inputs) {
      if (!Write(folder / name / ("seed-" + std::to_string(count++)), input)) return false;
    }
  }
  return target.dictionary == nullptr || Write(folder / (name + ".dict"), target.dictionary());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: fuzz-seeds FOLDER\n", stderr);
    return 2;
  }
  for (const bulkhead::testing::FuzzTarget& target : bulkhead::testing::FuzzTargets()) {
    if (!WriteTarget(argv[1], target)) {
      std::fprintf(stderr, "fuzz-seeds: can't write to %s\n", argv[1]);
      return 3;
    }
    std::printf("%.*s\n", static_cast<int>(target.name.size()), target.name.data());
  }
  return 0;
}
