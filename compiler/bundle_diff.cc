// SPDX-License-Identifier: Apache-2.0
#include "compiler/bundle_diff.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "compiler/argument_text.h"
#include "compiler/ask_file_ways.h"
#include "compiler/diff_enclave.h"
#include "compiler/diff_scope.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

// Bytes as the policy writes them.
std::string SizeText(uint64_t bytes) {
  std::string_view unit;
  for (const std::string_view next : {"K", "M", "G"}) {
    if (bytes % 1024 != 0) break;
    bytes /= 1024;
    unit = next;
  }
  return fmt::format("{}{}", bytes, unit);
}

class Differ {
 public:
  Differ(const Bundle& before, const Bundle& after)
      : before_(*before),
        after_(*after),
        old_(before),
        new_(after),
        scopes_(*before, *after),
        calls_of_files_(CallsOfFiles(after_.target.arch)) {}

  tl::expected<std::vector<Difference>, std::string> Run() {
    if (before_.target.arch != after_.target.arch) {
      return tl::make_unexpected("the bundles are for different architectures");
    }
    for (const auto& [name, pair] : scopes_.components()) {
      if (pair.before == nullptr || pair.after == nullptr) {
        const bool added = pair.before == nullptr;
        Add(added ? Change::kWidened : Change::kNarrowed, std::string(name), "component",
            std::string(name), {}, {}, added ? "a new component" : "no component any more");
        continue;
      }
      Compare(pair);
      if (!error_.empty()) return tl::make_unexpected(error_);
    }
    CompareLedgers();
    LeaveOutRepeated();
    for (Difference& d : DiffEnclaves(before_, after_)) differences_.push_back(std::move(d));
    std::ranges::sort(differences_, {}, [](const Difference& d) {
      return std::tie(d.component, d.area, d.change, d.witness);
    });
    return std::move(differences_);
  }

 private:
  void Add(Change change, const std::string& component, std::string area, std::string witness,
           std::string old_rule, std::string new_rule, std::string text) {
    differences_.push_back({change, component, std::move(area), std::move(witness),
                            std::move(old_rule), std::move(new_rule), std::move(text), false});
  }

  // What changed for a path and for all beneath it alike is said once.
  void LeaveOutRepeated() {
    std::map<std::tuple<std::string_view, Change, std::string_view>, Difference*> known;
    for (Difference& d : differences_) known[{d.component, d.change, d.witness}] = &d;
    std::vector<const Difference*> repeated;
    for (const Difference& d : differences_) {
      if (!d.witness.ends_with(kElsewhere)) continue;
      std::string_view above = d.witness;
      above.remove_suffix(kElsewhere.size());
      const auto found = known.find({d.component, d.change, above});
      if (found == known.end()) continue;
      found->second->beneath = true;
      repeated.push_back(&d);
    }
    std::vector<Difference> kept;
    for (const Difference& d : differences_) {
      if (!std::ranges::binary_search(repeated, &d)) kept.push_back(d);
    }
    differences_ = std::move(kept);
  }

  void Compare(const DiffScopes::Pair& pair) {
    const ProfileData& one = *pair.before;
    const ProfileData& other = *pair.after;
    const DiffScope scope = scopes_.Of(pair);
    if (scope.all) {
      CompareCalls(one, other);
      CompareFiles(one, other, scope);
      CompareProcesses(one, other);
    }
    for (const std::string& end : scope.ends) {
      for (const char* action : {"connect", "listen"}) Ask(one, other, "network", action, {end});
    }
    for (const std::string& peer : scope.peers) Ask(one, other, "peers", "reach", {peer});
    for (const std::string& asset : scope.assets) Ask(one, other, "assets", "reach", {asset});
    CompareAttestation(one, other);
    CompareConnections(one);
    CompareLimits(one, other);
    CompareRest(one, other);
  }

  // Each verb that is given or not, and the key; then how often.
  void CompareAttestation(const ProfileData& one, const ProfileData& other) {
    const Attestation& before = one.attestation;
    const Attestation& after = other.attestation;
    const auto verb = [&](bool was, bool is, std::string_view object) {
      if (was == is) return;
      Add(is ? Change::kWidened : Change::kNarrowed, one.name, "attestation",
          fmt::format("{} {}", Row(Action::kAttest).name, object), before.rule, after.rule,
          is ? "may be asked for now" : "may not be asked for any more");
    };
    verb(before.attest, after.attest, kAttestDocument);
    verb(before.public_key, after.public_key, kAttestKey);
    verb(before.random, after.random, kAttestRandom);
    if (!before.given || !after.given) return;
    const uint64_t often = uint64_t{before.count} * after.window_ms;
    const uint64_t now = uint64_t{after.count} * before.window_ms;
    if (before.count == after.count && before.window_ms == after.window_ms) return;
    // A longer time with the same rate lets more come at once.
    const bool more = now > often || after.count > before.count;
    Add(more ? Change::kWidened : Change::kNarrowed, one.name, "attestation", "rate", before.rule,
        after.rule,
        fmt::format("{} in {} s, now {} in {} s", before.count, before.window_ms / 1000,
                    after.count, after.window_ms / 1000));
  }

