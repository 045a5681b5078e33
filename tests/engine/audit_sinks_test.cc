// SPDX-License-Identifier: Apache-2.0
// Sinks that are killed, blocked, filled and started again under load: no count is lost, the chain
// verifies, and the gaps that are on record are those that were.
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdio>
#include <random>

#include "tests/engine/audit_receiver.h"

namespace bulkhead {
namespace {

using namespace audit_test;

// What the test says of vsock goes to a unix socket: no vsock address is used on a host.
std::string dialled_path;
int DialUnixInstead(const Sink& sink) {
  BOOST_TEST((sink.kind == SinkKind::kVsock));
  return DialSink({SinkKind::kUnix, dialled_path});
}

BOOST_AUTO_TEST_SUITE(AuditLogStreams)

BOOST_AUTO_TEST_CASE(AStreamGetsTheRecordsOfTheFile) {
  const Place place;
  BOOST_REQUIRE(mkdir(place.directory().c_str(), 0700) == 0);
  Receiver receiver = UnixReceiver(place.old_path());
  auto log = AuditLog::Open({{SinkKind::kFile, place.path()}, {SinkKind::kUnix, place.old_path()}},
                            TestBundle(), "boot-1", kFakeClock);
  BOOST_REQUIRE(log);
  for (int i = 0; i < 50; ++i) log->Append(Refusal(std::to_string(i)));
  BOOST_TEST(log->Close());
  receiver.Read(1 << 20);
  BOOST_TEST(CountRefused(receiver.text) == 50U);
  // Their chains are the same up to what names the sink.
  const auto file = Lines(ReadAll(place.path()));
  const auto stream = Lines(receiver.text);
  BOOST_REQUIRE(file.size() == stream.size());
  for (size_t i = 0; i + 1 < file.size(); ++i) BOOST_TEST(file[i] == stream[i]);
  BOOST_TEST(JudgeStream(receiver.text, log->public_key())->segments[0].closed);
}

BOOST_AUTO_TEST_CASE(NobodyWhoListensAtTheBeginningIsAnError) {
  const Place place;
  BOOST_REQUIRE(mkdir(place.directory().c_str(), 0700) == 0);
  const std::vector<Sink> sinks{{SinkKind::kUnix, place.old_path()}};
  const auto none = AuditLog::Open(sinks, TestBundle(), "b", kFakeClock);
  BOOST_REQUIRE(!none);
  BOOST_TEST(none.error().step == "connect");
  BOOST_TEST(none.error().error == ENOENT);
  BOOST_TEST(none.error().object == "unix:" + place.old_path());
  WriteAll(place.old_path(), "");
  BOOST_TEST(AuditLog::Open(sinks, TestBundle(), "b", kFakeClock).error().error == ECONNREFUSED);
  unlink(place.old_path().c_str());
  Receiver receiver = UnixReceiver(place.old_path());
  BOOST_TEST(AuditLog::Open(sinks, TestBundle(), "b", kFakeClock).has_value());
}

// Killed at any moment, with what it had not read, and started again.
BOOST_AUTO_TEST_CASE(AReceiverThatIsKilledAndStartedAgainMissesNothing) {
  const Place place;
  BOOST_REQUIRE(mkdir(place.directory().c_str(), 0700) == 0);
  Receiver receiver = UnixReceiver(place.old_path());
  KillUnderLoad(receiver, {SinkKind::kUnix, place.old_path()}, DialSink);
}

BOOST_AUTO_TEST_CASE(ThePathOfAVsockSinkIsTheSame) {
  const Place place;
  BOOST_REQUIRE(mkdir(place.directory().c_str(), 0700) == 0);
  Receiver receiver = UnixReceiver(place.old_path());
  dialled_path = place.old_path();
  KillUnderLoad(receiver, {SinkKind::kVsock, "3:9001"}, DialUnixInstead);
}

// Nobody reads: nothing waits, memory is bounded, and all is there when it is read again.
BOOST_AUTO_TEST_CASE(AReceiverThatDoesNotReadHoldsUpNobody) {
  const Place place;
  BOOST_REQUIRE(mkdir(place.directory().c_str(), 0700) == 0);
  Receiver receiver = UnixReceiver(place.old_path());
  auto log =
      AuditLog::Open({{SinkKind::kUnix, place.old_path()}}, TestBundle(), "boot-1", kFakeClock);
  BOOST_REQUIRE(log);
  Load load(Seed());
  for (int turn = 0; turn < 200; ++turn, fake_now += kSecond) {
    load.Make(*log, 200);
    log->Tick();
  }
  BOOST_TEST(log->counters().missed > 0U);
  for (int i = 0; i < 10; ++i, fake_now += kSecond) {
    receiver.Read(1 << 20);
    log->Tick();
  }
  BOOST_TEST(log->Close());
  receiver.Read(1 << 20);
  const Account account = AccountOf(Stored(receiver.text));
  BOOST_TEST_MESSAGE(AccountText(account, load.made));
  BOOST_TEST(account.held + account.lost == load.made);
  BOOST_TEST(account.late == account.missed);
  BOOST_TEST(JudgeStream(receiver.text, log->public_key()).has_value());
}

// One sink that is away takes nothing from the other.
BOOST_AUTO_TEST_CASE(ADeadSinkLeavesTheOthersWhole) {
  const Place place;
  BOOST_REQUIRE(mkdir(place.directory().c_str(), 0700) == 0);
  Receiver receiver = UnixReceiver(place.old_path());
  auto log = AuditLog::Open({{SinkKind::kFile, place.path()}, {SinkKind::kUnix, place.old_path()}},
                            TestBundle(), "boot-1", kFakeClock);
  BOOST_REQUIRE(log);
  receiver.Kill();
  for (int i = 0; i < 20; ++i) log->Append(Refusal(std::to_string(i)));
  BOOST_TEST(!log->Close());
  const auto chain = VerifyChain(place.path());
  BOOST_REQUIRE(chain);
  BOOST_TEST(chain->segments[0].closed);
  BOOST_TEST(chain->segments[0].events == 20U);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(AuditBacklogs)

BOOST_AUTO_TEST_CASE(IdenticalEventsAreOneWithFirstLastAndCount) {
  AuditBacklog backlog;
  for (uint64_t i = 1; i <= 100; ++i) {
    Event event = Refusal("a");
    event.boot_ns = i;
    event.count = 2;
    backlog.Add(event);
  }
  BOOST_REQUIRE(backlog.Front() != nullptr);
  BOOST_TEST(backlog.Front()->first == 1U);
  BOOST_TEST(backlog.Front()->last == 100U);
  BOOST_TEST(backlog.Front()->event.count == 200U);
  backlog.Pop();
  BOOST_TEST(backlog.empty());
}

BOOST_AUTO_TEST_CASE(WhatIsTooMuchIsHeldCoarselyAndThenAsANumber) {
  AuditBacklog backlog;
  uint64_t made = 0;
  for (int component = 0; component < 400; ++component) {
    for (int i = 0; i < 20; ++i, ++made) {
      Event event = Refusal("k" + std::to_string(i));
      event.component = "c" + std::to_string(component);
      event.boot_ns = made + 1;
      backlog.Add(event);
    }
  }
  uint64_t held = 0;
  size_t entries = 0;
  size_t coarse = 0;
  uint64_t before = 0;
  for (; const Backlogged* entry = backlog.Front(); backlog.Pop(), ++entries) {
    held += entry->event.count;
    const bool several = entry->event.object == kSeveral;
    coarse += several ? 1 : 0;
    if (!several) BOOST_TEST(entry->first > before);  // in the order in which they began
    before = several ? 0 : entry->first;
  }
  BOOST_TEST(entries == AuditBacklog::kMaxKinds + AuditBacklog::kMaxCoarse);
  BOOST_TEST(coarse == AuditBacklog::kMaxCoarse);
  BOOST_TEST(backlog.unheld() > 0U);
  BOOST_TEST(held + backlog.unheld() == made);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(KernelAuditLogDisks)

// On a file system of this child's own that is filled, given room and filled again, under load.
int FillAndGiveRoom(const std::string& directory, uint64_t seed) {
  const std::string path = directory + "/audit.jsonl";
  if (unshare(CLONE_NEWNS) != 0) return 10;
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 11;
  if (mount("tmpfs", directory.c_str(), "tmpfs", 0, "size=64k,mode=0700") != 0) return 12;
  auto log = AuditLog::Open({{SinkKind::kFile, path}}, TestBundle(), "b", kFakeClock);
  if (!log) return 13;
  Load load(seed);
  for (const char* size : {"size=64k", "size=128k", "size=256k", "size=8m"}) {
    if (mount(nullptr, directory.c_str(), nullptr, MS_REMOUNT, size) != 0) return 14;
    for (int turn = 0; turn < 20; ++turn, fake_now += kSecond) {
      load.Make(*log, 100);
      log->Tick();
    }
  }
  if (!log->Close()) return 15;
  const auto chain = VerifyChain(std::vector{path}, {Fits, {log->public_key()}, false});
  if (!chain || !chain->segments[0].closed || chain->torn_lines != 0) return 16;
  const Account account = AccountOf(Lines(ReadAll(path)));
  puts(AccountText(account, load.made).c_str());
  fflush(stdout);  // this child ends without
  if (account.gaps == 0 || account.late != account.missed) return 17;
  if (log->counters().missed != account.missed) return 18;
  return account.held + account.lost == load.made ? 0 : 19;
}

BOOST_AUTO_TEST_CASE(AFullDiskIsCaughtUpWith) {
  const Place place;
  BOOST_REQUIRE(mkdir(place.directory().c_str(), 0700) == 0);
  const uint64_t seed = Seed();
  const pid_t child = fork();
  if (child == 0) _exit(FillAndGiveRoom(place.directory(), seed));
  int status = 0;
  BOOST_REQUIRE(waitpid(child, &status, 0) == child);
  BOOST_TEST(WIFEXITED(status));
  BOOST_TEST(WEXITSTATUS(status) == 0, "step " << WEXITSTATUS(status) << ", seed " << seed);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
