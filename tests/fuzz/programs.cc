// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/programs.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "compiler/export_filter.h"

namespace bulkhead::testing {
namespace {

constexpr std::array kActions = {kRetAllow,       kRetUserNotif, kRetErrno | 1, kRetErrno | 38,
                                 kRetKillProcess, kRetLog,       kRetTrap};

uint64_t Cut(uint64_t value, unsigned bits) {
  return bits >= 64 ? value : value & ((uint64_t{1} << bits) - 1);
}

// Mostly one at which something changes.
uint64_t AnyValue(ByteReader& bytes) {
  constexpr uint64_t kEdges[] = {
      0,          1,          2,          0xff,       0xffff,     0x10000,        0x7fffffff,
      0x80000000, 0xfffffffe, 0xffffffff, 1ULL << 32, 1ULL << 63, UINT64_MAX - 1, UINT64_MAX};
  const uint8_t which = bytes.Byte();
  if (which < 0x40) return kEdges[which % std::size(kEdges)];
  if (which < 0x80) return which & 0x3fU;
  if (which < 0xc0) return uint64_t{1} << (which & 0x3fU);
  return which < 0xe0 ? bytes.Word() : bytes.Long();
}

uint32_t AnyConstant(ByteReader& bytes) {
  const uint8_t which = bytes.Byte();
  if (which < 0x20) return AuditArch(which % 2 == 0 ? Arch::kX86_64 : Arch::kAarch64);
  if (which < 0x80) return which & 0x1fU;
  if (which < 0x90) return 0x40000000U - (which & 1U);
  return static_cast<uint32_t>(AnyValue(bytes));
}

Instruction AnyInstruction(ByteReader& bytes) {
  Instruction instruction;
  instruction.code = bytes.Half();
  instruction.jt = bytes.Byte();
  instruction.jf = bytes.Byte();
  instruction.k = bytes.Word();
  return instruction;
}

// `left` instructions follow, at least one.
Instruction SoundInstruction(ByteReader& bytes, size_t left) {
  constexpr uint16_t kConditional[] = {kJumpEqual, kJumpGreater, kJumpGreaterEqual, kJumpSet};
  const auto jump = [&] {
    return static_cast<uint8_t>(bytes.Byte() % std::min<size_t>(left, 256));
  };
  const uint8_t which = bytes.Byte();
  if (which < 0x50) return {kLoad, 0, 0, 4 * (which % 16U)};
  if (which < 0x60) return {kAndConst, 0, 0, AnyConstant(bytes)};
  if (which < 0x68) return {kJumpAlways, 0, 0, jump()};
  if (which < 0x78) return {kReturn, 0, 0, kActions.at(which % kActions.size())};
  const uint16_t code = kConditional[which % std::size(kConditional)];
  const uint8_t yes = jump();
  return {code, yes, jump(), AnyConstant(bytes)};
}

uint8_t AnyWidth(ByteReader& bytes) {
  constexpr uint8_t kWidths[] = {16, 32, 64};
  return kWidths[bytes.Below(std::size(kWidths))];
}

Condition SoundCondition(ByteReader& bytes) {
  Condition condition;
  condition.arg = static_cast<uint8_t>(bytes.Below(6));
  condition.bits = AnyWidth(bytes);
  condition.negated = bytes.Below(4) == 0;
  const uint64_t first = Cut(AnyValue(bytes), condition.bits);
  const uint64_t second = Cut(AnyValue(bytes), condition.bits);
  if (bytes.Below(2) == 0) {
    condition.op = Condition::Op::kRange;
    condition.from = first;
    condition.to = second;
  } else {
    condition.mask = first;
    condition.value = bytes.Below(8) == 0 ? second : second & first;
  }
  return condition;
}

Condition AnyCondition(ByteReader& bytes) {
  Condition condition;
  condition.arg = bytes.Byte();
  condition.bits = bytes.Byte();
  condition.op = bytes.Below(2) == 0 ? Condition::Op::kMasked : Condition::Op::kRange;
  condition.negated = bytes.Below(2) == 0;
  condition.mask = AnyValue(bytes);
  condition.value = AnyValue(bytes);
  condition.from = AnyValue(bytes);
  condition.to = AnyValue(bytes);
  return condition;
}

template <typename MakeCondition>
CallPlan MakePlan(ByteReader& bytes, const MakeCondition& make_condition) {
  const auto conjunctions = [&](uint32_t most) {
    std::vector<Conjunction> result(bytes.Below(most + 1));
    for (Conjunction& conjunction : result) {
      conjunction.resize(bytes.Below(4));
      for (Condition& condition : conjunction) condition = make_condition(bytes);
    }
    return result;
  };
  CallPlan plan;
  plan.arch = bytes.Below(2) == 0 ? Arch::kX86_64 : Arch::kAarch64;
  plan.otherwise = kActions.at(bytes.Below(kActions.size()));
  plan.absent_action = kActions.at(bytes.Below(kActions.size()));
  plan.rules.resize(bytes.Below(9));
  for (CallRule& rule : plan.rules) {
    rule.nr = bytes.Below(8) == 0 ? bytes.Word() : bytes.Half() % 480U;
    rule.allow = bytes.Below(2) == 0 ? std::vector<Conjunction>{{}} : conjunctions(4);
    if (bytes.Below(3) == 0) rule.deny = conjunctions(2);
  }
  plan.absent.resize(bytes.Below(4));
  for (uint32_t& nr : plan.absent) nr = bytes.Half() % 480U;
  if (bytes.Below(2) == 1) plan.traced = bytes.Half() % 480U;
  return plan;
}

void Put(std::string& text, uint64_t value, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i));
}

}  // namespace

