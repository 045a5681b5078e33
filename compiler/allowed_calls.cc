// SPDX-License-Identifier: Apache-2.0
#include "compiler/allowed_calls.h"

#include <fmt/format.h>

#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "compiler/call_boxes.h"

namespace bulkhead {
namespace {

using Set = CallSets::Set;
using Unread = tl::unexpected<std::string>;

constexpr size_t kMaxSteps = size_t{1} << 20;
constexpr uint64_t kMaxNumbers = 4096;  // far above any architecture's calls

// Before an instruction: what the accumulator holds, a word of the data cut to `live`.
using Point = std::pair<size_t, Value>;

struct PointOrder {
  bool operator()(const Point& a, const Point& b) const {
    return std::tie(a.first, a.second.offset, a.second.live) <
           std::tie(b.first, b.second.offset, b.second.live);
  }
};

class Reader {
 public:
  Reader(const Filter& filter, Arch arch, CallSets& sets)
      : filter_(filter), native_(AuditArch(arch)), sets_(sets) {}

  // Jumps go forward only: when the turn of an instruction comes, all that reaches it is there.
  tl::expected<std::map<uint32_t, Set>, std::string> Read() {
    Arrive(0, {}, {{{}}, {{}}, Bdd::kAll, false});
    while (!pending_.empty()) {
      auto [point, boxes] = std::move(*pending_.begin());
      pending_.erase(pending_.begin());
      boxes = Gather(std::move(boxes), sets_);
      steps_ += boxes.size();
      if (steps_ > kMaxSteps || sets_.bdd().Exhausted()) {
        return Unread("the filter is too intricate to be read back");
      }
      for (const Box& box : boxes) {
        if (auto done = Step(point, box); !done) return Unread(done.error());
      }
    }
    if (sets_.bdd().Exhausted()) return Unread("the filter is too intricate to be read back");
    return std::move(allowed_);
  }

 private:
  using Done = tl::expected<void, std::string>;

  void Arrive(size_t index, const Value& accumulator, Box box) {
    if (!box.Empty()) pending_[{index, accumulator}].push_back(std::move(box));
  }

  Done Step(const Point& point, const Box& box) {
    const auto& [index, accumulator] = point;
    const Instruction& instruction = filter_[index];
    switch (instruction.code) {
      case kReturn:
        return Return(instruction.k, box);
      case kLoad:
        Arrive(index + 1, {instruction.k, UINT32_MAX}, box);
        return {};
      case kAndConst:
        Arrive(index + 1, {accumulator.offset, accumulator.live & instruction.k}, box);
        return {};
      case kJumpAlways:
        Arrive(index + 1 + instruction.k, accumulator, box);
        return {};
      default:
        return Branch(point, box);
    }
  }

  Done Return(uint32_t action, const Box& box) {
    if (action == kRetLog) return Unread("the filter allows calls and has the kernel log them");
    if (action != kRetAllow) return {};
    if (box.archs != Ranges{{native_, native_}}) {
      return Unread("the filter allows calls of another architecture");
    }
    uint64_t count = allowed_.size();
    for (const Range& range : box.numbers) count += uint64_t{range.last} - range.first + 1;
    if (count > kMaxNumbers) return Unread("the filter allows numbers that are no system calls");
    for (const Range& range : box.numbers) {
      for (uint64_t nr = range.first; nr <= range.last; ++nr) {
        Set& set = allowed_[static_cast<uint32_t>(nr)];
        set = sets_.bdd().Or(set, box.rest);
      }
    }
    return {};
  }

  Done Branch(const Point& point, const Box& box) {
    const auto& [index, accumulator] = point;
    const Instruction& instruction = filter_[index];
    Box taken = box;
    Box other = box;
    const bool of_number = accumulator.offset == kOffsetNr;
    if (accumulator.live != 0 && (of_number || accumulator.offset == kOffsetArch)) {
      Ranges Box::*const word = of_number ? &Box::numbers : &Box::archs;
      auto division = Divide(box.*word, accumulator, instruction);
      if (!division) return Unread("the filter tests bits of numbers in a way no list can say");
      taken.*word = std::move(division->inside);
      other.*word = std::move(division->outside);
    } else {
      const Set holds = Holds(accumulator, instruction);
      taken.rest = sets_.bdd().And(box.rest, holds);
      other.rest = sets_.bdd().And(box.rest, Bdd::Not(holds));
    }
    Arrive(index + 1 + instruction.jt, accumulator, std::move(taken));
    Arrive(index + 1 + instruction.jf, accumulator, std::move(other));
    return {};
  }

  static std::optional<Division> Divide(const Ranges& ranges, const Value& accumulator,
                                        const Instruction& instruction) {
    const auto mask = static_cast<uint32_t>(accumulator.live);
    const uint32_t k = instruction.k;
    const bool whole = mask == UINT32_MAX;
    switch (instruction.code) {
      case kJumpEqual:
        return whole ? DivideByRange(ranges, k, k)
                     : DivideByMask(ranges, mask, MaskTest::kEqual, k);
      case kJumpGreater:
        if (whole && k == UINT32_MAX) return Division{{}, ranges};
        return whole ? DivideByRange(ranges, k + 1, UINT32_MAX)
                     : DivideByMask(ranges, mask, MaskTest::kAbove, k);
      case kJumpGreaterEqual:
        return whole ? DivideByRange(ranges, k, UINT32_MAX)
                     : DivideByMask(ranges, mask, MaskTest::kAtLeast, k);
      default:  // kJumpSet: a filter without defect has no other
        return DivideByMask(ranges, mask & k, MaskTest::kAbove, 0);
    }
  }

  Set Holds(const Value& accumulator, const Instruction& instruction) {
    switch (instruction.code) {
      case kJumpEqual:
        return sets_.Masked(accumulator, UINT32_MAX, instruction.k);
      case kJumpGreater:
        return sets_.Above(accumulator, instruction.k);
      case kJumpGreaterEqual:
        return sets_.AtLeast(accumulator, instruction.k);
      default:
        return Bdd::Not(sets_.Masked(accumulator, instruction.k, 0));
    }
  }

  const Filter& filter_;
  uint32_t native_;
  CallSets& sets_;
  std::map<Point, std::vector<Box>, PointOrder> pending_;
  std::map<uint32_t, Set> allowed_;
  size_t steps_ = 0;
};

}  // namespace

tl::expected<std::map<uint32_t, CallSets::Set>, std::string> AllowedCalls(const Filter& filter,
                                                                          Arch arch,
                                                                          CallSets& sets) {
  if (const auto defect = FilterDefect(filter)) return Unread(*defect);
  return Reader(filter, arch, sets).Read();
}

}  // namespace bulkhead
