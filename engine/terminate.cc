// SPDX-License-Identifier: Apache-2.0
// What the runtime does with an exception that nobody takes: it says so and aborts. libstdc++'s own
// handler would name the exception's type, for which it brings a demangler of 60 KB along.
#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace __gnu_cxx {

// NOLINTNEXTLINE(bugprone-reserved-identifier,readability-identifier-naming): libstdc++ calls it
[[noreturn]] void __verbose_terminate_handler() {
  constexpr std::string_view kText = "bulkhead-init: an exception that nobody takes\n";
  if (write(STDERR_FILENO, kText.data(), kText.size()) < 0) abort();
  abort();
}

}  // namespace __gnu_cxx
