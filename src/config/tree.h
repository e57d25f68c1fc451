/*
 * tree.h - a YAML document as a tree of named nodes with their lines, and errors that name file,
 * line and path.
 *
 * One document of mappings, lists and scalars. It refuses YAML that would make a configuration
 * harder to read than it looks: anchors and aliases, tags, duplicate keys, several documents, keys
 * that are not plain text.
 */
#ifndef LEAT_CONFIG_TREE_H
#define LEAT_CONFIG_TREE_H

#include "base/base.h"

enum {
    LEAT_TREE_FILE_MAX = 1024 * 1024, /* bytes of a configuration file */
    LEAT_TREE_DEPTH_MAX = 16,
    LEAT_TREE_ENTRIES_MAX = 1024, /* of one mapping or list */
    LEAT_TREE_PATH_MAX = 256,     /* bytes of a path in a message; longer ones are cut */
};

typedef enum leat_node_kind {
    LEAT_NODE_NULL,
    LEAT_NODE_TEXT,
    LEAT_NODE_LIST,
    LEAT_NODE_MAP
} leat_node_kind;

typedef struct leat_node {
    leat_node_kind kind;
    int line;                 /* of its key in a mapping, else of its beginning; from 1 */
    char *key;                /* NULL: not in a mapping */
    size_t index;             /* its place among its siblings, from 0 */
    char *text;               /* LEAT_NODE_TEXT only: without U+0000 */
    size_t count;             /* of children */
    struct leat_node *parent; /* NULL: the root */
    struct leat_node *first, *last, *next; /* children in the order of the file */
} leat_node;

/* Reads the file. NULL: `error` says what is wrong, with file and line (for a syntax error also the
 * column). The root is always a mapping. */
leat_node *leat_tree_read(const char *file, leat_error *error);
void leat_tree_free(leat_node *root);

/* The entry of that name, NULL when there is none. `node` may be NULL. */
const leat_node *leat_node_get(const leat_node *node, const char *key);

/* "routes[0].columns.tags"; "" for the root. A key that may be more than a name (it has blanks or
 * '=', as a connection string has) is shown as '?': it may hold a secret. */
void leat_node_path(const leat_node *node, char ret_path[LEAT_TREE_PATH_MAX]);

/* Fills `error` with "file:line: path: message" and returns -1. `key`: NULL, or something missing
 * under `node`. */
int leat_node_fail(const char *file, const leat_node *node, const char *key, leat_error *error,
                   const char *format, ...) LEAT_PRINTF(5, 6);

#endif
