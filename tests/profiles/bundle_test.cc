// SPDX-License-Identifier: Apache-2.0
#include "profiles/bundle.h"

#include <boost/test/unit_test.hpp>

#include <random>

#include "tests/support/sample.h"

namespace bulkhead {
namespace {

std::vector<uint8_t> Encoded() {
  auto bundle = Bundle::Make(test::SampleBundle());
  BOOST_REQUIRE(bundle.has_value());
  return EncodeBundle(*bundle);
}

void Redigest(std::vector<uint8_t>& bytes) {
  const Digest digest = BundleDigest(bytes);
  std::copy(digest.begin(), digest.end(), bytes.end() - 48);
}

BOOST_AUTO_TEST_SUITE(BundleCodec)

BOOST_AUTO_TEST_CASE(DecodeAfterEncodeIsIdentity) {
  const auto bytes = Encoded();
  const auto decoded = DecodeBundle(bytes);
  BOOST_REQUIRE(decoded.has_value());
  BOOST_TEST((**decoded == test::SampleBundle()));
  BOOST_TEST((EncodeBundle(*decoded) == bytes));
}

BOOST_AUTO_TEST_CASE(EverySingleBitFlipIsRefused) {
  const auto bytes = Encoded();
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    auto flipped = bytes;
    flipped[bit / 8] ^= static_cast<uint8_t>(1U << (bit % 8));
    BOOST_REQUIRE_MESSAGE(!DecodeBundle(flipped).has_value(), "bit " << bit << " passed");
  }
}

BOOST_AUTO_TEST_CASE(EveryTruncationAndExtensionIsRefused) {
  const auto bytes = Encoded();
  for (size_t size = 0; size < bytes.size(); ++size) {
    BOOST_REQUIRE(!DecodeBundle(std::span(bytes).first(size)).has_value());
  }
  auto longer = bytes;
  longer.push_back(0);
  BOOST_TEST(!DecodeBundle(longer).has_value());
}

// An attacker who can make digests: whatever is accepted is what the encoder writes, and every
// component in it still has a filter that closes what no profile may open.
BOOST_AUTO_TEST_CASE(MutatedAndRedigestedBundlesAreNeverHalfAccepted) {
  constexpr uint32_t kSeed = 20240601;
  BOOST_TEST_MESSAGE("seed " << kSeed);
  std::mt19937 random(kSeed);
  const auto bytes = Encoded();
  size_t accepted = 0;
  for (int round = 0; round < 10000; ++round) {
    auto mutated = bytes;
    const size_t changes = 1 + random() % 3;
    for (size_t i = 0; i < changes; ++i) {
      const size_t at = 16 + random() % (mutated.size() - 16 - 48);
      switch (random() % 3) {
        case 0:
          mutated[at] = static_cast<uint8_t>(random());
          break;
        case 1:
          mutated[at] ^= static_cast<uint8_t>(1U << random() % 8);
          break;
        default:
          mutated[at] = static_cast<uint8_t>(mutated[at] + (random() % 2 ? 1 : 255));
      }
    }
    Redigest(mutated);
    const auto decoded = DecodeBundle(mutated);
    if (!decoded) continue;
    ++accepted;
    BOOST_REQUIRE((EncodeBundle(*decoded) == mutated));
    for (const Profile& profile : decoded->components()) {
      for (const uint32_t nr : ForbiddenCalls(profile->arch)) {
        const uint32_t action =
            Evaluate(profile->filter, {nr, AuditArch(profile->arch), 0, {}}).action;
        BOOST_REQUIRE(action != kRetAllow);
      }
    }
  }
  BOOST_TEST_MESSAGE(accepted << " of 10000 accepted");
  BOOST_TEST(accepted < 10000U);
}

BOOST_AUTO_TEST_SUITE_END()

// The first component, as one that could be right.
ProfileData& MakeInstanced(BundleData& d) {
  ProfileData& one = d.components[0];
  d.channels.clear();
  one.instances = {8, 1000};
  one.listeners = {{.name = "web",
                    .kind = ListenerKind::kTcp,
                    .path = {},
                    .address = "127.0.0.1",
                    .port = 80,
                    .rule = "r"}};
  one.edges.clear();
  one.landlock.ports.clear();
  one.lifecycle.ready = {ReadyKind::kStarted, {}, 0, 30000};
  one.lifecycle.restart = RestartWhen::kNever;
  one.lifecycle.critical = false;
  one.startup.clear();
  return one;
}

BOOST_AUTO_TEST_SUITE(BundleMake)

// A change of the sample and a part of the reason for which it is refused.
struct Bad {
  const char* reason;
  void (*change)(BundleData&);
};

BOOST_AUTO_TEST_CASE(TakesInstances) {
  BundleData data = test::SampleBundle();
  MakeInstanced(data);
  const auto made = Bundle::Make(data);
  BOOST_TEST_REQUIRE(made.has_value(), (made ? "" : made.error()));
  const auto decoded = DecodeBundle(EncodeBundle(*made));
  BOOST_TEST_REQUIRE(decoded.has_value());
  BOOST_TEST((decoded->components()[0]->instances == Instances{8, 1000}));
}

// `two` starts with a connection to a listener of `one`.
Channel& MakeConnected(BundleData& data) {
  ProfileData& one = data.components[0];
  one.groups = {77};
  one.edges = {{"/run/edges/x", 77, false, "r"}};
  one.listeners = {{"s", ListenerKind::kUnixStream, "/run/edges/x/s", "", 0, false, false, "r"}};
  one.view.push_back({.path = "/run/edges/x", .kind = ViewKind::kEdge, .rule = "r"});
  std::ranges::sort(one.view, {}, &ViewEntry::path);
  data.channels = {
      {"link", "two", "one", ChannelKind::kConnected, 0, "channels.link", "/run/edges/x/s"}};
  return data.channels[0];
}

BOOST_AUTO_TEST_CASE(TakesConnections) {
  BundleData data = test::SampleBundle();
  MakeConnected(data).as_server = true;
  const auto made = Bundle::Make(data);
  BOOST_TEST_REQUIRE(made.has_value(), (made ? "" : made.error()));
  const auto decoded = DecodeBundle(EncodeBundle(*made));
  BOOST_TEST_REQUIRE(decoded.has_value());
  BOOST_TEST(((*decoded)->channels == data.channels));
}

BOOST_AUTO_TEST_CASE(RefusesWhatDoesNotHoldTogether) {
  const Bad kBad[] = {
      {"no components", [](BundleData& d) { d.components.clear(); }},
      {"not sorted", [](BundleData& d) { std::swap(d.components[0], d.components[1]); }},
      {"same uid", [](BundleData& d) { d.components[1].uid = d.components[0].uid; }},
      {"cycle", [](BundleData& d) { d.components[0].lifecycle.after = {"two"}; }},
      {"names no component", [](BundleData& d) { d.components[0].lifecycle.after = {"x"}; }},
      {"no two ends", [](BundleData& d) { d.channels[0].to = "one"; }},
      {"no such listener", [](BundleData& d) { MakeConnected(d).path = "/run/edges/x/other"; }},
      {"no such listener", [](BundleData& d) { MakeConnected(d).path = "run/edges/x/s"; }},
      {"no such listener", [](BundleData& d) { MakeConnected(d).path.clear(); }},
      {"no such listener",
       [](BundleData& d) {
         Channel& channel = MakeConnected(d);
         std::swap(channel.from, channel.to);
       }},
      {"connected to nothing", [](BundleData& d) { MakeConnected(d).kind = ChannelKind::kStream; }},
      {"connected to nothing", [](BundleData& d) { d.channels[0].as_server = true; }},
      {"output: no sink", [](BundleData& d) { d.output = {}; }},
      {"output: sinks are not sorted",
       [](BundleData& d) { std::swap(d.output.sinks[0], d.output.sinks[1]); }},
      {"output: sinks are not sorted",
       [](BundleData& d) {
         d.output.sinks.push_back({SinkKind::kStdout, ""});
       }},
      {"sink: address",
       [](BundleData& d) {
         d.output.sinks.push_back({SinkKind::kVsock, "3"});
       }},
      {"output: a path of two sinks", [](BundleData& d) { d.sinks.push_back(d.output.sinks[0]); }},
      {"output: an audit sink",
       [](BundleData& d) {
         d.sinks.push_back({SinkKind::kVsock, "3:9"});
         d.output.sinks.push_back({SinkKind::kVsock, "3:9"});
       }},
      {"output: a path of two sinks",
       [](BundleData& d) {
         d.sinks.push_back({SinkKind::kUnix, "/var/log/output"});
       }},
      {"output: a path of two sinks",
       [](BundleData& d) {
         d.sinks.push_back({SinkKind::kFile, "/var/log/output.old"});
       }},
      {"output: file size", [](BundleData& d) { --d.output.file_size; }},
      {"output: file size", [](BundleData& d) { d.output.file_size = kMaxOutputFile + 1; }},
      {"output: file size", [](BundleData& d) { d.output.sinks.erase(d.output.sinks.begin()); }},
      {"unknown kind", [](BundleData& d) { MakeConnected(d).kind = ChannelKind(5); }},
      {"startup: without a listener",
       [](BundleData& d) {
         d.components[0].startup = d.components[0].filter;
         d.components[0].notifies = false;
         for (Instruction& ins : d.components[0].filter) {
           if (ins.code == kReturn && ins.k == kRetUserNotif) ins.k = kRetErrno | 1;
         }
       }},
      {"startup: ready as soon as started",
       [](BundleData& d) {
         d.components[0].startup = d.components[0].filter;
         d.components[0].lifecycle.ready.kind = ReadyKind::kStarted;
       }},
      {"startup: filter: allows `bpf`",
       [](BundleData& d) {
         d.components[0].startup = test::AllowOnly({"read", "bpf"});
         d.components[0].lifecycle.ready = {ReadyKind::kNotify, {}, 0, 30000};
       }},
      {"startup: ",
       [](BundleData& d) {
         d.components[0].startup = {{kReturn, 0, 0, kRetAllow}};
         d.components[0].lifecycle.ready = {ReadyKind::kNotify, {}, 0, 30000};
       }},
      {"watchdog: ready",
       [](BundleData& d) {
         d.components[0].lifecycle.ready = {ReadyKind::kStarted, {}, 0, 30000};
         d.components[0].startup.clear();
         d.components[0].lifecycle.watchdog_ms = 1000;
       }},
      {"instances: a lifetime of none",
       [](BundleData& d) { d.components[0].instances.lifetime_ms = 1; }},
      {"instances: limits",
       [](BundleData& d) {
         MakeInstanced(d).instances = {65, 1000};
       }},
      {"instances: limits",
       [](BundleData& d) {
         MakeInstanced(d).instances = {1, 0};
       }},
      {"instances: without a listener", [](BundleData& d) { MakeInstanced(d).listeners.clear(); }},
      {"instances: ready",
       [](BundleData& d) { MakeInstanced(d).lifecycle.ready.kind = ReadyKind::kNotify; }},
      {"instances: restarted",
       [](BundleData& d) { MakeInstanced(d).lifecycle.restart = RestartWhen::kAlways; }},
      {"instances: critical", [](BundleData& d) { MakeInstanced(d).lifecycle.critical = true; }},
      {"instances: a socket of its own making",
       [](BundleData& d) {
         ProfileData& one = MakeInstanced(d);
         one.groups = {77};
         one.edges = {{"/run/edges/x", 77, true, "r"}};
       }},
      {"an end for many",
       [](BundleData& d) {
         const auto channels = d.channels;
         MakeInstanced(d);
         d.channels = channels;
       }},
      {"the filter is empty", [](BundleData& d) { d.components[0].filter.clear(); }},
      {"foreign architecture",
       [](BundleData& d) {
         d.components[0].filter = {{kReturn, 0, 0, kRetAllow}};
       }},
      {"allows `bpf`",
       [](BundleData& d) {
         d.components[0].filter = test::AllowOnly({"read", "bpf"});
       }},
      {"x32 calls",
       [](BundleData& d) {
         d.components[0].filter.erase(d.components[0].filter.begin() + 4,
                                      d.components[0].filter.begin() + 6);
         d.components[0].filter.back().k = kRetAllow;
       }},
      {"without a listener", [](BundleData& d) { d.components[0].notifies = false; }},
      {"a tracer beside a listener",
       [](BundleData& d) { d.components[0].filter.back().k = kRetTrace; }},
      {"no absolute program", [](BundleData& d) { d.components[0].argv = {"true"}; }},
      {"view: not sorted",
       [](BundleData& d) { std::swap(d.components[0].view[0], d.components[0].view[1]); }},
      {"is the runtime's", [](BundleData& d) { d.components[0].view[0].path = "/proc/1"; }},
      {"bad path", [](BundleData& d) { d.components[0].view[0].path = "/a/../b"; }},
      {"access of", [](BundleData& d) { d.components[0].landlock.rules[0].access = 0; }},
      {"empty network namespace",
       [](BundleData& d) {
         d.components[0].landlock.ports = {{80, 1, "r"}};
       }},
      {"is the supervisor's",
       [](BundleData& d) {
         d.components[0].environment = {{"LISTEN_FDS", "3"}};
       }},
  };
  for (const Bad& bad : kBad) {
    BundleData data = test::SampleBundle();
    bad.change(data);
    const auto bundle = Bundle::Make(std::move(data));
    BOOST_TEST_CONTEXT(bad.reason) {
      BOOST_REQUIRE(!bundle.has_value());
      BOOST_TEST(bundle.error().find(bad.reason) != std::string::npos, bundle.error());
    }
  }
}

BOOST_AUTO_TEST_CASE(NormalPaths) {
  for (const char* good : {"/", "/a", "/a/b.c", "/..a", "/a b"}) BOOST_TEST(IsNormalPath(good));
  for (const char* bad : {"", "a", "/a/", "//a", "/a//b", "/.", "/a/..", "/a\nb", "/a\x7f"}) {
    BOOST_TEST(!IsNormalPath(bad), bad);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
