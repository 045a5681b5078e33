// SPDX-License-Identifier: Apache-2.0
// What tests of the audit log share: a clock of theirs, a place for the log, events, reading back.
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "engine/audit_log.h"
#include "engine/audit_verify.h"

namespace bulkhead::audit_test {

inline uint64_t fake_now = 0;
inline constexpr AuditClock kFakeClock = {[] { return fake_now; },
                                          [] { return fake_now + 1700000000000000000; }};
inline constexpr uint64_t kSecond = 1000000000;

inline Digest TestBundle() { return Sha384(std::string_view("bundle")); }

// A directory that is gone afterwards, and the log in it.
class Place {
 public:
  Place() {
    char name[] = "/tmp/bulkhead-audit-XXXXXX";
    directory_ = mkdtemp(name);
    fake_now = 100 * kSecond;
  }
  ~Place() {
    for (const char* file : {"/logs/audit.jsonl", "/logs/old.jsonl"}) {
      unlink((directory_ + file).c_str());
    }
    rmdir((directory_ + "/logs").c_str());
    rmdir(directory_.c_str());
  }
  std::string path() const { return directory_ + "/logs/audit.jsonl"; }
  std::string old_path() const { return directory_ + "/logs/old.jsonl"; }
  std::string directory() const { return directory_ + "/logs"; }
  AuditLog Open() const {
    auto log = AuditLog::Open({{SinkKind::kFile, path()}}, TestBundle(), "boot-1", kFakeClock);
    BOOST_REQUIRE(log);
    return std::move(*log);
  }

 private:
  std::string directory_;
};

inline std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void WriteAll(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::trunc) << text;
}

inline std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  size_t start = 0;
  for (size_t end; (end = text.find('\n', start)) != std::string::npos; start = end + 1) {
    lines.push_back(text.substr(start, end + 1 - start));
  }
  return lines;
}

inline std::string Join(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line;
  return text;
}

inline Event Refusal(const std::string& object) {
  Event event;
  event.component = "tools";
  event.pid = 7;
  event.kind = EventKind::kViolation;
  event.control = "seccomp";
  event.action = "socket";
  event.object = object;
  event.verdict = "refused";
  event.error = "EPERM";
  return event;
}

inline Event Started() {
  Event event;
  event.component = "tools";
  event.control = "supervisor";
  event.action = "started";
  return event;
}

// The number of refused events that a log's records stand for.
// The sum of the counts of the records of a kind.
inline uint64_t CountKind(const std::string& text, const std::string& kind) {
  uint64_t sum = 0;
  for (const std::string& line : Lines(text)) {
    if (line.find("\"kind\":\"" + kind + "\"") == std::string::npos) continue;
    sum += std::strtoull(line.c_str() + line.find("\"count\":") + 8, nullptr, 10);
  }
  return sum;
}

inline uint64_t CountRefused(const std::string& text) { return CountKind(text, "violation"); }

inline void WriteSampleLog(const Place& place) {
  AuditLog log = place.Open();
  log.Append(Started());
  for (int i = 0; i < 5; ++i) log.Append(Refusal("domain=" + std::to_string(i)));
  BOOST_TEST(log.Close());
}

}  // namespace bulkhead::audit_test
