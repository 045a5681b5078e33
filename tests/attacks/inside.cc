// SPDX-License-Identifier: Apache-2.0
// The attempts from inside a component.
#include <dirent.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>

#include "tests/attacks/attacks.h"

namespace bulkhead::attacks {
namespace {

Result Tried(const Place& place, const Way& way) {
  return InChild([&] {
    Place own = place;
    return way.attempt(own);
  });
}

// Nanoseconds of the clock by which audit records are dated.
long SinceBoot() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return now.tv_sec * 1'000'000'000L + now.tv_nsec;
}

int TryClasses(const Place& place, std::span<char*> ids) {
  for (const char* const id : ids) {
    const auto rule = std::ranges::find(AllRules(), id, &HalfRule::id);
    if (rule == AllRules().end()) Broken(id);
    const auto observe = [&](std::string_view kind, const Way& way) {
      Tell(*rule, "inside", kind, way, Tried(place, way));
    };
    observe("intended", rule->intended);
    for (const Way& named : rule->named) observe("named", named);
    for (const Way& way : rule->ways) observe("way", way);
  }
  std::printf("done\n");
  return 0;
}

// That attempts can be made at all.
void TellReads(const Place& place) {
  std::printf("reads %s\n", ResultText(Tried(place, {"read", ReadsGranted})).c_str());
  std::fflush(stdout);
}

// What an attempt leaves behind could be in the way of the next one.
void ClearOwn(const Place& place) {
  DIR* const directory = opendir(place.own.c_str());
  if (directory == nullptr) return;
  while (const dirent* entry = readdir(directory)) {
    unlinkat(dirfd(directory), entry->d_name, 0);
  }
  closedir(directory);
}

size_t NumberOf(std::string_view text) {
  size_t number = 0;
  std::from_chars(text.begin(), text.end(), number);
  return number;
}

size_t ReadKept(const std::string& kept) {
  const int fd = open(kept.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  const std::string text = Slurp(fd);
  close(fd);
  return NumberOf(text);
}

// One line before an attack, so that it is known whose end it was, and one after it.
int TryAttacks(const Place& place, size_t from, bool alone, const std::string& kept = "") {
  ExpectBroken();
  if (alone) StayAlone();
  const std::vector<Attack> attacks = AllAttacks();
  TellReads(place);
  for (size_t i = from; i < attacks.size(); ++i) {
    const Attack& attack = attacks[i];
    const std::string name = std::string(attack.rule->id) + " " + std::string(attack.way->name);
    if (!kept.empty()) WriteFile(kept, std::to_string(i + 1), 0600);
    const long start = SinceBoot();
    std::printf("attack %zu %s %ld\n", i, name.c_str(), start);
    std::fflush(stdout);
    const Result result = Tried(place, *attack.way);
    std::printf("result %zu %s %ld\n", i, ResultText(result).c_str(), SinceBoot());
    std::fflush(stdout);
    if (alone) {
      // Who is killed for this attack is not to be for the next one.
      constexpr long kUntilKilled = 20'000'000;
      for (const long told = SinceBoot(); SinceBoot() - told < kUntilKilled;) {
      }
      continue;
    }
    ClearOwn(place);
    // Records come later than answers: each is dated while this attack is the last one.
    constexpr timespec kPause{0, 10'000'000};
    nanosleep(&kPause, nullptr);
  }
  std::printf("done\n");
  std::fflush(stdout);
  // It stays, so that nothing that was begun is ended by its end, until it is ended itself.
  while (pause() < 0 && errno == EINTR) {
  }
  return 0;
}

}  // namespace

int Inside(std::span<char*> words) {
  const Place place = TakePlace(words);
  const bool alone = words.size() == 2 && strcmp(words[0], "attacks-alone") == 0;
  if (alone || (words.size() == 2 && strcmp(words[0], "attacks") == 0)) {
    return TryAttacks(place, NumberOf(words[1]), alone);
  }
  if (words.size() == 2 && strcmp(words[0], "attacks-kept") == 0) {
    return TryAttacks(place, ReadKept(words[1]), false, words[1]);
  }
  if (words.size() == 2 && strcmp(words[0], "attack") == 0) {
    ExpectBroken();
    for (const Attack& attack : AllAttacks()) {
      const std::string name = std::string(attack.rule->id) + "/" + std::string(attack.way->name);
      if (name != words[1]) continue;
      Tell(*attack.rule, "tool", "way", *attack.way, Tried(place, *attack.way));
      return 0;
    }
    Broken(words[1]);
  }
  if (words.size() == 1 && strcmp(words[0], "reads") == 0) {
    TellReads(place);
    return 0;
  }
  return TryClasses(place, words);
}

}  // namespace bulkhead::attacks
