// SPDX-License-Identifier: Apache-2.0
#include "cli/cli.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>

namespace bulkhead {
namespace {

int Parse(int argc, const char* const* argv) {
  CLI::App app("bulkhead: in-enclave isolation policy", "bulkhead");
  app.set_version_flag("--version", std::string("bulkhead ") + std::string(kVersion));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitDone : kExitWrongUsage;
  }
  fmt::print(stderr, "{}", app.help());
  return kExitWrongUsage;
}

}  // namespace

int RunCli(int argc, const char* const* argv) {
  try {
    return Parse(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bulkhead: internal error: %s\n", error.what());
    return kExitDefect;
  }
}

}  // namespace bulkhead
