// SPDX-License-Identifier: Apache-2.0
// How components of a compiled enclave act on one another: who can send to whom, over what, and
// whose files are whose. Each edge is an answer of the evaluator, so a graph is as good as `why`.
// Immutable after construction.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/ask.h"

namespace bulkhead {

// One component acts on another.
struct ReachEdge {
  size_t from = 0;  // places in the bundle's list
  size_t to = 0;
  std::string how;   // "connects to unix:/run/edges/a/s.sock", "writes /srv/spool, which it reads"
  std::string rule;  // the statement that allows it
  bool direct = false;  // `from` does it by itself; otherwise it answers what `to` began
  bool opens = false;   // by a connection to a listener of `to`
};

class ReachGraph {
 public:
  // Errors: a filter can't be read back.
  static tl::expected<ReachGraph, std::string> Make(Evaluator& evaluator);

  // Edges of a component, sorted by where they lead, then by how.
  const std::vector<ReachEdge>& From(size_t component) const { return edges_[component]; }

  // A shortest path of edges from one of `starts` to a component that is `goal`, over components
  // that are not `closed`; empty: there is none. A start is not a goal. The instance that a
  // connection starts answers that one alone, so no path comes to it by one client's connection and
  // leaves by another's.
  std::vector<ReachEdge> Path(const std::vector<size_t>& starts,
                              const std::function<bool(size_t)>& goal,
                              const std::function<bool(size_t)>& closed) const;

 private:
  ReachGraph(std::vector<std::vector<ReachEdge>> edges, std::vector<bool> instanced)
      : edges_(std::move(edges)), instanced_(std::move(instanced)) {}
  std::vector<std::vector<ReachEdge>> edges_;
  std::vector<bool> instanced_;  // a run for each connection, that leaves the others nothing
};

}  // namespace bulkhead
