// SPDX-License-Identifier: Apache-2.0
// The attack suite (tests/attacks) as other programs: what it can do on this kernel, and what comes
// of it inside an enclave's compartments. Starts processes and mounts: as root, one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "profiles/bundle.h"

namespace bulkhead {

struct AttackName {
  std::string rule;  // its class, an id of docs/CLOSURE.md
  std::string name;
  auto operator<=>(const AttackName&) const = default;
};

struct AttackInfo {
  AttackName attack;
  bool quiet =
      false;  // may be refused by what leaves no record, with an error that others have, too
};

// What an attempt came to: `passed`, an errno, a signal, `exit:N`, `ended` where its component was
// ended by it, `hung`.
struct SuiteAttempt {
  AttackName attack;
  bool quiet = false;  // as in AttackInfo
  std::string result;
  int64_t begin = 0;  // nanoseconds since boot, the clock of audit records
  int64_t end = 0;
};

// An event of the audit log that tells of a refusal.
struct SuiteRecord {
  std::string component;
  int64_t time = 0;  // nanoseconds since boot
  std::string control;
  std::string action;
  std::string object;
  std::string error;
  bool killed = false;  // its component was, for it
  uint64_t count = 1;
};

struct SuiteRun {
  std::map<std::string, std::vector<SuiteAttempt>> attempts;  // by component
  std::vector<SuiteRecord> records;                           // of refusals, in their order
  std::vector<std::string> reached;  // what was seen from outside to be reached, or is changed
  uint64_t lost = 0;                 // events that the log says it has lost
  std::string broken_chain;          // empty: the log is whole
};

class AttackSuite {
 public:
  // Gives this process a mount namespace of its own, with the suite's directory in it. Errors: the
  // suite's program or bulkhead-init is not there, or the directory can't be made.
  static tl::expected<AttackSuite, std::string> Open(const std::string& init);
  AttackSuite(AttackSuite&&) = default;
  ~AttackSuite();

  // All attacks, in the order in which they are made.
  tl::expected<std::vector<AttackInfo>, std::string> List();

  // What each comes to without confinement, or past a rule that looks closed, in namespaces made
  // for it: `passed` where it works on this kernel.
  tl::expected<std::map<AttackName, std::string>, std::string> Control(Arch arch);

  // From inside the components; those that are ended by an attack are started again for the next.
  // `progress` is told how many attempts are made.
  tl::expected<SuiteRun, std::string> Run(const Bundle& bundle,
                                          const std::vector<std::string>& components,
                                          const std::function<void(size_t)>& progress);

 private:
  AttackSuite(std::string program, std::string init)
      : program_(std::move(program)), init_(std::move(init)) {}
  std::string program_;
  std::string init_;
};

}  // namespace bulkhead
