// SPDX-License-Identifier: Apache-2.0
// `bulkhead audit explain`: one record, with the bundle's own answer to what it tells of.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "cli/answer_json.h"
#include "cli/audit_call.h"
#include "cli/audit_chain_report.h"
#include "cli/audit_meaning.h"
#include "cli/audit_question.h"
#include "cli/audit_records.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/inputs.h"
#include "compiler/ask.h"
#include "compiler/ways_of.h"
#include "engine/audit_chain.h"

namespace bulkhead {
namespace {

struct Found {
  AuditRecord record;
  std::string bundle;  // of its run, 96 hexadecimal digits; empty if the log does not say
  uint64_t run = 0;
};

struct Search {
  std::optional<Found> found;
  uint64_t last = 0;           // the highest number of the runs that were searched
  std::vector<uint64_t> runs;  // those that have a record of this number
  uint64_t all = 0;            // runs of the log
};

// The record that has this number in `run`, the log's first being 1; of 0, in the last that has it.
Search FindRecord(const CheckedLog& log, uint64_t sequence, uint64_t run) {
  Search search;
  std::string bundle;
  ReadRecords(log.files, log.stream, [&](const AuditRecord& record) {
    const bool opens = record.action == kLogOpen && record.component.empty();
    if (opens) bundle = record.object;
    // What precedes the first is the end of one whose beginning is gone.
    if (opens || search.all == 0) ++search.all;
    if (record.sequence == sequence) search.runs.push_back(search.all);
    if (run != 0 && search.all != run) return;
    search.last = std::max(search.last, record.sequence);
    if (record.sequence == sequence) search.found = Found{record, bundle, search.all};
  });
  return search;
}

struct Explained {
  Found found;
  std::optional<Opened> opened;            // the bundle, where it was given
  const ProfileData* component = nullptr;  // of it
  std::optional<Explanation> answer;
  RecordStatement statement;
  const LedgerRow* ledger = nullptr;  // of the statement, or of what stands above it
  std::vector<const WayRound*> ways;
};

std::optional<Recorder> RecorderOf(const AuditRecord& record) {
  constexpr std::pair<std::string_view, Recorder> kRecorders[] = {
      {"seccomp", Recorder::kNotification}, {"landlock", Recorder::kLandlockRecord},
      {"tripwire", Recorder::kTripwire},    {"broker", Recorder::kBroker},
      {"cgroup", Recorder::kCounter},       {"supervisor", Recorder::kLifecycle}};
  for (const auto& [control, recorder] : kRecorders) {
    if (record.control == control) return recorder;
  }
  return std::nullopt;
}

// The row nearest above the rule whose recorder is what has written the record; a row of another
// one speaks of something else.
const LedgerRow* LedgerOf(const BundleData& bundle, const std::string& rule,
                          std::optional<Recorder> recorder) {
  const LedgerRow* best = nullptr;
  for (const LedgerRow& row : bundle.ledger) {
    const bool longer = best == nullptr || row.statement.size() > best->statement.size();
    const bool above = !row.statement.empty() && IsBeneath(rule, row.statement);
    if (above && longer && row.recorder == recorder) best = &row;
  }
  return best;
}

std::vector<const WayRound*> WaysOf(const AuditRecord& record, Arch arch) {
  if (!record.IsRefusal()) return {};
  if (const auto call = CallOf(record, arch)) return WaysOfCall(arch, *call);
  if (record.control == "landlock") return WaysOfRight(record.action);
  if (record.control == "tripwire") return WaysOfRight("fs.read_file");
  return {};
}

std::optional<Explanation> AnswerTo(const AuditRecord& record, const Bundle& bundle,
                                    const ProfileData& component) {
  const auto question = QuestionOf(record, component.arch);
  if (!question) return std::nullopt;
  Evaluator evaluator(bundle);
  auto answer = evaluator.Ask(component, *question);
  if (!answer) return std::nullopt;
  return std::move(*answer);
}

void Ask(Explained& explained) {
  const AuditRecord& record = explained.found.record;
  explained.statement.rule = record.rule;
  if (!explained.opened) return;
  const Bundle& bundle = explained.opened->bundle;
  if (const Profile* profile = bundle.Find(record.component)) {
    explained.component = &**profile;
    explained.answer = AnswerTo(record, bundle, *explained.component);
  }
  explained.statement = StatementOf(record, explained.answer ? &*explained.answer : nullptr);
  // Of what was let pass no row that enforces speaks.
  const bool observed = record.kind == EventKindName(EventKind::kObserved);
  const std::string passed = "components." + record.component + ".on-violation";
  for (const std::string& rule :
       {observed ? passed : explained.statement.rule, observed ? passed : record.rule}) {
    explained.ledger = LedgerOf(*bundle, rule, RecorderOf(record));
    if (explained.ledger != nullptr) return;
  }
}

// Of the enclave, where its bundle says.
std::optional<Arch> ArchOf(const Explained& explained) {
  if (!explained.opened) return std::nullopt;
  return explained.opened->bundle->target.arch;
}

// Null for what is no call.
Json ArgumentsJson(const Explained& explained) {
  const AuditRecord& record = explained.found.record;
  if (!RecordedCallOf(record)) return {};
  Json json = Json::object();
  for (const auto& [name, text] : RecordedArguments(record, ArchOf(explained))) {
    json[std::string(name)] = text;
  }
  return json;
}

std::string What(const Explained& explained) {
  const AuditRecord& record = explained.found.record;
  const std::string who = record.component.empty() ? "the enclave" : "`" + record.component + "`";
  return fmt::format("{}{}{}: {}", who, record.pid == 0 ? "" : fmt::format(", pid {}", record.pid),
                     record.exe.empty() ? "" : ", " + record.exe,
                     TriedText(record, ArchOf(explained)));
}

std::string HowAnswered(const AuditRecord& record) {
  std::string text = fmt::format("{} by {}", record.verdict, record.control);
  if (!record.error.empty()) {
    text += (record.IsBrokered() ? "; the kernel answered " : ", ") + record.error;
  }
  if (record.count != 1) text += fmt::format(", {} times", record.count);
  if (record.kind == "absent") text += "; honest programs ask this, too";
  return text;
}

// What stands behind the control that answered.
std::string WithoutIt(const Explained& explained) {
  if (!explained.answer || explained.found.record.IsBrokered()) return "";
  std::string others;
  for (const ControlVerdict& control : explained.answer->controls) {
    const std::string& by = explained.found.record.control;
    const bool answered =
        LayerName(control.layer) == by || (control.layer == Layer::kSupervisor && by == "tripwire");
    if (answered || control.verdict != Verdict::kDeny) continue;
    others += fmt::format("{}{} ({})", others.empty() ? "" : ", ", LayerName(control.layer),
                          control.text);
  }
  if (!others.empty()) return "it would have been refused all the same by " + others;
  // A system call alone says nothing of the object that other controls judge.
  if (explained.found.record.control == "seccomp") {
    return "the kernel would have gone on, with the controls of its object where it names one "
           "(`bulkhead why` tells) and by its own rules: owners, modes, capabilities";
  }
  return "the kernel would have gone on by its own rules: owners, modes, capabilities";
}

std::string PlaceIn(const Explained& explained, const std::string& rule) {
  return explained.opened ? PlaceOf(explained.opened->places, rule) : "";
}

Json WaysJson(const std::vector<const WayRound*>& ways) {
  Json json = Json::array();
  for (const WayRound* way : ways) {
    json.push_back({{"id", way->id},
                    {"about", IntentName(way->intent)},
                    {"looks_closed", way->looks_closed},
                    {"passes", way->way}});
  }
  return json;
}

Json ExplainedJson(const Explained& explained, const CheckedLog& log) {
  const AuditRecord& record = explained.found.record;
  Json json{{"chain", ChainJson(log)},
            {"record", record.json},
            {"run", explained.found.run},
            {"bundle",
             explained.found.bundle.empty() ? Json() : Json("sha384:" + explained.found.bundle)},
            {"what", What(explained)},
            {"arguments", ArgumentsJson(explained)},
            {"answered", HowAnswered(record)},
            {"means", MeaningOf(record)},
            {"rule", record.rule}};
  json["place"] = PlaceIn(explained, record.rule);
  json["statement"] = {{"rule", explained.statement.rule},
                       {"place", PlaceIn(explained, explained.statement.rule)},
                       {"note", explained.statement.note}};
  json["why"] = explained.answer
                    ? AnswerJson(*explained.answer, *explained.opened, *explained.component)
                    : Json();
  json["ledger"] = explained.ledger != nullptr ? LedgerJson({*explained.ledger}) : Json();
  json["without"] = WithoutIt(explained);
  json["ways"] = WaysJson(explained.ways);
  return json;
}

std::string Line(std::string_view name, const std::string& value) {
  return value.empty() ? "" : fmt::format("  {:<11} {}\n", Shown(name), Shown(value));
}

std::string StatementText(const Explained& explained) {
  const RecordStatement& statement = explained.statement;
  const std::string& recorded = explained.found.record.rule;
  std::string out = Line("statement", statement.rule);
  out += Line("place", PlaceIn(explained, statement.rule));
  if (statement.note.empty()) return out;
  const bool same = recorded == statement.rule;
  return out + Line(same ? "but" : "recorded as",
                    same ? statement.note : fmt::format("{}: {}", recorded, statement.note));
}

std::string AnswerText(const Explained& explained) {
  std::string out;
  for (const ControlVerdict& control : explained.answer->controls) {
    out += Line(LayerName(control.layer),
                fmt::format("{}: {}", VerdictName(control.verdict), control.text));
  }
  out += StatementText(explained);
  for (const auto& chain :
       LinesBehind(*explained.answer, *explained.opened, *explained.component)) {
    std::string text;
    for (const bulkhead::Line& line : chain) {
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ",
                          line.rule.substr(line.rule.find(':') + 1), line.place);
    }
    out += Line("call", text);
  }
  return out;
}

std::string ExplainedText(const Explained& explained) {
  const AuditRecord& record = explained.found.record;
  std::string out =
      fmt::format("record {} of run {}, {}, {} UTC as the host's clock claims\n", record.sequence,
                  explained.found.run, Shown(record.kind), ClaimedText(record.claimed));
  out += Line("what", What(explained));
  if (record.kind == "witness") {
    out += Line("witness", "no attack: each launch tries by itself what is to be refused");
  }
  out += Line("answered", HowAnswered(record));
  out += Line("means", std::string(MeaningOf(record)));
  for (const auto& [name, value] : ExtrasOf(record)) out += Line(name, value);
  if (explained.answer) {
    out += AnswerText(explained);
  } else {
    out += StatementText(explained);
  }
  if (explained.ledger != nullptr) {
    out += Line(
        "ledger",
        fmt::format("{}: {}, recorded by {}{}", explained.ledger->statement,
                    StatusName(explained.ledger->status), RecorderName(explained.ledger->recorder),
                    explained.ledger->note.empty() ? "" : "; " + explained.ledger->note));
  }
  out += Line("without it", WithoutIt(explained));
  for (const WayRound* way : explained.ways) {
    out += Line("resembles", fmt::format("{} ({}): {} looks closed, but {}", way->id,
                                         IntentName(way->intent), way->looks_closed, way->way));
  }
  return out;
}

tl::expected<std::optional<Opened>, int> OpenGiven(const Invocation& invocation,
                                                   const Found& found) {
  if (!invocation.Has(Parameter::kLogBundle)) return std::nullopt;
  const std::string path = invocation.One(Parameter::kLogBundle);
  auto opened = OpenBundle(path);
  if (!opened) return tl::unexpected(opened.error());
  if (Hex(opened->digest) == found.bundle) return std::move(*opened);
  if (found.bundle.empty()) {
    PrintNote("the log's part with the beginning of this run is gone: whether it ran `" + path +
              "` is not known");
    return std::move(*opened);
  }
  PrintError(fmt::format("`{}` is not the bundle of this record's run, sha384:{}", path,
                         Shown(found.bundle)));
  return tl::unexpected(kExitCannot);
}

std::string RunsText(const std::vector<uint64_t>& runs) {
  std::string text;
  for (const uint64_t run : runs) text += fmt::format("{}{}", text.empty() ? "" : ", ", run);
  return text;
}

void PrintMissing(const Search& search, const CheckedLog& log, uint64_t sequence, uint64_t run) {
  if (!log.chain) {
    PrintError(fmt::format("the log has no whole record {}", sequence));
    PrintError(BreakText(log));
  } else if (run > search.all) {
    PrintError(fmt::format("the log has {} runs", search.all), "the first is `--run 1`");
  } else {
    PrintError(
        fmt::format("the {} has no record {}: they go to {}",
                    run == 0 ? "log" : fmt::format("log's run {}", run), sequence, search.last),
        search.runs.empty() ? "`bulkhead audit tail` shows their numbers in its second column"
                            : "there is one in run " + RunsText(search.runs));
  }
}

}  // namespace

