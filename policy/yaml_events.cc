// SPDX-License-Identifier: Apache-2.0
#include "policy/yaml_events.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <istream>
#include <map>
#include <streambuf>
#include <utility>
#include <vector>

#include "policy/scan.h"
#include "policy/text.h"

namespace bulkhead {
namespace {

struct Abort {};  // thrown through yaml-cpp, caught in ReadYaml: a limit was passed

class ViewBuffer : public std::streambuf {
 public:
  explicit ViewBuffer(std::string_view text) {
    // streambuf reads through non-const pointers and never writes through them.
    char* begin = const_cast<char*>(text.data());
    setg(begin, begin, begin + text.size());
  }
};

struct Frame {  // an open list or map
  Node node;
  bool has_key = false;
  bool drop = false;  // the key was refused: so is its value
  Entry pending;
  std::map<std::string, uint32_t> lines_of_keys;
};

class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(std::string_view text, uint32_t file, Diagnostics& diagnostics)
      : text_(text), file_(file), diagnostics_(diagnostics) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ == 0) return;
    diagnostics_.Error(PlaceOf(mark), "E0112", "a second document",
                       "a policy is one document: remove the `---` or `...` before it");
    throw Abort();
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    RefuseProperties(mark, "?", anchor);
    const Place place = NullPlace(mark);
    const bool for_key = !frames_.empty() && frames_.back().node.kind == NodeKind::kMap;
    if (frames_.empty()) {
      diagnostics_.Error(place, "E0118", "the document is empty", "start with `bulkhead: 1`");
    } else if (for_key && frames_.back().has_key) {
      if (!frames_.back().drop) {
        diagnostics_.Error(place, "E0113", Quoted(frames_.back().pending.key) + " has no value",
                           "leave the key out to get its default; there is no null");
      }
    } else {
      diagnostics_.Error(place, "E0113", for_key ? "a key is missing" : "an item has no value",
                         "there is no null");
    }
    Attach(Make(NodeKind::kBad, place));
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    const Place place = TokenPlace(mark);
    diagnostics_.Error(place, "E0109", "an alias", "write the value out; share by `profiles`");
    Attach(Make(NodeKind::kBad, place));
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    const bool tagged = RefuseProperties(mark, tag, anchor);
    Node node = Make(NodeKind::kScalar, ScalarPlace(mark, value, tag == "?"));
    node.style = tag == "?" ? ScalarStyle::kPlain : ScalarStyle::kQuoted;
    node.text = value;
    if (tagged || RefuseCharacters(node)) node.kind = NodeKind::kBad;
    Attach(std::move(node));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    RefuseProperties(mark, tag, anchor);
    Open(NodeKind::kList, mark);
  }
  void OnSequenceEnd() override { Close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    RefuseProperties(mark, tag, anchor);
    Open(NodeKind::kMap, mark);
  }
  void OnMapEnd() override { Close(); }

  size_t documents() const { return documents_; }
  Node TakeRoot() { return std::move(root_); }

  Place PlaceOf(const YAML::Mark& mark) const {
    if (mark.is_null() || mark.pos < 0) return {file_, 1, 1, 1};
    return {file_, static_cast<uint32_t>(mark.line) + 1, static_cast<uint32_t>(mark.column) + 1, 1};
  }

  // The place of the mark, to the end of the word there.
  Place TokenPlace(const YAML::Mark& mark) const {
    Place place = PlaceOf(mark);
    const std::string_view rest = text_.substr(Offset(mark));
    const size_t end = std::min(rest.find_first_of(" \n,]}"), rest.size());
    place.length = std::max<uint32_t>(static_cast<uint32_t>(end), 1);
    return place;
  }

  // The place of the mark; at the end of the text, the last character before it.
  Place VisiblePlace(const YAML::Mark& mark) const {
    if (Offset(mark) < text_.size()) return PlaceOf(mark);
    const size_t last = text_.find_last_not_of(" \n");
    if (last == std::string_view::npos) return {file_, 1, 1, 1};
    const std::string_view before = text_.substr(0, last);
    const size_t start = before.rfind('\n') + 1;  // npos + 1 is 0
    const auto lines = std::count(before.begin(), before.end(), '\n');
    return {file_, static_cast<uint32_t>(lines + 1), static_cast<uint32_t>(last - start + 1), 1};
  }

 private:
  size_t Offset(const YAML::Mark& mark) const {
    return mark.pos < 0 ? text_.size() : std::min(text_.size(), static_cast<size_t>(mark.pos));
  }

  Place ScalarPlace(const YAML::Mark& mark, std::string_view value, bool plain) const {
    Place place = PlaceOf(mark);
    const std::string_view rest = text_.substr(Offset(mark));
    if (plain) {
      const bool verbatim = !value.empty() && rest.starts_with(value);
      place.length = verbatim ? static_cast<uint32_t>(value.size()) : 1;
    } else if (!rest.empty() && (rest[0] == '"' || rest[0] == '\'')) {
      place.length = QuotedLength(rest);
    }
    return place;
  }

  static uint32_t QuotedLength(std::string_view rest) {
    const char quote = rest[0];
    for (size_t i = 1; i < rest.size() && rest[i] != '\n'; ++i) {
      if (quote == '"' && rest[i] == '\\') {
        ++i;
      } else if (rest[i] == quote) {
        if (quote == '"' || i + 1 == rest.size() || rest[i + 1] != quote) {
          return static_cast<uint32_t>(i + 1);
        }
        ++i;
      }
    }
    return 1;
  }

  // yaml-cpp marks an absent value by the token after it, often on a later line. The key is the
  // place to show; in a block list it is the last dash before.
  Place NullPlace(const YAML::Mark& mark) const {
    const std::string_view rest = text_.substr(Offset(mark));
    for (const std::string_view word : {"null", "Null", "NULL", "~"}) {
      if (rest.starts_with(word)) {
        Place place = PlaceOf(mark);
        place.length = static_cast<uint32_t>(word.size());
        return place;
      }
    }
    if (frames_.empty()) return {file_, 1, 1, 1};
    if (frames_.back().has_key) return frames_.back().pending.key_place;
    return PlaceBefore(mark);
  }

  // The last character that is no space, before the mark.
  Place PlaceBefore(const YAML::Mark& mark) const {
    Place place = PlaceOf(mark);
    const size_t at = Offset(mark);
    const size_t found = at == 0 ? std::string_view::npos : text_.find_last_not_of(" \n", at - 1);
    if (found == std::string_view::npos) return place;
    const std::string_view between = text_.substr(found, at - found);
    const auto lines = static_cast<uint32_t>(std::count(between.begin(), between.end(), '\n'));
    if (lines == 0) {
      place.column -= static_cast<uint32_t>(at - found);
    } else {
      const size_t start = text_.rfind('\n', found) + 1;  // npos + 1 is 0
      place.line -= lines;
      place.column = static_cast<uint32_t>(found - start + 1);
    }
    return place;
  }

  // True when there is a tag.
  bool RefuseProperties(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != 0) {
      diagnostics_.Error(TokenPlace(mark), "E0108", "an anchor",
                         "write the value out; share by `profiles`");
    }
    const bool written = Offset(mark) < text_.size() && text_[Offset(mark)] == '!';
    if ((tag != "?" && tag != "!" && !tag.empty()) || written) {
      diagnostics_.Error(TokenPlace(mark), "E0110", "a tag " + Quoted(tag),
                         "the key decides the type: remove the tag");
      return true;
    }
    return false;
  }

  bool RefuseCharacters(const Node& node) {
    std::string_view rest = node.text;
    while (!rest.empty()) {
      const CodePoint point = DecodeFront(rest);
      if (point.length == 0 || IsControl(point.value) || IsInvisible(point.value)) {
        diagnostics_.Error(node.place, "E0104",
                           fmt::format("an escape for control character U+{:04X}", point.value),
                           "values are printable text and line feeds");
        return true;
      }
      rest.remove_prefix(point.length);
    }
    return false;
  }

  Node Make(NodeKind kind, const Place& place) {
    if (++nodes_ > kMaxNodes) {
      diagnostics_.Error(place, "E0115", fmt::format("more than {} values", kMaxNodes),
                         "split the policy, or use `profiles` and `groups`");
      throw Abort();
    }
    Node node;
    node.kind = kind;
    node.place = place;
    return node;
  }

  void Open(NodeKind kind, const YAML::Mark& mark) {
    if (frames_.size() == kMaxDepth) {
      diagnostics_.Error(PlaceOf(mark), "E0114", fmt::format("nested deeper than {}", kMaxDepth),
                         "nothing in the language nests so deep");
      throw Abort();
    }
    Frame frame;
    frame.node = Make(kind, PlaceOf(mark));
    frames_.push_back(std::move(frame));
  }

  void Close() {
    Node node = std::move(frames_.back().node);
    frames_.pop_back();
    Attach(std::move(node));
  }

  void Attach(Node node) {
    if (frames_.empty()) {
      root_ = std::move(node);
      return;
    }
    Frame& top = frames_.back();
    if (top.node.kind == NodeKind::kList) {
      top.node.items.push_back(std::move(node));
    } else if (!top.has_key) {
      TakeKey(top, std::move(node));
    } else {
      if (!top.drop) {
        top.pending.value = std::move(node);
        top.node.entries.push_back(std::move(top.pending));
      }
      top.pending = {};
      top.has_key = false;
    }
  }

  void TakeKey(Frame& top, Node node) {
    top.has_key = true;
    top.drop = true;
    top.pending.key_place = node.place;
    top.pending.key_style = node.style;
    if (node.kind == NodeKind::kBad) return;  // reported already
    if (node.kind != NodeKind::kScalar || node.text.find('\n') != std::string::npos) {
      diagnostics_.Error(node.place, "E0116", "a key that is not one line of text",
                         "keys are names");
    } else if (node.text == "<<" && node.style == ScalarStyle::kPlain) {
      diagnostics_.Error(node.place, "E0111", "a merge key",
                         "write the values out; share by `profiles`");
    } else if (const auto [first, added] = top.lines_of_keys.emplace(node.text, node.place.line);
               !added) {
      diagnostics_.Error(node.place, "E0107", Quoted(node.text) + " is there twice",
                         fmt::format("the first one is on line {}", first->second));
    } else {
      top.drop = false;
    }
    top.pending.key = std::move(node.text);
  }

  std::string_view text_;
  uint32_t file_;
  Diagnostics& diagnostics_;
  size_t documents_ = 0;
  size_t nodes_ = 0;
  std::vector<Frame> frames_;
  Node root_;
};

