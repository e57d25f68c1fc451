/*
 * tree.c - libyaml's events become a tree. It accepts less than YAML allows: with aliases, tags or
 * duplicate keys a file may mean something else than it seems to. The loader is recursive, so
 * depth, entries and the size of the file are bounded; every node keeps its line for messages.
 */
#include "config/tree.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

typedef struct reader {
    yaml_parser_t parser;
    const char *file;
    const char *text;
    size_t size;
    leat_error *error;
} reader;

/* ---- nodes ---- */

static leat_node *node_new(leat_node_kind kind, int line)
{
    leat_node *node = leat_must_calloc(1, sizeof *node);
    node->kind = kind;
    node->line = line;
    return node;
}

void leat_tree_free(leat_node *root)
{
    if (!root)
        return;
    for (leat_node *child = root->first, *next; child; child = next) {
        next = child->next;
        leat_tree_free(child);
    }
    free(root->key);
    free(root->text);
    free(root);
}

static void node_add(leat_node *parent, leat_node *child)
{
    child->parent = parent;
    child->index = parent->count++;
    if (parent->last)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
}

const leat_node *leat_node_get(const leat_node *node, const char *key)
{
    for (const leat_node *child = node ? node->first : NULL; child; child = child->next)
        if (child->key && strcmp(child->key, key) == 0)
            return child;
    return NULL;
}

/* A connection string at the place of a key would otherwise show its password. */
static bool key_is_plain(const char *key)
{
    size_t size = strlen(key);
    if (size == 0 || size > 64)
        return false;
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)key[i] <= 0x20 || key[i] == 0x7f || strchr("=:@$'\"", key[i]))
            return false;
    return true;
}

static void path_add(char path[LEAT_TREE_PATH_MAX], const char *key)
{
    size_t used = strlen(path);
    snprintf(path + used, LEAT_TREE_PATH_MAX - used, "%s%s", used ? "." : "",
             key_is_plain(key) ? key : "?");
}

void leat_node_path(const leat_node *node, char ret_path[LEAT_TREE_PATH_MAX])
{
    if (!node->parent) {
        ret_path[0] = '\0';
        return;
    }
    leat_node_path(node->parent, ret_path);
    size_t used = strlen(ret_path);
    if (node->key)
        path_add(ret_path, node->key);
    else
        snprintf(ret_path + used, LEAT_TREE_PATH_MAX - used, "[%zu]", node->index);
}

int leat_node_fail(const char *file, const leat_node *node, const char *key, leat_error *error,
                   const char *format, ...)
{
    leat_error message;
    va_list args;
    va_start(args, format);
    vsnprintf(message.text, sizeof message.text, format, args);
    va_end(args);
    for (char *c = message.text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?'; /* a value in it must not talk to the terminal */
    char path[LEAT_TREE_PATH_MAX];
    leat_node_path(node, path);
    if (key)
        path_add(path, key);
    return leat_fail(error, "%s:%d: %s%s%s", file, node->line, path, path[0] ? ": " : "",
                     message.text);
}

/* ---- libyaml's events become nodes ---- */

static int line_of(const yaml_event_t *event)
{
    return (int)event->start_mark.line + 1;
}

/* A byte that is not UTF-8 comes without a mark, only with its offset. */
static int line_at(const reader *r, size_t offset)
{
    int line = 1;
    for (size_t i = 0; i < offset && i < r->size; i++)
        line += r->text[i] == '\n';
    return line;
}

/* A tab is the usual mistake, and libyaml's message for it does not mention tabs. */
static bool tab_indents(const reader *r, size_t line)
{
    size_t at = 0;
    for (; line > 0 && at < r->size; at++)
        line -= r->text[at] == '\n';
    while (at < r->size && r->text[at] == ' ')
        at++;
    return at < r->size && r->text[at] == '\t';
}

/* libyaml's messages have nothing of the file's content, so they show no secret. */
static int fail_syntax(const reader *r)
{
    const yaml_parser_t *parser = &r->parser;
    const char *problem = parser->problem ? parser->problem : "it cannot be read";
    if (parser->error == YAML_READER_ERROR)
        return leat_fail(r->error, "%s:%d: not valid YAML: %s (a text in UTF-8)", r->file,
                         line_at(r, parser->problem_offset), problem);
    size_t line = parser->problem_mark.line;
    size_t column = parser->problem_mark.column;
    if (tab_indents(r, line))
        return leat_fail(
            r->error,
            "%s:%zu:%zu: not valid YAML: the line is indented with a tab (YAML takes only spaces)",
            r->file, line + 1, column + 1);
    if (!parser->context)
        return leat_fail(r->error, "%s:%zu:%zu: not valid YAML: %s", r->file, line + 1, column + 1,
                         problem);
    return leat_fail(r->error, "%s:%zu:%zu: not valid YAML: %s (%s that begins in line %zu)",
                     r->file, line + 1, column + 1, problem, parser->context,
                     parser->context_mark.line + 1);
}

static int next_event(reader *r, yaml_event_t *ret)
{
    return yaml_parser_parse(&r->parser, ret) ? 0 : fail_syntax(r);
}

static int fail_event(const reader *r, const leat_node *parent, const yaml_event_t *event,
                      const char *what)
{
    char path[LEAT_TREE_PATH_MAX] = "";
    if (parent)
        leat_node_path(parent, path);
    return leat_fail(r->error, "%s:%d: %s%s%s", r->file, line_of(event), path, path[0] ? ": " : "",
                     what);
}

static bool has_anchor(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return true;
    case YAML_SCALAR_EVENT:
        return event->data.scalar.anchor;
    case YAML_SEQUENCE_START_EVENT:
        return event->data.sequence_start.anchor;
    case YAML_MAPPING_START_EVENT:
        return event->data.mapping_start.anchor;
    default:
        return false;
    }
}

