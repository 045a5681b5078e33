// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <map>
#include <set>
#include <tuple>

#include "cli/attack_suite.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/inputs.h"
#include "cli/json.h"
#include "compiler/closure.h"
#include "sandbox/probe_kernel.h"

namespace bulkhead {
namespace {

constexpr std::string_view kPassed = "passed";
constexpr std::string_view kEnded = "ended";

enum class Outcome : uint8_t {
  kRefused,      // it did not get through
  kSucceeded,    // it did, and no waiver says that it may
  kWaived,       // it did, as a waiver of the policy says
  kUnavailable,  // it works nowhere on this kernel, so nothing is shown
};

std::string_view OutcomeName(Outcome outcome) {
  switch (outcome) {
    case Outcome::kRefused:
      return "refused";
    case Outcome::kSucceeded:
      return "succeeded";
    case Outcome::kWaived:
      return "waived";
    case Outcome::kUnavailable:
      return "unavailable";
  }
  return "";
}

struct Judged {
  SuiteAttempt attempt;
  Outcome outcome = Outcome::kRefused;
  std::string control;                  // what it comes to without confinement
  const SuiteRecord* record = nullptr;  // of kRefused
  std::string unrecorded;               // of kRefused without a record: why there is none
};

// --- records -------------------------------------------------------------------------------------

// Landlock's records come later than the answers.
constexpr int64_t kLatest = 50'000'000;
// Repeated refusals are written as one record a second: a record that is not the first of its key
// stands for what was refused in the second before it.
constexpr int64_t kFolding = 2'500'000'000;

using RecordKey = std::tuple<std::string, std::string, std::string, std::string>;
RecordKey KeyOf(const SuiteRecord& record) {
  return {record.control, record.action, record.object, record.error};
}

// The record of an attempt: one of its time, or one that stands for several like an earlier one.
class RecordFinder {
 public:
  RecordFinder(const std::vector<SuiteRecord>& records, const std::string& component) {
    for (const SuiteRecord& record : records) {
      if (record.component == component) records_.push_back(&record);
    }
    for (const SuiteRecord* record : records_) left_.push_back(record->count);
  }

  const SuiteRecord* Find(const SuiteAttempt& attempt, int64_t next) {
    const int64_t until = std::min(attempt.end == INT64_MAX ? next : attempt.end + kLatest, next);
    std::set<RecordKey> known;  // by the end of the attempt
    for (size_t i = 0; i < records_.size(); ++i) {
      const SuiteRecord& record = *records_[i];
      if (record.time > std::max(until, attempt.begin + kFolding)) break;
      const bool in_time = record.time <= until;
      const bool first = in_time && known.insert(KeyOf(record)).second;
      if (record.time < attempt.begin || !Fits(record, attempt)) continue;
      if (first) return &record;
      // Only a refusal on record ends a component, so such an attempt was not refused quietly.
      const bool quiet = attempt.quiet && attempt.result != kEnded;
      const bool answered = attempt.result.starts_with("E");
      if (!in_time && (!IsRefusal(attempt.result) || (record.killed && answered))) continue;
      if (quiet || !known.contains(KeyOf(record)) || left_[i] == 0) continue;
      --left_[i];
      return &record;
    }
    return nullptr;
  }

 private:
  // One that came to a fault of its own or to nothing may have a record, but none is kept for it.
  static bool IsRefusal(const std::string& result) {
    return result.starts_with("E") || result == kEnded || result == "SIGSYS" || result == "SIGKILL";
  }

  // What the attempt came to is what the record says, or tells nothing of it.
  static bool Fits(const SuiteRecord& record, const SuiteAttempt& attempt) {
    return record.error == attempt.result || record.killed || !attempt.result.starts_with("E");
  }

