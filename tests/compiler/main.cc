// SPDX-License-Identifier: Apache-2.0
#define BOOST_TEST_MODULE compiler
#include <boost/test/unit_test.hpp>
// has slow suites
// has kernel suites
