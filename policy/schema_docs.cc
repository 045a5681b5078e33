// SPDX-License-Identifier: Apache-2.0
#include "policy/schema_docs.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "policy/schema.h"

namespace bulkhead {
namespace {

using Json = nlohmann::ordered_json;

// --- Markdown ---

std::string DescribeScalar(const Row& row) {
  if (row.type != Type::kChoice) return std::string(Info(row.type).expected);
  std::string text;
  for (const std::string_view choice : ChoicesOf(row)) {
    text += fmt::format("{}`{}`", text.empty() ? "" : ", ", choice);
  }
  return text;
}

std::string DescribeValue(const Row& row) {
  const std::string map = row.map.empty() ? "" : "a map";
  std::string one = row.type == Type::kNone ? map : DescribeScalar(row);
  if (row.type != Type::kNone && !map.empty()) one += "; or " + map;
  switch (row.form) {
    case Form::kOne:
      return one;
    case Form::kList:
      return "list; an item is " + one;
    case Form::kOneOrList:
      return one + "; or a list of values";
  }
  return one;
}

std::string DescribeLimits(const Row& row) {
  if (row.most == 0) return "";
  return fmt::format("{} to {}", Spelled(row.least, row.type), Spelled(row.most, row.type));
}

std::string DescribeDefault(const Row& row) {
  if (row.required) return "required";
  return row.fallback.empty() ? "" : fmt::format("`{}`", row.fallback);
}

// A bar would end the cell.
std::string Cell(std::string_view text) {
  std::string cell;
  for (const char c : text) {
    if (c == '|') cell += '\\';
    cell += c;
  }
  return cell;
}

std::string MarkdownRow(const Row& row) {
  const std::string key = row.key == "*" ? "any name" : fmt::format("`{}`", row.key);
  return fmt::format("| {} | {} | {} | {} | {} |\n", key, Cell(DescribeValue(row)),
                     Cell(DescribeDefault(row)), DescribeLimits(row), Cell(row.doc));
}

// --- JSON Schema ---

Json Reference(std::string_view shape) { return {{"$ref", fmt::format("#/$defs/{}", shape)}}; }

Json WrittenSchema(const Row& row) {
  switch (row.type) {
    case Type::kVersion:
      return {{"const", 1}};
    case Type::kBoolean:
      return {{"type", "boolean"}};
    case Type::kInteger:
      return {{"type", "integer"}, {"minimum", row.least}, {"maximum", row.most}};
    case Type::kPort:
      return {{"type", "integer"}, {"minimum", 1}, {"maximum", 65535}};
    case Type::kUser:
      return {{"anyOf", {{{"const", "auto"}}, {{"type", "integer"}, {"minimum", 0}}}}};
    case Type::kLevel:
      return {{"type", {"boolean", "integer"}}};
    case Type::kKernel:
    case Type::kText:
    case Type::kArgValue:
      return {{"type", {"string", "number"}}};
    case Type::kUmask:
      return {{"type", {"string", "integer"}}};
    case Type::kFileName:
      return {{"type", {"string", "number"}}, {"minLength", 1}};
    case Type::kDigest:  // of decimal digits alone it reads as a number, which no pattern concerns
      return {{"type", {"string", "number"}}, {"pattern", Info(row.type).pattern}};
    default:
      break;
  }
  if (row.type != Type::kChoice) {
    return {{"type", "string"}, {"pattern", Info(row.type).pattern}};
  }
  Json words = Json::array();
  for (const std::string_view choice : ChoicesOf(row)) words.push_back(choice);
  return {{"enum", words}};
}

// As it may be written: what a variable stands for is only known to the compiler.
Json ScalarSchema(const Row& row) {
  Json written = WrittenSchema(row);
  const bool takes_text = written.contains("type") && !written.contains("pattern") &&
                          written["type"].dump().find("string") != std::string::npos;
  if (takes_text) return written;
  return {{"anyOf", {std::move(written), {{"type", "string"}, {"pattern", "\\$\\{"}}}}};
}

Json OneSchema(const Row& row) {
  if (row.type == Type::kNone) return Reference(row.map);
  if (row.map.empty()) return ScalarSchema(row);
  return {{"anyOf", {ScalarSchema(row), Reference(row.map)}}};
}

// Text and names of files are compared as they are written; to a schema `1` and `1.0` are the same.
bool HoldsText(const Row& row, std::set<std::string_view>& seen) {
  if (row.type == Type::kText || row.type == Type::kFileName) return true;
  if (row.map.empty() || !seen.insert(row.map).second) return false;
  for (const Row* inner : RowsOf(row.map)) {
    if (HoldsText(*inner, seen)) return true;
  }
  return false;
}

bool IsUnique(const Row& row) {
  std::set<std::string_view> seen;
  return !row.whole && !HoldsText(row, seen);
}

Json ListSchema(Json item, bool unique) {
  return {{"type", "array"}, {"items", std::move(item)}, {"minItems", 1}, {"uniqueItems", unique}};
}

Json ValueSchema(const Row& row) {
  switch (row.form) {
    case Form::kOne:
      return OneSchema(row);
    case Form::kList:
      return ListSchema(OneSchema(row), IsUnique(row));
    case Form::kOneOrList:
      return {{"anyOf", {OneSchema(row), ListSchema(ScalarSchema(row), true)}}};
  }
  return {};
}

Json PropertySchema(const Row& row) {
  std::string description(row.doc);
  if (!row.fallback.empty()) description += fmt::format(" Default: {}.", row.fallback);
  Json schema = {{"description", description}};
  schema.update(ValueSchema(row));
  return schema;
}

Json ShapeSchema(std::string_view shape) {
  Json properties = Json::object();
  Json required = Json::array();
  Json schema = {{"type", "object"}, {"minProperties", 1}, {"additionalProperties", false}};
  for (const Row* row : RowsOf(shape)) {
    if (row->key == "*") {
      schema["additionalProperties"] = PropertySchema(*row);
      if (!Info(row->names).pattern.empty()) {
        schema["propertyNames"] = {{"pattern", Info(row->names).pattern}};
      }
      continue;
    }
    properties[std::string(row->key)] = PropertySchema(*row);
    if (row->required) required.push_back(row->key);
  }
  if (!properties.empty()) schema["properties"] = std::move(properties);
  if (!required.empty()) schema["required"] = std::move(required);
  return schema;
}

}  // namespace

std::string RenderSchemaMarkdown() {
  std::string text;
  for (const Shape& shape : Shapes()) {
    text += fmt::format(
        "### {}\n\n| key | value | default | limits | meaning |\n"
        "| --- | --- | --- | --- | --- |\n",
        shape.where);
    for (const Row* row : RowsOf(shape.name)) text += MarkdownRow(*row);
    text += "\n";
  }
  return text;
}

std::string RenderJsonSchema() {
  Json schema;
  schema["$schema"] = "https://json-schema.org/draft/2020-12/schema";
  schema["title"] = "bulkhead policy, version 1";
  schema["$ref"] = "#/$defs/policy";
  Json definitions = Json::object();
  for (const Shape& shape : Shapes()) {
    definitions[std::string(shape.name)] = ShapeSchema(shape.name);
  }
  definitions["profile"] = ShapeSchema("profile");
  schema["$defs"] = std::move(definitions);
  return schema.dump(2) + "\n";
}

}  // namespace bulkhead
