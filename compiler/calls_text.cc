// SPDX-License-Identifier: Apache-2.0
#include "compiler/calls_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "compiler/argument_text.h"
#include "compiler/constants.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

uint64_t MaxOf(const Condition& condition) {
  return condition.bits == 64 ? UINT64_MAX : (uint64_t{1} << condition.bits) - 1;
}

bool IsMasked(const Condition& condition) {
  return condition.op == Condition::Op::kMasked && !condition.negated;
}

// One value of the whole argument.
bool IsExact(const Condition& condition) {
  return IsMasked(condition) && condition.mask == MaxOf(condition);
}

class Argument {
 public:
  // `all` that is tested with it: what a number stands for can hang on another argument.
  Argument(std::string_view call, const Condition& condition, const Conjunction& all,
           const ArgInfo& info)
      : call_(call), condition_(condition), info_(info), max_(MaxOf(condition)) {
    // What is not known is all ones, which no constant is that another argument hangs on.
    known_.fill(UINT64_MAX);
    for (const Condition& one : all) {
      if (IsExact(one)) known_.at(one.arg) = one.value;
    }
  }

  std::string Text() const { return condition_.op == Condition::Op::kRange ? Range() : Masked(); }

 private:
  // By its constant where that is the same on every architecture.
  std::string Value(uint64_t value) const {
    const unsigned index = condition_.arg;
    Registers registers = known_;
    registers.at(index) = value;
    const std::string name = ArgumentText(std::nullopt, call_, registers, index);
    return IsKnownConstant(name) ? name : Number(value);
  }

  std::string Number(uint64_t value) const {
    const bool negative = ArgIsSigned(info_.type) && (value >> (condition_.bits - 1) & 1) != 0;
    return negative ? fmt::to_string(static_cast<int64_t>(value | ~max_)) : fmt::to_string(value);
  }

  std::string Masked() const {
    if (condition_.mask == max_) {
      const std::string value = Value(condition_.value);
      return condition_.negated ? fmt::format("{{not: {}}}", value) : value;
    }
    return fmt::format("{{mask: {}, equals: {}}}", condition_.mask, condition_.value);
  }

  std::string FromTo(uint64_t from, uint64_t to) const {
    return fmt::format("{{from: {}, to: {}}}", Number(from), Number(to));
  }

  // Ranges of the language are of signed numbers where the argument is one: an unsigned range
  // around the sign bit is all but the range outside it.
  std::string Range() const {
    const auto& [from, to] = std::pair(condition_.from, condition_.to);
    const uint64_t sign = (max_ >> 1) + 1;
    if (!ArgIsSigned(info_.type) || (from & sign) == (to & sign)) return FromTo(from, to);
    return from == 0 ? fmt::format("{{not: {}}}", FromTo(to + 1, max_))
                     : fmt::format("{{not: {}}}", FromTo(0, from - 1));
  }

  std::string_view call_;
  const Condition& condition_;
  const ArgInfo& info_;
  uint64_t max_;
  Registers known_;
};

bool IsValue(const Conjunction& conjunction) {
  return conjunction.size() == 1 && IsExact(conjunction.front());
}

// Bits that are set and bits that are clear are two conditions of one argument, and in a policy
// one.
Conjunction Joined(const Conjunction& conjunction) {
  Conjunction joined;
  for (const Condition& condition : conjunction) {
    const auto same = std::ranges::find_if(joined, [&](const Condition& other) {
      return other.arg == condition.arg && other.bits == condition.bits && IsMasked(other) &&
             IsMasked(condition) && (other.mask & condition.mask) == 0;
    });
    if (same == joined.end()) {
      joined.push_back(condition);
    } else {
      same->mask |= condition.mask;
      same->value |= condition.value;
    }
  }
  return joined;
}

class ListWriter {
 public:
  ListWriter(Arch arch, size_t indent) : arch_(arch), indent_(indent) {}

