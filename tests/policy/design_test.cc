// SPDX-License-Identifier: Apache-2.0
// The example that the language was designed with: all that is wrong with it is what this version
// does not enforce yet, by name; without that it loads and means what it says.
#include <boost/test/unit_test.hpp>
#include <set>
#include <string>
#include <vector>

#include "tests/policy/support.h"

namespace bulkhead::testing {
namespace {

Loaded LoadData(const char* name) {
  Loaded loaded;
  loaded.policy = LoadPolicyFile((TestFolder() / "data" / name).string(), {}, loaded.sources,
                                 loaded.diagnostics);
  return loaded;
}

std::vector<std::string> Values(const std::vector<Text>& texts) {
  std::vector<std::string> values;
  values.reserve(texts.size());
  for (const Text& text : texts) values.push_back(text.value);
  return values;
}

BOOST_AUTO_TEST_SUITE(Design)

BOOST_AUTO_TEST_CASE(ExampleLoads) {
  const Loaded loaded = LoadData("design-example.yaml");
  BOOST_TEST(loaded.policy.has_value(), loaded.Rendered());
}

BOOST_AUTO_TEST_CASE(WithoutThatItLoads) {
  const Loaded loaded = LoadData("design-enforced.yaml");
  BOOST_TEST_REQUIRE(loaded.policy.has_value(), loaded.Rendered());
  const Policy& policy = loaded.policy->policy;
  BOOST_TEST(policy.enclave == "agent");
  BOOST_TEST(policy.target.value == "tdx-ubuntu-25.10");
  BOOST_TEST(policy.components.size() == 3U);
  BOOST_TEST_REQUIRE(policy.sinks.size() == 2U);
  BOOST_TEST(policy.sinks[0].path == "/var/log/bulkhead/audit.jsonl");
  BOOST_TEST((policy.sinks[1].kind == SinkKind::kVsock));
  BOOST_TEST(policy.sinks[1].path == "3:9001");
  BOOST_TEST_REQUIRE(policy.sources.size() == 1U);
  BOOST_TEST(policy.sources[0].name == "profiles/house.yaml");
  BOOST_TEST(policy.waivers.size() == 1U);
  BOOST_TEST_REQUIRE(policy.assets.size() == 1U);
  BOOST_TEST(policy.assets[0].files[0].at.id == "assets.signing-key.files:/var/lib/signer");
}

BOOST_AUTO_TEST_CASE(SignerMeansWhatItSays) {
  const Loaded loaded = LoadData("design-enforced.yaml");
  BOOST_TEST_REQUIRE(loaded.policy.has_value());
  const ComponentPolicy& signer = Component(loaded, "signer");
  BOOST_TEST(Values(signer.exec) ==
                 (std::vector<std::string>{"/usr/bin/gpg-agent", "--supervised",
                                           "--enable-ssh-support", "--disable-scdaemon"}),
             boost::test_tools::per_element());
  BOOST_TEST(!signer.user.has_value());
  BOOST_TEST(signer.umask == 077U);
  BOOST_TEST(signer.limits.memory == 64U << 20);
  BOOST_TEST(signer.limits.processes == 8U);
  BOOST_TEST(signer.limits.cpu_percent == 50U);
  BOOST_TEST(signer.lifecycle.stop_signal == 15U);
  BOOST_TEST(signer.lifecycle.stop_within_ms == 5000U);
  BOOST_TEST(signer.lifecycle.restart_at_most == 5U);
  BOOST_TEST(signer.lifecycle.critical);
  BOOST_TEST_REQUIRE(signer.network.unix_listen.size() == 1U);
  BOOST_TEST(signer.network.unix_listen[0].name == "ssh");
  BOOST_TEST(signer.network.unix_listen[0].at.id ==
             "components.signer.network.unix.listen:/run/edges/sign/ssh.sock");
  const ComponentPolicy& agent = Component(loaded, "agent");
  BOOST_TEST_REQUIRE(agent.network.tcp_connect_to.size() == 1U);
  BOOST_TEST(agent.network.tcp_connect_to[0].port == 6379U);
  BOOST_TEST(agent.network.tcp_connect_to[0].at.id ==
             "components.agent.network.tcp.connect:127.0.0.1:6379");
  BOOST_TEST((agent.lifecycle.ready.kind == ReadyKind::kNotify));
  BOOST_TEST(agent.lifecycle.ready.within_ms == 10000U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead::testing
