// SPDX-License-Identifier: Apache-2.0
#define BOOST_TEST_MODULE engine
#include <boost/test/unit_test.hpp>
// has kernel suites, has guest suites
// has slow suites