// A directive changes how the text is read; none is needed.
bool RefuseDirectives(std::string_view text, uint32_t file, Diagnostics& diagnostics) {
  bool found = false;
  uint32_t line = 1;
  for (size_t at = 0; at < text.size(); ++line) {
    const size_t end = std::min(text.find('\n', at), text.size());
    if (text[at] == '%') {
      found = true;
      diagnostics.Error({file, line, 1, static_cast<uint32_t>(end - at)}, "E0117",
                        "a YAML directive", "remove the line");
    }
    at = end + 1;
  }
  return found;
}

// What the events said before a syntax error is often its consequence: only the error is told.
Diagnostics OfException(const YAML::Exception& exception, const TreeBuilder& builder,
                        const Diagnostics& found) {
  if (exception.msg.starts_with(YAML::ErrorMsg::UNKNOWN_ANCHOR)) {
    Diagnostics diagnostics = found;
    diagnostics.Error(builder.TokenPlace(exception.mark), "E0109", "an alias",
                      "write the value out; share by `profiles`");
    return diagnostics;
  }
  Diagnostics diagnostics;
  diagnostics.Error(builder.VisiblePlace(exception.mark), "E0106",
                    "not YAML: " + Escaped(exception.msg),
                    "check brackets, quotes and indentation from here upwards");
  return diagnostics;
}

