// SPDX-License-Identifier: Apache-2.0
#include "compiler/cubes.h"

namespace bulkhead {
namespace {

using Set = CallSets::Set;

constexpr uint32_t kInstructionPointer = 8;  // offset in SeccompData

constexpr uint64_t kHigh = uint64_t{UINT32_MAX} << 32;

Cube PointCube(const SeccompData& data) {
  Cube cube;
  for (size_t i = 0; i < data.args.size(); ++i) cube.args[i] = {UINT64_MAX, data.args[i]};
  cube.instruction_pointer = {UINT64_MAX, data.instruction_pointer};
  return cube;
}

bool Within(const Cube& cube, Set set, CallSets& sets) {
  return sets.bdd().And(CubeSet(cube, sets), Bdd::Not(set)) == Bdd::kNothing;
}

// Frees these bits if the cube then still lies in the set.
bool TryFree(Cube& cube, MaskedValue& word, uint64_t bits, Set set, CallSets& sets) {
  if ((word.mask & bits) == 0) return true;
  const MaskedValue before = word;
  word.mask &= ~bits;
  word.value &= word.mask;
  if (Within(cube, set, sets)) return true;
  word = before;
  return false;
}

// Whole words first, then halves: few have bits that matter. From the lowest bit on, so that of a
// range the largest aligned block is found.
void FreeWord(Cube& cube, MaskedValue& word, Set set, CallSets& sets) {
  if (TryFree(cube, word, UINT64_MAX, set, sets)) return;
  TryFree(cube, word, kHigh, set, sets);
  TryFree(cube, word, UINT32_MAX, set, sets);
  for (unsigned bit = 0; bit < 64; ++bit) TryFree(cube, word, uint64_t{1} << bit, set, sets);
}

}  // namespace

Set CubeSet(const Cube& cube, CallSets& sets) {
  Set all = sets.Masked({kInstructionPointer, UINT64_MAX}, cube.instruction_pointer.mask,
                        cube.instruction_pointer.value);
  for (uint32_t i = kMaxSyscallArgs; i-- > 0;) {
    const Set one =
        sets.Masked({OffsetArgLow(i), UINT64_MAX}, cube.args[i].mask, cube.args[i].value);
    all = sets.bdd().And(one, all);
  }
  return all;
}

std::optional<std::vector<Cube>> Cubes(Set set, size_t most, CallSets& sets) {
  std::vector<Cube> cubes;
  Set left = set;
  while (left != Bdd::kNothing) {
    if (cubes.size() == most) return std::nullopt;
    Cube cube = PointCube(sets.AnyMember(left));
    FreeWord(cube, cube.instruction_pointer, set, sets);
    for (MaskedValue& word : cube.args) FreeWord(cube, word, set, sets);
    left = sets.bdd().And(left, Bdd::Not(CubeSet(cube, sets)));
    if (sets.bdd().Exhausted()) return std::nullopt;
    cubes.push_back(cube);
  }
  return cubes;
}

}  // namespace bulkhead
