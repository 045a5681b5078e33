// SPDX-License-Identifier: Apache-2.0
// Where lines of components go: whole, labelled, bounded; what is lost is
// counted.
#include "engine/output_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "tests/engine/audit_receiver.h"

namespace bulkhead {
namespace {

using namespace audit_test;

constexpr uint64_t kFileSize = kMinOutputFile;

struct Sinks {
  Sinks() { BOOST_REQUIRE(mkdir(place.directory().c_str(), 0700) == 0); }
  ~Sinks() { unlink((place.path() + ".old").c_str()); }
  Sink file() const { return {SinkKind::kFile, place.path()}; }
  Sink stream() const { return {SinkKind::kUnix, place.old_path()}; }
  static OutputLog Open(std::vector<Sink> sinks) {
    auto log = OutputLog::Open({std::move(sinks), kFileSize}, {"a", "b"}, nullptr, false);
    BOOST_REQUIRE_MESSAGE(log, (log ? 0 : log.error().error));
    return std::move(*log);
  }
  Place place;
};

std::string Line(const std::string& label, int number, size_t size) {
  std::string text = label + " | " + std::to_string(number) + " ";
  text.resize(std::max(text.size(), size), '.');
  return text + "\n";
}

size_t Starting(const std::vector<std::string>& lines, const std::string& start) {
  return static_cast<size_t>(std::ranges::count_if(
      lines, [&](const std::string& line) { return line.starts_with(start); }));
}

// What the lines of the supervisor's own say is lost of `component`.
uint64_t SaidLost(const std::vector<std::string>& lines, const std::string& component) {
  uint64_t lost = 0;
  const std::string start = "bulkhead-init: ";
  for (const std::string& line : lines) {
    if (!line.starts_with(start)) continue;
    BOOST_TEST(line.ends_with(" lines of `" + component + "` are lost here\n"), line);
    lost += std::strtoull(line.c_str() + start.size(), nullptr, 10);
  }
  return lost;
}

uint64_t Told(const std::vector<OutputLoss>& losses, const std::string& component) {
  uint64_t lost = 0;
  for (const OutputLoss& loss : losses) {
    if (loss.component == component) lost += loss.lines;
  }
  return lost;
}

BOOST_AUTO_TEST_SUITE(OutputLogs)

BOOST_AUTO_TEST_CASE(EverySinkGetsEveryLineWithItsLabel) {
  Sinks sinks;
  Receiver receiver = UnixReceiver(sinks.place.old_path());
  OutputLog log = Sinks::Open({sinks.file(), sinks.stream()});
  log.Write(0, false, "a | one\na | two\n", 4, 1);
  log.Write(1, true, "b@2 | three\n", 6, 1);
  receiver.Read(1 << 20);
  BOOST_TEST(ReadAll(sinks.place.path()) == "a | one\na | two\nb@2 | three\n");
  BOOST_TEST(receiver.text == ReadAll(sinks.place.path()));
  struct stat info {};
  BOOST_TEST(stat(sinks.place.path().c_str(), &info) == 0);
  BOOST_TEST((info.st_mode & 0777) == 0600U);
  BOOST_TEST(log.Close().empty());
}

BOOST_AUTO_TEST_CASE(ASinkThatIsNotThereIsAnError) {
  Sinks sinks;
  const auto log = OutputLog::Open({{sinks.stream()}, 0}, {"a"}, nullptr, false);
  BOOST_REQUIRE(!log);
  BOOST_TEST(log.error().error == ENOENT);
  // One that another one writes.
  OutputLog first = Sinks::Open({sinks.file()});
  const auto second = OutputLog::Open({{sinks.file()}, kFileSize}, {"a"}, nullptr, false);
  BOOST_REQUIRE(!second);
  BOOST_TEST(second.error().error == EBUSY);
}

// Who floods a sink that nobody reads loses its own lines, and each of them is
// counted twice: in the sink, where it would have stood, and for the audit log.
BOOST_AUTO_TEST_CASE(WhoFloodsASlowSinkLosesItsOwnLines) {
  Sinks sinks;
  Receiver receiver = UnixReceiver(sinks.place.old_path());
  OutputLog log = Sinks::Open({sinks.stream()});
  constexpr int kFlood = 100'000;
  constexpr int kFew = 50;
  for (int i = 0; i < kFlood; ++i) {
    log.Write(0, false, Line("a", i, 60), 4, 1);
    if (i % (kFlood / kFew) == 0) log.Write(1, false, Line("b", i, 60), 4, 1);
  }
  BOOST_TEST(log.due() == 1 + OutputLog::kAgain);
  std::vector<OutputLoss> losses = log.TakeLosses(2);
  BOOST_REQUIRE(losses.size() == 1U);
  BOOST_TEST(losses[0].error == EAGAIN);
  BOOST_TEST(losses[0].sink == "unix:" + sinks.place.old_path());
  // Told once in a while.
  log.Write(0, false, Line("a", 0, 60), 4, 3);
  BOOST_TEST(log.TakeLosses(3).empty());
  for (int i = 0; i < 50; ++i) {
    receiver.Read(1 << 20);
    log.Advance(4);
  }
  BOOST_TEST(log.due() == 0U);
  for (const OutputLoss& loss : log.Close()) losses.push_back(loss);
  receiver.Read(1 << 20);
  const auto lines = Lines(receiver.text);
  BOOST_TEST(Starting(lines, "b | ") == static_cast<size_t>(kFew));
  const size_t arrived = Starting(lines, "a | ");
  BOOST_TEST(arrived > 0U);
  BOOST_TEST(arrived + SaidLost(lines, "a") == kFlood + 1U);
  BOOST_TEST(arrived + Told(losses, "a") == kFlood + 1U);
  BOOST_TEST(Told(losses, "b") == 0U);
}

// What a component's share of memory does not hold is no loss while the sink takes it.
BOOST_AUTO_TEST_CASE(MuchAtOnceIsNotTooMuchForASinkThatTakesIt) {
  Sinks sinks;
  OutputLog log = Sinks::Open({sinks.file()});
  std::string lines;
  for (int i = 0; lines.size() < 3 * OutputLog::kMaxShare; ++i) lines += Line("a", i, 100);
  BOOST_REQUIRE(lines.size() < kFileSize);
  log.Write(0, false, lines, 4, 1);
  BOOST_TEST((ReadAll(sinks.place.path()) == lines));
  BOOST_TEST(log.Close().empty());
}

BOOST_AUTO_TEST_CASE(AReceiverThatIsKilledAndStartedAgainMissesNothing) {
  Sinks sinks;
  Receiver receiver = UnixReceiver(sinks.place.old_path());
  OutputLog log = Sinks::Open({sinks.stream()});
  const uint64_t seed = Seed();
  std::mt19937_64 random(seed);
  int made = 0;
  uint64_t now = 1;
  for (int turn = 0; turn < 200; ++turn, now += 100) {
    for (int i = 0; i < 20; ++i) log.Write(0, false, Line("a", made++, 80), 4, now);
    if (turn % 20 == 10) receiver.Kill();
    if (turn % 20 == 15) receiver.Start();
    if (turn % 20 < 10 || turn % 20 > 15) receiver.Read(random() % 500'000);
    if (turn % 10 == 0) log.Advance(now);
  }
  for (int i = 0; i < 20; ++i, now += 1000) {
    log.Advance(now);
    receiver.Read(1 << 20);
  }
  BOOST_TEST(log.Close().empty());
  receiver.Read(1 << 20);
  // Torn lines, and lines again: a receiver has all of them at least once.
  std::vector<int> seen(static_cast<size_t>(made));
  for (const std::string& line : Lines(receiver.text)) {
    const int number = std::atoi(line.c_str() + std::min<size_t>(line.size(), 4));
    if (line == Line("a", number, 80)) ++seen[static_cast<size_t>(number)];
  }
  BOOST_TEST(std::ranges::count(seen, 0) == 0, "seed " << seed);
  BOOST_TEST(std::ranges::count(seen, 1) < made, "seed " << seed);
}

BOOST_AUTO_TEST_CASE(AFullFileIsRenamed) {
  Sinks sinks;
  OutputLog log = Sinks::Open({sinks.file()});
  const auto write = [&](int from, int to) {
    for (int i = from; i < to; ++i) log.Write(0, false, Line("a", i, 1000), 4, 1);
  };
  write(0, 1500);
  const std::string old = sinks.place.path() + ".old";
  const auto both = [&] { return Lines(ReadAll(old) + ReadAll(sinks.place.path())); };
  auto lines = both();
  BOOST_REQUIRE(lines.size() == 1500U);
  for (int i = 0; i < 1500; ++i) BOOST_TEST(lines[static_cast<size_t>(i)] == Line("a", i, 1000));
  BOOST_TEST(ReadAll(old).size() <= kFileSize);
  // Never more than two files of that size, the newest lines.
  write(1500, 5000);
  lines = both();
  BOOST_TEST(lines.back() == Line("a", 4999, 1000));
  BOOST_TEST(ReadAll(old).size() <= kFileSize);
  BOOST_TEST(ReadAll(sinks.place.path()).size() <= kFileSize);
  BOOST_TEST(log.Close().empty());
}

// One that somebody moved away is opened anew, at once or by Reopen, and what
// was moved is left.
BOOST_AUTO_TEST_CASE(AFileThatWasMovedIsLeftAlone) {
  Sinks sinks;
  OutputLog log = Sinks::Open({sinks.file()});
  log.Write(0, false, "a | before\n", 4, 1);
  BOOST_REQUIRE(rename(sinks.place.path().c_str(), sinks.place.old_path().c_str()) == 0);
  log.Write(0, false, "a | still there\n", 4, 1);
  BOOST_TEST(log.Reopen().has_value());
  log.Write(0, false, "a | after\n", 4, 1);
  BOOST_TEST(ReadAll(sinks.place.old_path()) == "a | before\na | still there\n");
  BOOST_TEST(ReadAll(sinks.place.path()) == "a | after\n");
  unlink(sinks.place.path().c_str());
  for (int i = 0; i < 1200; ++i) log.Write(0, false, Line("a", i, 1000), 4, 1);
  BOOST_TEST(!ReadAll(sinks.place.path()).empty());
  BOOST_TEST(access((sinks.place.path() + ".old").c_str(), F_OK) != 0);
  BOOST_TEST(log.Close().empty());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(OutputStandard)

// Standard output is a pipe that is read in pieces too small for a line; the
// log of records and the lines of a component meet there. What was read.
std::string ReadSlowly(bool one_sink, uint64_t seed) {
  int ends[2];
  BOOST_REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  BOOST_REQUIRE(fcntl(ends[0], F_SETPIPE_SZ, 4096) == 4096);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    close(ends[0]);
    auto audit = AuditLog::Open({{SinkKind::kStdout, ""}}, TestBundle(), "b");
    if (!audit) _exit(1);
    // Of long lines, as only these are not taken whole or not at all.
    auto log = OutputLog::Open({{{SinkKind::kStdout, ""}}, 0}, {"a"},
                               one_sink ? audit->StandardOutput() : nullptr, false);
    if (!log) _exit(1);
    for (int i = 0; i < 1000; ++i) {
      usleep(100);
      log->Write(0, i % 2 == 0, Line("a", i, 7000), 4, 1);
      Event event = Refusal(std::string(500, 'o') + std::to_string(i));
      for (int n = 0; n < 12; ++n)
        event.extra.push_back({"x" + std::to_string(n), std::string(500, 'x')});
      audit->Append(std::move(event));
      log->Say("says", 1);
      if (i % 20 != 0) continue;
      // The reader comes to its end for once, and lines get their turn behind the records.
      usleep(20'000);
      audit->Tick();
      log->Advance(1);
    }
    log->Close();
    audit->Close();
    _exit(0);
  }
  close(ends[1]);
  std::mt19937_64 random(seed);
  std::string text;
  std::string buffer(8000, '\0');
  for (;;) {
    const ssize_t got = read(ends[0], buffer.data(), 1 + random() % (buffer.size() - 1));
    if (got <= 0) break;
    text.append(buffer.data(), static_cast<size_t>(got));
  }
  close(ends[0]);
  int status = 0;
  BOOST_REQUIRE(waitpid(child, &status, 0) == child);
  BOOST_TEST(status == 0);
  return text;
}

size_t Torn(const std::string& text) {
  size_t torn = 0;
  for (const std::string& line : Lines(text)) {
    const bool record = line.starts_with("{\"seq\":") && line.ends_with("\"}\n");
    const bool output = line.starts_with("a | ") && line.size() == 7001;
    const bool said = line.starts_with("bulkhead-init: ") && line.size() < 60;
    if (!record && !output && !said) ++torn;
  }
  return torn;
}

BOOST_AUTO_TEST_CASE(NoLineIsEndedByAnother) {
  const uint64_t seed = Seed();
  const std::string text = ReadSlowly(true, seed);
  const auto lines = Lines(text);
  BOOST_TEST(Starting(lines, "{") > 2U);
  BOOST_TEST(Starting(lines, "a | ") > 2U);
  BOOST_TEST(Torn(text) == 0U, "seed " << seed);
}

// Records that standard output owes come before what a component writes there from then on.
BOOST_AUTO_TEST_CASE(LinesWaitForRecordsThatAreHeld) {
  int ends[2];
  BOOST_REQUIRE(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
  const int saved = dup(STDOUT_FILENO);
  dup2(ends[1], STDOUT_FILENO);
  auto audit = AuditSink::OpenStandard(STDOUT_FILENO);
  dup2(saved, STDOUT_FILENO);
  close(saved);
  close(ends[1]);
  BOOST_REQUIRE(audit);
  auto log = OutputLog::Open({{{SinkKind::kStdout, ""}}, 0}, {"a"}, &*audit, false);
  BOOST_REQUIRE(log);
  const auto said = [&] {
    std::string text(4096, '\0');
    const ssize_t got = read(ends[0], text.data(), text.size());
    return got > 0 ? text.substr(0, static_cast<size_t>(got)) : std::string();
  };
  log->Write(0, false, "a | one\n", 4, 1);
  BOOST_TEST(said() == "a | one\n");
  audit->set_behind(true);
  log->Write(0, false, "a | two\n", 4, 2);
  BOOST_TEST(said().empty());
  BOOST_TEST(log->due() == 2 + OutputLog::kAgain);
  audit->set_behind(false);
  log->Advance(log->due());
  BOOST_TEST(said() == "a | two\n");
  BOOST_TEST(log->Close().empty());
  close(ends[0]);
}

// Positive control: writers that do not know of each other do end each other's
// lines there.
BOOST_AUTO_TEST_CASE(TwoWritersWouldTearThem) { BOOST_TEST(Torn(ReadSlowly(false, Seed())) > 0U); }

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
