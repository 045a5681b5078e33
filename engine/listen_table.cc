// SPDX-License-Identifier: Apache-2.0
#include "engine/listen_table.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

namespace bulkhead {
namespace {

constexpr size_t kLongestLine = 4096;  // of the kernel's are below 200

}  // namespace

bool ListensOn(std::string_view table, std::string_view path) {
  while (!table.empty()) {
    std::string_view line = table.substr(0, table.find('\n'));
    table.remove_prefix(std::min(line.size() + 1, table.size()));
    bool listening = false;
    for (int column = 0; column < 7; ++column) {
      line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
      const size_t end = std::min(line.find(' '), line.size());
      if (column == 3) listening = line.substr(0, end) == "00010000";
      line.remove_prefix(end);
    }
    if (listening && !line.empty() && line.substr(1) == path) return true;
  }
  return false;
}

bool ListenTable::Look(pid_t pid, const std::string& path) {
  if (!table_) {
    rest_.clear();
    const std::string name = "/proc/" + std::to_string(pid) + "/net/unix";
    table_ = Fd(open(name.c_str(), O_RDONLY | O_CLOEXEC));
    if (!table_) return false;
  }
  const size_t before = rest_.size();
  rest_.resize(before + kPiece);
  size_t size = before;
  // The kernel gives a page at a time.
  ssize_t got = 1;
  while (size < rest_.size() && got > 0) {
    got = read(table_.get(), rest_.data() + size, rest_.size() - size);
    if (got > 0) size += static_cast<size_t>(got);
  }
  rest_.resize(size);
  if (got <= 0) table_.Reset();
  const size_t whole = rest_.rfind('\n') + 1;
  const bool listens = ListensOn(std::string_view(rest_).substr(0, whole), path);
  rest_.erase(0, whole);
  if (rest_.size() > kLongestLine) rest_.clear();
  if (listens) *this = {};
  return listens;
}

}  // namespace bulkhead
