// SPDX-License-Identifier: Apache-2.0
// answers BUNDLE: reads questions `COMPONENT ACTION OBJECT...`, one a line, and prints for each
// what `bulkhead why --format json` prints, on one line; many questions a process, filters are read
// once.
// answers --registers NAME ARGUMENT=VALUE...: the values of a call of this machine's architecture
// as numbers that the kernel reads, in JSON.
#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "cli/answer_json.h"
#include "cli/inputs.h"
#include "compiler/ask.h"
#include "compiler/export_filter.h"
#include "profiles/syscalls.h"

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

int PrintRegisters(const std::vector<std::string>& call) {
  const Arch arch = NativeArch();
  const auto question = ParseQuestion(arch, "syscall", call);
  if (!question) {
    std::cerr << question.error() << '\n';
    return 1;
  }
  Json values = Json::object();
  const SyscallArgList infos = SyscallArgs(arch, question->call);
  for (const auto& [index, value] : question->args) {
    const unsigned bits = ArgBits(infos[index].type);
    const uint64_t width = bits == 64 ? UINT64_MAX : (uint64_t{1} << bits) - 1;
    values[std::string(infos[index].name)] = value & width;
  }
  std::cout << values.dump() << '\n';
  return 0;
}

}  // namespace
}  // namespace bulkhead

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (argc > 2 && words[0] == "--registers") {
    return bulkhead::PrintRegisters({words.begin() + 1, words.end()});
  }
  if (argc == 2) return bulkhead::Run(argv[1]);
  if (argc == 3) return bulkhead::WriteStartup(argv[1], argv[2]);
  std::fputs("usage: answers BUNDLE [COMPONENT] | answers --registers NAME ARGUMENT=VALUE...\n",
             stderr);
  return 2;
}
