// SPDX-License-Identifier: Apache-2.0
#include "cli/accepted.h"

#include <fmt/format.h>

#include "policy/text.h"

namespace bulkhead {

std::vector<const Acceptance*> Accept(const std::vector<Difference>& differences,
                                      const std::vector<Acceptance>& acceptances,
                                      const std::string& date, Diagnostics& diagnostics) {
  std::vector<const Acceptance*> by(differences.size(), nullptr);
  for (const Acceptance& acceptance : acceptances) {
    const bool ended = acceptance.until < date;
    for (const Text& change : acceptance.changes) {
      bool used = false;
      for (size_t i = 0; i < differences.size(); ++i) {
        const Difference& difference = differences[i];
        if (difference.change != Change::kWidened || difference.component != acceptance.component ||
            difference.witness != change.value) {
          continue;
        }
        used = true;
        if (!ended) by[i] = &acceptance;
      }
      if (!used) {
        diagnostics.Note(change.at.place, "E0802",
                         fmt::format("{} of {} is no change that widens", Quoted(change.value),
                                     acceptance.component.empty() ? std::string("the enclave")
                                                                  : Quoted(acceptance.component)),
                         "leave it out, or write it as `diff` prints it");
      } else if (ended) {
        diagnostics.Warning(acceptance.place, "E0801",
                            fmt::format("this acceptance ended on {}", acceptance.until),
                            "take the change back, or decide anew and set a later `until`");
      }
    }
  }
  return by;
}

}  // namespace bulkhead
