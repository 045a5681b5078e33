// SPDX-License-Identifier: Apache-2.0
#include "compiler/call_boxes.h"

#include <algorithm>
#include <map>
#include <utility>

namespace bulkhead {
namespace {

using Set = CallSets::Set;

struct Piece {
  Range numbers;
  Set rest = Bdd::kNothing;
};

bool Disjoint(const std::vector<Piece>& sorted) {
  const auto meet = [](const Piece& a, const Piece& b) {
    return a.numbers.last >= b.numbers.first;
  };
  return std::ranges::adjacent_find(sorted, meet) == sorted.end();
}

// Pieces of which no two share a number, by number.
std::vector<Piece> Cut(const std::vector<Piece>& sorted, CallSets& sets) {
  std::vector<uint32_t> starts;  // of what lies between any two ends
  for (const Piece& piece : sorted) {
    starts.push_back(piece.numbers.first);
    if (piece.numbers.last < UINT32_MAX) starts.push_back(piece.numbers.last + 1);
  }
  std::ranges::sort(starts);
  starts.erase(std::unique(starts.begin(), starts.end()), starts.end());
  std::vector<Piece> cut;
  std::vector<Piece> open;
  auto next = sorted.begin();
  for (size_t i = 0; i < starts.size(); ++i) {
    const uint32_t last = i + 1 < starts.size() ? starts[i + 1] - 1 : UINT32_MAX;
    std::erase_if(open, [&](const Piece& piece) { return piece.numbers.last < starts[i]; });
    for (; next != sorted.end() && next->numbers.first == starts[i]; ++next) open.push_back(*next);
    if (open.empty()) continue;
    Set rest = Bdd::kNothing;
    for (const Piece& piece : open) rest = sets.bdd().Or(rest, piece.rest);
    cut.push_back({{starts[i], last}, rest});
  }
  return cut;
}

// Boxes of the same architectures.
void GatherNumbers(const Ranges& archs, std::vector<Piece> pieces, CallSets& sets,
                   std::vector<Box>& boxes) {
  const auto first = [](const Piece& piece) { return piece.numbers.first; };
  std::ranges::sort(pieces, {}, first);
  if (!Disjoint(pieces)) pieces = Cut(pieces, sets);
  std::ranges::stable_sort(pieces, {}, &Piece::rest);
  const size_t begin = boxes.size();
  for (const Piece& piece : pieces) {
    if (boxes.size() == begin || boxes.back().rest != piece.rest) {
      boxes.push_back({archs, {}, piece.rest, false});
    }
    Append(boxes.back().numbers, piece.numbers);
  }
}

}  // namespace

Box Mixed(const Box& box, CallSets& sets) {
  if (box.mixed) return box;
  const Set where =
      sets.bdd().And(sets.In(kOffsetArch, box.archs), sets.In(kOffsetNr, box.numbers));
  return {{}, {}, sets.bdd().And(where, box.rest), true};
}

std::vector<Box> Gather(std::vector<Box> boxes, CallSets& sets) {
  if (boxes.size() < 2) return boxes;
  std::vector<std::pair<Ranges, std::vector<Piece>>> by_archs;
  Set mixed = Bdd::kNothing;
  for (const Box& box : boxes) {
    if (box.mixed) {
      mixed = sets.bdd().Or(mixed, box.rest);
      continue;
    }
    auto group =
        std::ranges::find(by_archs, box.archs, [](const auto& item) { return item.first; });
    if (group == by_archs.end()) group = by_archs.insert(group, {box.archs, {}});
    for (const Range& range : box.numbers) group->second.push_back({range, box.rest});
  }
  std::vector<Box> gathered;
  for (auto& [archs, pieces] : by_archs) GatherNumbers(archs, std::move(pieces), sets, gathered);
  if (mixed != Bdd::kNothing) gathered.push_back({{}, {}, mixed, true});
  return gathered;
}

}  // namespace bulkhead
