// SPDX-License-Identifier: Apache-2.0
// A place as words on a command line or in a file: from one table both ways.
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <fstream>
#include <variant>

#include "tests/attacks/attacks.h"

namespace bulkhead::attacks {
namespace {

struct Bytes {  // as hex digits
  std::string Place::*member;
};

using Member =
    std::variant<std::string Place::*, uint16_t Place::*, int Place::*, uint64_t Place::*, Bytes>;

struct Row {
  std::string_view name;
  Member member;
};

constexpr std::array kRows{
    Row{"allowed-port", &Place::allowed_port},
    Row{"other-port", &Place::other_port},
    Row{"granted", &Place::granted},
    Row{"decoy", &Place::decoy},
    Row{"own", &Place::own},
    Row{"program", &Place::program},
    Row{"foreign", &Place::foreign},
    Row{"set-id", &Place::set_id},
    Row{"compat", &Place::compat},
    Row{"loader", &Place::loader},
    Row{"dynamic", &Place::dynamic},
    Row{"interpreter", &Place::interpreter},
    Row{"edge", &Place::edge},
    Row{"other-edge", &Place::other_edge},
    Row{"policy", &Place::policy},
    Row{"audit", &Place::audit},
    Row{"ipc-key", &Place::ipc_key},
    Row{"listener", &Place::listener},
    Row{"connected", &Place::connected},
    Row{"first-peer", &Place::first_peer},
    Row{"last-peer", &Place::last_peer},
    Row{"init", &Place::init},
    Row{"secret", &Place::secret},
    Row{"handle", Bytes{&Place::handle}},
    Row{"terminal", &Place::terminal},
    Row{"terminal-path", &Place::terminal_path},
};

template <typename T>
T NumberOf(std::string_view text) {
  T value{};
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::string Hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char byte : bytes) {
    const auto value = static_cast<uint8_t>(byte);
    text += kDigits[value / 16];
    text += kDigits[value % 16];
  }
  return text;
}

std::string FromHex(std::string_view text) {
  std::string bytes;
  for (; text.size() >= 2; text.remove_prefix(2)) {
    uint8_t value = 0;
    std::from_chars(text.data(), text.data() + 2, value, 16);
    bytes += static_cast<char>(value);
  }
  return bytes;
}

struct Setter {
  Place& place;
  const std::string& value;
  void operator()(std::string Place::*member) const { place.*member = value; }
  void operator()(Bytes bytes) const { place.*bytes.member = FromHex(value); }
  template <typename T>
  void operator()(T Place::*member) const {
    place.*member = NumberOf<T>(value);
  }
};

struct Getter {
  const Place& place;
  std::string operator()(std::string Place::*member) const { return place.*member; }
  std::string operator()(Bytes bytes) const { return Hex(place.*bytes.member); }
  template <typename T>
  std::string operator()(T Place::*member) const {
    return std::to_string(place.*member);
  }
};

// A file of such words, one a line.
bool ReadPlace(Place& place, const std::string& path) {
  std::ifstream file(path);
  bool good = file.is_open();
  for (std::string word; good && std::getline(file, word);) {
    const size_t equals = word.find('=');
    good = equals != std::string::npos &&
           SetInPlace(place, std::string_view(word).substr(0, equals), word.substr(equals + 1));
  }
  return good;
}

}  // namespace

bool SetInPlace(Place& place, std::string_view name, const std::string& value) {
  if (name == "place") return ReadPlace(place, value);
  for (const Row& row : kRows) {
    if (row.name != name) continue;
    std::visit(Setter{place, value}, row.member);
    return true;
  }
  return false;
}

Place TakePlace(std::span<char*>& words) {
  Place place;
  place.self = OwnPid();
  place.terminal_path = "/dev/tty";
  for (; !words.empty(); words = words.subspan(1)) {
    const std::string_view word = words[0];
    const size_t equals = word.find('=');
    if (equals == std::string_view::npos) break;
    const std::string value(word.substr(equals + 1));
    if (!SetInPlace(place, word.substr(0, equals), value)) Broken(word);
  }
  return place;
}

std::vector<std::string> WordsOf(const Place& place) {
  std::vector<std::string> words;
  words.reserve(kRows.size());
  for (const Row& row : kRows) {
    words.push_back(std::string(row.name) + "=" + std::visit(Getter{place}, row.member));
  }
  return words;
}

}  // namespace bulkhead::attacks