int ExplainRecord(const Invocation& invocation) {
  const auto sequence = invocation.Number(Parameter::kSequence, 0, 1, UINT64_MAX);
  if (!sequence) {
    PrintError("SEQ is the number of a record, its `seq`");
    return kExitWrongUsage;
  }
  const auto run = invocation.Number(Parameter::kRun, 0, 1, UINT32_MAX);
  if (!run) {
    PrintError("`--run` takes a number, 1 for the log's first run");
    return kExitWrongUsage;
  }
  const auto log = CheckLog(invocation);
  if (!log) return log.error();
  const Search search = FindRecord(*log, *sequence, *run);
  const auto& found = search.found;
  if (!found) {
    PrintMissing(search, *log, *sequence, *run);
    return kExitNo;
  }
  auto opened = OpenGiven(invocation, *found);
  if (!opened) return opened.error();
  Explained explained{*found, std::move(*opened), nullptr, {}, {}, nullptr, {}};
  Ask(explained);
  const Arch arch = explained.component != nullptr ? explained.component->arch : Arch::kX86_64;
  explained.ways = WaysOf(explained.found.record, arch);
  const bool json = invocation.One(Parameter::kFormat) == "json";
  const bool printed =
      PrintOut(json ? AsciiJson(ExplainedJson(explained, *log)) : ExplainedText(explained));
  if (!log->chain) PrintError(BreakText(*log));
  if (invocation.All(Parameter::kRun).empty() && search.runs.size() > 1) {
    PrintNote(fmt::format("runs {} have a record {} each: `--run` names another one",
                          RunsText(search.runs), *sequence));
  }
  if (!explained.opened && !json && MeaningOf(found->record).empty()) {
    PrintNote("--bundle tells what the controls say, and which line of the policy it is");
  }
  if (!printed) return kExitCannot;
  return log->chain ? kExitDone : kExitNo;
}

}  // namespace bulkhead
