// SPDX-License-Identifier: Apache-2.0
// Audit logs for tests to read.
#pragma once

#include <string>

#include "engine/audit_log.h"

namespace bulkhead::test {

Event Refusal(const std::string& component, const std::string& action, const std::string& object);

AuditLog Open(const std::string& path, const Digest& bundle = Sha384(std::string_view("bundle")));

// Of `tools` ptrace five times on two objects, of `agent` one socket.
void WriteLog(const std::string& path);

// A line of whoever writes logs by hand: a record by its own hash, and nothing more.
std::string Linked(std::string object);

}  // namespace bulkhead::test
