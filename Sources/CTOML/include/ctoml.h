#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// toml++ behind a C face: a document becomes a list of nodes that Swift walks by index, each with its place.
/// In C++ because toml++ is; nothing of C++ crosses this header.

typedef enum : int32_t {
  ctoml_table = 0,
  ctoml_array = 1,
  ctoml_string = 2,
  ctoml_integer = 3,
  ctoml_float = 4,
  ctoml_boolean = 5,
  ctoml_other = 6
} ctoml_kind;

/// One value. Children of a table or array are linked by `first_child` and `next_sibling`
/// in the order of the file; -1 ends a chain.
/// `key` is empty in arrays and for the root. Texts are UTF-8, NUL-ended, owned by the document.
typedef struct {
  ctoml_kind kind;
  uint32_t line, column;
  const char *_Nonnull key;
  uint32_t key_line, key_column;
  const char *_Nonnull text;
  int64_t integer;
  double real;
  int64_t first_child, next_sibling;
} ctoml_node;

typedef struct ctoml_document ctoml_document;

/// Parses a document. On a syntax error gives NULL and fills `line`, `column` and `message` (at most `capacity` bytes).
/// Refused as well: U+0000 in a text (C strings end there), nesting beyond 64 levels, more than 200 dots in a line.
ctoml_document *_Nullable ctoml_parse(
    const char *_Nonnull text, size_t length, uint32_t *_Nonnull line, uint32_t *_Nonnull column,
    char *_Nonnull message, size_t capacity);

/// The nodes, the root table first; valid until `ctoml_free`.
const ctoml_node *_Nonnull ctoml_nodes(const ctoml_document *_Nonnull document, size_t *_Nonnull count);

void ctoml_free(ctoml_document *_Nullable document);

#ifdef __cplusplus
}
#endif
