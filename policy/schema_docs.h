// SPDX-License-Identifier: Apache-2.0
// The schema table for readers and editors. Pure, thread-safe; the same bytes each time.
#pragma once

#include <string>

namespace bulkhead {

// Tables in Markdown, for docs/LANGUAGE.md.
std::string RenderSchemaMarkdown();

// A JSON Schema (draft 2020-12). It may accept more than the compiler and never less: where a
// value's type is not known before variables are replaced, or JSON takes for equal what the
// language does not, the schema is silent.
std::string RenderJsonSchema();

}  // namespace bulkhead