static bool has_tag(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return event->data.scalar.tag;
    case YAML_SEQUENCE_START_EVENT:
        return event->data.sequence_start.tag;
    case YAML_MAPPING_START_EVENT:
        return event->data.mapping_start.tag;
    default:
        return false;
    }
}

static int check_event(const reader *r, const leat_node *parent, const yaml_event_t *event)
{
    if (has_anchor(event))
        return fail_event(
            r, parent, event,
            "anchors and aliases are not supported (write the value out; quote a text "
            "that begins with & or *)");
    if (has_tag(event))
        return fail_event(r, parent, event,
                          "tags are not supported (quote a text that begins with !)");
    /* Texts become C strings, which would end there. */
    if (event->type == YAML_SCALAR_EVENT &&
        memchr(event->data.scalar.value, 0, event->data.scalar.length))
        return fail_event(r, parent, event, "a text must not hold the character U+0000");
    return 0;
}

/* Only without quotes: "" and "null" in quotes are texts. */
static bool is_null(const yaml_event_t *event)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp((const char *)event->data.scalar.value, words[i]) == 0)
            return true;
    return false;
}

static leat_node *node_of(const yaml_event_t *event)
{
    if (event->type == YAML_MAPPING_START_EVENT)
        return node_new(LEAT_NODE_MAP, line_of(event));
    if (event->type == YAML_SEQUENCE_START_EVENT)
        return node_new(LEAT_NODE_LIST, line_of(event));
    if (is_null(event))
        return node_new(LEAT_NODE_NULL, line_of(event));
    leat_node *node = node_new(LEAT_NODE_TEXT, line_of(event));
    node->text = leat_must_strdup((const char *)event->data.scalar.value);
    return node;
}

/* Opens an entry of a mapping: a node without a kind yet. */
static int add_key(reader *r, leat_node *map, const yaml_event_t *event)
{
    if (event->type != YAML_SCALAR_EVENT)
        return fail_event(r, map, event, "a key must be a plain text");
    const char *key = (const char *)event->data.scalar.value;
    const leat_node *earlier = leat_node_get(map, key);
    leat_node *node = node_new(LEAT_NODE_NULL, line_of(event));
    node->key = leat_must_strdup(key);
    /* Added before the check, so that the message has its path. */
    node_add(map, node);
    if (earlier)
        return leat_node_fail(r->file, node, NULL, r->error,
                              "given twice (first in line %d; each key once)", earlier->line);
    return 0;
}

static void replace_kind(leat_node *open, leat_node *value)
{
    open->kind = value->kind;
    open->text = value->text;
    free(value);
}

/* The node for a value: a new element of a list, or the open entry of a mapping. */
static leat_node *place(leat_node *parent, leat_node *value)
{
    if (parent->kind == LEAT_NODE_LIST) {
        node_add(parent, value);
        return value;
    }
    replace_kind(parent->last, value);
    return parent->last;
}

static int read_children(reader *r, leat_node *parent, int depth);

static int read_value(reader *r, leat_node *parent, const yaml_event_t *event, int depth)
{
    leat_node *node = place(parent, node_of(event));
    if (node->kind != LEAT_NODE_LIST && node->kind != LEAT_NODE_MAP)
        return 0;
    if (depth >= LEAT_TREE_DEPTH_MAX)
        return leat_node_fail(r->file, node, NULL, r->error,
                              "nested too deeply (at most %d levels)", LEAT_TREE_DEPTH_MAX);
    return read_children(r, node, depth + 1);
}

