// SPDX-License-Identifier: Apache-2.0
// A map of a checked tree with the id of its statement: what the builders walk. Views of the tree,
// which must outlive them.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/node.h"
#include "policy/policy.h"

namespace bulkhead {

class Section {
 public:
  Section(const Node* node, std::string id) : node_(node), id_(std::move(id)) {}

  // Whether the key was written, even if its value was refused.
  bool Has(std::string_view key) const { return node_ != nullptr && node_->Find(key) != nullptr; }

  // The value of a key; nullptr when it is not there, or was refused.
  const Node* Get(std::string_view key) const {
    const Entry* entry = node_ == nullptr ? nullptr : node_->Find(key);
    return entry == nullptr || entry->value.kind == NodeKind::kBad ? nullptr : &entry->value;
  }

  // The text of a key's scalar; `fallback` when it is not there.
  std::string TextOf(std::string_view key, std::string_view fallback = {}) const {
    const Node* node = Get(key);
    return std::string(node == nullptr ? fallback : std::string_view(node->text));
  }

  // The section below a key; empty when it is not there.
  Section Sub(std::string_view key) const { return {Get(key), Id(key)}; }

  std::span<const Node> Items(std::string_view key) const {
    const Node* node = Get(key);
    return node == nullptr ? std::span<const Node>() : std::span<const Node>(node->items);
  }

  std::span<const Entry> Entries() const {
    return node_ == nullptr ? std::span<const Entry>() : std::span<const Entry>(node_->entries);
  }

  std::string Id(std::string_view key) const {
    return id_.empty() ? std::string(key) : id_ + "." + std::string(key);
  }

  // The statement of a key, at its value.
  Statement At(std::string_view key) const {
    const Node* node = Get(key);
    return {Id(key), node == nullptr ? Place{} : node->place};
  }

  // The statement of one item of a key's list.
  Statement ItemAt(std::string_view key, const Node& item, std::string_view name) const {
    return {Id(key) + ":" + std::string(name), item.place};
  }

  // A list of scalars as texts with their statements.
  std::vector<Text> Texts(std::string_view key) const {
    std::vector<Text> texts;
    for (const Node& item : Items(key)) texts.push_back({item.text, ItemAt(key, item, item.text)});
    return texts;
  }

  explicit operator bool() const { return node_ != nullptr; }
  const Node* node() const { return node_; }
  const std::string& id() const { return id_; }

 private:
  const Node* node_;
  std::string id_;
};

}  // namespace bulkhead
