// SPDX-License-Identifier: Apache-2.0
// Measuring before start, against devices that behave as the real ones do: the whole sequence, then
// each operation failing once and each answer changed once. Whatever is not as computed is an end,
// and no register is extended a second time.
#include "engine/measure.h"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <memory>

#include "engine/tdx.h"
#include "profiles/attestation.h"
#include "tests/platform/fake_platform.h"
#include "tests/support/init.h"

namespace bulkhead {
namespace {

using test::FakePlatform;

const Digest kBundle = Sha384(std::string_view("a bundle"));
const Digest kOther = Sha384(std::string_view("another bundle"));

struct Machine {
  test::TempDirectory directory;
  FakePlatform door{directory.path()};
  Measure nitro{
      .kind = RegisterKind::kNitro, .policy = 20, .events = 21, .nsm = directory.path() + "/nsm"};
  Measure tdx{.kind = RegisterKind::kTdx,
              .policy = 3,
              .events = 3,
              .rtmr = directory.path() + "/rtmr",
              .tdx = directory.path() + "/tdx",
              .tsm = directory.path() + "/tsm",
              .event_log = "/tmp/" + directory.path().substr(5) + ".log"};
  ~Machine() { std::filesystem::remove(tdx.event_log); }
  tl::expected<Measured, std::string> Run(const Measure& measure, const Digest& bundle = kBundle) {
    return MeasureBundle(door, measure, bundle, "test");
  }
  std::string Refused(const Measure& measure, const Digest& bundle = kBundle) {
    const auto measured = Run(measure, bundle);
    return measured ? "measured" : measured.error();
  }
};

bool Has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

BOOST_FIXTURE_TEST_SUITE(MeasureNitro, Machine)

BOOST_AUTO_TEST_CASE(ExtendsOnceAndLocks) {
  const auto measured = Run(nitro);
  BOOST_TEST_REQUIRE(measured.has_value(), measured.error());
  BOOST_TEST(!measured->again);
  BOOST_TEST(measured->what == "pcr20");
  BOOST_TEST((measured->value == PolicyRegister(kBundle)));
  BOOST_TEST((door.nsm.registers[20].value == Extended({}, kBundle)));
  BOOST_TEST(door.nsm.registers[20].locked);
  BOOST_TEST(!door.nsm.registers[21].locked);
  // Another value for another policy.
  BOOST_TEST((PolicyRegister(kBundle) != PolicyRegister(kOther)));
}

BOOST_AUTO_TEST_CASE(AnotherSupervisorOfTheSameBundleGoesOn) {
  BOOST_REQUIRE(Run(nitro).has_value());
  const auto again = Run(nitro);
  BOOST_TEST_REQUIRE(again.has_value(), again.error());
  BOOST_TEST(again->again);
  BOOST_TEST((door.nsm.registers[20].value == PolicyRegister(kBundle)));
  // That it is another one is in the events.
  const MeasuredEvent restarted{std::string(kEventRestarted), {kBundle.begin(), kBundle.end()}};
  BOOST_TEST((door.nsm.registers[21].value == Extended({}, EventDigest(restarted))));
}

BOOST_AUTO_TEST_CASE(WhatWasThereBeforeIsAnEnd) {
  door.nsm.registers[20].value[0] = 1;
  BOOST_TEST(Has(Refused(nitro), "describe pcr20"));
  BOOST_TEST(Has(Refused(nitro), "it is not zero"));
  BOOST_TEST(door.nsm.registers[20].value[0] == 1);
  door.nsm.registers[20] = {PolicyRegister(kOther), true};
  BOOST_TEST(Has(Refused(nitro), "it is locked with another value"));
  door.nsm.registers[20] = {{}, true};
  BOOST_TEST(Has(Refused(nitro), "it is locked with another value"));
  // Extended but not locked: somebody stopped in the middle.
  door.nsm.registers[20] = {PolicyRegister(kBundle), false};
  BOOST_TEST(Has(Refused(nitro), "it is not zero"));
  BOOST_TEST(!door.nsm.registers[20].locked);
  door.nsm.registers[20] = {};
  door.nsm.registers[21].locked = true;
  BOOST_TEST(Has(Refused(nitro), "describe pcr21"));
  BOOST_TEST((door.nsm.registers[20].value == Digest{}));
  door.nsm.registers[21] = {kOther, false};
  BOOST_TEST(Has(Refused(nitro), "pcr21 (`" + nitro.nsm + "`): it is not zero"));
}

BOOST_AUTO_TEST_CASE(ARegisterThatIsNoneIsNamed) {
  nitro.policy = 33;
  BOOST_TEST(Has(Refused(nitro), "the module answers InvalidIndex"));
  nitro.policy = 20;
  nitro.nsm += "-elsewhere";
  BOOST_TEST(Has(Refused(nitro), "describe pcr20 (`" + nitro.nsm + "`): ENOENT"));
}

// Of Nitro and TDX: every operation of a whole sequence fails once.
void FailEach(Measure Machine::*which, size_t at_least) {
  size_t operations = 0;
  {
    Machine whole;
    BOOST_REQUIRE(whole.Run(whole.*which).has_value());
    operations = whole.door.operations;
    BOOST_TEST(operations >= at_least);
  }
  for (size_t n = 1; n <= operations; ++n) {
    for (const int error : {EIO, EBUSY, ETIMEDOUT, ENOTTY, EMSGSIZE, ENOENT}) {
      Machine machine;
      std::string failed;
      size_t after = 0;
      machine.door.fail = [&](size_t number, const std::string& operation) {
        if (number > n) ++after;
        if (number != n) return 0;
        failed = operation;
        return error;
      };
      const std::string said = machine.Refused(machine.*which);
      // A log that is not there yet is how each boot begins.
      if (failed == "read-file" && error == ENOENT) {
        BOOST_TEST(said == "measured");
        continue;
      }
      BOOST_TEST(Has(said, error == EIO        ? "EIO"
                           : error == EBUSY    ? "EBUSY"
                           : error == ENOTTY   ? "ENOTTY"
                           : error == ENOENT   ? "ENOENT"
                           : error == EMSGSIZE ? "EMSGSIZE"
                                               : "ETIMEDOUT"),
                 n << " " << failed << ": " << said);
      BOOST_TEST(Has(said, "`"), said);
      BOOST_TEST(after == 0U, "operation " << n << " failed and " << after << " followed");
    }
  }
}

BOOST_AUTO_TEST_CASE(EachOperationThatFailsIsTheEnd) { FailEach(&Machine::nitro, 5); }

BOOST_AUTO_TEST_CASE(EachAnswerThatIsNotAsComputedIsTheEnd) {
  for (size_t n = 1; n <= 5; ++n) {
    for (const bool last : {true, false}) {
      Machine machine;
      size_t operations = 0;
      machine.door.change = [&](size_t number, ByteList& answer) {
        operations = number;
        if (number == n) answer[last ? answer.size() - 1 : answer.size() / 2] ^= 1;
      };
      const std::string said = machine.Refused(machine.nitro);
      BOOST_TEST(said != "measured", n);
      BOOST_TEST(operations == n, said);
      BOOST_TEST((machine.door.nsm.registers[20].value == Digest{} ||
                  machine.door.nsm.registers[20].value == PolicyRegister(kBundle)));
    }
  }
}

// The module says that it locked, and did not.
BOOST_AUTO_TEST_CASE(ALockThatDoesNotHoldIsSeen) {
  door.change = [&](size_t number, ByteList&) {
    if (number == 4) door.nsm.registers[20].locked = false;
  };
  BOOST_TEST(Has(Refused(nitro), "lock pcr20"));
  BOOST_TEST(Has(Refused(nitro), "it is not zero"));
}

BOOST_AUTO_TEST_CASE(EventsGoToTheirRegister) {
  BOOST_REQUIRE(Run(nitro).has_value());
  const MeasuredEvent head{std::string(kEventAuditHead), {kOther.begin(), kOther.end()}};
  const auto value = MeasureEvent(door, nitro, head);
  BOOST_TEST_REQUIRE(value.has_value(), value.error());
  BOOST_TEST((*value == Extended({}, EventDigest(head))));
  BOOST_TEST((door.nsm.registers[21].value == *value));
  door.nsm.registers[21].locked = true;
  BOOST_TEST(Has(MeasureEvent(door, nitro, head).error(), "it is locked"));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(MeasureTdx, Machine)

// Each run's key, behind the boundary; before it, it would be somebody else's word.
BOOST_AUTO_TEST_CASE(KeysOfAuditLogsAreReadBehindTheBoundary) {
  const MeasuredEvent first{std::string(kEventAuditKey), std::vector<uint8_t>(32, 1)};
  const MeasuredEvent second{std::string(kEventAuditKey), std::vector<uint8_t>(32, 2)};
  const MeasuredEvent bundle{std::string(kEventBundle), {kBundle.begin(), kBundle.end()}};
  const MeasuredEvent boundary{std::string(kEventBoundary), {'e'}};
  const MeasuredEvent restarted{std::string(kEventRestarted), {kBundle.begin(), kBundle.end()}};
  const LogJudgement good = JudgeEvents(std::vector{bundle, boundary, first, restarted, second});
  BOOST_TEST((good.audit_keys == std::vector{first.payload, second.payload}));
  BOOST_TEST(good.foreign_after == 0U);
  const LogJudgement early = JudgeEvents(std::vector{first, bundle, boundary});
  BOOST_TEST(early.audit_keys.empty());
  BOOST_TEST(early.foreign == 1U);
}

// Whoever can extend the register can choose a name.
BOOST_AUTO_TEST_CASE(NamesOfOursByOthersAreEventsOfOthers) {
  const MeasuredEvent bundle{std::string(kEventBundle), {kBundle.begin(), kBundle.end()}};
  const MeasuredEvent boundary{std::string(kEventBoundary), {'e'}};
  const MeasuredEvent key{std::string(kEventAuditKey), std::vector<uint8_t>(32, 1)};
  const std::vector<uint8_t> digest(kBundle.begin(), kBundle.end());
  const MeasuredEvent forged[] = {
      {std::string(kEventAuditKey), std::vector<uint8_t>(32, 2)},  // a second one of this run
      {std::string(kEventAuditKey), std::vector<uint8_t>(5, 2)},
      {std::string(kEventRestarted), {1}},
      {std::string(kEventRestarted), digest, 1},
      {std::string(kEventFound), digest},
      {std::string(kEventAuditHead), {1}},
      {std::string(kEventBoundary), {'o'}}};
  for (const MeasuredEvent& event : forged) {
    const LogJudgement log = JudgeEvents(std::vector{bundle, boundary, key, event});
    BOOST_TEST(log.foreign_after == 1U, event.name);
    BOOST_TEST(log.audit_keys.size() == 1U);
    BOOST_TEST(log.enclave == "e");
  }
  const MeasuredEvent head{std::string(kEventAuditHead), digest};
  BOOST_TEST(JudgeEvents(std::vector{bundle, boundary, key, head}).foreign_after == 0U);
}

BOOST_AUTO_TEST_CASE(LogReplaysToTheRegister) {
  const auto measured = Run(tdx);
  BOOST_TEST_REQUIRE(measured.has_value(), measured.error());
  BOOST_TEST(measured->what == "rtmr3");
  BOOST_TEST((measured->value == door.rtmr[3]));
  const auto events = ReadEventLog(test::ReadWholeFile(tdx.event_log));
  BOOST_REQUIRE(events.has_value());
  BOOST_TEST_REQUIRE(events->size() == 2U);
  BOOST_TEST((*events)[0].name == "bulkhead-bundle");
  BOOST_TEST(Hex((*events)[0].payload) == Hex(kBundle));
  BOOST_TEST((*events)[1].name == "bulkhead-boundary");
  BOOST_TEST((Replay(*events) == door.rtmr[3]));
}

BOOST_AUTO_TEST_CASE(RestartedSupervisorFindsItsOwnEvents) {
  BOOST_REQUIRE(Run(tdx).has_value());
  const Digest before = door.rtmr[3];
  const auto again = Run(tdx);
  BOOST_TEST_REQUIRE(again.has_value(), again.error());
  BOOST_TEST(again->again);
  const MeasuredEvent restarted{std::string(kEventRestarted), {kBundle.begin(), kBundle.end()}};
  BOOST_TEST((door.rtmr[3] == Extended(before, EventDigest(restarted))));
  BOOST_REQUIRE(Run(tdx).has_value());
  BOOST_TEST(JudgeEvents(*ReadEventLog(test::ReadWholeFile(tdx.event_log))).restarts == 2U);
}

BOOST_AUTO_TEST_CASE(EventsOfOthersBeforeAreTakenAlong) {
  const MeasuredEvent other{"compose-hash", {1, 2, 3}, 1};
  door.rtmr[3] = Extended({}, EventDigest(other));
  test::WriteFile(tdx.event_log, EventLine(other));
  const auto measured = Run(tdx);
  BOOST_TEST_REQUIRE(measured.has_value(), measured.error());
  const LogJudgement log = JudgeEvents(*ReadEventLog(test::ReadWholeFile(tdx.event_log)));
  BOOST_TEST(log.foreign == 1U);
  BOOST_TEST(log.boundary);
}

BOOST_AUTO_TEST_CASE(WhatDoesNotReplayIsAnEnd) {
  door.rtmr[3][0] = 1;
  BOOST_TEST(Has(Refused(tdx), "replay `" + tdx.event_log + "`"));
  BOOST_TEST(Has(Refused(tdx), "but rtmr3 holds 01"));
  door.rtmr[3] = {};
  const MeasuredEvent other{"compose-hash", {1}};
  test::WriteFile(tdx.event_log, EventLine(other));
  BOOST_TEST(Has(Refused(tdx), "replay"));
  test::WriteFile(tdx.event_log, "{}\n");
  BOOST_TEST(Has(Refused(tdx), "line 1 is no event"));
  BOOST_TEST((door.rtmr[3] == Digest{}));
}

BOOST_AUTO_TEST_CASE(AnotherBundlesLogIsAnEnd) {
  BOOST_REQUIRE(Run(tdx).has_value());
  const Digest before = door.rtmr[3];
  BOOST_TEST(Has(Refused(tdx, kOther), "it is about another bundle"));
  BOOST_TEST((door.rtmr[3] == before));
  // Somebody measured after the boundary, and logged it well.
  const MeasuredEvent other{"late", {1}};
  door.rtmr[3] = Extended(before, EventDigest(other));
  test::WriteFile(tdx.event_log, test::ReadWholeFile(tdx.event_log) + EventLine(other));
  BOOST_TEST(Has(Refused(tdx), "somebody else measured after the boundary"));
}

BOOST_AUTO_TEST_CASE(AnInterruptedSequenceIsAnEnd) {
  const MeasuredEvent bundle{std::string(kEventBundle), {kBundle.begin(), kBundle.end()}};
  door.rtmr[3] = Extended({}, EventDigest(bundle));
  BOOST_TEST(Has(Refused(tdx), "replay"));  // extended, not logged
  test::WriteFile(tdx.event_log, EventLine(bundle));
  BOOST_TEST(Has(Refused(tdx), "its bundle event has no boundary event"));
}

BOOST_AUTO_TEST_CASE(EachOperationThatFailsIsTheEndToo) {
  size_t operations = 0;
  {
    Machine whole;
    BOOST_REQUIRE(whole.Run(whole.tdx).has_value());
    operations = whole.door.operations;
  }
  BOOST_TEST(operations == 11U);
  for (size_t n = 1; n <= operations; ++n) {
    Machine machine;
    size_t last = 0;
    machine.door.fail = [&](size_t number, const std::string&) {
      last = number;
      return number == n ? EIO : 0;
    };
    const std::string said = machine.Refused(machine.tdx);
    BOOST_TEST(Has(said, "EIO"), n << ": " << said);
    BOOST_TEST(last == n, said);
  }
}

BOOST_AUTO_TEST_CASE(AShortWriteAndAnotherValueAreEnds) {
  for (const size_t claimed : {0U, 47U, 49U}) {
    Machine machine;
    machine.door.change_written = [&](size_t, size_t& written) { written = claimed; };
    const std::string said = machine.Refused(machine.tdx);
    BOOST_TEST(Has(said, "a short write of " + std::to_string(claimed)), said);
    // It extended all the same, once, and nobody tried again.
    const MeasuredEvent bundle{std::string(kEventBundle), {kBundle.begin(), kBundle.end()}};
    BOOST_TEST((machine.door.rtmr[3] == Extended({}, EventDigest(bundle))));
  }
  size_t reads = 0;
  door.change = [&](size_t, ByteList& answer) {
    if (answer.size() == 48 && ++reads == 2) answer[7] ^= 1;
  };
  // The register is what the file says when nothing changes.
  BOOST_TEST(Has(Refused(tdx), "compare rtmr3: the report of `" + tdx.tdx + "` says"));
}

// Somebody else extended between: file and report agree, and on another value than was computed.
BOOST_AUTO_TEST_CASE(AnotherValueAfterAnExtendIsAnEnd) {
  door.change_written = [&](size_t, size_t&) { door.rtmr[3] = Extended(door.rtmr[3], kOther); };
  BOOST_TEST(Has(Refused(tdx), "compare rtmr3 (`" + RtmrPath(tdx.rtmr, 3) + "`): it holds"));
}

// A file that takes writes and reads as it should, and is not the register.
BOOST_AUTO_TEST_CASE(AFileThatIsNotTheRegisterIsFound) {
  size_t reports = 0;
  door.change = [&](size_t, ByteList& answer) {
    if (answer.size() == kTdxReport && ++reports == 2) {
      std::fill_n(answer.begin() + 720 + 3 * 48, 48, uint8_t{0});  // still as it was at the start
    }
  };
  const std::string said = Refused(tdx);
  BOOST_TEST(Has(said, "compare rtmr3: the report of `" + tdx.tdx + "` says 0000"), said);
  BOOST_TEST(Has(said, "but `" + RtmrPath(tdx.rtmr, 3) + "` holds "), said);
  BOOST_TEST(reports == 2U);
}

BOOST_AUTO_TEST_CASE(WhatIsNoReportOfThisGuestNowIsAnEnd) {
  const auto with = [](const std::function<void(ByteList&)>& change) {
    Machine machine;
    machine.door.change = [&](size_t, ByteList& answer) {
      if (answer.size() == kTdxReport) change(answer);
    };
    return machine.Refused(machine.tdx);
  };
  BOOST_TEST(with([](ByteList&) {}) == "measured");
  BOOST_TEST(Has(with([](ByteList& report) { report[0] = 0; }), "no report of a TDX guest"));
  BOOST_TEST(Has(with([](ByteList& report) { report.pop_back(); }), "no report of a TDX guest"));
  BOOST_TEST(Has(with([](ByteList& report) { report.clear(); }), "no report of a TDX guest"));
  // A report of before.
  BOOST_TEST(Has(with([](ByteList& report) { report[128] ^= 1; }), "the answer to something else"));
  BOOST_TEST(Has(with([](ByteList& report) { report[191] ^= 1; }), "the answer to something else"));
  BOOST_TEST(with([](ByteList& report) { report[192] ^= 1; }) == "measured");
}

// What the kernel does with other sizes, which the fake must do as well.
BOOST_AUTO_TEST_CASE(FakeHasTheKernelsWriteSemantics) {
  const std::string path = RtmrPath(tdx.rtmr, 3);
  BOOST_TEST(door.WriteOnce(path, ByteList(47)).error() == EINVAL);
  BOOST_TEST((door.rtmr[3] == Digest{}));
  BOOST_TEST(door.WriteOnce(path, ByteList(49)).value() == 48U);
  BOOST_TEST((door.rtmr[3] == Extended({}, ByteList(48))));
}

BOOST_AUTO_TEST_CASE(EventDigestsAreDstacks) {
  BOOST_TEST(Hex(EventDigest({"compose-hash", {0xab, 0xcd}})) ==
             Hex(Sha384(std::string_view("{\"event\":\"compose-hash\",\"event_type\":134217729,"
                                         "\"payload\":\"abcd\",\"version\":2}"))));
  BOOST_TEST(Hex(EventDigest({"app-id", {0xde, 0xad}, 1})) ==
             Hex(Sha384(std::string_view("\x01\x00\x00\x08:app-id:\xde\xad", 14))));
  BOOST_TEST(EventLine({"test", {1, 2, 3}, 1}) == "{\"event\":\"test\",\"payload\":\"AQID\"}\n");
  for (size_t size = 0; size < 10; ++size) {
    const MeasuredEvent event{"e", std::vector<uint8_t>(size, 0xf7)};
    const auto read = ReadEventLog(EventLine(event));
    BOOST_TEST_REQUIRE(read.has_value());
    BOOST_TEST((read->at(0) == event));
  }
  for (const char* bad :
       {"{\"event\":\"e\",\"payload\":\"AQ=\"}\n", "{\"event\":\"e\",\"payload\":\"AR==\"}\n",
        "{\"event\":\"e\",\"payload\":\"A===\"}\n", "{\"event\":\"\",\"payload\":\"\"}\n",
        "{\"event\":\"e\",\"payload\":\"AQ==\",\"version\":3}\n",
        "{\"event\":\"e\",\"payload\":\"AQ==\"}", "{\"event\":\"a\\\\\",\"payload\":\"\"}\n",
        "{\"payload\":\"AQ==\",\"event\":\"e\"}\n"}) {
    BOOST_TEST(!ReadEventLog(bad).has_value(), bad);
  }
}

BOOST_AUTO_TEST_CASE(QuotesAreOfAReportOfTheirOwn) {
  std::array<uint8_t, 64> data{};
  data[0] = 7;
  const auto quote = AskTdxQuote(door, tdx.tsm, "bulkhead-1", data);
  BOOST_TEST_REQUIRE(quote.has_value(), quote.error());
  BOOST_TEST(quote->at(48 + 520) == 7);
  // Its directory is gone: the same name can be used again.
  BOOST_TEST(AskTdxQuote(door, tdx.tsm, "bulkhead-1", data).has_value());
  for (size_t n = 1; n <= 6; ++n) {
    for (const int error : {EBUSY, ETIMEDOUT, EINTR}) {
      Machine machine;
      machine.door.fail = [&](size_t number, const std::string&) {
        return number == n ? error : 0;
      };
      BOOST_TEST(!AskTdxQuote(machine.door, machine.tdx.tsm, "one", data).has_value(), n);
      BOOST_TEST(machine.door.quotes <= 1U);
    }
  }
  size_t reads = 0;
  door.change = [&](size_t, ByteList& answer) {
    if (answer.size() == 2 && ++reads == 2) answer[0] = '9';
  };
  BOOST_TEST(Has(AskTdxQuote(door, tdx.tsm, "one", data).error(), "somebody else wrote"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