// False when the tree is not worth looking at. `found` is what `builder` reports to.
bool Parse(std::string_view text, TreeBuilder& builder, uint32_t file, Diagnostics& found) {
  ViewBuffer buffer(text);
  std::istream stream(&buffer);
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
    return true;
  } catch (const Abort&) {
    return false;
  } catch (const YAML::Exception& exception) {
    found = OfException(exception, builder, found);
    return false;
  } catch (const std::exception& exception) {
    found.Error({file, 1, 1, 1}, "E0106", "not YAML: " + Escaped(exception.what()));
    return false;
  }
}

}  // namespace

std::optional<Node> ReadYaml(std::string_view text, uint32_t file, Diagnostics& diagnostics) {
  if (text.size() > kMaxFileSize) {
    diagnostics.Error({file, 1, 1, 1}, "E0002",
                      fmt::format("the file is larger than {} bytes", kMaxFileSize),
                      "split it by `use`");
    return std::nullopt;
  }
  if (!ScanText(text, file, diagnostics)) return std::nullopt;
  if (RefuseDirectives(text, file, diagnostics)) return std::nullopt;
  Diagnostics found;
  TreeBuilder builder(text, file, found);
  const bool parsed = Parse(text, builder, file, found);
  diagnostics.Append(found);
  if (!parsed) return std::nullopt;
  if (builder.documents() == 0) {
    diagnostics.Error({file, 1, 1, 1}, "E0118", "the document is empty",
                      "start with `bulkhead: 1`");
    return std::nullopt;
  }
  Node root = builder.TakeRoot();
  if (root.kind == NodeKind::kBad) return std::nullopt;
  if (root.kind != NodeKind::kMap) {
    diagnostics.Error(root.place, "E0119", "the document is not a map", "start with `bulkhead: 1`");
    return std::nullopt;
  }
  return root;
}

}  // namespace bulkhead
