// SPDX-License-Identifier: Apache-2.0
// Manual pages in the man(7) language, from the table of commands.
#include <fmt/format.h>

#include <algorithm>

#include "cli/cli.h"
#include "cli/help.h"
#include "compiler/question.h"

namespace bulkhead {
namespace {

// Text as roff: a hyphen that is typed stays one, and no line begins a request.
std::string Roff(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '-' || c == '\\') out += '\\';
    if (c == '.' && (out.empty() || out.back() == '\n')) out += "\\&";
    if (c == '\\') {
      out += 'e';
    } else {
      out += c;
    }
  }
  return out;
}

std::string Paragraphs(std::string_view text) {
  std::string out;
  for (size_t from = 0; from < text.size();) {
    const size_t end = std::min(text.find('\n', from), text.size());
    out += ".PP\n" + Roff(text.substr(from, end - from)) + "\n";
    from = end + 1;
  }
  return out;
}

std::string ParameterItem(const ParameterRow& row) {
  std::string term = row.letter.empty() ? "" : fmt::format("\\fB{}\\fR, ", Roff(row.letter));
  if (!row.option.empty()) term += fmt::format("\\fB{}\\fR", Roff(row.option));
  if (!row.option.empty() && !row.IsSwitch()) term += " ";
  if (!row.IsSwitch()) term += fmt::format("\\fI{}\\fR", Roff(row.value));
  if (row.option.empty() && row.repeated) term += "...";
  std::string text(row.help);
  if (!row.choices.empty()) text += ": " + ChoicesText(row.choices);
  if (row.repeated && !row.option.empty()) text += "; may be repeated";
  return fmt::format(".TP\n{}\n{}\n", term, Roff(text));
}

std::string Example(std::string_view lines) {
  return fmt::format(".PP\n.RS 4\n.nf\n{}\n.fi\n.RE\n", Roff(lines));
}

std::string Items(const CommandRow& command) {
  std::string out;
  for (const Parameter parameter : command.parameters) out += ParameterItem(Row(parameter));
  return out;
}

std::string Actions(const CommandRow& command) {
  if (command.id != Command::kWhy) return {};
  std::string out = ".PP\nActions:\n";
  for (const ActionRow& row : bulkhead::Actions()) {
    out += fmt::format(".TP\n\\fB{}\\fR \\fI{}\\fR\n{}\n", row.name, Roff(row.example),
                       Roff(row.about));
  }
  return out;
}

std::string ExitStatus(std::span<const ExitRow> rows) {
  std::string out = ".SH EXIT STATUS\n";
  for (const ExitRow& row : rows) out += fmt::format(".TP\n{}\n{}\n", row.code, Roff(row.meaning));
  return out;
}

std::string Head(std::string_view title, int section, std::string_view name,
                 std::string_view summary) {
  return fmt::format(
      ".\\\" SPDX-License-Identifier: Apache-2.0\n"
      ".\\\" Generated from cli/command_table.cc by BULKHEAD_REGENERATE=1 test-cli.\n"
      ".TH {} {} \"\" \"bulkhead {}\"\n.SH NAME\n{} \\- {}\n",
      title, section, kVersion, Roff(name), Roff(summary));
}

}  // namespace

std::string ManualPage() {
  std::string out = Head("BULKHEAD", 1, "bulkhead", "isolation policy inside an enclave");
  out += ".SH SYNOPSIS\n";
  for (const CommandRow& row : Commands()) out += Roff(Usage(row)) + "\n.br\n";
  out += "bulkhead \\-\\-help | \\-\\-version\n";
  out +=
      ".SH DESCRIPTION\n"
      "One YAML policy describes every component of an enclave. \\fBbulkhead\\fR checks it, "
      "compiles it to a bundle of kernel controls, explains what the bundle allows, and starts\n"
      ".BR bulkhead\\-init (8),\n"
      "which confines and supervises the components.\n";
  for (const CommandRow& row : Commands()) {
    out += fmt::format(".SH \"{}\"\n", Roff(row.name)) + Paragraphs(row.details) + Items(row) +
           Actions(row) + Example(row.example);
  }
  out += ExitStatus(ExitCodes());
  out +=
      ".SH ENVIRONMENT\n.TP\nNO_COLOR\nwhen set and not empty, nothing is coloured; otherwise "
      "colour is used on a terminal\n.TP\nPATH\nwhere run and exec look for bulkhead\\-init, and "
      "exec for the program\n.SH SEE ALSO\n.BR bulkhead\\-init (8)\n";
  return out;
}

std::string InitManualPage() {
  const CommandRow& row = InitRow();
  return Head("BULKHEAD\\-INIT", 8, row.name, row.summary) + ".SH SYNOPSIS\n" + Roff(Usage(row)) +
         "\n.br\nbulkhead\\-init \\-\\-help | \\-\\-version\n.SH DESCRIPTION\n" +
         Paragraphs(row.details) + ".SH OPTIONS\n" + Items(row) + ".SH EXAMPLE\n" +
         Example(row.example) + ExitStatus(InitExitCodes()) +
         ".SH ENVIRONMENT\n.TP\nNOTIFY_SOCKET\nunless it is process 1: the service manager that is "
         "told of readiness, status and stop, by sd_notify(3)\n.TP\nWATCHDOG_USEC, WATCHDOG_PID\n"
         "the service manager's watchdog, which is told each second\n.SH SEE ALSO\n.BR bulkhead "
         "(1)\n";
}

}  // namespace bulkhead
