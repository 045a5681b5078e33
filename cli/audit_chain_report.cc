// SPDX-License-Identifier: Apache-2.0
#include "cli/audit_chain_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "cli/cli.h"
#include "cli/console.h"
#include "cli/files.h"
#include "cli/signature.h"

namespace bulkhead {
namespace {

constexpr size_t kMaxKeyFile = 1U << 20;

// A key, or a file with one a line.
tl::expected<std::vector<PublicKey>, std::string> ReadKeys(const std::string& value) {
  if (const auto key = ParsePublicKey(value)) return std::vector{*key};
  const auto bytes = ReadFile(value, kMaxKeyFile);
  if (!bytes) {
    return tl::unexpected(fmt::format("`{}` is no key of 64 hexadecimal digits and no file: {}",
                                      value, bytes.error()));
  }
  std::vector<PublicKey> keys;
  std::istringstream text(std::string(bytes->begin(), bytes->end()));
  for (std::string line; std::getline(text, line);) {
    if (line.empty()) continue;
    const auto key = ParsePublicKey(line);
    if (!key) return tl::unexpected(fmt::format("`{}`: `{}` is no key", value, Shown(line)));
    keys.push_back(*key);
  }
  if (keys.empty()) return tl::unexpected(fmt::format("`{}` holds no key", value));
  return keys;
}

tl::unexpected<int> Cannot(const std::string& what) {
  PrintError(what);
  return tl::unexpected(kExitCannot);
}

Json RunJson(const CheckedLog& log, const ChainSegment& run) {
  return {{"bundle", run.bundle.empty() ? Json(nullptr) : Json("sha384:" + run.bundle)},
          {"boot", run.boot},
          {"key", run.key.empty() ? Json(nullptr) : Json("ed25519:" + run.key)},
          {"file", log.files[run.first_file]},
          {"first_line", run.first_line},
          {"records", run.records},
          {"events", run.events},
          {"lost", run.lost},
          {"signed_records", run.signed_records},
          {"complete_to", run.signed_sequence},
          {"closed", run.closed}};
}

// `begun`: ChainSummary::LastRunBegins.
std::string HowFar(const ChainSegment& run, bool begun) {
  if (run.key.empty() && !begun) {
    return "its key stands in a part that is not here, so no signature was judged";
  }
  if (run.key.empty()) return "the run is not signed: it is as complete as its file";
  std::string text = fmt::format("complete to record {}, which is signed", run.signed_sequence);
  if (run.closed) return text + "; the log was closed in order";
  if (run.signed_sequence != run.records) {
    text += fmt::format("; {} after it rest on the chain alone", run.records - run.signed_sequence);
  }
  return text + "; no end record: it goes on, was killed, or its end is cut off";
}

}  // namespace

tl::expected<CheckedLog, int> CheckLog(const Invocation& invocation) {
  ChainTrust trust{.check = SignatureFits,
                   .stream = invocation.Has(Parameter::kStream),
                   .partial = invocation.Has(Parameter::kPartial),
                   .closed = invocation.Has(Parameter::kClosed)};
  for (const std::string& value : invocation.All(Parameter::kAuditKey)) {
    const auto keys = ReadKeys(value);
    if (!keys) return Cannot(keys.error());
    trust.keys.insert(trust.keys.end(), keys->begin(), keys->end());
  }
  CheckedLog log;
  log.files = invocation.All(Parameter::kRotated);
  log.files.push_back(invocation.One(Parameter::kLog));
  log.key_given = !trust.keys.empty();
  log.stream = trust.stream;
  log.chain = VerifyChain(log.files, std::move(trust));
  if (log.chain || log.chain.error().line != 0) return log;
  return Cannot(log.chain.error().what);
}

Json ChainJson(const CheckedLog& log) {
  if (!log.chain) {
    const ChainBreak& broken = log.chain.error();
    return {{"whole", false},       {"file", log.files[broken.file]},
            {"line", broken.line},  {"expected_sequence", broken.sequence},
            {"by_key", broken.key}, {"what", broken.what}};
  }
  Json runs = Json::array();
  for (const ChainSegment& run : log.chain->segments) runs.push_back(RunJson(log, run));
  return {{"whole", true},
          {"key_given", log.key_given},
          {"records", log.chain->records},
          {"torn_lines", log.chain->torn_lines},
          {"repeated", log.chain->repeated},
          {"missing", log.chain->missing},
          {"last_sequence", log.chain->last.sequence},
          {"head", "sha384:" + Hex(log.chain->last.head)},
          {"runs", runs}};
}

std::string BreakText(const CheckedLog& log) {
  const ChainBreak& broken = log.chain.error();
  const std::string where = fmt::format("{}:{}: ", log.files[broken.file], broken.line);
  if (broken.key) return where + "not what the given keys stand for: " + broken.what;
  // Nothing is broken yet: a rotated log begins so.
  if (broken.what.starts_with("the log goes on from")) return where + broken.what;
  const bool came_again = broken.what == "a second run of the same key" && !log.stream;
  return fmt::format("{}the chain is broken at record {}: {}{}", where, broken.sequence,
                     broken.what,
                     came_again ? "; of what a stream's receiver wrote, give `--stream`" : "");
}

std::string ChainText(const CheckedLog& log) {
  const ChainSummary& chain = *log.chain;
  const bool closed = std::ranges::all_of(chain.segments, &ChainSegment::closed);
  std::string out =
      fmt::format("the chain is whole{}: {} records in {} run{}, head sha384:{}\n",
                  closed ? "" : " as far as it goes", chain.records, chain.segments.size(),
                  chain.segments.size() == 1 ? "" : "s", Hex(chain.last.head));
  if (chain.missing != 0) {
    out +=
        fmt::format("{} records before the first one are not here, and nothing vouches for them\n",
                    chain.missing);
  }
  if (chain.torn_lines != 0) {
    out += fmt::format("lines that are no record, where a run or a connection may have ended: {}\n",
                       chain.torn_lines);
  }
  if (chain.repeated != 0) out += fmt::format("records that came again: {}\n", chain.repeated);
  out += fmt::format("the last run: {}\n", HowFar(chain.segments.back(), chain.LastRunBegins()));
  const auto open = std::count_if(chain.segments.begin(), chain.segments.end() - 1,
                                  [](const ChainSegment& run) { return !run.closed; });
  if (open != 0) {
    out += fmt::format("earlier runs without an end record, killed or cut off: {}\n", open);
  }
  const bool signs =
      std::ranges::any_of(chain.segments, [](const ChainSegment& run) { return !run.key.empty(); });
  if (!log.key_given && signs) {
    out +=
        "signatures were judged by the keys that the log names itself; --key takes the one that "
        "was printed at boot\n";
  }
  std::vector<std::vector<std::string>> rows{
      {"RUN", "LINE", "RECORDS", "EVENTS", "LOST", "SIGNED TO", "ENDED", "KEY", "BOOT", "BUNDLE"}};
  for (const ChainSegment& run : chain.segments) {
    rows.push_back(
        {std::to_string(rows.size()), std::to_string(run.first_line), std::to_string(run.records),
         std::to_string(run.events), std::to_string(run.lost),
         run.key.empty() ? "-" : std::to_string(run.signed_sequence),
         run.closed ? "closed" : "open", run.key.empty() ? "-" : Shown(run.key.substr(0, 16)),
         Shown(run.boot), run.bundle.empty() ? "-" : Shown(run.bundle.substr(0, 16))});
  }
  return out + Table(rows);
}

}  // namespace bulkhead
