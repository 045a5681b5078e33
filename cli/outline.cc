// SPDX-License-Identifier: Apache-2.0
// JSON as text for people.
#include <algorithm>

#include "cli/console.h"
#include "cli/json.h"

namespace bulkhead {
namespace {

constexpr size_t kShortLine = 96;

bool IsEmpty(const Json& json) {
  return json.is_null() || (json.is_structured() && json.empty()) ||
         (json.is_string() && json.get_ref<const std::string&>().empty());
}

bool IsPlain(const Json& json) { return !json.is_structured(); }

std::string Scalar(const Json& json) {
  return json.is_string() ? Shown(json.get_ref<const std::string&>()) : json.dump();
}

bool IsPlainList(const Json& json) {
  return json.is_array() && std::all_of(json.begin(), json.end(), IsPlain);
}

// Words on one line; nothing when one of them has a space of its own or the line gets long.
std::string OneLine(const Json& list) {
  std::string line;
  for (const Json& item : list) {
    const std::string text = Scalar(item);
    if (text.find(' ') != std::string::npos) return {};
    line += (line.empty() ? "" : " ") + text;
  }
  return line.size() > kShortLine ? std::string() : line;
}

std::string Cell(const Json& json) {
  if (!json.is_array()) return Scalar(json);
  std::string text;
  for (const Json& item : json) text += (text.empty() ? "" : " ") + Scalar(item);
  return text;
}

bool IsRecord(const Json& json) {
  return json.is_object() && std::all_of(json.begin(), json.end(), [](const Json& value) {
           return IsPlain(value) || IsPlainList(value);
         });
}

std::string Records(const Json& list, const std::string& pad) {
  std::vector<std::string> keys;
  for (const Json& item : list) {
    for (const auto& [key, value] : item.items()) {
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
    }
  }
  std::vector<std::vector<std::string>> rows{keys};
  for (const Json& item : list) {
    std::vector<std::string> row;
    for (const std::string& key : keys) {
      row.push_back(item.contains(key) ? Cell(item[key]) : std::string());
    }
    rows.push_back(std::move(row));
  }
  std::string out;
  const std::string table = Table(rows);
  for (size_t from = 0; from < table.size();) {
    const size_t end = table.find('\n', from);
    out += pad + table.substr(from, end - from) + "\n";
    from = end + 1;
  }
  return out;
}

std::string Lines(const Json& list, const std::string& pad) {
  std::string out;
  for (const Json& item : list) out += pad + Cell(item) + "\n";
  return out;
}

std::string Member(const std::string& key, const Json& value, size_t indent) {
  const std::string pad(indent, ' ');
  const std::string head = pad + Shown(key) + ":";
  if (IsPlain(value)) return head + " " + Scalar(value) + "\n";
  if (value.is_object()) return head + "\n" + Outline(value, indent + 2);
  if (std::all_of(value.begin(), value.end(), IsRecord)) {
    return head + "\n" + Records(value, pad + "  ");
  }
  const std::string line = OneLine(value);
  return line.empty() ? head + "\n" + Lines(value, pad + "  ") : head + " " + line + "\n";
}

}  // namespace

std::string Outline(const Json& json, size_t indent) {
  std::string out;
  for (const auto& [key, value] : json.items()) {
    if (!IsEmpty(value)) out += Member(key, value, indent);
  }
  return out;
}

}  // namespace bulkhead
