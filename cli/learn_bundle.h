// SPDX-License-Identifier: Apache-2.0
// A bundle in which one component is observed: the same program, user, environment, listeners and
// edges, and in place of its rules the outer bounds of learning. Reads the machine's file system.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "profiles/bundle.h"

namespace bulkhead {

// `filter` allows what every component may call and asks about the rest. The outer bounds: the
// machine's files as its user may use them, but /proc, /sys and /dev are those of every component;
// nothing writable is executed; no capability; the machine's network, without sockets other than
// unix, TCP and UDP; the calls that no filter may allow are refused (engine/observed_call.h).
tl::expected<Bundle, std::string> ObservedBundle(const Bundle& bundle, std::string_view component,
                                                 const Filter& filter);

}  // namespace bulkhead
