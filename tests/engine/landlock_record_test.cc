// SPDX-License-Identifier: Apache-2.0
#include "engine/landlock_record.h"

#include <boost/test/unit_test.hpp>

namespace bulkhead {
namespace {

LandlockAccess Access(std::string_view fields) {
  const auto record =
      ParseLandlockRecord(kLandlockAccessRecord, "audit(1795391328.885:2): " + std::string(fields));
  BOOST_REQUIRE(record);
  return std::get<LandlockAccess>(*record);
}

BOOST_AUTO_TEST_SUITE(LandlockRecords)

// The texts below were written by Linux 6.18.
BOOST_AUTO_TEST_CASE(ARefusedOpen) {
  const LandlockAccess access = Access(
      R"(domain=1651f9eb3 blockers=fs.read_file path="/tmp/h6/plain" dev="vda" ino=10952797)");
  BOOST_TEST(access.serial == 2);
  BOOST_TEST(access.domain == 0x1651f9eb3);
  BOOST_TEST(JoinBlockers(access) == "fs.read_file");
  BOOST_TEST(access.path == "/tmp/h6/plain");
  BOOST_TEST(access.device == "vda");
  BOOST_TEST(access.inode == 10952797);
  BOOST_TEST(DescribeObject(access) == "/tmp/h6/plain");
}

BOOST_AUTO_TEST_CASE(APathThatNeedsHexadecimal) {
  BOOST_TEST(Access("domain=1651f9eb5 blockers=fs.read_file "
                    "path=2F746D702F68362F7765206972642F736563726574 dev=\"vda\" ino=10952796")
                 .path == "/tmp/h6/we ird/secret");
}

BOOST_AUTO_TEST_CASE(SeveralBlockers) {
  const LandlockAccess access = Access(
      R"(domain=1651f9ebd blockers=fs.remove_file,fs.refer path="/tmp/h6" dev="vda" ino=10952793)");
  BOOST_TEST(access.blockers.size() == 2);
  BOOST_TEST(JoinBlockers(access) == "fs.remove_file,fs.refer");
}

BOOST_AUTO_TEST_CASE(Ports) {
  BOOST_TEST(
      DescribeObject(Access("domain=1 blockers=net.connect_tcp daddr=127.0.0.1 dest=8081")) ==
      "127.0.0.1:8081");
  BOOST_TEST(DescribeObject(Access("domain=1 blockers=net.connect_tcp daddr=::1 dest=8082")) ==
             "[::1]:8082");
  BOOST_TEST(DescribeObject(Access("domain=1 blockers=net.bind_tcp saddr=127.0.0.1 src=8083")) ==
             "127.0.0.1:8083");
  BOOST_TEST(DescribeObject(Access("domain=1 blockers=net.bind_tcp src=80")) == ":80");
}

BOOST_AUTO_TEST_CASE(OtherProcesses) {
  const LandlockAccess access =
      Access(R"(domain=1651f9ebd blockers=scope.signal opid=5527 ocomm="python3")");
  BOOST_TEST(access.other_pid == 5527);
  BOOST_TEST(DescribeObject(access) == "pid 5527 (python3)");
  BOOST_TEST(DescribeObject(Access("domain=2 blockers=ptrace opid=9 ocomm=612062")) ==
             "pid 9 (a b)");
}

BOOST_AUTO_TEST_CASE(AnAbstractSocketKeepsItsLeadingNul) {
  BOOST_TEST(Access("domain=1651f9ebd blockers=scope.abstract_unix_socket "
                    "path=0068362D6162737472616374")
                 .path == std::string("\0h6-abstract", 12));
}

BOOST_AUTO_TEST_CASE(DomainsBeginAndEnd) {
  const auto begun = ParseLandlockRecord(
      kLandlockDomainRecord,
      "audit(1795391328.885:3): domain=1651f9eb3 status=allocated mode=enforcing pid=5570 uid=0 "
      "exe=\"/usr/bin/python3.11\" comm=\"python3\"");
  BOOST_REQUIRE(begun);
  const auto& first = std::get<LandlockDomainNews>(*begun);
  BOOST_TEST(first.domain == 0x1651f9eb3);
  BOOST_TEST(!first.ended);
  BOOST_TEST(first.pid == 5570);
  const auto ended = ParseLandlockRecord(
      kLandlockDomainRecord,
      "audit(1795391328.981:22): domain=1651f9ebd status=deallocated denials=13");
  BOOST_REQUIRE(ended);
  BOOST_TEST(std::get<LandlockDomainNews>(*ended).ended);
  BOOST_TEST(std::get<LandlockDomainNews>(*ended).denials == 13);
}

BOOST_AUTO_TEST_CASE(UnknownKeysAreLeftAlone) {
  BOOST_TEST(Access("domain=1 blockers=fs.read_file future=7 path=\"/a\"").path == "/a");
}

BOOST_AUTO_TEST_CASE(WhatIsNotOfTheFormIsRefused) {
  const std::string head = "audit(1.5:2): ";
  const std::string texts[] = {
      "",
      "audit(",
      "audit(1.5:2) domain=1 blockers=a",
      "audit(1.5:x): domain=1 blockers=a",
      head,
      head + "blockers=fs.read_file",
      head + "domain=1",
      head + "domain=0 blockers=a",
      head + "domain=xyz blockers=a",
      head + "domain=10000000000000000 blockers=a",
      head + "domain=1 blockers=",
      head + "domain=1 blockers=a,,b",
      head + "domain=1 blockers=a path=ABC",
      head + "domain=1 blockers=a path=XY",
      head + "domain=1 blockers=a path=\"/a b\"",
      head + "domain=1 blockers=a src=65536",
      head + "domain=1 blockers=a ino=-1",
      head + "domain=1 blockers=a " + std::string(20000, ' '),
  };
  for (const std::string& text : texts) {
    BOOST_TEST(!ParseLandlockRecord(kLandlockAccessRecord, text), text.substr(0, 80));
  }
  BOOST_TEST(!ParseLandlockRecord(kLandlockDomainRecord, head + "domain=1 status=strange"));
  BOOST_TEST(!ParseLandlockRecord(1300, head + "domain=1 blockers=a"));
}

BOOST_AUTO_TEST_CASE(NoPrefixOrChangedByteIsTroubleForTheParser) {
  const std::string text =
      "audit(1.5:2): domain=1651f9ebd blockers=fs.make_reg,fs.refer path=2F746D70 dev=\"vda\" "
      "ino=10 opid=5 ocomm=\"x\" src=3";
  for (size_t at = 0; at <= text.size(); ++at) {
    const auto prefix = ParseLandlockRecord(kLandlockAccessRecord, text.substr(0, at));
    if (prefix) BOOST_TEST(std::get<LandlockAccess>(*prefix).domain != 0);
    for (int bit = 0; bit < 8 && at < text.size(); ++bit) {
      std::string changed = text;
      changed[at] = static_cast<char>(changed[at] ^ (1 << bit));
      const auto record = ParseLandlockRecord(kLandlockAccessRecord, changed);
      if (record) BOOST_TEST(!std::get<LandlockAccess>(*record).blockers.empty());
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
