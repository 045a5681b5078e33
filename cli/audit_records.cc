// SPDX-License-Identifier: Apache-2.0
#include "cli/audit_records.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <ctime>
#include <fstream>

#include "cli/console.h"
#include "engine/audit_verify.h"
#include "engine/event.h"

namespace bulkhead {
namespace {

int64_t WholeSeconds(const std::string& time) {
  int64_t seconds = 0;
  std::from_chars(time.data(), time.data() + time.size(), seconds);
  constexpr int64_t kYear9999 = 253402300799;
  return std::clamp<int64_t>(seconds, 0, kYear9999);
}

// "10m" as seconds.
std::optional<int64_t> Ago(std::string_view text) {
  constexpr struct {
    char unit;
    int64_t seconds;
  } kUnits[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
  if (text.size() < 2) return std::nullopt;
  int64_t value = 0;
  const char* end = text.data() + text.size() - 1;
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || value < 0 || value > 100000000) return std::nullopt;
  for (const auto& [unit, seconds] : kUnits) {
    if (text.back() == unit) return value * seconds;
  }
  return std::nullopt;
}

// "2026-11-30" or "2026-11-30T20:15:03", in UTC.
std::optional<int64_t> Moment(const std::string& text) {
  std::tm moment{};
  const char* format = text.size() == 10 ? "%Y-%m-%d" : "%Y-%m-%dT%H:%M:%S";
  const char* end = strptime(text.c_str(), format, &moment);
  if (end == nullptr || *end != '\0') return std::nullopt;
  const auto seconds = static_cast<int64_t>(timegm(&moment));
  // Written again it is the same only if there is such a day and second.
  std::array<char, 32> again{};
  const size_t size = std::strftime(again.data(), again.size(), format, &moment);
  if (seconds < 0 || text != std::string_view(again.data(), size)) return std::nullopt;
  return seconds;
}

bool IsAny(const std::string& wanted, const std::string& value) {
  return wanted.empty() || wanted == value;
}

NamedValues ParseExtras(const AuditRecord& record) {
  NamedValues extras;
  if (!record.json.is_object()) return extras;
  const auto extra = record.json.find("extra");
  if (extra == record.json.end() || !extra->is_object()) return extras;
  for (const auto& [name, value] : extra->items()) {
    if (value.is_string()) extras.emplace_back(name, value.get<std::string>());
  }
  return extras;
}

// What a record can name there (docs/AUDIT.md).
constexpr std::string_view kControls[] = {"seccomp", "broker", "landlock",   "tripwire",
                                          "view",    "cgroup", "supervisor", "kernel-audit",
                                          "files",   "network"};

std::vector<std::string_view> Kinds() {
  std::vector<std::string_view> kinds;
  for (uint8_t i = 0;; ++i) {
    const std::string_view name = EventKindName(static_cast<EventKind>(i));
    if (name.empty()) return kinds;
    kinds.push_back(name);
  }
}

}  // namespace

bool IsBeneath(std::string_view rule, std::string_view above) {
  if (!rule.starts_with(above)) return false;
  return rule.size() == above.size() || rule[above.size()] == '.' || rule[above.size()] == ':';
}

namespace {

// A record is one object with two within, `extra` and `cut`; deeper ones a reader would follow.
bool IsDeep(std::string_view line) {
  constexpr int kDeepest = 3;
  int depth = 0;
  bool text = false;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '"') text = !text;
    if (text && c == '\\') ++i;
    if (!text && (c == '{' || c == '[') && ++depth > kDeepest) return true;
    if (!text && (c == '}' || c == ']')) --depth;
  }
  return false;
}

}  // namespace

std::optional<AuditRecord> ParseRecord(std::string_view line) {
  if (IsDeep(line)) return std::nullopt;
  Json json = Json::parse(line, nullptr, false);
  if (!json.is_object() || !json.contains("kind")) return std::nullopt;
  AuditRecord record;
  record.sequence = NumberOf(json, "seq", 0);
  record.count = NumberOf(json, "count", 1);
  record.claimed = WholeSeconds(TextOf(json, "claimed"));
  record.time = TextOf(json, "time");
  const std::pair<const char*, std::string*> texts[] = {
      {"boot", &record.boot},     {"component", &record.component}, {"exe", &record.exe},
      {"kind", &record.kind},     {"control", &record.control},     {"action", &record.action},
      {"object", &record.object}, {"verdict", &record.verdict},     {"errno", &record.error},
      {"rule", &record.rule}};
  for (const auto& [key, text] : texts) *text = TextOf(json, key);
  if (const auto pid = json.find("pid"); pid != json.end() && pid->is_number_integer()) {
    record.pid = pid->get<int64_t>();
  }
  record.json = std::move(json);
  return record;
}

uint64_t ReadRecords(const std::vector<std::string>& paths, bool stream,
                     const std::function<void(const AuditRecord&)>& take) {
  uint64_t others = 0;
  RecentRecords recent;
  const auto line = [&](std::string_view read) {
    const std::string_view text = stream ? WholeRecordIn(read) : read;
    const bool whole = stream ? !text.empty() : ChainVerifier::IsWhole(read);
    const auto record = whole ? ParseRecord(text) : std::nullopt;
    if (!record) {
      others += read.empty() ? 0 : 1;
      return;
    }
    if (stream) {
      const auto hash = ParseDigest(TextOf(record->json, "hash"));
      const ChainPoint point{record->sequence, hash.value_or(Digest{})};
      if (recent.Has(point)) return;
      recent.Add(point);
    }
    take(*record);
  };
  for (const std::string& path : paths) {
    std::ifstream file(path, std::ios::binary);
    LineSplitter lines;
    std::string buffer(65536, '\0');
    while (file.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) ||
           file.gcount() > 0) {
      lines.Feed(std::string_view(buffer).substr(0, static_cast<size_t>(file.gcount())), line);
    }
  }
  return others;
}

