// SPDX-License-Identifier: Apache-2.0
// From the system calls that a component was seen to make to entries of `syscalls.allow`: groups of
// the shipped library where most of a group is used, single calls as the library tests their
// arguments otherwise. What no group has is granted only from a short list of harmless calls. Pure.
#pragma once

#include <string>
#include <vector>

#include "cli/learn_observed.h"
#include "compiler/calls.h"
#include "policy/policy.h"

namespace bulkhead {

struct GroupChoice {
  std::string name;
  std::vector<std::string> used;    // calls
  std::vector<std::string> unused;  // granted and not seen
  Evidence evidence;
};

struct LearntCalls {
  std::vector<GroupChoice> groups;
  std::vector<CallRule> single;              // sorted by number
  std::map<std::string, Evidence> evidence;  // of the single ones, by name
  std::vector<const SeenCall*> left;         // not granted
};

// `needed`: those that other statements don't bring.
LearntCalls LearnCalls(const std::vector<const SeenCall*>& needed, const Policy& policy, Arch arch);

}  // namespace bulkhead
