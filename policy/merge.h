// SPDX-License-Identifier: Apache-2.0
// A component with its profiles: lists join, maps merge by key, two profiles that disagree on a
// value are an error unless the component sets it, `except` takes things of profiles out. Driven
// by the schema; knows no key by name but `profile` and `except`. Every value keeps its own place.
#pragma once

#include "policy/diagnostics.h"
#include "policy/library.h"
#include "policy/node.h"

namespace bulkhead {

// `component` has passed the schema. In the result Node::layer tells what came from where.
Node MergeComponent(const Entry& component, const Library& library, Diagnostics& diagnostics);

}  // namespace bulkhead
