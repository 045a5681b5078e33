// SPDX-License-Identifier: Apache-2.0
#include "compiler/json_tree.h"

#include <fmt/format.h>

#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "policy/text.h"
#include "policy/yaml_events.h"

namespace bulkhead {
namespace {

constexpr std::string_view kBetween = " \t\r\n,:";  // what stands between two tokens
constexpr std::string_view kAfterNumber = " \t\r\n,]}";

// The bytes for the parser, which tells nobody how far it is.
class Input {
 public:
  // NOLINTBEGIN(readability-identifier-naming): what the standard calls them
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;
  // NOLINTEND(readability-identifier-naming)

  Input(const char* at, const char** furthest) : at_(at), furthest_(furthest) {}
  reference operator*() const { return *at_; }
  Input& operator++() {
    *furthest_ = ++at_;
    return *this;
  }
  bool operator==(const Input& other) const { return at_ == other.at_; }
  bool operator!=(const Input& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  const char** furthest_;
};

// Builds the tree from the parser's events; false from one of them ends the parse.
class Builder : public nlohmann::json_sax<nlohmann::json> {
 public:
  Builder(std::string_view text, uint32_t file, Diagnostics& diagnostics)
      : text_(text), furthest_(text.data()), file_(file), diagnostics_(diagnostics) {}

  std::optional<Node> Build() {
    const Input begin(text_.data(), &furthest_);
    const Input end(text_.data() + text_.size(), &furthest_);
    if (!nlohmann::json::sax_parse(begin, end, this)) return std::nullopt;
    return std::move(root_);
  }

  bool null() override { return Plain(); }
  bool boolean(bool) override { return Plain(); }
  bool number_integer(number_integer_t) override { return Plain(); }
  bool number_unsigned(number_unsigned_t) override { return Plain(); }
  bool number_float(number_float_t, const string_t&) override { return Plain(); }
  bool binary(binary_t&) override { return false; }  // not of JSON

  bool string(string_t& value) override {
    Node node = Scalar(Token(false));
    node.style = ScalarStyle::kQuoted;
    node.text = std::move(value);
    return Put(std::move(node));
  }

  bool start_object(std::size_t) override { return Open(NodeKind::kMap); }
  bool end_object() override { return Close(); }
  bool start_array(std::size_t) override { return Open(NodeKind::kList); }
  bool end_array() override { return Close(); }

  bool key(string_t& value) override {
    const Place place = PlaceOf(Token(false));
    if (open_.back().Find(value) != nullptr) {
      diagnostics_.Error(place, "E0603", fmt::format("{} is here twice", Quoted(value)),
                         "readers of JSON disagree about which one counts");
      return false;
    }
    open_.back().entries.push_back({std::move(value), place, ScalarStyle::kQuoted, {}});
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::json::exception& error) override {
    const size_t at = std::min(position > 0 ? position - 1 : 0, text_.size());
    const std::string_view what = error.what();
    const size_t detail = what.find("; ");
    diagnostics_.Error(PlaceOf(text_.substr(at, 1)), "E0602", "this is not JSON",
                       detail == what.npos ? "" : Escaped(what.substr(detail + 2)));
    return false;
  }

 private:
  // The token that the event is about: it ends where the parser is.
  std::string_view Token(bool number) {
    auto end = static_cast<size_t>(furthest_ - text_.data());
    const size_t start = std::min(text_.find_first_not_of(kBetween, done_), end);
    // The end of a number shows only by the character after it.
    if (number && kAfterNumber.find(text_[end - 1]) != kAfterNumber.npos) --end;
    done_ = end;
    return text_.substr(start, end - start);
  }

  Place PlaceOf(std::string_view token) {
    const auto at = static_cast<size_t>(token.data() - text_.data());
    for (; counted_ < at; ++counted_) {
      if (text_[counted_] != '\n') continue;
      ++line_;
      line_start_ = counted_ + 1;
    }
    return {file_, line_, static_cast<uint32_t>(at - line_start_ + 1),
            static_cast<uint32_t>(std::max<size_t>(token.size(), 1))};
  }

  Node Scalar(std::string_view token) {
    Node node;
    node.kind = NodeKind::kScalar;
    node.place = PlaceOf(token);
    node.text = token;
    return node;
  }

  bool Plain() { return Put(Scalar(Token(true))); }

  bool TooMuch(const Place& place, std::string_view what, size_t most) {
    diagnostics_.Error(place, "E0601", fmt::format("the file {}", what),
                       fmt::format("the limit is {}", most));
    return false;
  }

  bool Put(Node node) {
    if (++count_ > kMaxNodes) return TooMuch(node.place, "has too many values", kMaxNodes);
    if (open_.empty()) {
      root_ = std::move(node);
    } else if (open_.back().kind == NodeKind::kList) {
      open_.back().items.push_back(std::move(node));
    } else {
      open_.back().entries.back().value = std::move(node);
    }
    return true;
  }

  bool Open(NodeKind kind) {
    Node node = Scalar(Token(false));
    node.kind = kind;
    node.text.clear();
    if (open_.size() == kMaxDepth) return TooMuch(node.place, "is nested too deep", kMaxDepth);
    open_.push_back(std::move(node));
    return true;
  }

  bool Close() {
    Token(false);
    Node node = std::move(open_.back());
    open_.pop_back();
    return Put(std::move(node));
  }

  std::string_view text_;
  const char* furthest_;
  uint32_t file_;
  Diagnostics& diagnostics_;
  std::optional<Node> root_;
  std::vector<Node> open_;
  size_t count_ = 0;
  size_t done_ = 0;  // bytes of tokens that events were about
  // Up to where lines are counted; places are asked for in order.
  size_t counted_ = 0;
  size_t line_start_ = 0;
  uint32_t line_ = 1;
};

}  // namespace

std::optional<Node> ReadJson(std::string_view text, uint32_t file, Diagnostics& diagnostics) {
  if (text.size() > kMaxFileSize) {
    diagnostics.Error({file, 1, 1, 1}, "E0601", "the file is too large",
                      fmt::format("the limit is {} bytes", kMaxFileSize));
    return std::nullopt;
  }
  return Builder(text, file, diagnostics).Build();
}

}  // namespace bulkhead
