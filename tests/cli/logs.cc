// SPDX-License-Identifier: Apache-2.0
#include "tests/cli/logs.h"

#include <boost/test/unit_test.hpp>
#include <utility>

#include "engine/audit_chain.h"

namespace bulkhead::test {

Event Refusal(const std::string& component, const std::string& action, const std::string& object) {
  Event event;
  event.component = component;
  event.pid = 7;
  event.exe = "/usr/bin/attacker";
  event.kind = EventKind::kViolation;
  event.control = "seccomp";
  event.action = action;
  event.object = object;
  event.verdict = "refused";
  event.error = "EPERM";
  event.rule = "components." + component + ".syscalls";
  return event;
}

AuditLog Open(const std::string& path, const Digest& bundle) {
  auto log = AuditLog::Open({Sink{SinkKind::kFile, path}}, bundle, "boot-1");
  BOOST_REQUIRE(log);
  return std::move(*log);
}

void WriteLog(const std::string& path) {
  AuditLog log = Open(path);
  log.Append(Refusal("tools", "ptrace", "0 1 0 0 0 0"));
  Event many = Refusal("tools", "ptrace", "10 1 0 0 0 0");
  many.count = 4;
  log.Append(many);
  log.Append(Refusal("agent", "socket", "28 1 0 0 0 0"));
  BOOST_REQUIRE(log.Close());
}

std::string Linked(std::string object) {
  object.pop_back();
  object.append(kPrevField).append(Hex(Digest{})).append("\"}");
  const Digest hash = LinkHash(Digest{}, object);
  object.pop_back();
  return object.append(kHashField).append(Hex(hash)).append("\"}\n");
}

}  // namespace bulkhead::test