/* One entry: a key and its value, or an element. 1: the parent has ended. */
static int read_child(reader *r, leat_node *parent, int depth)
{
    yaml_event_t event;
    if (next_event(r, &event) < 0)
        return -1;
    bool key_next = parent->kind == LEAT_NODE_MAP;
    int result = check_event(r, parent, &event);
    if (result == 0 &&
        (event.type == YAML_MAPPING_END_EVENT || event.type == YAML_SEQUENCE_END_EVENT))
        result = 1;
    else if (result == 0 && parent->count >= LEAT_TREE_ENTRIES_MAX)
        result = fail_event(r, parent, &event, "too many entries (at most 1024)");
    else if (result == 0)
        result = key_next ? add_key(r, parent, &event) : read_value(r, parent, &event, depth);
    yaml_event_delete(&event);
    if (result != 0 || !key_next)
        return result;
    if (next_event(r, &event) < 0)
        return -1;
    result = check_event(r, parent->last, &event);
    if (result == 0)
        result = read_value(r, parent, &event, depth);
    yaml_event_delete(&event);
    return result;
}

static int read_children(reader *r, leat_node *parent, int depth)
{
    int result;
    do
        result = read_child(r, parent, depth);
    while (result == 0);
    return result < 0 ? -1 : 0;
}

/* Skips to the first event of the content. 1: there is none. */
static int open_document(reader *r, yaml_event_t *ret)
{
    for (;;) {
        if (next_event(r, ret) < 0)
            return -1;
        if (ret->type != YAML_STREAM_START_EVENT && ret->type != YAML_DOCUMENT_START_EVENT)
            return ret->type == YAML_STREAM_END_EVENT;
        yaml_event_delete(ret);
    }
}

/* libyaml looks for a second document only when it is asked for the next event. */
static int close_document(reader *r)
{
    yaml_event_t event;
    if (next_event(r, &event) < 0) /* the end of the document */
        return -1;
    yaml_event_delete(&event);
    if (next_event(r, &event) < 0)
        return -1;
    int result =
        event.type == YAML_STREAM_END_EVENT
            ? 0
            : fail_event(r, NULL, &event, "a second document begins (one document a file)");
    yaml_event_delete(&event);
    return result;
}

static leat_node *read_root(reader *r)
{
    yaml_event_t event;
    int opened = open_document(r, &event);
    if (opened < 0)
        return NULL;
    leat_node *root = NULL;
    int result = opened == 0 ? check_event(r, NULL, &event) : 0;
    if (opened == 1 || (result == 0 && event.type == YAML_SCALAR_EVENT && is_null(&event)))
        leat_fail(r->error, "%s:1: the file is empty (log, shards and routes are required)",
                  r->file);
    else if (result == 0 && event.type != YAML_MAPPING_START_EVENT)
        fail_event(r, NULL, &event, "not a mapping (begin with `log:`, `shards:` and `routes:`)");
    else if (result == 0)
        root = node_of(&event);
    yaml_event_delete(&event);
    if (root && (read_children(r, root, 1) < 0 || close_document(r) < 0)) {
        leat_tree_free(root);
        return NULL;
    }
    return root;
}

/* ---- the file ---- */

/* The whole file, to be freed; NULL: `error` is set. */
static char *read_file(const char *file, size_t *ret_size, leat_error *error)
{
    FILE *in = fopen(file, "re");
    if (!in) {
        leat_fail(error, "%s: cannot be opened: %s", file, strerror(errno));
        return NULL;
    }
    /* One byte over the limit shows a file that is too large; asking for its size would not do for
     * a pipe. */
    char *text = leat_must_calloc(1, LEAT_TREE_FILE_MAX + 1);
    size_t size = fread(text, 1, LEAT_TREE_FILE_MAX + 1, in);
    int read_errno = ferror(in) ? errno : 0;
    fclose(in);
    if (read_errno || size > LEAT_TREE_FILE_MAX) {
        leat_fail(error, "%s: cannot be read: %s", file,
                  read_errno ? strerror(read_errno) : "it is too large (at most 1 MiB)");
        free(text);
        return NULL;
    }
    *ret_size = size;
    return text;
}

leat_node *leat_tree_read(const char *file, leat_error *error)
{
    reader r = {.file = file, .error = error};
    char *text = read_file(file, &r.size, error);
    if (!text)
        return NULL;
    r.text = text;
    leat_node *root = NULL;
    if (!yaml_parser_initialize(&r.parser)) {
        leat_fail(error, "%s: cannot be read: out of memory", file);
    } else {
        yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, r.size);
        root = read_root(&r);
        yaml_parser_delete(&r.parser);
    }
    free(text);
    return root;
}
