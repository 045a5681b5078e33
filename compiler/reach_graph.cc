// SPDX-License-Identifier: Apache-2.0
#include "compiler/reach_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "compiler/path_index.h"
#include "compiler/planner.h"
#include "profiles/landlock.h"

namespace bulkhead {
namespace {

bool IsWritableBind(ViewKind kind) {
  return kind == ViewKind::kWritable || kind == ViewKind::kState;
}

// Files of the enclave, and not of the component alone.
bool IsShared(ViewKind kind) { return IsWritableBind(kind) || IsReadOnlyBind(kind); }

// Who could connect there is looked up; whether it may is asked.
class GraphMaker {
 public:
  explicit GraphMaker(Evaluator& evaluator)
      : evaluator_(evaluator),
        components_(evaluator.enclave().components),
        edges_(components_.size()) {
    for (size_t i = 0; i < components_.size(); ++i) {
      places_[components_[i].name] = i;
      for (const ViewEntry& entry : components_[i].view) {
        if (IsShared(entry.kind) || entry.kind == ViewKind::kEdge) views_.Add(entry.path, i);
        if (IsShared(entry.kind)) files_.Add(entry.path, i);
      }
      if (components_[i].network == Network::kShared) on_network_.push_back(i);
    }
    views_.Sort();
    files_.Sort();
  }

  tl::expected<std::vector<std::vector<ReachEdge>>, std::string> Make() {
    for (size_t i = 0; i < components_.size(); ++i) {
      AddListeners(i);
      AddPorts(i);
      AddFiles(i);
    }
    AddChannels();
    if (!error_.empty()) return tl::make_unexpected(error_);
    for (auto& edges : edges_) {
      std::ranges::sort(edges, {}, [](const ReachEdge& e) { return std::tie(e.to, e.how); });
    }
    return std::move(edges_);
  }

 private:
  void Add(size_t from, size_t to, std::string how, std::string rule, bool direct) {
    edges_[from].push_back({from, to, std::move(how), std::move(rule), direct});
  }

  std::optional<std::string> Allowed(size_t component, const Question& question) {
    const auto answer = evaluator_.Ask(components_[component], question);
    if (!answer) {
      error_ = answer.error();
      return std::nullopt;
    }
    return answer->verdict == Verdict::kDeny ? std::nullopt : std::optional(answer->rule);
  }

  // What is asked over a connection is answered over it.
  void TryConnect(size_t from, size_t to, Endpoint::Kind kind, const std::string& path,
                  uint32_t port) {
    if (from == to) return;
    Question question;
    question.action = Action::kConnect;
    question.endpoint = {kind, path, false, port};
    const auto rule = Allowed(from, question);
    if (!rule) return;
    const std::string where =
        kind == Endpoint::Kind::kTcp ? fmt::format("tcp:{}", port) : "unix:" + path;
    Add(from, to, "connects to " + where, *rule, true);
    edges_[from].back().opens = true;
    Add(to, from, "answers connections to " + where, *rule, false);
  }

  void TryAll(const std::vector<OwnedPath>& candidates, size_t to, const std::string& path) {
    size_t last = components_.size();
    for (const OwnedPath& candidate : candidates) {
      if (candidate.owner == last) continue;  // sorted by owner
      last = candidate.owner;
      TryConnect(candidate.owner, to, Endpoint::Kind::kUnix, path, 0);
    }
  }

  void TryPort(size_t to, uint32_t port, Endpoint::Kind kind = Endpoint::Kind::kTcp,
               const std::string& address = {}) {
    for (const size_t from : on_network_) TryConnect(from, to, kind, address, port);
  }

  void AddListeners(size_t server) {
    for (const Listener& listener : components_[server].listeners) {
      if (listener.kind == ListenerKind::kTcp) {
        TryPort(server, listener.port, Endpoint::Kind::kTcp,
                listener.address == "0.0.0.0" ? "" : listener.address);
      } else if (listener.kind == ListenerKind::kUnixStream) {
        TryAll(views_.Meeting(listener.path), server, listener.path);
      }
    }
    for (const EdgeDirectory& edge : components_[server].edges) {
      // By what name it makes its socket is its own to say.
      if (edge.server) TryAll(views_.Meeting(edge.path), server, edge.path + "/*");
    }
  }

  // By waiver no control tells ports apart, so it may listen on any.
  void TryAnyPort(size_t server) {
    for (const size_t from : on_network_) {
      if (from == server) continue;
      Question question;
      question.action = Action::kReach;
      question.name = components_[server].name;
      const auto rule = Allowed(from, question);
      if (!rule) continue;
      Add(from, server, "connects to a TCP port of it", *rule, true);
      Add(server, from, "answers connections to a TCP port of it", *rule, false);
    }
  }

