// SPDX-License-Identifier: Apache-2.0
#include "compiler/argument_text.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "compiler/argument_notation.h"
#include "compiler/calls_text.h"
#include "compiler/constants.h"
#include "compiler/question.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

constexpr Arch kArches[] = {Arch::kX86_64, Arch::kAarch64};

std::string Text(std::optional<Arch> arch, std::string_view call, const Registers& registers) {
  std::string text;
  for (const auto& [name, value] : ArgumentTexts(arch, call, registers)) {
    text.append(text.empty() ? "" : " ").append(name).append("=").append(value);
  }
  return text;
}

uint64_t WidthOf(const ArgInfo& info) {
  const unsigned bits = ArgBits(info.type);
  return bits == 64 ? UINT64_MAX : (uint64_t{1} << bits) - 1;
}

BOOST_AUTO_TEST_SUITE(ArgumentNames)

BOOST_AUTO_TEST_CASE(ArgumentsAreNamedAsTheKernelReadsThem) {
  struct Case {
    std::string_view call;
    Registers registers;
    std::string_view text;
  };
  const Case cases[] = {
      {"socket", {40, 02000001, 0}, "domain=AF_VSOCK type=SOCK_STREAM|SOCK_CLOEXEC protocol=0"},
      {"socket", {2, 1, 6}, "domain=AF_INET type=SOCK_STREAM protocol=IPPROTO_TCP"},
      {"socket", {16, 3, 9}, "domain=AF_NETLINK type=SOCK_RAW protocol=NETLINK_AUDIT"},
      // What no table knows, and what is above the argument's width.
      {"socket", {99, 0x8005, 6}, "domain=99 type=SOCK_SEQPACKET|0x8000 protocol=6"},
      {"socket", {0xffffffff00000028, 1, 0}, "domain=AF_VSOCK type=SOCK_STREAM protocol=0"},
      {"ioctl", {1, 0x5401, 0x7ffc1000}, "fd=1 request=TCGETS arg=0x7ffc1000"},
      {"ioctl", {0, 0x541b, 0}, "fd=0 request=FIONREAD arg=0"},
      {"ioctl", {0, 0xc0045877, 0}, "fd=0 request=FIFREEZE arg=0"},
      {"ioctl", {0, 0x1234, 0}, "fd=0 request=0x1234 arg=0"},
      {"openat", {0xffffff9c, 0x7ffc, 0, 0}, "dirfd=AT_FDCWD flags=O_RDONLY mode=0"},
      {"openat", {3, 0, 02000102, 0644}, "dirfd=3 flags=O_RDWR|O_CREAT|O_CLOEXEC mode=0o644"},
      {"openat", {3, 0, 020200001, 0}, "dirfd=3 flags=O_WRONLY|O_TMPFILE mode=0"},
      {"openat", {3, 0, 0200000, 0}, "dirfd=3 flags=O_RDONLY|O_DIRECTORY mode=0"},
      {"openat", {3, 0, 04010000, 0}, "dirfd=3 flags=O_RDONLY|O_SYNC mode=0"},
      {"clone",
       {0x3d0f11, 0, 0, 0, 5},
       "flags=SIGCHLD|CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD|CLONE_SYSVSEM|"
       "CLONE_SETTLS|CLONE_PARENT_SETTID|CLONE_CHILD_CLEARTID stack=0 tls=0x5"},
      {"unshare", {0x10020080}, "flags=CLONE_NEWNS|CLONE_NEWUSER|CLONE_NEWTIME"},
      {"mmap",
       {0, 4096, 5, 0x22, 0xffffffff, 0},
       "addr=0 length=0x1000 prot=PROT_READ|PROT_EXEC flags=MAP_PRIVATE|MAP_ANONYMOUS "
       "fd=-1 offset=0"},
      {"mprotect", {0x1000, 4096, 0}, "addr=0x1000 len=0x1000 prot=PROT_NONE"},
      {"prctl",
       {22, 2, 0x7ffc, 0, 0},
       "option=PR_SET_SECCOMP arg2=SECCOMP_MODE_FILTER arg3=0x7ffc arg4=0 arg5=0"},
      {"prctl", {1, 9, 0, 0, 0}, "option=PR_SET_PDEATHSIG arg2=SIGKILL arg3=0 arg4=0 arg5=0"},
      {"prctl",
       {47, 2, 0, 0, 0},
       "option=PR_CAP_AMBIENT arg2=PR_CAP_AMBIENT_RAISE arg3=0 arg4=0 arg5=0"},
      {"prctl", {0, 2, 0, 0, 0}, "option=0 arg2=0x2 arg3=0 arg4=0 arg5=0"},
      {"ptrace", {16, 7, 0, 0}, "request=PTRACE_ATTACH pid=7 addr=0 data=0"},
      {"setsockopt", {3, 6, 0x1f, 0, 4}, "sockfd=3 level=SOL_TCP optname=TCP_ULP optlen=4"},
      {"setsockopt",
       {3, 1, 0x1f, 0, 4},
       "sockfd=3 level=SOL_SOCKET optname=SO_PEERSEC "
       "optlen=4"},
      {"getrusage", {0xffffffff}, "who=RUSAGE_CHILDREN"},
      {"personality", {0xffffffff}, "persona=0xffffffff"},
      {"personality", {0x40000}, "persona=PER_LINUX|ADDR_NO_RANDOMIZE"},
      {"futex", {0, 0x80, 1, 0, 0, 0}, "futex_op=FUTEX_WAIT|FUTEX_PRIVATE_FLAG val=0x1 val3=0"},
      {"kill", {0xffffffff, 9}, "pid=-1 sig=SIGKILL"},
      {"mknodat", {0xffffff9c, 0, 020666, 0x501}, "dirfd=AT_FDCWD mode=S_IFCHR|0o666 dev=0x501"},
      {"fchmodat", {0xffffff9c, 0, 04755}, "dirfd=AT_FDCWD mode=0o4755"},
      {"access", {0, 0}, "mode=F_OK"},
      {"access", {0, 5}, "mode=X_OK|R_OK"},
      {"fcntl", {3, 4, 02000}, "fd=3 cmd=F_SETFL arg=O_RDONLY|O_APPEND"},
      {"fcntl", {3, 0, 2}, "fd=3 cmd=F_DUPFD arg=0x2"},
      {"unlinkat", {0xffffff9c, 0, 0x200}, "dirfd=AT_FDCWD flags=AT_REMOVEDIR"},
      {"faccessat2", {0xffffff9c, 0, 4, 0x200}, "dirfd=AT_FDCWD mode=R_OK flags=AT_EACCESS"},
      {"getppid", {1, 2, 3}, ""},
      {"no_such_call", {1, 2, 3}, ""},
  };
  for (const Case& one : cases) {
    BOOST_TEST(Text(Arch::kX86_64, one.call, one.registers) == one.text);
  }
}

