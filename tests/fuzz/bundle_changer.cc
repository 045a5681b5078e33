// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/bundle_changer.h"

#include <algorithm>
#include <concepts>
#include <iterator>
#include <limits>
#include <random>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "profiles/bundle.h"
#include "profiles/codec.h"
#include "tests/fuzz/bundle_input.h"

namespace bulkhead::testing {
namespace {

using Random = std::minstd_rand;

size_t Below(Random& random, size_t limit) { return random() % limit; }

// Writes fields as docs/BUNDLE.md says, without asking whether they may be so.
class Writer {
 public:
  template <typename... Fields>
  void operator()(Fields&... fields) {
    (Put(fields), ...);
  }
  std::string Take() { return std::move(text_); }

 private:
  void Number(uint64_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; ++i) text_ += static_cast<char>(value >> (8 * i));
  }
  template <typename T>
  void Put(T& value) {
    if constexpr (std::is_enum_v<T>) {
      Number(static_cast<uint64_t>(value), 1);
    } else if constexpr (std::integral<T>) {
      Number(static_cast<uint64_t>(value), sizeof(T));
    } else {
      codec::Describe(*this, value);
    }
  }
  void Put(std::string& text) {
    Number(text.size(), 4);
    text_ += text;
  }
  void Put(Digest& digest) { text_.append(digest.begin(), digest.end()); }
  template <typename T>
  void Put(std::optional<T>& value) {
    Number(value ? 1 : 0, 1);
    if (value) Put(*value);
  }
  template <typename T>
  void Put(std::vector<T>& items) {
    Number(items.size(), 4);
    for (T& item : items) Put(item);
  }

  std::string text_;
};

// Walks over all fields and changes the one whose turn it is; a list is a field before its items.
class Changer {
 public:
  Changer(size_t turn, Random& random) : turn_(turn), random_(random) {}

  template <typename... Fields>
  void operator()(Fields&... fields) {
    (Visit(fields), ...);
  }
  size_t fields() const { return at_; }

 private:
  template <typename T>
  void Visit(T& value) {
    if constexpr (std::same_as<T, bool>) {
      if (IsTurn()) value = !value;
    } else if constexpr (std::is_enum_v<T>) {
      if (IsTurn()) value = static_cast<T>(Below(random_, 12));
    } else if constexpr (std::integral<T>) {
      if (IsTurn()) value = Changed(value);
    } else {
      codec::Describe(*this, value);
    }
  }
  void Visit(std::string& text) {
    if (IsTurn()) Change(text);
    if (!text.empty()) words_.push_back(text);
  }
  void Visit(Digest& digest) {
    if (IsTurn()) digest[Below(random_, digest.size())] ^= 1;
  }
  template <typename T>
  void Visit(std::optional<T>& value) {
    if (IsTurn()) value ? value.reset() : void(value.emplace());
    if (value) Visit(*value);
  }
  template <typename T>
  void Visit(std::vector<T>& items) {
    if (IsTurn()) Change(items);
    for (T& item : items) Visit(item);
  }

  bool IsTurn() { return at_++ == turn_; }

  template <typename T>
  T Changed(T value) {
    switch (Below(random_, 5)) {
      case 0:
        return static_cast<T>(value + 1);
      case 1:
        return static_cast<T>(value - 1);
      case 2:
        return static_cast<T>(value ^ (T{1} << Below(random_, std::numeric_limits<T>::digits)));
      case 3:
        return static_cast<T>(Below(random_, 2) == 0 ? 0 : std::numeric_limits<T>::max());
      default:
        return static_cast<T>(random_());
    }
  }

  void Change(std::string& text) {
    static constexpr std::string_view kEnds[] = {"/", "/..", "/x", "\n", "\0", "=", "a", "@"};
    switch (Below(random_, 4)) {
      case 0:
        if (!words_.empty()) text = words_[Below(random_, words_.size())];
        break;
      case 1:
        text += kEnds[Below(random_, std::size(kEnds))];
        break;
      case 2:
        text.resize(Below(random_, text.size() + 1));
        break;
      default:
        if (!text.empty()) text[Below(random_, text.size())] = static_cast<char>(random_());
    }
  }

  template <typename T>
  void Change(std::vector<T>& items) {
    if (items.empty()) {
      items.emplace_back();
      return;
    }
    const auto any = [&] {
      return items.begin() + static_cast<std::ptrdiff_t>(Below(random_, items.size()));
    };
    switch (Below(random_, 4)) {
      case 0:
        items.erase(any());
        break;
      case 1: {
        const T copy = *any();
        items.insert(any(), copy);
        break;
      }
      case 2:
        std::iter_swap(any(), any());
        break;
      default:
        items.resize(Below(random_, items.size()));
    }
  }

  size_t turn_;
  Random& random_;
  size_t at_ = 0;
  std::vector<std::string> words_;  // texts that stand before this field
};

}  // namespace

std::optional<std::string> ChangedBundle(std::string_view bytes, uint32_t seed) {
  const std::vector<uint8_t> given(bytes.begin(), bytes.end());
  const auto bundle = DecodeBundle(given);
  if (!bundle) return std::nullopt;
  BundleData data = **bundle;
  Random random(seed);
  random.discard(3);  // neighbouring seeds start alike
  Changer count(SIZE_MAX, random);
  codec::Describe(count, data);
  for (size_t changes = 1 + Below(random, 4); changes > 0; --changes) {
    Changer changer(Below(random, count.fields()), random);
    codec::Describe(changer, data);
  }
  Writer writer;
  codec::Describe(writer, data);
  const std::vector<uint8_t> framed = Framed(writer.Take());
  return std::string(framed.begin(), framed.end());
}

}  // namespace bulkhead::testing