  // An action and its words, in both bundles.
  void Ask(const ProfileData& one, const ProfileData& other, std::string_view area,
           std::string_view action, const std::vector<std::string>& object) {
    const auto question = ParseQuestion(one.arch, action, object);
    if (!question) return;  // such as reaching oneself
    const auto old_answer = old_.Ask(one, *question);
    const auto new_answer = new_.Ask(other, *question);
    // Something that one enclave lacks was compared as such.
    if (!old_answer || !new_answer || old_answer->verdict == new_answer->verdict) return;
    std::string witness(action);
    for (const std::string& word : object) witness.append(" ").append(word);
    Add(new_answer->verdict < old_answer->verdict ? Change::kWidened : Change::kNarrowed, one.name,
        std::string(area), std::move(witness), old_answer->rule, new_answer->rule,
        fmt::format("{}, now {}", VerdictName(old_answer->verdict),
                    VerdictName(new_answer->verdict)));
  }

  void CompareCalls(const ProfileData& one, const ProfileData& other) {
    files_by_calls_ = false;
    said_calls_.clear();
    CompareFilters(one, one.filter, other.filter, "");
    if (one.startup.empty() && other.startup.empty()) return;
    CompareFilters(one, WidestFilter(one), WidestFilter(other), " until it is ready");
  }

  // `when`: what the answers are about.
  void CompareFilters(const ProfileData& one, const Filter& old_filter, const Filter& new_filter,
                      std::string_view when) {
    if (old_filter == new_filter) return;
    const auto old_sets = reads_.Read(one.arch, old_filter);
    const auto new_sets = reads_.Read(one.arch, new_filter);
    if (!old_sets || !new_sets) {
      error_ = old_sets ? new_sets.error() : old_sets.error();
      return;
    }
    std::set<uint32_t> numbers;
    for (const auto* sets : {*old_sets, *new_sets}) {
      for (const auto& [nr, set] : *sets) numbers.insert(nr);
    }
    for (const uint32_t nr : numbers) {
      const CallSets::Set before = SetOf(**old_sets, nr);
      const CallSets::Set after = SetOf(**new_sets, nr);
      AddCall(Change::kWidened, one, nr, after, before, when);
      AddCall(Change::kNarrowed, one, nr, before, after, when);
      if (before != after && std::ranges::binary_search(calls_of_files_, nr))
        files_by_calls_ = true;
    }
  }

  static CallSets::Set SetOf(const AllowedSets& sets, uint32_t nr) {
    const auto found = sets.find(nr);
    return found == sets.end() ? Bdd::kNothing : found->second;
  }

  // A call of `more` that is not one of `less`.
  void AddCall(Change change, const ProfileData& component, uint32_t nr, CallSets::Set more,
               CallSets::Set less, std::string_view when) {
    CallSets& sets = reads_.sets();
    const CallSets::Set gained = sets.bdd().And(more, Bdd::Not(less));
    // What changed for good changed at the start, too.
    if (gained == Bdd::kNothing || !said_calls_.insert({change, nr}).second) return;
    const SeccompData data = sets.AnyMember(gained);
    const std::string_view name = SyscallName(component.arch, nr);
    std::string witness = fmt::format("syscall {}", name);
    const SyscallArgList args = SyscallArgs(component.arch, name);
    for (unsigned i = 0; i < args.size(); ++i) {
      // All are said: with others the answer may be another.
      witness +=
          fmt::format(" {}={}", args[i].name, ArgumentText(component.arch, name, data.args, i));
    }
    const bool widened = change == Change::kWidened;
    const std::string rule = "components." + component.name + ".syscalls";
    Add(change, component.name, "syscalls", std::move(witness), rule, rule,
        fmt::format("{}{}{}", widened ? "refused, now passes" : "passed, now refused", when,
                    less == Bdd::kNothing ? ", whatever the arguments" : ""));
  }

