// SPDX-License-Identifier: Apache-2.0
#include "compiler/filter_writer.h"

#include <algorithm>
#include <vector>

namespace bulkhead {
namespace {

// One less than a branch can jump: its other target may need an instruction in between.
constexpr size_t kReach = 254;

bool IsConditional(const Instruction& instruction) {
  return instruction.code != kLoad && instruction.code != kAndConst &&
         instruction.code != kJumpAlways && instruction.code != kReturn;
}

std::vector<bool> Reachable(const Filter& filter) {
  std::vector<bool> reachable(filter.size(), false);
  reachable[0] = true;
  for (size_t i = 0; i < filter.size(); ++i) {
    const Instruction& instruction = filter[i];
    if (!reachable[i] || instruction.code == kReturn) continue;
    if (instruction.code == kJumpAlways) {
      reachable[i + 1 + instruction.k] = true;
    } else if (IsConditional(instruction)) {
      reachable[i + 1 + instruction.jt] = true;
      reachable[i + 1 + instruction.jf] = true;
    } else {
      reachable[i + 1] = true;
    }
  }
  return reachable;
}

// Without jumps that only step over what is not kept.
std::vector<bool> Kept(const Filter& filter) {
  std::vector<bool> kept = Reachable(filter);
  for (size_t i = filter.size(); i-- > 0;) {
    if (!kept[i] || filter[i].code != kJumpAlways) continue;
    const auto after = kept.begin() + static_cast<std::ptrdiff_t>(i) + 1;
    const auto target = after + static_cast<std::ptrdiff_t>(filter[i].k);
    kept[i] = std::find(after, target, true) != target;
  }
  return kept;
}

Filter Compacted(const Filter& filter) {
  const std::vector<bool> kept = Kept(filter);
  std::vector<size_t> place(filter.size());  // of the instruction, or of the next that is kept
  size_t count = 0;
  for (size_t i = 0; i < filter.size(); ++i) {
    place[i] = count;
    if (kept[i]) ++count;
  }
  Filter result;
  for (size_t i = 0; i < filter.size(); ++i) {
    if (!kept[i]) continue;
    Instruction instruction = filter[i];
    const auto moved = [&](size_t offset) { return place[i + 1 + offset] - place[i] - 1; };
    if (instruction.code == kJumpAlways) {
      instruction.k = static_cast<uint32_t>(moved(instruction.k));
    } else if (IsConditional(instruction)) {
      instruction.jt = static_cast<uint8_t>(moved(instruction.jt));
      instruction.jf = static_cast<uint8_t>(moved(instruction.jf));
    }
    result.push_back(instruction);
  }
  return result;
}

}  // namespace

Label CodeEntry::For(const Held& held) const {
  if (!warm || held.word != needs.word) return cold;
  if (held == needs) return ready;
  return held.mask == UINT32_MAX ? loaded : cold;
}

Label FilterWriter::Push(const Instruction& instruction) {
  const auto after = [&](size_t distance) { return longest_[reversed_.size() - 1 - distance]; };
  if (instruction.code == kReturn) {
    longest_.push_back(1);
  } else if (instruction.code == kJumpAlways) {
    longest_.push_back(1 + after(instruction.k));
  } else {
    longest_.push_back(1 + std::max(after(instruction.jt), after(instruction.jf)));
  }
  reversed_.push_back(instruction);
  return reversed_.size() - 1;
}

Label FilterWriter::Return(uint32_t action) {
  const auto written = returns_.find(action);
  if (written != returns_.end() && Distance(written->second) <= kReach) return written->second;
  return returns_[action] = Push({kReturn, 0, 0, action});
}

Label FilterWriter::InReach(Label label) {
  if (Distance(label) <= kReach) return label;
  if (reversed_[label].code == kReturn) return Return(reversed_[label].k);
  const auto relay = relays_.find(label);
  if (relay != relays_.end() && Distance(relay->second) <= kReach) return relay->second;
  const auto distance = static_cast<uint32_t>(Distance(label));
  return relays_[label] = Push({kJumpAlways, 0, 0, distance});
}

Label FilterWriter::Branch(uint16_t code, uint32_t k, Label yes, Label no) {
  if (yes == no) return yes;
  const Label near_no = InReach(no);
  const Label near_yes = InReach(yes);
  ++branches_;
  return Push(
      {code, static_cast<uint8_t>(Distance(near_yes)), static_cast<uint8_t>(Distance(near_no)), k});
}

CodeEntry FilterWriter::Load(const Held& held, Label next) {
  if (next + 1 != reversed_.size()) {
    next = Push({kJumpAlways, 0, 0, static_cast<uint32_t>(Distance(next))});
  }
  const Label ready = next;
  const Label loaded = held.mask == UINT32_MAX ? ready : Push({kAndConst, 0, 0, held.mask});
  return {Push({kLoad, 0, 0, held.word}), loaded, ready, held, true};
}

Filter FilterWriter::Finish() const {
  return Compacted(Filter(reversed_.rbegin(), reversed_.rend()));
}

}  // namespace bulkhead
