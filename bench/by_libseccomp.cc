// SPDX-License-Identifier: Apache-2.0
#include "bench/by_libseccomp.h"

#include <fmt/format.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>
#include <set>

namespace bulkhead::bench {
namespace {

[[noreturn]] void Fail(const char* what) {
  fmt::print(stderr, "{} failed\n", what);
  std::exit(1);
}

std::optional<std::vector<scmp_arg_cmp>> Comparisons(const Conjunction& conjunction) {
  std::vector<scmp_arg_cmp> comparisons;
  std::set<unsigned> seen;
  for (const Condition& condition : conjunction) {
    if (condition.op != Condition::Op::kMasked || condition.negated) return std::nullopt;
    if (!seen.insert(condition.arg).second) return std::nullopt;
    comparisons.push_back({condition.arg, SCMP_CMP_MASKED_EQ, condition.mask, condition.value});
  }
  return comparisons;
}

void AddRule(scmp_filter_ctx context, const CallRule& rule, Comparable& count) {
  const int nr = static_cast<int>(rule.nr);
  bool simplified = !rule.deny.empty();
  for (const Conjunction& conjunction : rule.allow) {
    ++count.rules;
    auto comparisons = Comparisons(conjunction);
    if (!comparisons) simplified = true;
    if (simplified) comparisons.emplace();
    if (seccomp_rule_add_exact_array(context, SCMP_ACT_ALLOW, nr,
                                     static_cast<unsigned>(comparisons->size()),
                                     comparisons->data()) != 0) {
      simplified = true;
    }
    if (!simplified) continue;
    ++count.simplified;
    break;
  }
}

Filter ReadFilter(int file) {
  struct stat status {};
  if (fstat(file, &status) != 0) Fail("fstat");
  Filter filter(static_cast<size_t>(status.st_size) / sizeof(Instruction));
  static_assert(sizeof(Instruction) == 8, "struct sock_filter");
  const size_t size = filter.size() * sizeof(Instruction);
  if (pread(file, filter.data(), size, 0) != static_cast<ssize_t>(size)) Fail("pread");
  return filter;
}

}  // namespace

std::string LibseccompVersion() {
  const scmp_version* version = seccomp_version();
  return fmt::format("libseccomp {}.{}.{}", version->major, version->minor, version->micro);
}

Comparable MakeByLibseccomp(const std::vector<CallPlan>& plans, uint32_t optimize) {
  Comparable count;
  const int file = memfd_create("filter", MFD_CLOEXEC);
  for (const CallPlan& plan : plans) {
    const scmp_filter_ctx context =
        seccomp_init(plan.otherwise == kRetUserNotif ? SCMP_ACT_NOTIFY : SCMP_ACT_ERRNO(1));
    if (context == nullptr) Fail("seccomp_init");
    seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, optimize);
    for (const CallRule& rule : plan.rules) AddRule(context, rule, count);
    if (ftruncate(file, 0) != 0 || seccomp_export_bpf(context, file) != 0) {
      Fail("seccomp_export_bpf");
    }
    seccomp_release(context);
    count.filters.push_back(ReadFilter(file));
  }
  close(file);
  return count;
}

}  // namespace bulkhead::bench