  void CompareFiles(const ProfileData& one, const ProfileData& other, const DiffScope& scope) {
    const bool all = files_by_calls_ || !SameForFiles(one, other);
    const bool runs = all || !LoadsTheSame(one, other);
    for (const std::string& path : scope.paths) {
      const bool here = all || !SameAt(one, other, path) || !SameAt(one, other, path + ".new");
      for (const ActionRow& row : Actions()) {
        if (!here && !(runs && row.action == Action::kExecute)) continue;
        if (row.object == ObjectKind::kPath) Ask(one, other, "files", row.name, {path});
        if (row.object == ObjectKind::kTwoPaths) {
          Ask(one, other, "files", row.name, {path, path + ".new"});
        }
      }
    }
  }

  // Any other component stands for all of them: none is in the same PID namespace.
  void CompareProcesses(const ProfileData& one, const ProfileData& other) {
    std::vector<std::string> names{one.name};
    for (const auto& [name, pair] : scopes_.components()) {
      if (pair.before == nullptr || pair.after == nullptr || name == one.name) continue;
      names.emplace_back(name);
      break;
    }
    for (const std::string& name : names) {
      for (const char* action : {"signal", "trace", "memory"}) {
        Ask(one, other, "peers", action, {name});
      }
    }
    Ask(one, other, "peers", "capability", {"CAP_SYS_ADMIN"});
  }

  void CompareLimit(const ProfileData& one, std::string_view name, uint64_t before, uint64_t after,
                    const std::function<std::string(uint64_t)>& written) {
    if (before == after) return;
    // 0 is no limit.
    const bool widened = after == 0 || (before != 0 && after > before);
    const auto text = [&](uint64_t value) { return value == 0 ? "no limit" : written(value); };
    const std::string rule = "components." + one.name + ".limits." + std::string(name);
    Add(widened ? Change::kWidened : Change::kNarrowed, one.name, "limits", std::string(name), rule,
        rule, fmt::format("{}, now {}", text(before), text(after)));
  }

  void CompareLimits(const ProfileData& one, const ProfileData& other) {
    const auto number = [](uint64_t value) { return fmt::to_string(value); };
    const auto percent = [](uint64_t value) { return fmt::format("{}%", value); };
    CompareLimit(one, "memory", one.limits.memory, other.limits.memory, SizeText);
    CompareLimit(one, "processes", one.limits.processes, other.limits.processes, number);
    CompareLimit(one, "files", one.limits.files, other.limits.files, number);
    CompareLimit(one, "cpu", one.limits.cpu_percent, other.limits.cpu_percent, percent);
    // No limit is written 0.
    CompareLimit(one, "cpu-yields", one.limits.cpu_yields ? 1 : 0, other.limits.cpu_yields ? 1 : 0,
                 [](uint64_t) { return "true"; });
    CompareLimit(one, "file-size", one.limits.file_size, other.limits.file_size, SizeText);
  }

  // To which of a peer's listeners it is connected, and in whose name, `reach` doesn't say.
  void CompareConnections(const ProfileData& component) {
    const auto add = [&](const BundleData& has, const BundleData& lacks, Change change) {
      for (const Channel& channel : has.channels) {
        if (channel.kind != ChannelKind::kConnected || channel.from != component.name) continue;
        const bool there = std::ranges::any_of(lacks.channels, [&](const Channel& other) {
          return std::tie(other.from, other.to, other.path, other.as_server) ==
                 std::tie(channel.from, channel.to, channel.path, channel.as_server);
        });
        if (there) continue;
        const bool widened = change == Change::kWidened;
        Add(change, component.name, "peers", fmt::format("channel {}", channel.name),
            widened ? "" : channel.rule, widened ? channel.rule : "",
            fmt::format("{} connected to {} of {}{}", widened ? "now" : "no longer", channel.path,
                        channel.to, channel.as_server ? ", in its server's name" : ""));
      }
    };
    add(after_, before_, Change::kWidened);
    add(before_, after_, Change::kNarrowed);
  }

