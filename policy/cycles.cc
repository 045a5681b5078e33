// SPDX-License-Identifier: Apache-2.0
#include "policy/cycles.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

namespace bulkhead {
namespace {

// Takes away, again and again, what refers to nothing that is left: what stays is in a cycle or
// leads to one.
void Prune(References& references) {
  std::map<std::string, std::vector<std::string>> users;
  std::map<std::string, size_t> open;
  std::vector<std::string> free;
  for (const auto& [name, targets] : references) {
    open[name] = targets.size();
    for (const std::string& target : targets) users[target].push_back(name);
    if (targets.empty()) free.push_back(name);
  }
  while (!free.empty()) {
    const std::string name = std::move(free.back());
    free.pop_back();
    references.erase(name);
    for (const std::string& user : users[name]) {
      if (--open[user] == 0) free.push_back(user);
    }
  }
  for (auto& [name, targets] : references) {
    std::erase_if(targets, [&](const std::string& t) { return !references.contains(t); });
  }
}

std::vector<std::string> WalkIntoCycle(const References& references) {
  std::vector<std::string> path;
  std::string name = references.begin()->first;
  auto repeated = path.end();
  while ((repeated = std::find(path.begin(), path.end(), name)) == path.end()) {
    path.push_back(name);
    name = references.at(name).front();
  }
  path.erase(path.begin(), repeated);
  std::rotate(path.begin(), std::min_element(path.begin(), path.end()), path.end());
  return path;
}

}  // namespace

std::vector<std::vector<std::string>> FindCycles(References references) {
  for (auto& [name, targets] : references) {
    std::erase_if(targets, [&](const std::string& t) { return !references.contains(t); });
  }
  std::vector<std::vector<std::string>> cycles;
  for (Prune(references); !references.empty(); Prune(references)) {
    cycles.push_back(WalkIntoCycle(references));
    for (const std::string& name : cycles.back()) references.erase(name);
    for (auto& [name, targets] : references) {
      std::erase_if(targets, [&](const std::string& t) { return !references.contains(t); });
    }
  }
  return cycles;
}

}  // namespace bulkhead
