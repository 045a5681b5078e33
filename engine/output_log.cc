// SPDX-License-Identifier: Apache-2.0
#include "engine/output_log.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "engine/clock.h"
#include "engine/line_log.h"

namespace bulkhead {
namespace {

// A pipe takes so much whole or not at all (pipe(7)).
constexpr size_t kPiece = PIPE_BUF;

constexpr std::string_view kOwn = "bulkhead-init: ";  // before what the supervisor says

// As of `2>&1`, where a line of the one could end one of the other.
bool IsOneFile(int one, int other) {
  struct stat a {
  }, b{};
  return fstat(one, &a) == 0 && fstat(other, &b) == 0 && a.st_dev == b.st_dev &&
         a.st_ino == b.st_ino;
}

}  // namespace

tl::expected<OutputLog, SinkError> OutputLog::Open(const OutputPlan& plan,
                                                   std::vector<std::string> components,
                                                   AuditSink* audit, bool plain, Dial dial) {
  OutputLog log;
  log.components_ = std::move(components);
  log.plain_ = plain && audit == nullptr;
  if (auto opened = log.OpenStandard(audit); !opened) return tl::unexpected(opened.error());
  log.others_ = log.outputs_.size();
  for (const Sink& sink : plan.sinks) {
    if (sink.kind == SinkKind::kStdout) {
      log.standard_ = true;
      continue;
    }
    auto opened = AuditSink::Open(sink, dial, plan.file_size);
    if (!opened) return tl::unexpected(opened.error());
    Output& output = log.outputs_.emplace_back();
    output.name = opened->Name();
    output.own = std::move(*opened);
  }
  for (Output& output : log.outputs_) output.shares.resize(log.components_.size() + 1);
  return log;
}

tl::expected<void, SinkError> OutputLog::OpenStandard(AuditSink* audit) {
  for (const int number : {STDOUT_FILENO, STDERR_FILENO}) {
    if (number == STDERR_FILENO && IsOneFile(STDOUT_FILENO, STDERR_FILENO)) break;
    Output& output = outputs_.emplace_back();
    output.name = number == STDOUT_FILENO ? "stdout" : "stderr";
    if (number == STDOUT_FILENO && audit != nullptr) {
      output.shared = audit;
      continue;
    }
    auto opened = AuditSink::OpenStandard(number);
    if (!opened) return tl::unexpected(opened.error());
    output.own = std::move(*opened);
  }
  return {};
}

OutputLog::Output& OutputLog::Standard(bool err) { return outputs_[err ? others_ - 1 : 0]; }

std::string_view OutputLog::NameOf(size_t source) const {
  return source < components_.size() ? std::string_view(components_[source]) : kOwn.substr(0, 13);
}

bool OutputLog::SayLost(Output& output, size_t source) {
  Share& share = output.shares[source];
  // Not before all that was held is out: who floods would be let in line by line.
  if (share.held != 0) return false;
  std::string line(kOwn);
  line += std::to_string(share.lost);
  line += " lines of `";
  line += NameOf(source);
  line += "` are lost here\n";
  if (output.held.size() + line.size() > kMaxHeld) return false;
  output.held += line;
  share.held += line.size();
  share.lost = 0;
  return true;
}

void OutputLog::Add(Output& output, size_t source, std::string_view line) {
  Share& share = output.shares[source];
  const bool said = share.lost == 0 || SayLost(output, source);
  if (!said || share.held + line.size() > kMaxShare ||
      output.held.size() + line.size() > kMaxHeld) {
    ++share.lost;
    ++share.untold;
    return;
  }
  output.held += line;
  share.held += line.size();
}

void OutputLog::Flush(Output& output, uint64_t now) {
  output.error = 0;
  // Records come first.
  if (!output.own && output.sink().behind()) {
    due_ = now + kAgain;
    return;
  }
  while (!output.held.empty() && output.error == 0) {
    size_t end = output.held.rfind('\n', kPiece - 1);
    if (end == std::string::npos) end = output.held.find('\n');
    output.error =
        output.sink().Write(std::string_view(output.held).substr(0, end + 1), now * 1'000'000);
    if (output.error == 0) output.held.erase(0, end + 1);
  }
  if (!output.held.empty()) {
    if (output.error == EAGAIN) due_ = now + kAgain;
    return;
  }
  for (size_t source = 0; source < output.shares.size(); ++source) {
    output.shares[source].held = 0;
  }
}

void OutputLog::Write(size_t component, bool err, std::string_view lines, size_t label,
                      uint64_t now) {
  if (outputs_.empty()) return;
  Output* const standard = standard_ ? &Standard(err) : nullptr;
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find('\n') + 1);
    lines.remove_prefix(line.size());
    const auto add = [&](Output& output, std::string_view text) {
      const bool full = output.shares[component].held + text.size() > kMaxShare;
      if (full && output.error == 0) Flush(output, now);
      Add(output, component, text);
    };
    if (standard != nullptr) add(*standard, line.substr(plain_ ? label : 0));
    for (size_t i = others_; i < outputs_.size(); ++i) add(outputs_[i], line);
  }
  if (standard != nullptr) Flush(*standard, now);
  for (size_t i = others_; i < outputs_.size(); ++i) Flush(outputs_[i], now);
}

void OutputLog::Say(std::string_view line, uint64_t now) {
  std::string text(kOwn);
  text += line;
  text += '\n';
  if (outputs_.empty()) {
    WriteWithoutWaiting(STDERR_FILENO, text);
    return;
  }
  Add(Standard(true), components_.size(), text);
  Flush(Standard(true), now);
}

void OutputLog::Advance(uint64_t now) {
  due_ = 0;
  for (Output& output : outputs_) {
    Flush(output, now);
    for (size_t source = 0; source < output.shares.size(); ++source) {
      if (output.shares[source].lost != 0) SayLost(output, source);
    }
    if (!output.held.empty()) Flush(output, now);
    // Who went away is called again, and a line that was begun is ended.
    if (output.held.empty()) output.sink().Advance(now * 1'000'000);
  }
}

std::vector<OutputLoss> OutputLog::TakeLosses(uint64_t now) {
  std::vector<OutputLoss> losses;
  for (Output& output : outputs_) {
    for (size_t source = 0; source < output.shares.size(); ++source) {
      Share& share = output.shares[source];
      if (share.untold == 0 || now < share.next_told) continue;
      losses.push_back({output.name, source < components_.size() ? components_[source] : "",
                        std::exchange(share.untold, 0), output.error});
      share.next_told = now + kSaidEvery;
    }
  }
  return losses;
}

tl::expected<void, SinkError> OutputLog::Reopen() {
  tl::expected<void, SinkError> result;
  for (Output& output : outputs_) {
    if (auto reopened = output.sink().Reopen(); !reopened && result) {
      result = tl::unexpected(reopened.error());
    }
  }
  return result;
}

bool OutputLog::WaitForReader() {
  for (Output& output : outputs_) {
    if (!output.held.empty() && output.sink().Wait(100)) return true;
  }
  return false;
}

std::vector<OutputLoss> OutputLog::Close() {
  Advance(NowMs());
  constexpr int kWaits = 20;
  for (int i = 0; i < kWaits && WaitForReader(); ++i) Advance(NowMs());
  for (Output& output : outputs_) {
    const auto lines = std::count(output.held.begin(), output.held.end(), '\n');
    output.shares.back().untold += static_cast<uint64_t>(lines);
  }
  std::vector<OutputLoss> losses = TakeLosses(UINT64_MAX);
  outputs_.clear();
  return losses;
}

}  // namespace bulkhead
