// SPDX-License-Identifier: Apache-2.0
// Places in policy text, and the mistakes found there. Mistakes are values: all are collected,
// sorted by place and capped, never thrown. Not thread-safe; one Diagnostics a compilation.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead {

// Where something stands. Lines and columns count from 1, columns in bytes. file indexes Sources.
struct Place {
  uint32_t file = 0;
  uint32_t line = 1;
  uint32_t column = 1;
  uint32_t length = 1;  // bytes to underline
  auto operator<=>(const Place&) const = default;
};

struct SourceFile {
  std::string name;  // as the user named it, or "<library/groups.yaml>" for shipped ones
  std::string text;
};
using Sources = std::vector<SourceFile>;

enum class Severity : uint8_t { kError, kWarning, kNote };

struct Diagnostic {
  Severity severity = Severity::kError;
  Place place;
  std::string code;  // "E0203"; once given never reused
  std::string message;
  std::string help;  // may be empty
  // What a mistake on a target is about, as the ledger names it; empty: as its place says.
  std::string component;
  std::string statement;
};

inline constexpr size_t kMaxDiagnostics = 50;

class Diagnostics {
 public:
  // The diagnostic, until the next one.
  Diagnostic& Error(Place place, std::string_view code, std::string message, std::string help = {});
  void Warning(Place place, std::string_view code, std::string message, std::string help = {});
  void Note(Place place, std::string_view code, std::string message, std::string help = {});

  void Append(const Diagnostics& others);

  bool HasErrors() const { return errors_ != 0; }
  size_t ErrorCount() const { return errors_; }
  // Sorted by place, duplicates removed, at most kMaxDiagnostics; the last says how many were cut.
  std::vector<Diagnostic> Sorted() const;

 private:
  std::vector<Diagnostic> items_;
  size_t errors_ = 0;
};

// "file:line:col: error: text [E0203]", the line, a caret, help. Control characters of the source
// line are escaped. `color` adds ANSI colours.
std::string RenderText(const Diagnostic& diagnostic, const Sources& sources, bool color);
// {"diagnostics":[{file,line,column,length,severity,code,message,help}]}
std::string RenderJson(const std::vector<Diagnostic>& diagnostics, const Sources& sources);

}  // namespace bulkhead
