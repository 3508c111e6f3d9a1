#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#include "ctoml.h"
#include <cstdio>
#include <deque>
#include <string>
#include <string_view>
#include <toml++/toml.h>
#include <vector>

struct ctoml_document {
  std::vector<ctoml_node> nodes;
  std::deque<std::string> texts;
};

namespace {

const char *keep(ctoml_document &document, std::string_view text) {
  return document.texts.emplace_back(text).c_str();
}

int64_t add(ctoml_document &document, const toml::node &node, const toml::key *key);

template <typename Each>
void link_children(ctoml_document &document, int64_t parent, Each each) {
  int64_t previous = -1;
  each([&](const toml::node &child, const toml::key *key) {
    const int64_t index = add(document, child, key);
    (previous < 0 ? document.nodes[parent].first_child : document.nodes[previous].next_sibling) = index;
    previous = index;
  });
}

int64_t add(ctoml_document &document, const toml::node &node, const toml::key *key) {
  const int64_t index = static_cast<int64_t>(document.nodes.size());
  ctoml_node made = {};
  made.kind = ctoml_other;
  made.line = node.source().begin.line;
  made.column = node.source().begin.column;
  made.key = key ? keep(document, key->str()) : "";
  made.key_line = key ? key->source().begin.line : made.line;
  made.key_column = key ? key->source().begin.column : made.column;
  made.text = "";
  made.first_child = made.next_sibling = -1;
  if (const auto *value = node.as_string()) {
    made.kind = ctoml_string;
    made.text = keep(document, value->get());
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
  if (const auto *table = node.as_table()) {
    link_children(document, index, [&](auto visit) {
      for (auto &&[child_key, child] : *table) visit(child, &child_key);
    });
  } else if (const auto *array = node.as_array()) {
    link_children(document, index, [&](auto visit) {
      for (auto &&child : *array) visit(child, nullptr);
    });
  }
  return index;
}

}  // namespace

ctoml_document *ctoml_parse(
    const char *text, size_t length, uint32_t *line, uint32_t *column, char *message, size_t capacity) {
  auto result = toml::parse(std::string_view(text, length));
  if (!result) {
    *line = result.error().source().begin.line;
    *column = result.error().source().begin.column;
    const std::string_view why = result.error().description();
    snprintf(message, capacity, "%.*s", static_cast<int>(why.size()), why.data());
    return nullptr;
  }
  auto *document = new ctoml_document;
  add(*document, result.table(), nullptr);
  return document;
}

const ctoml_node *ctoml_nodes(const ctoml_document *document, size_t *count) {
  *count = document->nodes.size();
  return document->nodes.data();
}

void ctoml_free(ctoml_document *document) { delete document; }
