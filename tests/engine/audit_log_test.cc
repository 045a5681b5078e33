// SPDX-License-Identifier: Apache-2.0
#include "engine/audit_log.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cerrno>

#include "tests/engine/audit_support.h"

namespace bulkhead {
namespace {

using namespace audit_test;

BOOST_AUTO_TEST_SUITE(AuditLogChain)

BOOST_AUTO_TEST_CASE(AnIntactLogVerifies) {
  const Place place;
  WriteSampleLog(place);
  const auto summary = VerifyChain(place.path());
  BOOST_REQUIRE(summary);
  BOOST_TEST(summary->records == 8);
  BOOST_TEST(summary->torn_lines == 0);
  BOOST_REQUIRE(summary->segments.size() == 1);
  BOOST_TEST(summary->segments[0].bundle == Hex(TestBundle()));
  BOOST_TEST(summary->segments[0].boot == "boot-1");
  BOOST_TEST(summary->segments[0].closed);
}

BOOST_AUTO_TEST_CASE(AppendReturnsTheSequenceInTheFile) {
  const Place place;
  AuditLog log = place.Open();
  BOOST_TEST(log.Append(Started()) == 2);
  BOOST_TEST(log.Append(Refusal("a")) == 3);
  BOOST_TEST(log.head().sequence == 3);
  const auto lines = Lines(ReadAll(place.path()));
  BOOST_TEST(lines.back().starts_with("{\"seq\":3,"));
  BOOST_TEST(lines.back().find(Hex(log.head().head)) != std::string::npos);
}

BOOST_AUTO_TEST_CASE(EveryChangedByteIsSeen) {
  const Place place;
  WriteSampleLog(place);
  const std::string whole = ReadAll(place.path());
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    WriteAll(place.path(), changed);
    const auto summary = VerifyChain(place.path());
    BOOST_TEST_REQUIRE((!summary || summary->torn_lines != 0), "byte " << at);
    BOOST_TEST_REQUIRE((!summary || at >= whole.rfind('\n', whole.size() - 2)), "byte " << at);
  }
}

BOOST_AUTO_TEST_CASE(DeletedSwappedAndRepeatedLinesAreSeenAtTheirPlace) {
  const Place place;
  WriteSampleLog(place);
  const auto lines = Lines(ReadAll(place.path()));
  for (size_t i = 0; i + 1 < lines.size(); ++i) {
    auto deleted = lines;
    deleted.erase(deleted.begin() + static_cast<ptrdiff_t>(i));
    auto swapped = lines;
    std::swap(swapped[i], swapped[i + 1]);
    auto repeated = lines;
    repeated.insert(repeated.begin() + static_cast<ptrdiff_t>(i), lines[i]);
    for (const auto& bad : {deleted, swapped}) {
      WriteAll(place.path(), Join(bad));
      const auto verdict = VerifyChain(place.path());
      BOOST_REQUIRE(!verdict);
      BOOST_TEST(verdict.error().line == i + 1);
    }
    WriteAll(place.path(), Join(repeated));
    const auto verdict = VerifyChain(place.path());
    BOOST_REQUIRE(!verdict);
    BOOST_TEST(verdict.error().line == i + 2);
  }
}

BOOST_AUTO_TEST_CASE(AMissingEndShowsAsNotClosed) {
  const Place place;
  WriteSampleLog(place);
  auto lines = Lines(ReadAll(place.path()));
  lines.pop_back();
  WriteAll(place.path(), Join(lines));
  const auto summary = VerifyChain(place.path());
  BOOST_REQUIRE(summary);
  BOOST_TEST(!summary->segments[0].closed);
}

BOOST_AUTO_TEST_CASE(AChainBelongsToItsBundleAndBoot) {
  const Place place;
  WriteSampleLog(place);
  BOOST_TEST((ChainStart(TestBundle(), "boot-1") != ChainStart(TestBundle(), "boot-2")));
  BOOST_TEST((ChainStart(TestBundle(), "b") != ChainStart(Sha384(std::string_view("x")), "b")));
  const auto lines = Lines(ReadAll(place.path()));
  // The same events, honestly hashed, but begun from another policy's start.
  ChainPoint point = ChainStart(Sha384(std::string_view("other")), "boot-1");
  Event open;
  open.boot = "boot-1";
  open.action = kLogOpen;
  open.object = Hex(TestBundle());
  WriteAll(place.path(), Link(point, open).line);
  BOOST_TEST(!VerifyChain(place.path()));
}

BOOST_AUTO_TEST_CASE(ASecondRunContinuesTheFileAfterATornLine) {
  const Place place;
  WriteSampleLog(place);
  std::ofstream(place.path(), std::ios::app) << "{\"seq\":9,\"ti";
  WriteSampleLog(place);
  const auto summary = VerifyChain(place.path());
  BOOST_REQUIRE(summary);
  BOOST_TEST(summary->records == 16);
  BOOST_TEST(summary->torn_lines == 1);
  BOOST_TEST(summary->segments.size() == 2);
  // The same rubbish inside a run is a break.
  auto lines = Lines(ReadAll(place.path()));
  lines.insert(lines.begin() + 3, "{\"seq\":4,\"ti\n");
  WriteAll(place.path(), Join(lines));
  BOOST_REQUIRE(!VerifyChain(place.path()));
  BOOST_TEST(VerifyChain(place.path()).error().line == 4);
}

BOOST_AUTO_TEST_CASE(ARotatedLogContinuesInTheNewFile) {
  const Place place;
  AuditLog log = place.Open();
  log.Append(Started());
  BOOST_REQUIRE(rename(place.path().c_str(), place.old_path().c_str()) == 0);
  BOOST_TEST(log.Reopen().has_value());
  log.Append(Started());
  BOOST_TEST(log.Close());
  const auto old = VerifyChain(place.old_path());
  BOOST_REQUIRE(old);
  BOOST_TEST(!VerifyChain(place.path()));  // not without what came before
  const auto next = VerifyChain(place.path(), old->last);
  BOOST_REQUIRE(next);
  BOOST_TEST(next->records == 3);
  BOOST_TEST(next->segments[0].closed);
}

BOOST_AUTO_TEST_CASE(UnreadableAndEmptyFilesAreBreaks) {
  const Place place;
  BOOST_TEST(VerifyChain(place.path()).error().what.ends_with("`: No such file or directory"));
  WriteSampleLog(place);
  WriteAll(place.path(), "");
  BOOST_TEST(!VerifyChain(place.path()));
}

BOOST_AUTO_TEST_CASE(WhatWasOverBeforeItCameToTheLogKeepsItsTime) {
  const Place place;
  AuditLog log = place.Open();
  Event known = Refusal("a");
  known.boot_ns = 99 * kSecond;
  log.Append(known);
  log.Append(Refusal("b"));
  known.boot_ns = fake_now;
  fake_now += kSecond / 2;
  log.Append(known);
  fake_now += kSecond;
  log.Tick();  // a count is of the time when it is written
  const auto lines = Lines(ReadAll(place.path()));
  BOOST_REQUIRE(lines.size() == 4);
  BOOST_TEST(lines[1].find("\"time\":\"99.000000000\"") != std::string::npos, lines[1]);
  BOOST_TEST(lines[2].find("\"time\":\"100.000000000\"") != std::string::npos, lines[2]);
  BOOST_TEST(lines[3].find("\"time\":\"101.500000000\"") != std::string::npos, lines[3]);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(AuditLogFolding)

BOOST_AUTO_TEST_CASE(TheFirstIsWrittenAtOnceTheRestOnceASecond) {
  const Place place;
  AuditLog log = place.Open();
  BOOST_TEST(log.Append(Refusal("a")) == 2);
  for (int i = 0; i < 999; ++i) BOOST_TEST(log.Append(Refusal("a")) == 0);
  log.Tick();
  BOOST_TEST(CountRefused(ReadAll(place.path())) == 1);
  fake_now += kSecond;
  log.Tick();
  BOOST_TEST(CountRefused(ReadAll(place.path())) == 1000);
  BOOST_TEST(Lines(ReadAll(place.path())).size() == 3);
  fake_now += kSecond;
  log.Tick();  // nothing came: the key is forgotten
  BOOST_TEST(log.Append(Refusal("a")) == 4);
  BOOST_TEST(log.counters().folded == 999);
}

BOOST_AUTO_TEST_CASE(WithoutATickTheCountStillComesOutAfterASecond) {
  const Place place;
  AuditLog log = place.Open();
  log.Append(Refusal("a"));
  log.Append(Refusal("a"));
  fake_now += kSecond;
  BOOST_TEST(log.Append(Refusal("a")) == 3);
  BOOST_TEST(CountRefused(ReadAll(place.path())) == 3);
}

BOOST_AUTO_TEST_CASE(DifferentEventsAndOtherKindsAreNotFolded) {
  const Place place;
  AuditLog log = place.Open();
  BOOST_TEST(log.Append(Refusal("a")) != 0);
  Event other = Refusal("a");
  other.error = "EACCES";
  BOOST_TEST(log.Append(other) != 0);
  other.component = "agent";
  BOOST_TEST(log.Append(other) != 0);
  BOOST_TEST(log.Append(Started()) != 0);
  BOOST_TEST(log.Append(Started()) != 0);
}

BOOST_AUTO_TEST_CASE(AVariedFloodIsBoundedAndCountedExactly) {
  const Place place;
  AuditLog log = place.Open();
  constexpr uint64_t kSent = 100000;
  for (uint64_t i = 0; i < kSent; ++i) {
    fake_now += kSecond / 10000;  // ten seconds in all
    log.Append(Refusal("k" + std::to_string(i)));
    if (i % 10000 == 0) log.Tick();
  }
  // Beside it: who does not flood is recorded as ever.
  Event other = Refusal("one");
  other.component = "agent";
  BOOST_TEST(log.Append(other) != 0);
  log.Close();
  const std::string text = ReadAll(place.path());
  BOOST_TEST(CountRefused(text) == kSent + 1);
  BOOST_TEST(Lines(text).size() < AuditLog::kBurst + 10 * AuditLog::kRefill + 64);
  BOOST_TEST(Lines(text).size() > AuditLog::kBurst);
  BOOST_TEST(text.find("\"action\":\"(several)\",\"object\":\"(several)\"") != std::string::npos);
  BOOST_TEST(VerifyChain(place.path()).has_value());
}

BOOST_AUTO_TEST_CASE(WhatTheBrokerAllowsTakesNoRefusalsRecord) {
  const Place place;
  AuditLog log = place.Open();
  constexpr uint64_t kSent = AuditLog::kBurst + 100;
  for (uint64_t i = 0; i < kSent; ++i) {
    Event made = Refusal("k" + std::to_string(i));
    made.kind = EventKind::kBrokered;
    made.verdict = "allowed";
    log.Append(std::move(made));
  }
  const size_t before = Lines(ReadAll(place.path())).size();
  BOOST_TEST(before < AuditLog::kBurst + 16);
  // A refusal beside it has a record of its own; the same again is folded into it.
  BOOST_TEST(log.Append(Refusal("k1")) != 0);
  BOOST_TEST(log.Append(Refusal("k1")) == 0);
  log.Close();
  const std::string text = ReadAll(place.path());
  BOOST_TEST(CountKind(text, "brokered") == kSent);
  BOOST_TEST(CountRefused(text) == 2U);
  BOOST_TEST(text.find("\"kind\":\"violation\",\"control\":\"seccomp\",\"action\":\"(several)\"") ==
             std::string::npos);
  BOOST_TEST(text.find("\"action\":\"(several)\"") != std::string::npos);
  BOOST_TEST(VerifyChain(place.path()).has_value());
}

BOOST_AUTO_TEST_CASE(KindsThatWereWrittenAlsoWaitForTheBudget) {
  const Place place;
  AuditLog log = place.Open();
  uint64_t sent = 0;
  for (int second = 0; second < 20; ++second) {
    for (uint64_t key = 0; key < 900; ++key, ++sent) log.Append(Refusal("k" + std::to_string(key)));
    fake_now += kSecond;
    log.Tick();
  }
  BOOST_TEST(Lines(ReadAll(place.path())).size() < AuditLog::kBurst + 20 * AuditLog::kRefill + 64);
  log.Close();
  BOOST_TEST(CountRefused(ReadAll(place.path())) == sent);
}

BOOST_AUTO_TEST_CASE(CountsStayExactWhenTheTableOverflowsAndOnClose) {
  const Place place;
  uint64_t sent = 0;
  {
    AuditLog log = place.Open();
    for (int round = 0; round < 3; ++round) {
      for (size_t key = 0; key < AuditLog::kMaxFoldKeys + 10; ++key) {
        const std::string object = std::string("k").append(std::to_string(key));
        log.Append(Refusal(object));
        Event more = Refusal(object);
        more.count = 3;
        log.Append(more);
        sent += 4;
      }
    }
    for (int i = 0; i < 700; ++i) {  // few keys, many bytes
      Event big = Refusal(std::string(4000, 'x') + std::to_string(i));
      log.Append(big);
      log.Append(big);
      sent += 2;
    }
    BOOST_TEST(log.counters().events == sent);
  }
  BOOST_TEST(CountRefused(ReadAll(place.path())) == sent);
  BOOST_TEST(VerifyChain(place.path()).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(AuditLogSinks)

BOOST_AUTO_TEST_CASE(TheFileAndItsDirectoryArePrivate) {
  const Place place;
  WriteSampleLog(place);
  struct stat info = {};
  BOOST_REQUIRE(stat(place.path().c_str(), &info) == 0);
  BOOST_TEST((info.st_mode & 07777) == 0600);
  BOOST_REQUIRE(stat(place.directory().c_str(), &info) == 0);
  BOOST_TEST((info.st_mode & 07777) == 0700);
}

BOOST_AUTO_TEST_CASE(AFileHasOneWriter) {
  const Place place;
  {
    AuditLog log = place.Open();
    const auto second =
        AuditLog::Open({{SinkKind::kFile, place.path()}}, TestBundle(), "b", kFakeClock);
    BOOST_REQUIRE(!second);
    BOOST_TEST(second.error().step == "lock");
    BOOST_TEST(log.Reopen().has_value());  // its own, not rotated
    BOOST_TEST(log.Append(Refusal("a")) != 0);
  }
  place.Open();
  BOOST_TEST(VerifyChain(place.path()).has_value());
}

BOOST_AUTO_TEST_CASE(APlaceThatOthersCanWriteIsRefused) {
  const Place place;
  WriteSampleLog(place);
  chmod(place.directory().c_str(), 0770);
  const auto log = AuditLog::Open({{SinkKind::kFile, place.path()}}, TestBundle(), "b", kFakeClock);
  BOOST_REQUIRE(!log);
  BOOST_TEST(log.error().step == "others can write its directory");
  chmod(place.directory().c_str(), 0700);
  rename(place.path().c_str(), place.old_path().c_str());
  BOOST_REQUIRE(symlink(place.old_path().c_str(), place.path().c_str()) == 0);
  const auto link =
      AuditLog::Open({{SinkKind::kFile, place.path()}}, TestBundle(), "b", kFakeClock);
  BOOST_REQUIRE(!link);
  BOOST_TEST(link.error().error == ELOOP);
}

BOOST_AUTO_TEST_CASE(NoSinkIsAnError) {
  BOOST_TEST(!AuditLog::Open({}, TestBundle(), "b", kFakeClock));
}

// A log whose standard output is `fd`.
AuditLog OpenOn(int fd) {
  const int saved = dup(STDOUT_FILENO);
  dup2(fd, STDOUT_FILENO);
  auto opened = AuditLog::Open({{SinkKind::kStdout, ""}}, TestBundle(), "b", kFakeClock);
  dup2(saved, STDOUT_FILENO);
  close(saved);
  BOOST_REQUIRE(opened);
  return std::move(*opened);
}

// Of a run that was killed, on the terminal or in the file where the next one goes on.
BOOST_AUTO_TEST_CASE(AnotherRunsUnfinishedLineIsEnded) {
  const Place place;
  WriteSampleLog(place);  // makes its directory
  for (const char* before : {"tools | half a li", "tools | a line\n", ""}) {
    const Fd file(open(place.path().c_str(), O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0600));
    BOOST_REQUIRE(write(file.get(), before, strlen(before)) ==
                  static_cast<ssize_t>(strlen(before)));
    OpenOn(file.get()).Close();
    const auto lines = Lines(ReadAll(place.path()));
    BOOST_TEST(lines.size() == (*before == '\0' ? 2U : 3U), before);
    BOOST_TEST(ChainVerifier::IsWhole(lines.back().substr(0, lines.back().size() - 1)));
  }
  const Fd terminal(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  BOOST_REQUIRE(unlockpt(terminal.get()) == 0);
  const Fd console(open(ptsname(terminal.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
  BOOST_REQUIRE(write(console.get(), "tools | half", 12) == 12);
  OpenOn(console.get()).Close();
  std::string text(65536, '\0');
  const ssize_t got = read(terminal.get(), text.data(), text.size());
  BOOST_REQUIRE(got > 0);
  text.resize(static_cast<size_t>(got));
  BOOST_TEST(text.starts_with("tools | half\r\n{\"seq\":1,"), text);
}

// Standard output as a pipe that nobody reads: the log must not wait, and must count.
BOOST_AUTO_TEST_CASE(AFullPipeNeverBlocksAndLosesNoCount) {
  int ends[2];
  BOOST_REQUIRE(pipe(ends) == 0);
  std::optional<AuditLog> opened = OpenOn(ends[1]);
  close(ends[1]);
  uint64_t sent = 0;
  for (int i = 0; i < 1000; ++i, ++sent) opened->Append(Refusal(std::to_string(i)));
  BOOST_TEST(opened->counters().missed > 0);
  std::string text;
  const auto drain = [&] {
    std::string buffer(1 << 20, '\0');
    const ssize_t got = read(ends[0], buffer.data(), buffer.size());
    if (got > 0) text.append(buffer.data(), static_cast<size_t>(got));
  };
  BOOST_REQUIRE(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
  for (int i = 0; i < 20; ++i) {
    drain();
    opened->Tick();
  }
  BOOST_TEST(opened->Close());
  drain();
  close(ends[0]);
  BOOST_TEST(CountRefused(text) == sent);
  ChainVerifier verifier;
  for (const std::string& line : Lines(text)) {
    BOOST_TEST_REQUIRE(verifier.Feed(line.substr(0, line.size() - 1)).has_value());
  }
  BOOST_TEST(verifier.Finish()->segments[0].lost == 0);
  BOOST_TEST(verifier.Finish()->segments[0].closed);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(KernelAuditLog)

// Fills a 64 KiB file system of this child's own, makes room again and compares the counts.
int FullDisk(const std::string& directory) {
  const std::string path = directory + "/audit.jsonl";
  if (unshare(CLONE_NEWNS) != 0) return 10;
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 11;
  if (mount("tmpfs", directory.c_str(), "tmpfs", 0, "size=64k,mode=0700") != 0) return 12;
  auto log = AuditLog::Open({{SinkKind::kFile, path}}, TestBundle(), "b", kFakeClock);
  if (!log) return 13;
  uint64_t sent = 0;
  for (int i = 0; i < 500; ++i, ++sent) log->Append(Refusal(std::to_string(i)));
  const uint64_t missed = log->counters().missed;
  if (missed == 0 || missed >= sent) return 14;
  const std::string first = ReadAll(path);
  if (rename(path.c_str(), (directory + "/old").c_str()) != 0) return 15;
  if (mount(nullptr, directory.c_str(), nullptr, MS_REMOUNT, "size=1m") != 0) return 16;
  if (!log->Reopen()) return 17;
  for (int i = 0; i < 10; ++i, ++sent) log->Append(Refusal("later" + std::to_string(i)));
  if (!log->Close()) return 18;
  const auto before = VerifyChain(directory + "/old");
  if (!before || before->torn_lines != 0) return 19;
  const auto after = VerifyChain(path, before->last);
  if (!after) return 20;
  if (before->segments[0].lost + after->segments[0].lost != 0) return 21;
  return CountRefused(first) + CountRefused(ReadAll(path)) == sent ? 0 : 22;
}

BOOST_AUTO_TEST_CASE(AFullDiskLosesNoCount) {
  const Place place;
  BOOST_REQUIRE(mkdir(place.directory().c_str(), 0700) == 0);
  const pid_t child = fork();
  if (child == 0) _exit(FullDisk(place.directory()));
  int status = 0;
  BOOST_REQUIRE(waitpid(child, &status, 0) == child);
  BOOST_TEST(WIFEXITED(status));
  BOOST_TEST(WEXITSTATUS(status) == 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
