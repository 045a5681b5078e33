// SPDX-License-Identifier: Apache-2.0
#include "tests/compiler/kernel_calls.h"

#include <sys/syscall.h>

#include <stdexcept>

#include "profiles/arch.h"
#include "sandbox/kernel.h"

namespace bulkhead::testing {
namespace {

constexpr uint32_t kAuditArchI386 = 0x40000003;  // linux/audit.h

#ifdef __x86_64__

long ByInterrupt(const KernelCall& call) {
  uint64_t result = call.number;
  // rbp, the sixth, can't be an operand: it is exchanged with r12, which the kernel keeps.
  register uint64_t sixth asm("r12") = call.args[5];
  asm volatile("xchg %%rbp, %[sixth]\n\tint $0x80\n\txchg %%rbp, %[sixth]"
               : "+a"(result), [sixth] "+r"(sixth)
               : "b"(call.args[0]), "c"(call.args[1]), "d"(call.args[2]), "S"(call.args[3]),
                 "D"(call.args[4])
               : "memory", "cc", "r8", "r9", "r10", "r11");
  return static_cast<int32_t>(result);
}

// vfork: the child runs on its parent's stack, so it must not return from anywhere.
long VforkAndExit(const KernelCall& call) {
  uint64_t result = call.number;
  register uint64_t fourth asm("r10") = call.args[3];
  register uint64_t fifth asm("r8") = call.args[4];
  register uint64_t sixth asm("r9") = call.args[5];
  uint64_t first = call.args[0];  // the child's copy becomes its exit code
  asm volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "mov %[exit], %%eax\n\t"
      "xor %%edi, %%edi\n\t"
      "syscall\n"
      "1:"
      : "+a"(result), "+D"(first)
      : [exit] "i"(SYS_exit_group), "S"(call.args[1]), "d"(call.args[2]), "r"(fourth), "r"(fifth),
        "r"(sixth)
      : "memory", "cc", "rcx", "r11");
  return static_cast<long>(result);
}

bool Vforks(uint32_t nr) { return nr == SYS_vfork; }
bool Forks(uint32_t nr) { return nr == SYS_clone || nr == SYS_fork; }

#else

long ByInterrupt(const KernelCall& /*call*/) { __builtin_trap(); }
long VforkAndExit(const KernelCall& /*call*/) { __builtin_trap(); }
bool Vforks(uint32_t /*nr*/) { return false; }
bool Forks(uint32_t nr) { return nr == SYS_clone; }

#endif

}  // namespace

SeccompData AsSeen(const KernelCall& call) {
  SeccompData data{static_cast<uint32_t>(call.number), AuditArch(NativeArch()), 0, call.args};
  if (call.way == Way::kNative) return data;
  data.arch = kAuditArchI386;
  for (uint64_t& arg : data.args) arg &= UINT32_MAX;
  return data;
}

KernelCall AsMade(const SeccompData& data) {
  if (data.arch != AuditArch(NativeArch())) throw std::invalid_argument("a foreign call");
  return {data.nr, data.args, Way::kNative};
}

long MakeCall(const KernelCall& call) {
  if (call.way == Way::kIa32) return ByInterrupt(call);
  const auto nr = static_cast<uint32_t>(call.number);
  if (Vforks(nr)) return VforkAndExit(call);
  RealKernel kernel;
  const auto& args = call.args;
  const long result =
      kernel(static_cast<long>(call.number), args[0], args[1], args[2], args[3], args[4], args[5]);
  if (result == 0 && Forks(nr)) kernel(SYS_exit_group, 0);
  return result;
}

}  // namespace bulkhead::testing
