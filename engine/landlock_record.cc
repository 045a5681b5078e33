// SPDX-License-Identifier: Apache-2.0
#include "engine/landlock_record.h"

#include <charconv>

namespace bulkhead {
namespace {

constexpr size_t kMaxRecordText = 16384;  // the kernel's own limit is 8970
constexpr size_t kMaxBlockers = 32;

template <typename Number>
bool ReadNumber(std::string_view digits, Number& value, int base = 10) {
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, value, base);
  return error == std::errc() && stop == end;
}

// A value somebody outside the kernel chose: "text", or pairs of hexadecimal digits.
bool ReadUntrusted(std::string_view value, std::string& out) {
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
    out = value.substr(1, value.size() - 2);
    return true;
  }
  if (value == "(null)") return true;
  if (value.empty() || value.size() % 2 != 0) return false;
  out.clear();
  for (size_t i = 0; i < value.size(); i += 2) {
    uint8_t byte = 0;
    if (!ReadNumber(value.substr(i, 2), byte, 16)) return false;
    out += static_cast<char>(byte);
  }
  return true;
}

bool ReadBlockers(std::string_view value, std::vector<std::string>& out) {
  while (!value.empty() && out.size() < kMaxBlockers) {
    const size_t comma = value.find(',');
    out.emplace_back(value.substr(0, comma));
    if (out.back().empty()) return false;
    value.remove_prefix(comma == std::string_view::npos ? value.size() : comma + 1);
  }
  return value.empty() && !out.empty();
}

// Keys this kernel knows and we do not are left alone: a later release may add some.
bool ReadField(std::string_view key, std::string_view value, LandlockAccess& out) {
  if (key == "domain") return ReadNumber(value, out.domain, 16);
  if (key == "blockers") return ReadBlockers(value, out.blockers);
  if (key == "path" || key == "name") return ReadUntrusted(value, out.path);
  if (key == "dev") return ReadUntrusted(value, out.device);
  if (key == "ino") return ReadNumber(value, out.inode);
  if (key == "saddr" || key == "daddr") {
    out.address = value;
    return true;
  }
  if (key == "src" || key == "dest") return ReadNumber(value, out.port);
  if (key == "opid") return ReadNumber(value, out.other_pid);
  if (key == "ocomm") return ReadUntrusted(value, out.other_comm);
  return true;
}

bool ReadField(std::string_view key, std::string_view value, LandlockDomainNews& out) {
  if (key == "domain") return ReadNumber(value, out.domain, 16);
  if (key == "status") {
    out.ended = value == "deallocated";
    return out.ended || value == "allocated";
  }
  if (key == "pid") return ReadNumber(value, out.pid);
  if (key == "uid") return ReadNumber(value, out.uid);
  if (key == "comm") return ReadUntrusted(value, out.comm);
  if (key == "denials") return ReadNumber(value, out.denials);
  return true;
}

template <typename Record>
std::optional<LandlockRecord> ReadFields(uint64_t serial, std::string_view fields) {
  Record record;
  record.serial = serial;
  while (!fields.empty()) {
    const size_t space = fields.find(' ');
    const std::string_view field = fields.substr(0, space);
    fields.remove_prefix(space == std::string_view::npos ? fields.size() : space + 1);
    if (field.empty()) continue;
    const size_t equals = field.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    if (!ReadField(field.substr(0, equals), field.substr(equals + 1), record)) return std::nullopt;
  }
  if (record.domain == 0) return std::nullopt;
  return record;
}

// "audit(1795391328.885:2): " in front of the fields.
bool TakeHeader(std::string_view& text, uint64_t& serial) {
  if (!text.starts_with("audit(")) return false;
  const size_t end = text.find("): ");
  const size_t colon = text.substr(0, end).rfind(':');
  if (end == std::string_view::npos || colon == std::string_view::npos) return false;
  if (!ReadNumber(text.substr(colon + 1, end - colon - 1), serial)) return false;
  text.remove_prefix(end + 3);
  return true;
}

}  // namespace

std::optional<LandlockRecord> ParseLandlockRecord(uint16_t type, std::string_view text) {
  uint64_t serial = 0;
  if (text.size() > kMaxRecordText || !TakeHeader(text, serial)) return std::nullopt;
  if (type == kLandlockAccessRecord) {
    auto record = ReadFields<LandlockAccess>(serial, text);
    if (record && std::get<LandlockAccess>(*record).blockers.empty()) return std::nullopt;
    return record;
  }
  if (type == kLandlockDomainRecord) return ReadFields<LandlockDomainNews>(serial, text);
  return std::nullopt;
}

std::string DescribeObject(const LandlockAccess& access) {
  if (!access.path.empty()) return access.path;
  if (access.other_pid != 0) {
    return "pid " + std::to_string(access.other_pid) + " (" + access.other_comm + ")";
  }
  const bool is_v6 = access.address.find(':') != std::string::npos;
  const std::string port = std::string(":").append(std::to_string(access.port));
  if (!access.address.empty()) return (is_v6 ? "[" + access.address + "]" : access.address) + port;
  return access.port != 0 ? port : "";
}

std::string JoinBlockers(const LandlockAccess& access) {
  std::string text;
  for (const std::string& blocker : access.blockers) {
    text += text.empty() ? "" : ",";
    text += blocker;
  }
  return text;
}

}  // namespace bulkhead
