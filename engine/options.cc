// SPDX-License-Identifier: Apache-2.0
#include "engine/options.h"

#include <string_view>

namespace bulkhead {
namespace {

constexpr std::string_view kUsage =
    "usage: bulkhead-init BUNDLE [--only COMPONENT] [-- CMD...]\n"
    "       bulkhead-init --help | --version\n"
    "\n"
    "Boots the enclave of a compiled bundle: verifies it, compares it with the running kernel,\n"
    "confines and starts its components, keeps them and records what they were refused.\n"
    "\n"
    "  --only COMPONENT  confine and supervise one component; CMD replaces its command line\n"
    "  --help            this text\n"
    "  --version         the version\n"
    "\n"
    "exit status: 0 all components were stopped on request, or ended by themselves and well,\n"
    "1 a critical component could not be kept up, or one of an enclave that ended by itself "
    "failed,\n"
    "2 wrong usage, 3 the bundle, the kernel or the machine does not allow the enclave to boot\n";

InitOptions Stop(int code, std::string text) {
  InitOptions options;
  options.exit = code;
  options.text = std::move(text);
  return options;
}

InitOptions Wrong(const std::string& what) {
  return Stop(kExitUsage, "bulkhead-init: " + what + "\n" + std::string(kUsage));
}

}  // namespace

InitOptions ParseInitOptions(int argc, char** argv) {
  InitOptions options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    if (arg == "--help") return Stop(0, std::string(kUsage));
    if (arg == "--version") return Stop(0, "bulkhead-init 0.1.0\n");
    if (arg == "--only") {
      if (++i == argc) return Wrong("--only needs a component");
      options.only = argv[i];
    } else if (arg == "--") {
      options.command.assign(argv + i + 1, argv + argc);
      if (options.command.empty()) return Wrong("no command after --");
      break;
    } else if (arg.starts_with("-")) {
      return Wrong("unknown option `" + std::string(arg) + "`");
    } else if (!options.bundle.empty()) {
      return Wrong("more than one bundle");
    } else {
      options.bundle = arg;
    }
  }
  if (options.bundle.empty()) return Wrong("no bundle");
  if (!options.command.empty() && options.only.empty()) return Wrong("a command needs --only");
  return options;
}

}  // namespace bulkhead