  void AddPorts(size_t server) {
    const ProfileData& profile = components_[server];
    if (profile.network != Network::kShared) return;
    if ((profile.landlock.handled_net & landlock::kBindTcp) == 0) TryAnyPort(server);
    for (const LandlockPort& port : profile.landlock.ports) {
      if ((port.access & landlock::kBindTcp) != 0) TryPort(server, port.port);
    }
    for (const BrokerRule& rule : profile.broker.rules) {
      if (rule.kind == BrokerKind::kUdpBind) TryPort(server, rule.port, Endpoint::Kind::kUdp);
    }
  }

  static Question File(Action action, std::string path) {
    Question question;
    question.action = action;
    question.path = std::move(path);
    return question;
  }

  std::optional<std::string> MayAny(size_t component, std::initializer_list<Action> actions,
                                    const std::string& path) {
    for (const Action action : actions) {
      if (auto rule = Allowed(component, File(action, path))) return rule;
    }
    return std::nullopt;
  }

  // One writes where another reads: there, or at anything beneath.
  void AddFiles(size_t writer) {
    for (const ViewEntry& entry : components_[writer].view) {
      if (!IsWritableBind(entry.kind)) continue;
      for (const OwnedPath& met : files_.Meeting(entry.path)) {
        if (met.owner == writer) continue;
        const std::string deeper(met.path.size() > entry.path.size() ? met.path : entry.path);
        TryFile(writer, met.owner, deeper);
      }
    }
  }

  void TryFile(size_t writer, size_t reader, const std::string& path) {
    for (const std::string& at : {path, path + "/*"}) {
      const auto writes =
          MayAny(writer, {Action::kWrite, Action::kCreate, Action::kTruncate, Action::kRemove}, at);
      if (!writes || !MayAny(reader, {Action::kRead, Action::kExecute, Action::kList}, at))
        continue;
      Add(writer, reader, fmt::format("writes {}, in the reach of the other", path), *writes, true);
      return;
    }
  }

  void AddChannels() {
    for (const Channel& channel : evaluator_.enclave().channels) {
      const size_t from = places_.at(channel.from);
      const size_t to = places_.at(channel.to);
      if (channel.kind == ChannelKind::kConnected) {
        Add(from, to, fmt::format("is connected by the channel `{}`", channel.name), channel.rule,
            true);
        edges_[from].back().opens = true;
        Add(to, from, fmt::format("answers over the channel `{}`", channel.name), channel.rule,
            false);
        continue;
      }
      const std::string how = fmt::format("sends over the channel `{}`", channel.name);
      Add(from, to, how, channel.rule, true);
      if (!IsOneWay(channel.kind)) Add(to, from, how, channel.rule, true);
    }
  }

  Evaluator& evaluator_;
  const std::vector<ProfileData>& components_;
  std::vector<std::vector<ReachEdge>> edges_;
  std::map<std::string_view, size_t> places_;
  PathIndex views_;
  PathIndex files_;
  std::vector<size_t> on_network_;
  std::string error_;
};

}  // namespace

tl::expected<ReachGraph, std::string> ReachGraph::Make(Evaluator& evaluator) {
  auto edges = GraphMaker(evaluator).Make();
  if (!edges) return tl::make_unexpected(edges.error());
  std::vector<bool> instanced;
  for (const ProfileData& profile : evaluator.enclave().components) {
    instanced.push_back(profile.instances.at_most != 0 &&
                        std::ranges::none_of(profile.view, [](const ViewEntry& entry) {
                          return IsWritableBind(entry.kind);
                        }));
  }
  return ReachGraph(std::move(*edges), std::move(instanced));
}

std::vector<ReachEdge> ReachGraph::Path(const std::vector<size_t>& starts,
                                        const std::function<bool(size_t)>& goal,
                                        const std::function<bool(size_t)>& closed) const {
  // A component twice: any run of it, and the one that a client's connection began.
  struct Step {
    const ReachEdge* edge = nullptr;
    size_t before = 0;
  };
  const size_t count = edges_.size();
  std::vector<Step> by(count * 2);
  std::vector<bool> seen(count * 2, false);
  std::deque<size_t> open;
  for (const size_t start : starts) {
    if (closed(start)) continue;
    seen[start] = true;
    open.push_back(start);
  }
  while (!open.empty()) {
    const size_t at = open.front();
    open.pop_front();
    const bool of_a_client = at >= count;
    for (const ReachEdge& edge : edges_[at % count]) {
      if (closed(edge.to) || (of_a_client && !edge.direct)) continue;
      const size_t next = edge.opens && instanced_[edge.to] ? edge.to + count : edge.to;
      // Any run of it has come to all that one of a client's would.
      if (seen[next] || seen[edge.to]) continue;
      seen[next] = true;
      by[next] = {&edge, at};
      if (!goal(edge.to)) {
        open.push_back(next);
        continue;
      }
      std::vector<ReachEdge> path;
      for (Step step = by[next]; step.edge != nullptr; step = by[step.before]) {
        path.push_back(*step.edge);
      }
      std::ranges::reverse(path);
      return path;
    }
  }
  return {};
}

}  // namespace bulkhead
