// SPDX-License-Identifier: Apache-2.0
#include "profiles/syscalls.h"

#include <asm/unistd.h>
#include <seccomp.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <string>

namespace bulkhead {
namespace {

constexpr Arch kArches[] = {Arch::kX86_64, Arch::kAarch64};

uint32_t LibseccompArch(Arch arch) {
  return arch == Arch::kX86_64 ? SCMP_ARCH_X86_64 : SCMP_ARCH_AARCH64;
}

std::string ArgsAsText(Arch arch, std::string_view name) {
  constexpr std::string_view kTypes[] = {"i32", "u32", "i64", "u64", "u16", "ptr"};
  std::string text;
  for (const ArgInfo& arg : SyscallArgs(arch, name)) {
    text += text.empty() ? "" : " ";
    text += std::string(arg.name) + ":" + std::string(kTypes[static_cast<size_t>(arg.type)]);
  }
  return text;
}

BOOST_AUTO_TEST_SUITE(Syscalls)

BOOST_AUTO_TEST_CASE(NumbersAgreeWithLibseccompBothWays) {
  for (const Arch arch : kArches) {
    const uint32_t token = LibseccompArch(arch);
    unsigned by_name = 0;
    for (const SyscallRow& row : AllSyscalls()) {
      const int theirs = seccomp_syscall_resolve_name_arch(token, std::string(row.name).c_str());
      if (theirs >= 0) {  // negative: a pseudo number, or unknown to this version
        BOOST_TEST_CONTEXT(row.name << " on " << ArchName(arch)) {
          BOOST_TEST(row.Number(arch).has_value());
          BOOST_TEST(row.Number(arch).value_or(~0U) == static_cast<uint32_t>(theirs));
        }
        ++by_name;
      }
    }
    BOOST_TEST(by_name > (arch == Arch::kX86_64 ? 350U : 290U));
    for (int number = 0; number < 600; ++number) {
      char* theirs = seccomp_syscall_resolve_num_arch(token, number);
      if (theirs != nullptr) {
        BOOST_TEST(SyscallName(arch, static_cast<uint32_t>(number)) == std::string_view(theirs));
      }
      std::free(theirs);
    }
  }
}

// The text of a defined __NR_ macro is its number, of an undefined one its own name.
#define BULKHEAD_TEXT(macro) #macro
#define BULKHEAD_EXPANDED_TEXT(macro) BULKHEAD_TEXT(macro)

BOOST_AUTO_TEST_CASE(NumbersAgreeWithTheKernelsHeader) {
  struct HeaderNumber {
    std::string_view name;
    std::string text;
  };
  const HeaderNumber rows[] = {
#define BULKHEAD_SYSCALL(name, x86_64, aarch64, args) {#name, BULKHEAD_EXPANDED_TEXT(__NR_##name)},
#define BULKHEAD_SYSCALL_PER_ARCH(name, x86_64, aarch64, x86_64_args, aarch64_args) \
  {#name, BULKHEAD_EXPANDED_TEXT(__NR_##name)},
#include "profiles/syscall_table.inc"
#undef BULKHEAD_SYSCALL
#undef BULKHEAD_SYSCALL_PER_ARCH
  };
  unsigned in_header = 0;
  for (const HeaderNumber& row : rows) {
    if (row.text.find_first_not_of("0123456789") == std::string::npos) {
      BOOST_TEST_CONTEXT(row.name) {
        BOOST_TEST(SyscallNumber(NativeArch(), row.name).value_or(~0U) == std::stoul(row.text));
      }
      ++in_header;
    }
  }
  BOOST_TEST(in_header > 290U);
}

BOOST_AUTO_TEST_CASE(NameToNumberToName) {
  for (const Arch arch : kArches) {
    for (const SyscallRow& row : AllSyscalls()) {
      BOOST_TEST(IsSyscallName(row.name));
      BOOST_TEST((SyscallNumber(arch, row.name) == row.Number(arch)));
      if (const auto number = row.Number(arch)) {
        BOOST_TEST(SyscallName(arch, *number) == row.name);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(NewestCalls) {
  BOOST_TEST(SyscallNumber(Arch::kX86_64, "uprobe").value() == 336U);
  for (const Arch arch : kArches) {
    BOOST_TEST(SyscallNumber(arch, "open_tree_attr").value() == 467U);
    BOOST_TEST(SyscallNumber(arch, "file_getattr").value() == 468U);
    BOOST_TEST(SyscallNumber(arch, "file_setattr").value() == 469U);
    BOOST_TEST(SyscallNumber(arch, "listns").value() == 470U);
    BOOST_TEST(SyscallNumber(arch, "rseq_slice_yield").value() == 471U);
    BOOST_TEST(SyscallName(arch, 472).empty());
  }
}

// No number between 0 and the newest is missing, but for the ranges the kernel left free.
BOOST_AUTO_TEST_CASE(NumbersHaveNoUnexpectedGaps) {
  for (uint32_t number = 0; number <= 471; ++number) {
    BOOST_TEST_CONTEXT("number " << number) {
      const bool free_on_x86_64 = number >= 337 && number <= 423;
      BOOST_TEST(SyscallName(Arch::kX86_64, number).empty() == free_on_x86_64);
      const bool free_on_aarch64 =
          (number >= 244 && number <= 259) || (number >= 295 && number <= 423);
      BOOST_TEST(SyscallName(Arch::kAarch64, number).empty() == free_on_aarch64);
    }
  }
}

BOOST_AUTO_TEST_CASE(CallsOfOneArchitectureOnly) {
  BOOST_TEST(SyscallNumber(Arch::kX86_64, "open").value() == 2U);
  BOOST_TEST(!SyscallNumber(Arch::kAarch64, "open").has_value());
  BOOST_TEST(IsSyscallName("open"));
  BOOST_TEST(SyscallArgs(Arch::kAarch64, "open").empty());
  BOOST_TEST(!SyscallArgs(Arch::kX86_64, "open").empty());
}

BOOST_AUTO_TEST_CASE(UnknownNamesAndNumbers) {
  for (const std::string_view name : {"", "opena", "ope", "READ", "read ", "zzz", "sys_read"}) {
    BOOST_TEST(!IsSyscallName(name));
    BOOST_TEST(!SyscallNumber(Arch::kX86_64, name).has_value());
    BOOST_TEST(SyscallArgs(Arch::kX86_64, name).empty());
  }
  for (const uint32_t number : {337U, 423U, 512U, 547U, 0x40000000U, 0xffffffffU}) {
    BOOST_TEST(SyscallName(Arch::kX86_64, number).empty());
    BOOST_TEST(SyscallName(Arch::kAarch64, number).empty());
  }
}

BOOST_AUTO_TEST_CASE(ArgumentNamesAndTypes) {
  for (const Arch arch : kArches) {
    BOOST_TEST(ArgsAsText(arch, "ioctl") == "fd:u32 request:u32 arg:u64");
    BOOST_TEST(ArgsAsText(arch, "socket") == "domain:i32 type:i32 protocol:i32");
    BOOST_TEST(ArgsAsText(arch, "fcntl") == "fd:u32 cmd:u32 arg:u64");
    BOOST_TEST(ArgsAsText(arch, "prctl") == "option:i32 arg2:u64 arg3:u64 arg4:u64 arg5:u64");
    BOOST_TEST(ArgsAsText(arch, "openat") == "dirfd:i32 pathname:ptr flags:i32 mode:u16");
    BOOST_TEST(ArgsAsText(arch, "mmap") ==
               "addr:u64 length:u64 prot:u64 flags:u64 fd:u32 offset:u64");
    BOOST_TEST(ArgsAsText(arch, "lseek") == "fd:u32 offset:i64 whence:u32");
    BOOST_TEST(ArgsAsText(arch, "getpid").empty());
  }
}

BOOST_AUTO_TEST_CASE(CloneHasTheOrderOfItsArchitecture) {
  BOOST_TEST(ArgsAsText(Arch::kX86_64, "clone") ==
             "flags:u32 stack:u64 parent_tid:ptr child_tid:ptr tls:u64");
  BOOST_TEST(ArgsAsText(Arch::kAarch64, "clone") ==
             "flags:u32 stack:u64 parent_tid:ptr tls:u64 child_tid:ptr");
  BOOST_TEST(SyscallArgs(Arch::kX86_64, "clone").Find("tls").value() == 4U);
  BOOST_TEST(SyscallArgs(Arch::kAarch64, "clone").Find("tls").value() == 3U);
  BOOST_TEST(!SyscallArgs(Arch::kAarch64, "clone").Find("mode").has_value());
}

BOOST_AUTO_TEST_CASE(WidthsAndSigns) {
  BOOST_TEST(ArgBits(ArgType::kU16) == 16U);
  BOOST_TEST(ArgBits(ArgType::kI32) == 32U);
  BOOST_TEST(ArgBits(ArgType::kU32) == 32U);
  BOOST_TEST(ArgBits(ArgType::kI64) == 64U);
  BOOST_TEST(ArgBits(ArgType::kU64) == 64U);
  BOOST_TEST(ArgBits(ArgType::kPointer) == 64U);
  BOOST_TEST(ArgIsSigned(ArgType::kI32));
  BOOST_TEST(ArgIsSigned(ArgType::kI64));
  for (const ArgType type : {ArgType::kU16, ArgType::kU32, ArgType::kU64, ArgType::kPointer}) {
    BOOST_TEST(!ArgIsSigned(type));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
