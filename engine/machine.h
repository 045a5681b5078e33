// SPDX-License-Identifier: Apache-2.0
// bulkhead-init as PID 1 of a machine: sets it up (machine_setup.h), runs the supervisor as its
// only child, reaps orphans, and ends the machine when the supervisor has ended, however that was.
// It is a process of its own because a kernel panics when its PID 1 ends: here the worst end of the
// supervisor is a line on the console and a machine that is switched off.
//
// Takes nothing from its arguments or environment: as PID 1 these are the kernel's command line.
// Sources: reboot(2), signal(7), init/main.c.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sandbox/kernel.h"

namespace bulkhead {

enum class MachineEnd : uint8_t { kPowerOff, kReboot };

// How a machine of this platform ends. A Nitro enclave can't switch itself off: it would stand
// still for ever. Pure.
MachineEnd EndOn(std::string_view platform);

// Whether this process is the first of the machine, not of a container: PID 1 of the initial PID
// namespace. Then also takes from ctrl-alt-del its power to restart the machine at once: it becomes
// a SIGINT. reboot(2) knows that command in the initial namespace alone.
bool IsMachinesInit(Kernel& kernel);

// What the supervisor is given. It says how the machine ends as soon as it knows from the bundle;
// until then the end is a power-off.
struct MachineBoot {
  std::string bundle;
  std::optional<std::string> signature;  // as MachineReady has it
  int end_fd = -1;
};
void TellEnd(int end_fd, MachineEnd end);

// Does not return. `boot` is the supervisor, in its own process; what it returns is its exit code.
[[noreturn]] void RunMachine(Kernel& kernel, int (*boot)(const MachineBoot&));

// How the supervisor ended, for the console: "exit status 3", "signal 11". Pure.
std::string EndText(int status);

}  // namespace bulkhead