  std::vector<const SuiteRecord*> records_;
  std::vector<uint64_t> left_;  // attempts that each may still stand for
};

// Refusals that the kernel gives no record of, as the ledger says.
std::string WhyUnrecorded(const std::string& result) {
  static const std::map<std::string_view, std::string_view> kReasons{
      {"ENOENT", "not in its view"},
      {"ENOTDIR", "not in its view"},
      {"ESRCH", "no such process in its namespace"},
      {"EROFS", "on a read-only mount"},
      {"EXDEV", "on another mount"},
      {"EBADF", "no such descriptor was left open"},
      {"ECONNREFUSED", "nobody there in its network namespace"},
      {"ENETUNREACH", "an empty network namespace"},
      {"EPERM", "ownership, capabilities or a noexec mount"},
      {"EACCES", "ownership or a noexec mount"},
  };
  const auto found = kReasons.find(result);
  return std::string(found == kReasons.end() ? "it came to nothing" : found->second);
}

// --- judging -------------------------------------------------------------------------------------

// The classes that a waiver leaves open, by component.
tl::expected<std::set<std::string>, std::string> OpenClasses(ClosureCheck& check,
                                                             const ProfileData& profile) {
  const auto verdicts = check.Judge(profile);
  if (!verdicts) return tl::make_unexpected(verdicts.error());
  std::set<std::string> open;
  for (const WayVerdict& verdict : *verdicts) {
    if (verdict.closure == Closure::kOpen) open.emplace(verdict.way->id);
  }
  return open;
}

std::vector<Judged> Judge(const std::vector<SuiteAttempt>& attempts,
                          const std::set<std::string>& open,
                          const std::map<AttackName, std::string>& control, RecordFinder finder) {
  std::vector<Judged> all;
  for (size_t i = 0; i < attempts.size(); ++i) {
    Judged judged;
    judged.attempt = attempts[i];
    const auto works = control.find(attempts[i].attack);
    judged.control = works == control.end() ? "untried" : works->second;
    const int64_t next = i + 1 < attempts.size() ? attempts[i + 1].begin - 1 : INT64_MAX;
    if (attempts[i].result == kPassed) {
      judged.outcome =
          open.contains(attempts[i].attack.rule) ? Outcome::kWaived : Outcome::kSucceeded;
    } else {
      if (judged.control != kPassed) judged.outcome = Outcome::kUnavailable;
      judged.record = finder.Find(attempts[i], next);
      if (judged.record == nullptr) judged.unrecorded = WhyUnrecorded(attempts[i].result);
    }
    all.push_back(std::move(judged));
  }
  return all;
}

struct Report {
  std::map<std::string, std::vector<Judged>> components;
  SuiteRun run;
};

// --- the answer ----------------------------------------------------------------------------------

struct Score {
  std::map<Outcome, size_t> outcomes;
  size_t recorded = 0;
};

Score ScoreOf(const std::vector<Judged>& attempts) {
  Score score;
  for (const Judged& judged : attempts) {
    ++score.outcomes[judged.outcome];
    if (judged.outcome == Outcome::kRefused && judged.record != nullptr) ++score.recorded;
  }
  return score;
}

Json JudgedJson(const Judged& judged) {
  Json json{{"class", judged.attempt.attack.rule},
            {"attack", judged.attempt.attack.name},
            {"outcome", OutcomeName(judged.outcome)},
            {"result", judged.attempt.result},
            {"unconfined", judged.control}};
  if (judged.attempt.quiet) json["quiet"] = true;
  if (judged.record != nullptr) {
    json["record"] = {{"control", judged.record->control},
                      {"action", judged.record->action},
                      {"object", judged.record->object}};
  } else if (!judged.unrecorded.empty()) {
    json["unrecorded"] = judged.unrecorded;
  }
  return json;
}

Json ReportJson(const Report& report, bool held) {
  Json components = Json::array();
  for (const auto& [name, attempts] : report.components) {
    const Score score = ScoreOf(attempts);
    Json component{{"name", name}};
    for (const Outcome outcome :
         {Outcome::kRefused, Outcome::kSucceeded, Outcome::kWaived, Outcome::kUnavailable}) {
      const auto found = score.outcomes.find(outcome);
      component[std::string(OutcomeName(outcome))] =
          found == score.outcomes.end() ? 0 : found->second;
    }
    component["recorded"] = score.recorded;
    component["attacks"] = Json::array();
    for (const Judged& judged : attempts) component["attacks"].push_back(JudgedJson(judged));
    components.push_back(std::move(component));
  }
  return {{"held", held},
          {"reached", report.run.reached},
          {"lost_events", report.run.lost},
          {"components", components}};
}

std::string ReportText(const Report& report) {
  std::vector<std::vector<std::string>> rows{
      {"COMPONENT", "ATTACKS", "REFUSED", "RECORDED", "WAIVED", "SUCCEEDED"}};
  std::set<std::string> unavailable;
  std::string open;
  for (const auto& [name, attempts] : report.components) {
    Score score = ScoreOf(attempts);
    const size_t shown = attempts.size() - score.outcomes[Outcome::kUnavailable];
    rows.push_back({name, std::to_string(shown), std::to_string(score.outcomes[Outcome::kRefused]),
                    std::to_string(score.recorded),
                    std::to_string(score.outcomes[Outcome::kWaived]),
                    std::to_string(score.outcomes[Outcome::kSucceeded])});
    for (const Judged& judged : attempts) {
      const AttackName& attack = judged.attempt.attack;
      const std::string both = fmt::format("{} {}", attack.rule, attack.name);
      if (judged.outcome == Outcome::kUnavailable) unavailable.insert(both);
      if (judged.outcome == Outcome::kSucceeded) {
        open += fmt::format("{}: {} succeeded\n", name, both);
      } else if (judged.outcome == Outcome::kWaived) {
        open += fmt::format("{}: {} succeeded, as a waiver says\n", name, both);
      }
    }
  }
  std::string out = Table(rows);
  if (!unavailable.empty()) {
    out +=
        fmt::format("not in this kernel, so nothing is shown: {}\n", fmt::join(unavailable, ", "));
  }
  out += open;
  for (const std::string& what : report.run.reached) {
    out += fmt::format("reached from inside: {}\n", Shown(what));
  }
  return out;
}

int Fail(const std::string& what) {
  PrintError(what);
  return kExitCannot;
}

}  // namespace

int Probe(const Invocation& invocation) {
  const std::vector<std::string> missing = MissingPrivileges(true);
  for (const std::string& line : missing) PrintError("missing: " + line);
  if (!missing.empty()) return Fail("this process may not confine others; nothing is tried");
  const auto opened = OpenInput(invocation, true);
  if (!opened) return opened.error();
  const std::string only = invocation.One(Parameter::kOnly);
  std::vector<std::string> components;
  for (const ProfileData& profile : opened->bundle->components) {
    if (only.empty() || profile.name == only) components.push_back(profile.name);
  }
  if (components.empty()) return FindComponent(opened->bundle, only).error();
  signal(SIGPIPE, SIG_IGN);  // what the suite's program did not take is said
  auto suite = AttackSuite::Open(invocation.One(Parameter::kInit));
  if (!suite) return Fail(suite.error());
  const auto control = suite->Control(opened->bundle->target.arch);
  if (!control) return Fail(control.error());
  const bool terminal = isatty(STDERR_FILENO) == 1;
  Report report;
  auto run = suite->Run(opened->bundle, components, [&](size_t made) {
    if (terminal) PrintRaw(fmt::format("\r{} attacks made", made));
  });
  if (terminal) PrintRaw("\r\x1b[K");
  if (!run) return Fail(run.error());
  report.run = std::move(*run);
  if (!report.run.broken_chain.empty()) {
    return Fail("the audit log of the probe is broken: " + report.run.broken_chain);
  }
  ClosureCheck check(*opened->bundle);
  bool held = report.run.reached.empty();
  for (const auto& [name, attempts] : report.run.attempts) {
    const auto open = OpenClasses(check, **opened->bundle.Find(name));
    if (!open) return Fail(open.error());
    auto& judged = report.components[name] =
        Judge(attempts, *open, *control, RecordFinder(report.run.records, name));
    held = held && std::ranges::none_of(judged, [](const Judged& one) {
             return one.outcome == Outcome::kSucceeded;
           });
  }
  const bool json = invocation.One(Parameter::kFormat) == "json";
  if (!PrintOut(json ? JsonText(ReportJson(report, held)) : ReportText(report))) return kExitCannot;
  return held ? kExitDone : kExitNo;
}

}  // namespace bulkhead