Filter RawFilter(ByteReader& bytes) {
  Filter filter;
  while (!bytes.AtEnd()) filter.push_back(AnyInstruction(bytes));
  return filter;
}

Filter SoundFilter(ByteReader& bytes, uint32_t most) {
  Filter filter;
  const uint32_t size = bytes.Below(most);
  for (size_t left = size; left > 0; --left) filter.push_back(SoundInstruction(bytes, left));
  filter.push_back({kReturn, 0, 0, kActions.at(bytes.Below(kActions.size()))});
  return filter;
}

void ChangeFilter(ByteReader& bytes, Filter& filter) {
  for (uint32_t changes = 1 + bytes.Below(3); changes > 0 && !filter.empty(); --changes) {
    const size_t at = bytes.Half() % filter.size();
    Instruction& instruction = filter[at];
    switch (bytes.Below(6)) {
      case 0:
        std::swap(instruction.jt, instruction.jf);
        break;
      case 1:
        instruction.k ^= uint32_t{1} << bytes.Below(32);
        break;
      case 2:
        instruction.k = AnyConstant(bytes);
        break;
      case 3:
        instruction.jt = bytes.Byte();
        break;
      case 4:
        instruction.jf = bytes.Byte();
        break;
      default:
        instruction = SoundInstruction(bytes, std::max<size_t>(filter.size() - at - 1, 1));
    }
  }
}

SeccompData AnyData(ByteReader& bytes) {
  SeccompData data;
  data.nr = bytes.Word();
  data.arch = bytes.Word();
  data.instruction_pointer = bytes.Long();
  for (uint64_t& arg : data.args) arg = bytes.Long();
  return data;
}

std::string BytesOf(const Filter& filter) {
  const std::vector<uint8_t> bytes = EncodeFilter(filter);
  return {bytes.begin(), bytes.end()};
}

std::string BytesOf(const SeccompData& data) {
  std::string text;
  Put(text, data.nr, 4);
  Put(text, data.arch, 4);
  Put(text, data.instruction_pointer, 8);
  for (const uint64_t arg : data.args) Put(text, arg, 8);
  return text;
}

CallPlan SoundPlan(ByteReader& bytes) {
  CallPlan plan = MakePlan(bytes, SoundCondition);
  std::ranges::stable_sort(plan.rules, {}, &CallRule::nr);
  const auto same = [](const CallRule& a, const CallRule& b) { return a.nr == b.nr; };
  plan.rules.erase(std::unique(plan.rules.begin(), plan.rules.end(), same), plan.rules.end());
  std::ranges::sort(plan.absent);
  plan.absent.erase(std::unique(plan.absent.begin(), plan.absent.end()), plan.absent.end());
  if (plan.traced && std::ranges::binary_search(plan.absent, *plan.traced)) plan.traced.reset();
  return plan;
}

CallPlan AnyPlan(ByteReader& bytes) {
  return MakePlan(bytes, [](ByteReader& source) {
    return source.Below(8) == 0 ? AnyCondition(source) : SoundCondition(source);
  });
}

}  // namespace bulkhead::testing
