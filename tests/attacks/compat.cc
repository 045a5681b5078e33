// SPDX-License-Identifier: Apache-2.0
#include "tests/attacks/compat.h"

#include <elf.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tests/attacks/attacks.h"

namespace bulkhead::attacks {

#if defined(__aarch64__)
namespace {

constexpr std::array<uint32_t, 15> kProgram = {
    0xe59d3008,         // ldr r3, [sp, #8]: argv[1]
    0xe5d30000,         // ldrb r0, [r3]
    0xe2400030,         // sub r0, r0, #'0'
    0xe3a01001,         // mov r1, #SOCK_STREAM
    0xe3a02000,         // mov r2, #0
    0xe5d34001,         // ldrb r4, [r3, #1]
    0xe3007119,         // movw r7, #281: socket
    0xe3540000,         // cmp r4, #0
    0x13a07066,         // movne r7, #102: socketcall
    0xef000000,         // svc #0
    0xe3500000,         // cmp r0, #0
    0xa3a00000 | kRan,  // movge r0, #kRan
    0xb2600000,         // rsblt r0, r0, #0
    0xe3a07001,         // mov r7, #1: exit
    0xef000000,         // svc #0
};
constexpr uint32_t kAddress = 0x10000;

struct File {
  Elf32_Ehdr header;
  Elf32_Phdr segment;
  std::array<uint32_t, kProgram.size()> program;
};

}  // namespace

std::string CompatProgram() {
  File file{};
  memcpy(file.header.e_ident, ELFMAG, SELFMAG);
  file.header.e_ident[EI_CLASS] = ELFCLASS32;
  file.header.e_ident[EI_DATA] = ELFDATA2LSB;
  file.header.e_ident[EI_VERSION] = EV_CURRENT;
  file.header.e_type = ET_EXEC;
  file.header.e_machine = EM_ARM;
  file.header.e_version = EV_CURRENT;
  file.header.e_entry = kAddress + offsetof(File, program);
  file.header.e_phoff = offsetof(File, segment);
  file.header.e_flags = EF_ARM_EABI_VER5 | EF_ARM_ABI_FLOAT_SOFT;
  file.header.e_ehsize = sizeof file.header;
  file.header.e_phentsize = sizeof file.segment;
  file.header.e_phnum = 1;
  file.segment = {PT_LOAD, 0, kAddress, kAddress, sizeof file, sizeof file, PF_R | PF_X, kAddress};
  file.program = kProgram;
  return {reinterpret_cast<const char*>(&file), sizeof file};
}
#else
std::string CompatProgram() { return ""; }
#endif

}  // namespace bulkhead::attacks
