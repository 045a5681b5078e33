// SPDX-License-Identifier: Apache-2.0
// Diagrams over six variables against truth tables of 64 bits.
#include "compiler/bdd.h"

#include <boost/test/unit_test.hpp>
#include <vector>

#include "tests/compiler/calls_support.h"

namespace bulkhead {
namespace {

constexpr uint32_t kVariables = 6;

struct Function {
  Bdd::Node node;
  uint64_t table;  // bit i: the value where variable v is bit v of i
};

uint64_t VariableTable(uint32_t variable) {
  uint64_t table = 0;
  for (uint32_t i = 0; i < 64; ++i) table |= uint64_t{i >> variable & 1} << i;
  return table;
}

std::vector<Function> Variables(Bdd& bdd) {
  std::vector<Function> functions{{Bdd::kNothing, 0}, {Bdd::kAll, UINT64_MAX}};
  for (uint32_t variable = 0; variable < kVariables; ++variable) {
    functions.push_back({bdd.Choose(variable, Bdd::kNothing, Bdd::kAll), VariableTable(variable)});
  }
  return functions;
}

void RequireMember(const Bdd& bdd, const Function& function) {
  uint32_t index = 0;
  for (const uint32_t variable : bdd.AnyMember(function.node)) index |= 1U << variable;
  BOOST_REQUIRE((function.table >> index & 1) == 1);
}

BOOST_AUTO_TEST_SUITE(Diagrams)

BOOST_AUTO_TEST_CASE(SameAsTruthTables) {
  testing::PlanMaker random(testing::Seed());
  Bdd bdd(1U << 20);
  std::vector<Function> functions = Variables(bdd);
  for (int i = 0; i < 1500; ++i) {
    const Function a = functions[random.Below(static_cast<uint32_t>(functions.size()))];
    const Function b = functions[random.Below(static_cast<uint32_t>(functions.size()))];
    functions.push_back({bdd.Not(a.node), ~a.table});
    functions.push_back({bdd.And(a.node, b.node), a.table & b.table});
    functions.push_back({bdd.Or(a.node, b.node), a.table | b.table});
  }
  BOOST_TEST(!bdd.Exhausted());
  for (const Function& a : functions) {
    if (a.table != 0) RequireMember(bdd, a);
    const Function& b = functions[random.Below(static_cast<uint32_t>(functions.size()))];
    BOOST_REQUIRE((a.node == b.node) == (a.table == b.table));
    BOOST_REQUIRE((a.node == Bdd::kNothing) == (a.table == 0));
    BOOST_REQUIRE((a.node == Bdd::kAll) == (a.table == UINT64_MAX));
  }
}

BOOST_AUTO_TEST_CASE(Exhaustion) {
  Bdd bdd(3);
  const auto join = [&bdd] {
    const Bdd::Node a = bdd.Choose(2, Bdd::kNothing, Bdd::kAll);
    const Bdd::Node b = bdd.Choose(1, Bdd::kNothing, Bdd::kAll);
    bdd.And(a, b);
    BOOST_TEST(!bdd.Exhausted());
    bdd.Or(a, b);
  };
  join();
  BOOST_TEST(bdd.Exhausted());
  bdd.Begin(3);  // after that nothing is kept
  join();
  BOOST_TEST(bdd.Exhausted());
}

// What is kept costs nothing the second time; what is not kept is made again.
BOOST_AUTO_TEST_CASE(ComputationsShareNodes) {
  Bdd bdd(3);
  const auto make = [&bdd](uint32_t from) {
    for (uint32_t variable = from; variable < from + 3; ++variable) {
      bdd.Choose(variable, Bdd::kNothing, Bdd::kAll);
    }
    return !bdd.Exhausted();
  };
  BOOST_TEST(make(0));
  BOOST_TEST(make(0));
  bdd.Begin(3);
  BOOST_TEST(make(0));
  BOOST_TEST(make(3));
  bdd.Begin(3);
  BOOST_TEST(make(6));
  BOOST_TEST(!make(0));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