BOOST_AUTO_TEST_CASE(WithoutAnArchitectureOnlyWhatIsTheSameOnAllIsNamed) {
  // O_DIRECTORY on x86_64 is O_DIRECT on aarch64.
  const Registers directory = {0xffffff9c, 0, 02200000, 0};
  BOOST_TEST(Text(Arch::kX86_64, "openat", directory) ==
             "dirfd=AT_FDCWD flags=O_RDONLY|O_DIRECTORY|O_CLOEXEC mode=0");
  BOOST_TEST(Text(Arch::kAarch64, "openat", directory) ==
             "dirfd=AT_FDCWD flags=O_RDONLY|O_DIRECT|O_CLOEXEC mode=0");
  BOOST_TEST(Text({}, "openat", directory) ==
             "dirfd=AT_FDCWD flags=O_RDONLY|O_CLOEXEC|0x10000 mode=0");
  // `open` is on x86_64 alone, which says what its flags are.
  BOOST_TEST(Text({}, "open", {0, 0200000, 0}) == "flags=O_RDONLY|O_DIRECTORY mode=0");
  // `tls` is in another register on each.
  BOOST_TEST(Text({}, "clone", {17, 1, 2, 3, 4}) == "flags=SIGCHLD stack=0x1");
  BOOST_TEST(Text(Arch::kAarch64, "clone", {17, 1, 2, 3, 4}) == "flags=SIGCHLD stack=0x1 tls=0x3");
}

BOOST_AUTO_TEST_CASE(UnknownRegistersAreNotSaid) {
  const auto texts = ArgumentTexts(Arch::kX86_64, "socket", {2, 1, 6}, KnownRegisters(0b101));
  BOOST_REQUIRE(texts.size() == 2U);
  BOOST_TEST(texts[0].second == "AF_INET");
  BOOST_TEST(texts[1].second == "IPPROTO_TCP");
}

// A row that misspells a call, an argument or a constant would silently name nothing.
BOOST_AUTO_TEST_CASE(EveryRowOfTheTableIsAboutSomething) {
  for (const Notation& row : Notations()) {
    BOOST_TEST_CONTEXT(row.calls << " " << row.argument) {
      size_t about = 0;
      for (const SyscallRow& call : AllSyscalls()) {
        const bool named =
            (" " + std::string(row.calls) + " ").find(" " + std::string(call.name) + " ") !=
            std::string::npos;
        if (!named && !row.calls.empty()) continue;
        size_t found = 0;
        for (const Arch arch : kArches) {
          const SyscallArgList infos = SyscallArgs(arch, call.name);
          if (infos.Find(row.argument) && (row.condition.empty() || infos.Find(row.condition))) {
            ++found;
          }
        }
        BOOST_TEST((found != 0 || !named), call.name);
        about += found;
      }
      BOOST_TEST(about != 0U);
      const size_t words =
          static_cast<size_t>(std::ranges::count(row.calls, ' ')) + (row.calls.empty() ? 0 : 1);
      BOOST_TEST(about >= words);
      BOOST_TEST((row.condition.empty() || IsKnownConstant(row.holds)));
      for (const auto* runs : {&row.values, &row.flags}) {
        for (const Constants& run : *runs) BOOST_TEST(!run.empty());
      }
      BOOST_TEST((!row.values.empty() || !row.flags.empty() || row.octal));
    }
  }
}

