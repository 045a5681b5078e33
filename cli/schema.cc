// SPDX-License-Identifier: Apache-2.0
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "policy/schema_docs.h"

namespace bulkhead {

int PrintSchema(const Invocation& /*invocation*/) {
  return PrintOut(RenderJsonSchema()) ? kExitDone : kExitCannot;
}

}  // namespace bulkhead
