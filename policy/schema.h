// SPDX-License-Identifier: Apache-2.0
// The language, version 1, as one table. The checker, the merger, docs/LANGUAGE.md and the JSON
// Schema all read it; nothing else knows which keys exist. Static data, thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead {

enum class Type : uint8_t {  // of a single value
  kNone,                     // only the map form is accepted
  kVersion,
  kBoolean,
  kInteger,
  kSize,
  kTime,
  kPercent,
  kRate,
  kText,
  kName,
  kPath,
  kPathOrSet,
  kChoice,
  kPort,
  kUser,
  kUmask,
  kSignal,
  kDigest,
  kDate,
  kAddress,
  kVsockAddress,
  kEnvName,
  kVariableName,
  kCall,      // a system call or "@group"
  kCallName,  // a system call
  kArgument,  // the name of an argument
  kArgValue,  // a constant's name or a number
  kStatement,
  kExcept,
  kFileName,
  kTarget,
  kKernel,
  kLevel,
};

struct TypeInfo {
  Type type;
  std::string_view expected;  // "a time like `10s`, `5m` or `1h`"
  std::string_view pattern;   // for JSON Schema; empty: not a string
};
const TypeInfo& Info(Type type);

enum class Form : uint8_t {
  kOne,        // a value, or a map of the named shape
  kList,       // a list of these, at least one
  kOneOrList,  // a value, a list of values, or a map
};

struct Row {
  std::string_view shape;  // the kind of map the key stands in
  std::string_view key;    // "*": any key of type `names`
  Form form = Form::kOne;
  Type type = Type::kNone;   // of the single value
  std::string_view map;      // shape of the map form; empty: no map is accepted
  Type names = Type::kNone;  // for "*"
  std::string_view choices;  // kChoice: "a|b|c"
  uint64_t least = 0;        // limits of a number, in units of the value (bytes, milliseconds)
  uint64_t most = 0;
  bool required = false;
  std::string_view fallback;  // the value when the key is left out, for people
  bool whole = false;         // merging replaces the value instead of joining it
  bool identity = false;      // names the item of a list that the map stands in
  bool own = false;           // of a component only, not of a profile
  std::string_view doc;
};

struct Shape {
  std::string_view name;
  std::string_view where;  // "components.NAME.network.unix"
};

std::span<const Row> Rows();      // rows of a shape stand together
std::span<const Shape> Shapes();  // in the order of the documentation

// "profile" is the component's shape without the rows marked own.
std::string_view BaseShape(std::string_view shape);
std::vector<const Row*> RowsOf(std::string_view shape);
// The row for this very key, or the shape's "*" row; nullptr: no such key.
const Row* FindRow(std::string_view shape, std::string_view key);
// The keys that name an item of this shape together. The last one is what a scalar stands for.
std::vector<std::string_view> IdentityKeys(std::string_view shape);

std::vector<std::string_view> ChoicesOf(const Row& row);

// A number as policies of the type write it: 67108864 of type kSize is "64M".
std::string Spelled(uint64_t value, Type type);

}  // namespace bulkhead
