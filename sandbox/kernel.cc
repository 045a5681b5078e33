// SPDX-License-Identifier: Apache-2.0
#include "sandbox/kernel.h"

namespace bulkhead {

// By hand: syscall(3) writes errno, and the child of RawSpawn has its parent's. Which registers the
// kernel keeps: syscall(2), "Architecture calling conventions".
#if defined(__x86_64__)

long RawCall(long number, const long (&args)[6]) {
  register long r10 asm("r10") = args[3];
  register long r8 asm("r8") = args[4];
  register long r9 asm("r9") = args[5];
  long result = number;
  asm volatile("syscall"
               : "+a"(result)
               : "D"(args[0]), "S"(args[1]), "d"(args[2]), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}

long RawSpawn(long number, const long (&args)[6], const SpawnTarget& target) {
  register long r10 asm("r10") = args[3];
  register long r8 asm("r8") = args[4];
  register void* argument asm("r12") = target.argument;
  register void (*run)(void*) asm("r13") = target.run;
  long result = number;
  asm volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xor %%ebp, %%ebp\n\t"
      "mov %%r12, %%rdi\n\t"
      "call *%%r13\n\t"
      "hlt\n"
      "1:"
      : "+a"(result)
      : "D"(args[0]), "S"(args[1]), "d"(args[2]), "r"(r10), "r"(r8), "r"(argument), "r"(run)
      : "rcx", "r11", "memory");
  return result;
}

#elif defined(__aarch64__)

long RawCall(long number, const long (&args)[6]) {
  register long x8 asm("x8") = number;
  register long x0 asm("x0") = args[0];
  register long x1 asm("x1") = args[1];
  register long x2 asm("x2") = args[2];
  register long x3 asm("x3") = args[3];
  register long x4 asm("x4") = args[4];
  register long x5 asm("x5") = args[5];
  asm volatile("svc #0"
               : "+r"(x0)
               : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
               : "memory");
  return x0;
}

long RawSpawn(long number, const long (&args)[6], const SpawnTarget& target) {
  register long x8 asm("x8") = number;
  register long x0 asm("x0") = args[0];
  register long x1 asm("x1") = args[1];
  register long x2 asm("x2") = args[2];
  register long x3 asm("x3") = args[3];
  register long x4 asm("x4") = args[4];
  register void* argument asm("x20") = target.argument;
  register void (*run)(void*) asm("x21") = target.run;
  asm volatile(
      "svc #0\n\t"
      "cbnz x0, 1f\n\t"
      "mov x29, xzr\n\t"
      "mov x30, xzr\n\t"
      "mov x0, x20\n\t"
      "blr x21\n\t"
      "brk #0\n"
      "1:"
      : "+r"(x0)
      : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(argument), "r"(run)
      : "memory");
  return x0;
}

#else
#error "system calls are made by hand, for x86_64 and aarch64"
#endif

}  // namespace bulkhead
