// SPDX-License-Identifier: Apache-2.0
// JSON as text for people.
#include <algorithm>

#include "cli/console.h"
#include "cli/json.h"

namespace bulkhead {
namespace {

constexpr size_t kLineWidth = 100;

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

bool HasSpaces(const Json& list) {
  return std::any_of(list.begin(), list.end(),
                     [](const Json& item) { return Scalar(item).find(' ') != std::string::npos; });
}

// Words in lines of at most kLineWidth characters, which begin with `pad`.
std::string Words(const Json& list, const std::string& pad) {
  std::string out;
  std::string line;
  for (const Json& item : list) {
    const std::string word = Scalar(item);
    if (!line.empty() && pad.size() + line.size() + word.size() >= kLineWidth) {
      out += pad + line + "\n";
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
  }
  return out + pad + line + "\n";
}

std::string Cell(const Json& json) {
  if (json.is_null()) return {};
  if (json.is_boolean()) return json.get<bool>() ? "yes" : "";
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
  std::vector<std::string> keys;  // of the columns in which something stands
  for (const Json& item : list) {
    for (const auto& [key, value] : item.items()) {
      if (Cell(value).empty()) continue;
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
    }
  }
  std::vector<std::vector<std::string>> rows{keys};
  for (const Json& item : list) {
    std::vector<std::string> row;
    row.reserve(keys.size());
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
  if (HasSpaces(value)) return head + "\n" + Lines(value, pad + "  ");
  const std::string words = Words(value, pad + "  ");
  if (std::count(words.begin(), words.end(), '\n') > 1) return head + "\n" + words;
  return head + " " + words.substr(pad.size() + 2);
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
