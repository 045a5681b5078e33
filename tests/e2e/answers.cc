// SPDX-License-Identifier: Apache-2.0
// answers BUNDLE: reads questions `COMPONENT ACTION OBJECT...`, one a line, and prints for each
// what `bulkhead why --format json` prints, on one line; many questions a process, filters are read
// once.
#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "cli/answer_json.h"
#include "cli/inputs.h"
#include "compiler/ask.h"
#include "compiler/export_filter.h"

namespace bulkhead {
namespace {

Json AnswerTo(const std::string& line, const Opened& opened, Evaluator& evaluator) {
  std::istringstream words(line);
  std::string component;
  std::string action;
  words >> component >> action;
  std::vector<std::string> object;
  for (std::string word; words >> word;) object.push_back(word);
  const auto found = FindComponent(opened.bundle, component);
  if (!found) return {{"error", "no such component"}};
  const auto question = ParseQuestion((*found)->arch, action, object);
  if (!question) return {{"error", question.error()}};
  const auto answer = evaluator.Ask(**found, *question);
  if (!answer) return {{"error", answer.error()}};
  return AnswerJson(*answer, opened, **found);
}

int Run(const std::string& bundle) {
  const auto opened = OpenBundle(bundle);
  if (!opened) return opened.error();
  Evaluator evaluator(opened->bundle);
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << AnswerTo(line, *opened, evaluator).dump() << '\n';
  }
  return 0;
}

// The program of its startup as sock_filter[], nothing where it has none.
int WriteStartup(const std::string& bundle, const std::string& component) {
  const auto opened = OpenBundle(bundle);
  if (!opened) return opened.error();
  const auto found = FindComponent(opened->bundle, component);
  if (!found) return found.error();
  const std::vector<uint8_t> bytes = EncodeFilter((*found)->startup);
  std::cout.write(reinterpret_cast<const char*>(bytes.data()),
                  static_cast<std::streamsize>(bytes.size()));
  return 0;
}

}  // namespace
}  // namespace bulkhead

int main(int argc, char** argv) {
  if (argc == 2) return bulkhead::Run(argv[1]);
  if (argc == 3) return bulkhead::WriteStartup(argv[1], argv[2]);
  std::fputs("usage: answers BUNDLE [COMPONENT]\n", stderr);
  return 2;
}
