// SPDX-License-Identifier: Apache-2.0
// Alone in its file, so that a test program can have another door of this name.
#include "engine/device_door.h"

namespace bulkhead {

std::unique_ptr<DeviceDoor> SystemDoor() { return MakeRealDoor(); }

}  // namespace bulkhead
