// SPDX-License-Identifier: Apache-2.0
#include "engine/control_protocol.h"

#include <boost/test/unit_test.hpp>

#include <string>

namespace bulkhead {
namespace {

BOOST_AUTO_TEST_SUITE(ControlProtocol)

BOOST_AUTO_TEST_CASE(Requests) {
  const ControlRequest requests[] = {{ControlVerb::kStatus, "", 0, false},
                                     {ControlVerb::kStop, "", 0, false},
                                     {ControlVerb::kStop, "agent", 0, false},
                                     {ControlVerb::kRestart, "store-2", 0, false},
                                     {ControlVerb::kMeasure, {}, 0, false},
                                     {ControlVerb::kLogs, "", 100, false},
                                     {ControlVerb::kLogs, "a", kMaxControlLines, true}};
  for (const ControlRequest& request : requests) {
    const std::string text = ControlRequestText(request);
    BOOST_TEST(text.size() < kMaxControlRequest);
    const auto parsed = ParseControlRequest(text);
    BOOST_TEST_REQUIRE(parsed.has_value(), text);
    BOOST_TEST((*parsed == request), text);
  }
}

BOOST_AUTO_TEST_CASE(NoRequests) {
  for (const char* line : {"",
                           " ",
                           "bulkhead",
                           "bulkhead 1",
                           "bulkhead 1 ",
                           "bulkhead 2 status",
                           "Bulkhead 1 status",
                           "bulkhead 1 status ",
                           "bulkhead 1  status",
                           "bulkhead 1 status x",
                           "bulkhead 1 halt",
                           "bulkhead 1 stop",
                           "bulkhead 1 stop ",
                           "bulkhead 1 stop a b",
                           "bulkhead 1 stop A",
                           "bulkhead 1 stop ../x",
                           "bulkhead 1 stop 1a",
                           "bulkhead 1 restart -",
                           "bulkhead 1 restart",
                           "bulkhead 1 stop abcdefghijklmnopqrstuvwxyzabcdefg",
                           "bulkhead 1 logs - once",
                           "bulkhead 1 logs - -1 once",
                           "bulkhead 1 logs - 1x once",
                           "bulkhead 1 logs - 10001 once",
                           "bulkhead 1 logs - 99999999999 once",
                           "bulkhead 1 logs - 1 twice",
                           "bulkhead 1 logs -  once"}) {
    BOOST_TEST(!ParseControlRequest(line).has_value(), line);
  }
}

BOOST_AUTO_TEST_CASE(Lines) {
  BOOST_TEST(ControlOk() == "{\"bulkhead\":1,\"ok\":true}\n");
  BOOST_TEST(ControlError("a \"b\"\n\\") ==
             "{\"bulkhead\":1,\"ok\":false,\"error\":\"a \\\"b\\\"\\\\x0a\\\\\\\\\"}\n");
  BOOST_TEST(ControlLine().Text("a", "x").Number("b", 7).Null("c").Finish() ==
             "{\"a\":\"x\",\"b\":7,\"c\":null}\n");
  BOOST_TEST(ControlLine().Escaped("a", "\\x1b").Finish() == "{\"a\":\"\\\\x1b\"}\n");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
