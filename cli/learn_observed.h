// SPDX-License-Identifier: Apache-2.0
// What an observed component did, read from an audit log and merged over all the runs in it. Plain
// values. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tl/expected.hpp>
#include <tuple>
#include <vector>

#include "profiles/arch.h"
#include "profiles/filter.h"

namespace bulkhead {

struct Evidence {
  uint64_t count = 0;
  std::string exe;  // of the first caller
  int64_t pid = 0;
  std::string time;  // boot clock, seconds

  void Add(const Evidence& other) {
    if (count == 0)
      *this = other;
    else
      count += other.count;
  }
};

struct SeenFile {
  char type = '-';   // f file, d directory, s socket, p pipe, c and b devices, - nothing there
  std::string real;  // without links
  bool was_there = false;  // before it was first made, if it was: `mkdir -p` asks for all above
  std::map<std::string, Evidence> uses;  // execute, read, list, look, write, create, metadata
};

struct SeenCall {
  std::string name;
  std::string arguments;  // `request=0x5401`
  SeccompData data;       // other arguments are 0
  Evidence evidence;
};

struct Observed {
  std::map<std::string, SeenFile> files;                              // by path
  std::map<std::pair<std::string, std::string>, SeenCall> calls;      // name, arguments
  std::map<std::pair<std::string, std::string>, Evidence> addresses;  // bind, `tcp 127.0.0.1:80`
  std::map<std::pair<std::string, std::string>, Evidence>
      refused;              // out of bounds: call, arguments
  uint64_t unreadable = 0;  // observations that were cut, or too many kinds
};

// Of this component, as far as `arch` has the calls.
tl::expected<Observed, std::string> ReadObserved(const std::string& log,
                                                 const std::string& component, Arch arch);

}  // namespace bulkhead