// A new constant that no row takes would be known to policies and to no reader of a record.
BOOST_AUTO_TEST_CASE(EveryConstantIsOneOfAnArgument) {
  std::set<std::string_view> named;
  for (const Notation& row : Notations()) {
    for (const auto* runs : {&row.values, &row.flags}) {
      for (const Constants& run : *runs) {
        for (const Constant& constant : run) named.insert(constant.name);
      }
    }
  }
  // Masks of fields, clone3's flag in memory, and a value of prctl's third argument, which can be
  // an address. PF_* are other names of AF_*, and modes are in octal.
  const std::set<std::string_view> others = {
      "CSIGNAL", "CLONE_INTO_CGROUP",   "MAP_TYPE", "O_ACCMODE", "AT_STATX_SYNC_TYPE",
      "S_IFMT",  "PR_SET_VMA_ANON_NAME"};
  for (const Constant& constant : AllConstants()) {
    const bool mode = constant.name.starts_with("S_I") && !constant.name.starts_with("S_IF");
    const bool other = mode || constant.name.starts_with("PF_") || others.contains(constant.name);
    BOOST_TEST(named.contains(constant.name) != other, constant.name);
  }
}

// Whatever is printed asks the same question, so it can be taken from a record to `why`.
BOOST_AUTO_TEST_CASE(TheTextIsAQuestionOfTheSameValue) {
  const unsigned seed = std::random_device{}();
  std::mt19937_64 random(seed);
  std::vector<uint64_t> values = {0, 1, 2, 3, UINT64_MAX, 0xffffffff, 0x7fffffff};
  for (const Constant& constant : AllConstants()) {
    for (const auto& value : {constant.x86_64, constant.aarch64}) {
      if (value) values.push_back(*value);
    }
  }
  BOOST_TEST_CONTEXT("seed " << seed) {
    std::set<std::string> named;
    for (const Arch arch : kArches) {
      for (const SyscallRow& call : AllSyscalls()) {
        const SyscallArgList infos = SyscallArgs(arch, call.name);
        for (int round = 0; !infos.empty() && round < 400; ++round) {
          Registers registers{};
          for (uint64_t& value : registers) {
            value = values[random() % values.size()];
            if (random() % 3 == 0) value |= values[random() % values.size()];
            if (random() % 8 == 0) value = random();
          }
          for (unsigned i = 0; i < infos.size(); ++i) {
            const std::string text = ArgumentText(arch, call.name, registers, i);
            const std::string word = std::string(infos[i].name) + "=" + text;
            const auto question = ParseQuestion(arch, "syscall", {std::string(call.name), word});
            BOOST_TEST_REQUIRE(question.has_value(), call.name << " " << word);
            const uint64_t width = WidthOf(infos[i]);
            BOOST_TEST_REQUIRE((question->args.at(i) & width) == (registers[i] & width),
                               call.name << " " << word);
            if (IsKnownConstant(text)) named.insert(text);
          }
        }
      }
    }
    BOOST_TEST(named.size() > 400U);
  }
}

// What a number stands for can hang on another argument; one of several constants, or another on
// some architecture, stays a number.
BOOST_AUTO_TEST_CASE(APolicyIsWrittenWithConstants) {
  const auto is = [](uint8_t arg, uint64_t value, bool negated = false) {
    return Conjunction{{.arg = arg, .negated = negated, .mask = UINT32_MAX, .value = value}};
  };
  const auto nr = [](const char* name) { return *SyscallNumber(Arch::kX86_64, name); };
  const std::vector<CallRule> rules{{nr("socket"), {is(0, 1), is(0, 2), is(0, 200)}, {}},
                                    {nr("ioctl"), {is(1, 0x5401)}, {}},
                                    {nr("madvise"), {is(2, 12, true)}, {}},
                                    {nr("open"), {is(1, 0x10000)}, {}},
                                    {nr("openat"), {is(2, 0x10000)}, {}},
                                    // Of which level, says the other argument; or nobody.
                                    {nr("setsockopt"),
                                     {{is(1, 1)[0], is(2, 2)[0]},
                                      {is(1, 6)[0], is(2, 1)[0]},
                                      {is(1, 0, true)[0], is(2, 2)[0]},
                                      is(2, 2)},
                                     {}}};
  BOOST_TEST(CallsText(rules, Arch::kX86_64, 0).yaml ==
             "allow:\n"
             "  - {ioctl: {request: [TCGETS]}}\n"
             "  - {madvise: {advice: {not: MADV_MERGEABLE}}}\n"
             "  - {openat: {flags: [65536]}}\n"
             "  - {setsockopt: {level: SOL_SOCKET, optname: SO_REUSEADDR}}\n"
             "  - {setsockopt: {level: SOL_TCP, optname: TCP_NODELAY}}\n"
             "  - {setsockopt: {level: {not: SOL_IP}, optname: 2}}\n"
             "  - {setsockopt: {optname: [2]}}\n"
             "  - {socket: {domain: [AF_UNIX, AF_INET, 200]}}\n"
             "  - on:\n"
             "      x86_64:\n"
             "        - {open: {flags: [65536]}}\n");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
