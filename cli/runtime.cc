// SPDX-License-Identifier: Apache-2.0
#include "cli/runtime.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "cli/cli.h"
#include "cli/console.h"
#include "policy/text.h"

namespace bulkhead {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kInitName = "bulkhead-init";

bool IsProgram(const std::string& path) {
  std::error_code error;
  return fs::is_regular_file(path, error) && access(path.c_str(), X_OK) == 0;
}

std::string SearchPath() {
  const char* path = std::getenv("PATH");
  return path != nullptr ? path : "/usr/sbin:/usr/bin:/sbin:/bin";
}

// The first of these that is there, from where this program is; else by the last part in PATH.
std::optional<std::string> FindBeside(const std::vector<std::string>& paths) {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  for (const std::string& path : paths) {
    if (error) break;
    std::string beside = (self.parent_path() / path).lexically_normal().string();
    if (IsProgram(beside)) return beside;
  }
  return FindProgram(fs::path(paths.front()).filename().string(), SearchPath());
}

}  // namespace

std::optional<std::string> FindProgram(const std::string& name, std::string_view search) {
  if (name.empty()) return std::nullopt;
  if (name.find('/') != std::string::npos) {
    std::error_code error;
    const std::string path = fs::absolute(name, error).lexically_normal().string();
    if (error) return std::nullopt;
    return path;
  }
  for (size_t from = 0; from <= search.size();) {
    const size_t end = std::min(search.find(':', from), search.size());
    const std::string_view directory = search.substr(from, end - from);
    from = end + 1;
    if (!directory.starts_with('/')) continue;
    std::string path = (fs::path(directory) / name).lexically_normal().string();
    if (IsProgram(path)) return path;
  }
  return std::nullopt;
}

std::optional<std::string> FindInit(const std::string& given) {
  if (!given.empty()) return given;
  return FindBeside({std::string(kInitName)});
}

std::optional<std::string> FindSuite(const std::string& name) {
  return FindBeside({name, "../libexec/bulkhead/" + name});
}

int BecomeInit(const std::string& given, const std::vector<std::string>& arguments) {
  const auto init = FindInit(given);
  if (!init) {
    PrintError("bulkhead-init is neither beside bulkhead nor in PATH", "name it by --init PATH");
    return kExitCannot;
  }
  std::vector<std::string> words{std::string(kInitName)};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execv(init->c_str(), argv.data());
  PrintError(fmt::format("can't run {}: {}", Quoted(*init), std::strerror(errno)));
  return kExitCannot;
}

}  // namespace bulkhead