  void Add(uint32_t nr, const std::vector<Conjunction>& any) {
    if (any.empty()) return;
    const std::string name(SyscallName(arch_, nr));
    auto& list = EveryArchHas(name) ? common_ : own_;
    const SyscallArgList args = SyscallArgs(arch_, name);
    if (std::ranges::any_of(any, &Conjunction::empty)) {
      list[name] = {name};
      return;
    }
    for (std::string& tests : Tests(name, any, args)) {
      list[name].push_back(fmt::format("{{{}: {{{}}}}}", name, tests));
    }
  }

  std::string Text(std::string_view key) {
    if (common_.empty() && own_.empty()) return "";
    std::string text = fmt::format("{:{}}{}:\n", "", indent_, key);
    size_t items = Write(common_, indent_ + 2, text);
    if (!own_.empty()) {
      ++items;
      text +=
          fmt::format("{:{}}- on:\n{:{}}{}:\n", "", indent_ + 2, "", indent_ + 6, ArchName(arch_));
      most_ = std::max(most_, Write(own_, indent_ + 8, text));
    }
    most_ = std::max(most_, items);
    return text;
  }

  size_t most() const { return most_; }

 private:
  using List = std::map<std::string, std::vector<std::string>>;

  static bool EveryArchHas(std::string_view name) {
    return SyscallNumber(Arch::kX86_64, name) && SyscallNumber(Arch::kAarch64, name);
  }

  // Values of one argument in one entry, every other conjunction in one of its own.
  static std::vector<std::string> Tests(std::string_view call, const std::vector<Conjunction>& any,
                                        const SyscallArgList& args) {
    std::map<unsigned, std::vector<std::string>> values;
    std::vector<std::string> entries;
    for (const Conjunction& conjunction : any) {
      if (IsValue(conjunction)) {
        const Condition& only = conjunction.front();
        values[only.arg].push_back(Argument(call, only, conjunction, args[only.arg]).Text());
        continue;
      }
      std::string tests;
      for (const Condition& condition : Joined(conjunction)) {
        const ArgInfo& info = args[condition.arg];
        tests += fmt::format("{}{}: {}", tests.empty() ? "" : ", ", info.name,
                             Argument(call, condition, conjunction, info).Text());
      }
      entries.push_back(std::move(tests));
    }
    for (const auto& [arg, list] : values) {
      entries.push_back(fmt::format("{}: [{}]", args[arg].name, fmt::join(list, ", ")));
    }
    return entries;
  }

  static size_t Write(const List& list, size_t indent, std::string& text) {
    size_t count = 0;
    for (const auto& [name, items] : list) {
      for (const std::string& item : items) {
        text += fmt::format("{:{}}- {}\n", "", indent, item);
        ++count;
      }
    }
    return count;
  }

  Arch arch_;
  size_t indent_;
  List common_;
  List own_;
  size_t most_ = 0;
};

}  // namespace

std::string CallText(Arch arch, const SeccompData& data, const SeccompData* beside) {
  const std::string_view name = SyscallName(arch, data.nr);
  std::string args;
  const SyscallArgList infos = SyscallArgs(arch, name);
  for (unsigned i = 0; i < infos.size(); ++i) {
    const bool differs = beside != nullptr && beside->args.at(i) != data.args.at(i);
    if (data.args.at(i) == 0 && !differs) continue;
    args += fmt::format("{}{}={}", args.empty() ? "" : ", ", infos[i].name,
                        ArgumentText(arch, name, data.args, i));
  }
  return fmt::format("{}({})", name, args);
}

CallLists CallsText(const std::vector<CallRule>& rules, Arch arch, size_t indent) {
  ListWriter allow(arch, indent);
  ListWriter deny(arch, indent);
  for (const CallRule& rule : rules) {
    allow.Add(rule.nr, rule.allow);
    deny.Add(rule.nr, rule.deny);
  }
  CallLists lists;
  lists.yaml = allow.Text("allow") + deny.Text("deny");
  lists.most_items = std::max(allow.most(), deny.most());
  return lists;
}

}  // namespace bulkhead
