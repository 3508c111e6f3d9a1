#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
// toml++ asserts that a key begins as one before it reports that it does not: "[!]" would end the process.
#undef NDEBUG
#define TOML_ASSERT(expr) static_cast<void>(0)
#include "ctoml.h"
#include <algorithm>
#include <cstdio>
#include <deque>
#include <string>
#include <string_view>
#include <toml++/toml.h>
#include <utility>
#include <vector>

struct ctoml_document {
  std::vector<ctoml_node> nodes;
  std::deque<std::string> texts;
};

namespace {

// toml++ bounds nested values but not dotted keys, and it destroys what it parsed recursively: a long enough key would
// use up the stack. Keys never span lines, so a bound on dots a line bounds them before they are parsed.
constexpr size_t most_dots_per_line = 200;
constexpr int most_levels = 64;

/// The first thing that toml++ accepts and Lookout does not.
struct refusal {
  toml::source_position place = {};
  const char *reason = nullptr;

  void set(const toml::source_position &where, const char *why) {
    if (!reason) *this = {where, why};
  }
};

/// The number of the first line with too many dots, comments left out; 0 if there is none.
uint32_t line_of_too_many_dots(std::string_view text) {
  uint32_t line = 1;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size() - 1);
    const std::string_view row = text.substr(0, end + 1);
    const size_t first = row.find_first_not_of(" \t");
    const bool is_comment = first != std::string_view::npos && row[first] == '#';
    if (!is_comment && std::count(row.begin(), row.end(), '.') > static_cast<ptrdiff_t>(most_dots_per_line)) return line;
    text.remove_prefix(end + 1);
    line += 1;
  }
  return 0;
}

const char *keep(
    ctoml_document &document, std::string_view text, const toml::source_position &place, refusal &refused) {
  if (text.find('\0') != std::string_view::npos) refused.set(place, "a text must not hold the character U+0000");
  return document.texts.emplace_back(text).c_str();
}

using child = std::pair<const toml::key *, const toml::node *>;

/// Children in the order of the file; a toml++ table gives them by name.
std::vector<child> children_of(const toml::node &node) {
  std::vector<child> children;
  if (const auto *table = node.as_table()) {
    for (auto &&[key, value] : *table) children.emplace_back(&key, &value);
    std::sort(children.begin(), children.end(), [](const child &a, const child &b) {
      return a.first->source().begin < b.first->source().begin;
    });
  } else if (const auto *array = node.as_array()) {
    for (auto &&value : *array) children.emplace_back(nullptr, &value);
  }
  return children;
}

int64_t add(ctoml_document &document, const toml::node &node, const toml::key *key, int level, refusal &refused) {
  const int64_t index = static_cast<int64_t>(document.nodes.size());
  ctoml_node made = {};
  made.kind = ctoml_other;
  made.line = node.source().begin.line;
  made.column = node.source().begin.column;
  made.key = key ? keep(document, key->str(), key->source().begin, refused) : "";
  made.key_line = key ? key->source().begin.line : made.line;
  made.key_column = key ? key->source().begin.column : made.column;
  made.text = "";
  made.first_child = made.next_sibling = -1;
  if (const auto *value = node.as_string()) {
    made.kind = ctoml_string;
    made.text = keep(document, value->get(), node.source().begin, refused);
  } else if (const auto *value = node.as_integer()) {
    made.kind = ctoml_integer;
    made.integer = value->get();
  } else if (const auto *value = node.as_floating_point()) {
    made.kind = ctoml_float;
    made.real = value->get();
  } else if (const auto *value = node.as_boolean()) {
    made.kind = ctoml_boolean;
    made.integer = value->get();
  } else if (node.is_table()) {
    made.kind = ctoml_table;
  } else if (node.is_array()) {
    made.kind = ctoml_array;
  }
  document.nodes.push_back(made);
  if (level == most_levels) {
    refused.set(node.source().begin, "nested deeper than 64 levels");
    return index;
  }
  int64_t previous = -1;
  for (const auto &[child_key, value] : children_of(node)) {
    const int64_t added = add(document, *value, child_key, level + 1, refused);
    (previous < 0 ? document.nodes[index].first_child : document.nodes[previous].next_sibling) = added;
    previous = added;
  }
  return index;
}

}  // namespace

ctoml_document *ctoml_parse(
    const char *text, size_t length, uint32_t *line, uint32_t *column, char *message, size_t capacity) {
  if (const uint32_t dotted = line_of_too_many_dots(std::string_view(text, length))) {
    *line = dotted;
    *column = 1;
    snprintf(message, capacity, "more than %zu dots in one line; break it into several", most_dots_per_line);
    return nullptr;
  }
  auto result = toml::parse(std::string_view(text, length));
  if (!result) {
    *line = result.error().source().begin.line;
    *column = result.error().source().begin.column;
    const std::string_view why = result.error().description();
    snprintf(message, capacity, "%.*s", static_cast<int>(why.size()), why.data());
    return nullptr;
  }
  auto *document = new ctoml_document;
  refusal refused;
  add(*document, result.table(), nullptr, 0, refused);
  if (refused.reason) {
    *line = refused.place.line;
    *column = refused.place.column;
    snprintf(message, capacity, "%s", refused.reason);
    delete document;
    return nullptr;
  }
  return document;
}

const ctoml_node *ctoml_nodes(const ctoml_document *document, size_t *count) {
  *count = document->nodes.size();
  return document->nodes.data();
}

void ctoml_free(ctoml_document *document) { delete document; }
