// SPDX-License-Identifier: Apache-2.0
#include "policy/kernel_config.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <map>
#include <tuple>
#include <utility>

namespace bulkhead {
namespace {

using Release = std::pair<uint32_t, uint32_t>;
using Symbols = std::map<std::string_view, std::string_view>;

// Landlock's ABI by release, the oldest first.
constexpr std::pair<Release, uint32_t> kLandlockAbi[] = {
    {{5, 13}, 1}, {{5, 19}, 2}, {{6, 2}, 3}, {{6, 7}, 4}, {{6, 10}, 5},
    {{6, 12}, 6}, {{6, 15}, 7}, {{7, 0}, 8}, {{7, 1}, 9}, {{7, 2}, 10}};

std::string_view TakeUntil(std::string_view& rest, char separator) {
  const size_t end = std::min(rest.find(separator), rest.size());
  const std::string_view part = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return part;
}

bool ReadRelease(std::string_view text, Release& release) {
  const char* end = text.data() + text.size();
  const auto major = std::from_chars(text.data(), end, release.first);
  if (major.ec != std::errc() || major.ptr == end || *major.ptr != '.') return false;
  return std::from_chars(major.ptr + 1, end, release.second).ec == std::errc();
}

// "# Linux/x86 6.1.176 Kernel Configuration"
bool ReadTitle(std::string_view line, Release& release) {
  constexpr std::string_view kStart = "# Linux/";
  Release read{0, 0};
  if (!line.starts_with(kStart) || !line.ends_with(" Kernel Configuration")) return false;
  line.remove_prefix(std::min(line.find(' ', kStart.size()) + 1, line.size()));
  if (!ReadRelease(line, read)) return false;
  release = read;
  return true;
}

bool IsBuilt(const Symbols& symbols, std::string_view name) {
  const auto found = symbols.find(name);
  return found != symbols.end() && (found->second == "y" || found->second == "m");
}

bool Lists(const Symbols& symbols, std::string_view name, std::string_view word) {
  const auto found = symbols.find(name);
  std::string_view list = found == symbols.end() ? std::string_view() : found->second;
  if (list.size() >= 2 && list.front() == '"') list = list.substr(1, list.size() - 2);
  while (!list.empty()) {
    if (TakeUntil(list, ',') == word) return true;
  }
  return false;
}

uint32_t LandlockAbi(const Release& release) {
  uint32_t abi = 0;
  for (const auto& [since, level] : kLandlockAbi) {
    if (since <= release) abi = level;
  }
  return abi;
}

// What a feature comes to where it is built. Controllers are taken to be in the version 2 tree from
// the release on that has them there (memory and pids 4.5, cpu 4.15).
uint32_t BuiltLevel(Feature feature, const Release& release) {
  switch (feature) {
    case Feature::kLandlock:
      return LandlockAbi(release);
    case Feature::kCgroupMemory:
    case Feature::kCgroupPids:
      return release >= Release{4, 5} ? 2 : 1;
    case Feature::kCgroupCpu:
      return release >= Release{4, 15} ? 2 : 1;
    default:
      return 1;
  }
}

// Of CONFIG_LSM where no module of the major ones is the default (security/Kconfig, Linux 6.1), but
// Landlock. Those that are not built are passed over.
constexpr std::string_view kDefaultModules = "\"lockdown,yama,loadpin,safesetid,bpf\"";

// The lines that are missing, also for Landlock's place in the list of modules.
std::vector<std::string> MissingLines(const Symbols& symbols, const FeatureInfo& info) {
  std::vector<std::string> lines;
  const bool landlock =
      info.feature == Feature::kLandlock || info.feature == Feature::kLandlockAudit;
  // What SECURITY_LANDLOCK depends on (security/landlock/Kconfig).
  if (landlock && !IsBuilt(symbols, "SECURITY_LANDLOCK") && !IsBuilt(symbols, "SECURITY")) {
    lines.emplace_back("CONFIG_SECURITY=y");
  }
  std::string_view wanted = info.config;
  while (!wanted.empty()) {
    const std::string_view name = TakeUntil(wanted, ' ');
    if (!IsBuilt(symbols, name)) lines.push_back("CONFIG_" + std::string(name) + "=y");
  }
  if (landlock && !Lists(symbols, "LSM", "landlock")) {
    const auto found = symbols.find("LSM");
    std::string list(found == symbols.end() ? kDefaultModules : found->second);
    list.insert(1, list == "\"\"" ? "landlock" : "landlock,");
    lines.push_back("CONFIG_LSM=" + list);
  }
  return lines;
}

}  // namespace

tl::expected<ConfiguredKernel, std::string> ReadKernelConfig(std::string_view text,
                                                             std::string name) {
  Symbols symbols;
  Release release{0, 0};
  while (!text.empty()) {
    std::string_view line = TakeUntil(text, '\n');
    if (line.starts_with('#')) {
      ReadTitle(line, release);
      continue;
    }
    if (!line.starts_with("CONFIG_")) continue;
    line.remove_prefix(std::string_view("CONFIG_").size());
    const std::string_view symbol = TakeUntil(line, '=');
    symbols[symbol] = line;
  }
  if (release == Release{0, 0}) {
    return tl::unexpected(
        std::string("no line `# Linux/ARCH RELEASE Kernel Configuration`: not a whole .config"));
  }
  ConfiguredKernel kernel;
  kernel.target.name = std::move(name);
  std::tie(kernel.target.kernel_major, kernel.target.kernel_minor) = release;
  kernel.target.platform = "none";
  if (IsBuilt(symbols, "X86_64")) {
    kernel.target.arch = Arch::kX86_64;
  } else if (IsBuilt(symbols, "ARM64")) {
    kernel.target.arch = Arch::kAarch64;
  } else {
    return tl::unexpected(
        std::string("neither CONFIG_X86_64 nor CONFIG_ARM64: no architecture of bulkhead's"));
  }
  for (const FeatureInfo& info : Features()) {
    Release since{0, 0};
    ReadRelease(info.since, since);
    ConfigLimit limit{info.feature, MissingLines(symbols, info), ""};
    if (release < since) limit.since = info.since;
    const bool built = limit.lines.empty() && limit.since.empty();
    if (built) kernel.target.features.Set(info.feature, BuiltLevel(info.feature, release));
    // Landlock grows: what a newer kernel would add is a limit, too.
    const auto& newest = kLandlockAbi[std::size(kLandlockAbi) - 1];
    if (info.feature == Feature::kLandlock && release >= since && release < newest.first) {
      limit.since = std::to_string(newest.first.first) + "." + std::to_string(newest.first.second);
    }
    if (!limit.lines.empty() || !limit.since.empty()) kernel.limits.push_back(std::move(limit));
  }
  return kernel;
}

}  // namespace bulkhead