std::string ClaimedText(int64_t seconds) {
  const auto clock = static_cast<std::time_t>(seconds);
  std::tm parts{};
  if (gmtime_r(&clock, &parts) == nullptr) return "?";
  return fmt::format("{:%Y-%m-%d %H:%M:%S}", parts);
}

std::string AsciiJson(const Json& json, int indent) {
  return json.dump(indent, ' ', true, Json::error_handler_t::replace) + "\n";
}

namespace {

constexpr size_t kMaxAddress = 48;  // with its bracket and colon

// What follows the bracket of "[::1]:53".
bool IsAddress(std::string_view text) {
  const size_t end = text.find_first_not_of("0123456789abcdefABCDEF:.");
  if (end == std::string_view::npos || text.substr(end, 2) != "]:") return false;
  return text.substr(0, end).find(':') != std::string_view::npos;
}

// Whether what follows reads as the record's own: its verdict behind a space, its rule in brackets,
// its further values in braces.
bool LooksLikeColumn(char c, std::string_view rest) {
  switch (c) {
    case ' ':
      return std::ranges::any_of(kVerdicts,
                                 [&](auto verdict) { return rest.starts_with(verdict); });
    case '[':
      return !IsAddress(rest.substr(0, kMaxAddress));
    default:
      return c == '{';
  }
}

std::string WithoutColumns(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (LooksLikeColumn(text[i], text.substr(i + 1))) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[i]));
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

std::string RecordText(const AuditRecord& record, const std::string& tried) {
  std::string text =
      fmt::format("{} {:>5} {:<10} {:<9} {:<10} {}", ClaimedText(record.claimed), record.sequence,
                  record.component.empty() ? "-" : Shown(record.component), Shown(record.kind),
                  Shown(record.control), WithoutColumns(Shown(tried)));
  text += " " + Shown(record.verdict);
  if (!record.error.empty()) text += " " + Shown(record.error);
  if (record.count != 1) text += fmt::format(" x{}", record.count);
  if (!record.rule.empty()) text += " [" + Shown(record.rule) + "]";
  std::string extras;
  for (const auto& [name, value] : ExtrasOf(record)) {
    extras += fmt::format("{}{}={}", extras.empty() ? "" : ", ", name, value);
  }
  if (!extras.empty()) text += " {" + Shown(extras) + "}";
  return text + "\n";
}

std::string ExtraOf(const AuditRecord& record, std::string_view name) {
  for (const auto& [other, value] : ParseExtras(record)) {
    if (other == name) return value;
  }
  return {};
}

NamedValues ExtrasOf(const AuditRecord& record) {
  NamedValues extras = ParseExtras(record);
  // Of these one is shown as arguments, and nobody judges the other by eye.
  std::erase_if(extras, [](const auto& extra) {
    return extra.first == "registers" || extra.first == "signature";
  });
  return extras;
}

bool RecordFilter::Takes(const AuditRecord& record) const {
  return IsAny(component, record.component) && IsAny(kind, record.kind) &&
         IsAny(control, record.control) && IsAny(action, record.action) &&
         (rule.empty() || IsBeneath(record.rule, rule)) && record.claimed >= since;
}

tl::expected<int64_t, std::string> ParseWhen(const std::string& text, int64_t now) {
  if (const auto ago = Ago(text); ago && *ago <= now) return now - *ago;
  if (const auto moment = Moment(text)) return *moment;
  return tl::unexpected(fmt::format(
      "`{}` is no time: write `10m`, `2026-11-30` or `2026-11-30T20:15:03`, in UTC", text));
}

tl::expected<RecordFilter, std::string> FilterOf(const Invocation& invocation, int64_t now) {
  RecordFilter filter;
  filter.component = invocation.One(Parameter::kOnly);
  filter.kind = invocation.One(Parameter::kKind);
  const auto kinds = Kinds();
  if (!filter.kind.empty() && std::ranges::find(kinds, filter.kind) == kinds.end()) {
    return tl::unexpected(fmt::format("`{}` is no kind of record: kinds are {}", filter.kind,
                                      fmt::join(kinds, ", ")));
  }
  filter.control = invocation.One(Parameter::kControl);
  if (!filter.control.empty() &&
      std::ranges::find(kControls, filter.control) == std::end(kControls)) {
    return tl::unexpected(fmt::format("`{}` is no control: controls are {}", filter.control,
                                      fmt::join(kControls, ", ")));
  }
  filter.action = invocation.One(Parameter::kActionName);
  filter.rule = invocation.One(Parameter::kRule);
  if (!invocation.Has(Parameter::kSince)) return filter;
  const auto since = ParseWhen(invocation.One(Parameter::kSince), now);
  if (!since) return tl::unexpected(since.error());
  filter.since = *since;
  return filter;
}

void LineSplitter::Add(char c) {
  if (line_.size() < kMaxEventLine) {
    line_ += c;
  } else {
    too_long_ = true;
  }
}

}  // namespace bulkhead