  // What gives and takes nothing, but is another enclave.
  void CompareRest(const ProfileData& one, const ProfileData& other) {
    const auto changed = [&](bool differs, std::string_view what) {
      if (!differs) return;
      Add(Change::kNeutral, one.name, "component", std::string(what),
          "components." + one.name + "." + std::string(what),
          "components." + one.name + "." + std::string(what), "changed");
    };
    if (auto pin = DiffPins(one, other)) differences_.push_back(std::move(*pin));
    if (one.argv != other.argv) {
      const std::string rule = "components." + one.name + ".exec";
      Add(Change::kNeutral, one.name, "component", "exec", rule, rule,
          fmt::format("{}, now {}", fmt::join(one.argv, " "), fmt::join(other.argv, " ")));
    }
    changed(one.environment != other.environment, "env");
    changed(one.uid != other.uid || one.gid != other.gid, "user");
    changed(one.directory != other.directory, "directory");
    changed(one.umask != other.umask, "umask");
    changed(one.stdin_from != other.stdin_from, "stdin");
    changed(one.stdout_to != other.stdout_to, "stdout");
    changed(one.stderr_to != other.stderr_to, "stderr");
    const Lifecycle& before = one.lifecycle;
    const Lifecycle& after = other.lifecycle;
    changed(before.after != after.after, "after");
    changed(before.ready != after.ready, "ready");
    changed(before.watchdog_ms != after.watchdog_ms, "watchdog");
    changed(std::tie(before.stop_signal, before.stop_within_ms) !=
                std::tie(after.stop_signal, after.stop_within_ms),
            "stop");
    changed(std::tie(before.restart, before.restart_at_most, before.restart_within_ms) !=
                std::tie(after.restart, after.restart_at_most, after.restart_within_ms),
            "restart");
    changed(before.critical != after.critical, "critical");
    changed(one.instances != other.instances, "instances");
    changed(one.secrets != other.secrets, "secrets");
    CompareViolations(one, other);
  }

  // Observed, what is refused passes.
  void CompareViolations(const ProfileData& one, const ProfileData& other) {
    const OnViolation before = one.on_violation;
    const OnViolation after = other.on_violation;
    if (before == after) return;
    constexpr std::string_view kNames[] = {"refuse", "kill", "observe"};
    const Change change = after == OnViolation::kObserve    ? Change::kWidened
                          : before == OnViolation::kObserve ? Change::kNarrowed
                                                            : Change::kNeutral;
    const std::string rule = "components." + one.name + ".on-violation";
    Add(change, one.name, "component", "on-violation", rule, rule,
        fmt::format("{}, now {}", kNames[static_cast<size_t>(before)],
                    kNames[static_cast<size_t>(after)]));
  }

  // A statement of which more or less is enforced or recorded: it shows above what that opens, here
  // that it is so.
  void CompareLedgers() {
    std::map<std::tuple<std::string_view, std::string_view>, const LedgerRow*> rows;
    for (const LedgerRow& row : before_.ledger) rows[{row.component, row.statement}] = &row;
    for (const LedgerRow& row : after_.ledger) {
      const auto old_row = rows.find({row.component, row.statement});
      if (old_row == rows.end()) {
        if (row.status == Status::kWaived) {
          AddLedger(row, fmt::format("waived: {}", row.note));
        }
        continue;
      }
      const LedgerRow& old = *old_row->second;
      if (old.status != row.status) {
        AddLedger(row, fmt::format("{}, now {}", StatusName(old.status), StatusName(row.status)));
      } else if (old.recorder != row.recorder) {
        AddLedger(row, fmt::format("its refusals were recorded by {}, now by {}",
                                   RecorderName(old.recorder), RecorderName(row.recorder)));
      }
    }
  }

  void AddLedger(const LedgerRow& row, std::string text) {
    const std::string own = fmt::format("components.{}.", row.component);
    std::string statement = row.statement;
    if (statement.starts_with(own)) statement.erase(0, own.size());
    Add(Change::kNeutral, row.component, "ledger", std::move(statement), row.statement,
        row.statement, std::move(text));
  }

  const BundleData& before_;
  const BundleData& after_;
  Evaluator old_;
  Evaluator new_;
  FilterReads reads_;  // both filters in one set of diagrams, so that equal sets are equal nodes
  DiffScopes scopes_;
  std::vector<uint32_t> calls_of_files_;
  std::set<std::pair<Change, uint32_t>> said_calls_;  // of the two that are compared
  bool files_by_calls_ = false;  // of the two that are compared, calls that files hang on differ
  std::vector<Difference> differences_;
  std::string error_;
};

}  // namespace

std::string_view ChangeName(Change change) {
  constexpr std::string_view kNames[] = {"widened", "narrowed", "neutral"};
  return kNames[static_cast<size_t>(change)];
}

tl::expected<std::vector<Difference>, std::string> DiffBundles(const Bundle& before,
                                                               const Bundle& after) {
  return Differ(before, after).Run();
}

}  // namespace bulkhead
