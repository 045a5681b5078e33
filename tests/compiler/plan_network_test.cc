// SPDX-License-Identifier: Apache-2.0
// What each statement about the network comes to: which sockets the filter lets a component make,
// its namespace, edges, listeners and ports. Each refusal stands beside what is allowed.
#include <boost/test/unit_test.hpp>
#include <string>

#include "compiler/identity.h"
#include "profiles/landlock.h"
#include "tests/compiler/compile_support.h"

namespace bulkhead {
namespace {

using testing::Allows;
using testing::Compiled;
using testing::Granted;
using testing::MustCompile;
using testing::WithLevel;

constexpr uint64_t kUnix = 1;
constexpr uint64_t kInet = 2;
constexpr uint64_t kInet6 = 10;
constexpr uint64_t kVsock = 40;
constexpr uint64_t kStream = 1;
constexpr uint64_t kDgram = 2;
constexpr uint64_t kRaw = 3;
constexpr uint64_t kCloexec = 02000000;
constexpr uint64_t kNonblock = 04000;
constexpr uint64_t kTcp = 6;
constexpr uint64_t kMptcp = 262;
constexpr uint64_t kHigh = uint64_t{1} << 32;  // the kernel does not look there

const std::string kServer =
    "  two:\n    exec: [/usr/bin/two]\n    files: {execute: [/usr/bin/two]}\n"
    "    network: {unix: {listen: [{path: /run/e/s.sock, name: s, from: [one]}]}}\n";
const std::string kClient = "    network: {unix: {connect: [/run/e/s.sock]}}\n";

bool MakesSocket(const ProfileData& profile, uint64_t domain, uint64_t type, uint64_t protocol) {
  return Allows(profile, "socket", {domain, type, protocol});
}

BOOST_AUTO_TEST_SUITE(PlanOfNetwork)

BOOST_AUTO_TEST_CASE(NothingStated) {
  const Compiled compiled = MustCompile(Granted(""));
  const ProfileData& one = compiled.Component("one");
  BOOST_TEST((one.network == Network::kNone));
  for (const uint64_t domain :
       {uint64_t{0}, kUnix, kInet, kInet6, kVsock, uint64_t{16}, uint64_t{17}, uint64_t{38}}) {
    for (const uint64_t type : {kStream, kDgram, kRaw}) {
      BOOST_TEST(!MakesSocket(one, domain, type, 0));
    }
  }
  for (const char* call : {"connect", "bind", "listen", "accept", "accept4"}) {
    BOOST_TEST(!Allows(one, call), call);
  }
  // A pair reaches nobody.
  BOOST_TEST(Allows(one, "socketpair", {kUnix, kStream | kCloexec, 0}));
  BOOST_TEST(!Allows(one, "socketpair", {kInet, kStream, 0}));
  BOOST_TEST(!Allows(one, "socketpair", {kVsock, kStream, 0}));
}

BOOST_AUTO_TEST_CASE(UnixClient) {
  const Compiled compiled = MustCompile(Granted(kClient, kServer));
  const ProfileData& one = compiled.Component("one");
  BOOST_TEST((one.network == Network::kNone));
  BOOST_TEST(MakesSocket(one, kUnix, kStream, 0));
  BOOST_TEST(MakesSocket(one, kUnix, kStream | kCloexec | kNonblock, 0));
  BOOST_TEST(MakesSocket(one, kUnix | kHigh, kStream | kHigh, kHigh));
  BOOST_TEST(!MakesSocket(one, kUnix, kDgram, 0));
  BOOST_TEST(!MakesSocket(one, kInet, kStream, 0));
  BOOST_TEST(!MakesSocket(one, kVsock, kStream, 0));
  BOOST_TEST(!MakesSocket(one, kVsock | kHigh, kStream, 0));
  BOOST_TEST(Allows(one, "connect"));
  for (const char* call : {"bind", "listen", "accept4"}) BOOST_TEST(!Allows(one, call), call);
}

BOOST_AUTO_TEST_CASE(EdgesHaveAGroupOfBothEnds) {
  const Compiled compiled = MustCompile(Granted(kClient, kServer));
  const uint32_t group = EdgeId("test", "/run/e");
  for (const char* name : {"one", "two"}) {
    const ProfileData& profile = compiled.Component(name);
    BOOST_TEST((profile.groups == std::vector<uint32_t>{group}), name);
    BOOST_REQUIRE(profile.edges.size() == 1U);
    BOOST_TEST(profile.edges[0].path == "/run/e");
    BOOST_TEST(!profile.edges[0].server);
    BOOST_TEST((testing::ViewOf(profile, "/run/e")->kind == ViewKind::kEdge));
    BOOST_TEST(testing::AccessOf(profile, "/run/e") == 0U);
  }
  const ProfileData& two = compiled.Component("two");
  BOOST_REQUIRE(two.listeners.size() == 1U);
  BOOST_TEST((two.listeners[0].kind == ListenerKind::kUnixStream));
  BOOST_TEST(two.listeners[0].path == "/run/e/s.sock");
  BOOST_TEST(Allows(two, "accept4"));
  // The listener listens already: a program that says so again goes on, and nothing else begins to.
  BOOST_TEST(testing::ActionOf(two, "listen") == kRetErrno);
  BOOST_TEST(!Allows(two, "bind"));
  BOOST_TEST(!MakesSocket(two, kUnix, kStream, 0));
}

// Whichever of the sockets in its directory comes first.
BOOST_AUTO_TEST_CASE(AServerThatMakesItsSocket) {
  for (const auto& [own, given] : {std::pair("/run/e/a", "/run/e/b"), {"/run/e/b", "/run/e/a"}}) {
    std::string network = "    network: {unix: {listen: [{by: component, path: ";
    network.append(own).append("}, {name: given, path: ").append(given).append("}]}}\n");
    const Compiled compiled = MustCompile(Granted(network + "    ready: listening\n"));
    const ProfileData& one = compiled.Component("one");
    BOOST_REQUIRE(one.edges.size() == 1U);
    BOOST_TEST(one.edges[0].server);
    BOOST_TEST(one.edges[0].rule == "components.one.network.unix.listen:/run/e/a");
    BOOST_TEST(testing::AccessOf(one, "/run/e") ==
               (landlock::kMakeSock | landlock::kRemoveFile | landlock::kReadDir));
    BOOST_TEST(MakesSocket(one, kUnix, kStream, 0));
    BOOST_TEST(Allows(one, "bind"));
    BOOST_TEST(one.lifecycle.ready.path == own);
  }
}

BOOST_AUTO_TEST_CASE(Notification) {
  const Compiled compiled = MustCompile(Granted("    ready: notify\n"));
  const ProfileData& one = compiled.Component("one");
  BOOST_TEST(MakesSocket(one, kUnix, kDgram | kCloexec, 0));
  BOOST_TEST(!MakesSocket(one, kUnix, kStream, 0));
  BOOST_TEST(!MakesSocket(one, kInet, kDgram, 0));
}

BOOST_AUTO_TEST_CASE(TcpListenersAreHandedOver) {
  const Compiled compiled =
      MustCompile(Granted("    network: {tcp: {listen: [{port: 8443, name: web}]}}\n"));
  const ProfileData& one = compiled.Component("one");
  BOOST_TEST((one.network == Network::kNone));
  BOOST_REQUIRE(one.listeners.size() == 1U);
  BOOST_TEST((one.listeners[0].kind == ListenerKind::kTcp));
  BOOST_TEST(one.listeners[0].port == 8443);
  BOOST_TEST(Allows(one, "accept4"));
  BOOST_TEST(!MakesSocket(one, kInet, kStream, 0));
  BOOST_TEST(!Allows(one, "bind"));
}

// A listener can be shut down and connected anew by whoever may call connect, or passed on to it.
BOOST_AUTO_TEST_CASE(TcpListenersAreGuardedWhereLandlockDecidesNoTcp) {
  const auto with = [](uint32_t abi, uint32_t guard) -> testing::Change {
    return [=](LoadedPolicy& loaded) {
      loaded.target.target.features.Set(Feature::kLandlock, abi);
      loaded.target.target.features.Set(Feature::kLandlockAudit, 0);
      loaded.target.target.features.Set(Feature::kConnectGuard, guard);
    };
  };
  const std::string alone = Granted("    network: {tcp: {listen: [{port: 8443, name: web}]}}\n");
  const std::string linked = Granted(
      "    network: {tcp: {listen: [{port: 8443, name: web}]}, "
      "unix: {connect: [/run/e/s.sock]}}\n",
      kServer);
  const std::string notifies =
      Granted("    network: {tcp: {listen: [{port: 8443, name: web}]}}\n    ready: notify\n");
  for (const std::string& text : {alone, linked, notifies}) {
    BOOST_TEST(!MustCompile(text, with(4, 1)).Component("one").listeners[0].guarded);
    BOOST_TEST(MustCompile(text, with(3, 1)).Component("one").listeners[0].guarded);
  }
  BOOST_TEST(!MustCompile(alone, with(3, 0)).Component("one").listeners[0].guarded);
  for (const std::string& text : {linked, notifies}) {
    const Compiled refused = testing::CompileText(text, with(3, 0));
    BOOST_TEST(refused.Mistakes().find("E0549") != std::string::npos, refused.Mistakes());
    const std::string waiver =
        "waivers:\n  - {component: one, statement: network.tcp.listen, reason: test, "
        "until: 2099-01-01}\n";
    const Compiled waived = MustCompile(text + waiver, with(3, 0));
    BOOST_TEST(!waived.Component("one").listeners[0].guarded);
  }
}

// A component that listens itself can do so without a port, which takes one.
constexpr const char* kBindWaiver =
    "waivers:\n"
    "  - {component: one, statement: network.tcp.bind, reason: r, until: 2099-01-01}\n";

BOOST_AUTO_TEST_CASE(TcpPorts) {
  const Compiled compiled =
      MustCompile(Granted("    network: {tcp: {connect: [443, 80], bind: [80]}}\n"
                          "    syscalls: {allow: [sendto, sendmsg, sendmmsg]}\n",
                          kBindWaiver));
  const ProfileData& one = compiled.Component("one");
  BOOST_TEST((one.network == Network::kShared));
  BOOST_REQUIRE(one.landlock.ports.size() == 2U);
  BOOST_TEST(one.landlock.ports[0].port == 80);
  BOOST_TEST(one.landlock.ports[0].access == (landlock::kBindTcp | landlock::kConnectTcp));
  BOOST_TEST(one.landlock.ports[1].port == 443);
  BOOST_TEST(one.landlock.ports[1].access == landlock::kConnectTcp);
  for (const uint64_t domain : {kInet, kInet6}) {
    BOOST_TEST(MakesSocket(one, domain, kStream | kCloexec, 0));
    BOOST_TEST(MakesSocket(one, domain, kStream, kTcp));
    BOOST_TEST(!MakesSocket(one, domain, kStream, kMptcp));
    BOOST_TEST(!MakesSocket(one, domain, kDgram, 0));
    BOOST_TEST(!MakesSocket(one, domain, kRaw, 1));
  }
  BOOST_TEST(!MakesSocket(one, kUnix, kStream, 0));
  BOOST_TEST(!MakesSocket(one, kVsock, kStream, 0));
  // A fast open connects without connect(2), and Landlock does not see it.
  constexpr uint64_t kFastOpen = 0x20000000;
  BOOST_TEST(Allows(one, "sendto", {3, 0, 0, 0}));
  BOOST_TEST(!Allows(one, "sendto", {3, 0, 0, kFastOpen}));
  BOOST_TEST(!Allows(one, "sendto", {3, 0, 0, kFastOpen | kHigh}));
  BOOST_TEST(Allows(one, "sendmsg", {3, 0, 0x40}));
  BOOST_TEST(!Allows(one, "sendmsg", {3, 0, kFastOpen | 0x40}));
  BOOST_TEST(Allows(one, "sendmmsg", {3, 0, 1, 0}));
  BOOST_TEST(!Allows(one, "sendmmsg", {3, 0, 1, kFastOpen}));
  BOOST_TEST((compiled.Row("one", "components.one.network.tcp.connect")->recorder ==
              Recorder::kLandlockRecord));
}

// What the waiver leaves open is not claimed.
BOOST_AUTO_TEST_CASE(WaivedTcp) {
  const Compiled compiled = MustCompile(
      Granted("    network: {tcp: {connect: [443]}}\n",
              "waivers:\n"
              "  - {component: one, statement: network.tcp, reason: r, until: 2027-01-01}\n"
              "  - {component: one, statement: network.unix, reason: r, until: 2027-01-01}\n"),
      WithLevel(Feature::kLandlock, 3));
  const LedgerRow* row = compiled.Row("one", "components.one.network.tcp.connect");
  BOOST_TEST((row->status == Status::kWaived));
  BOOST_TEST((row->recorder == Recorder::kNone));
  for (const Control& control : row->controls) BOOST_TEST((control.layer == Layer::kSeccomp));
  BOOST_TEST((compiled.Row("one", "components.one.network")->status == Status::kWaived));
  BOOST_TEST(MakesSocket(compiled.Component("one"), kInet, kStream, 0));
  BOOST_TEST(!MakesSocket(compiled.Component("one"), kInet, kDgram, 0));
}

BOOST_AUTO_TEST_CASE(WhatListenLeavesOpenIsSaid) {
  const auto compiled = [](const std::string& network, const std::string& waiver) {
    return MustCompile(Granted("    network: " + network + "\n", waiver));
  };
  const std::string row = "components.one.ways-round.tcp-listen-autobind";
  const Compiled open = compiled("{tcp: {bind: [80]}}", kBindWaiver);
  BOOST_REQUIRE(open.Row("one", row) != nullptr);
  BOOST_TEST((open.Row("one", row)->status == Status::kWaived));
  // With a listener that is handed over, nothing else begins to listen.
  const Compiled closed = compiled("{tcp: {connect: [443], listen: [{port: 80, name: w}]}}", "");
  BOOST_TEST(closed.Row("one", row) == nullptr);
  BOOST_TEST(testing::ActionOf(closed.Component("one"), "listen") == kRetErrno);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
