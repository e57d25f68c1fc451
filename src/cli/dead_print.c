/*
 * dead_print.c - dead letters as a table, in full and as JSON. Keys, bodies and messages come from
 * clients and databases and may hold anything, so text for a terminal is escaped, and bytes that
 * are not text are base64 in JSON. Numbers of a body stay as they were written: printing is no
 * reason to round them.
 */
#include "cli/dead.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "daemon/json.h"
#include "base/printable.h"

/* ---- text ---- */

enum { KEY_CELL = 5, CELL_COUNT = 9 };
enum { NAME_WIDTH = 24, MESSAGE_WIDTH = 70, KEY_WIDTH = 80 }; /* the last: two UUIDs */

static leat_slice text_or(const char *text, const char *otherwise)
{
    return leat_slice_of(text ? text : otherwise);
}

typedef struct table_row {
    leat_buf cells[CELL_COUNT];
    size_t widths[CELL_COUNT];
} table_row;

/* A key is whole, because people copy it. */
static void fill_row(table_row *row, const leat_slice texts[CELL_COUNT])
{
    static const size_t widths[CELL_COUNT] = {30,       NAME_WIDTH, 10, 20,           NAME_WIDTH,
                                              SIZE_MAX, 10,         10, MESSAGE_WIDTH};
    for (size_t i = 0; i < CELL_COUNT; i++)
        row->widths[i] = leat_buf_printable(&row->cells[i], texts[i], widths[i], false);
}

static void fill_entry_row(table_row *row, const leat_dead_entry *entry)
{
    const leat_dead_letter *letter = entry->letter;
    char partition[16], offset[24];
    snprintf(partition, sizeof partition, "%" PRIu32, letter->partition);
    snprintf(offset, sizeof offset, "%" PRId64, letter->offset);
    fill_row(row, (const leat_slice[CELL_COUNT]){
                      text_or(letter->at, "-"), text_or(entry->shard, "-"),
                      leat_slice_of(partition), leat_slice_of(offset), text_or(letter->route, "-"),
                      letter->key ? (leat_slice){letter->key, letter->key_size} : LEAT_SLICE("-"),
                      text_or(letter->op, "-"), text_or(letter->sqlstate, "-"),
                      text_or(letter->message, "")});
}

static void print_row(FILE *out, const table_row *row, const size_t widths[CELL_COUNT])
{
    for (size_t i = 0; i < CELL_COUNT; i++) {
        fwrite(row->cells[i].data ? row->cells[i].data : "", 1, row->cells[i].size, out);
        size_t pad = widths[i] > row->widths[i] ? widths[i] - row->widths[i] : 0;
        size_t gap = i + 1 < CELL_COUNT ? pad + 2 : 0;
        fprintf(out, "%*s", (int)gap, "");
    }
    fputc('\n', out);
}

/* A key that is longer than its column moves the rest of its own row only. */
void leat_dead_print_table(FILE *out, const leat_dead_entry *entries, uint32_t count)
{
    static const char *const heads[CELL_COUNT] = {"at",  "shard", "partition", "offset", "route",
                                                  "key", "op",    "sqlstate",  "message"};
    leat_slice texts[CELL_COUNT];
    size_t widths[CELL_COUNT] = {0};
    table_row *rows = leat_must_calloc((size_t)count + 1, sizeof *rows);
    for (size_t i = 0; i < CELL_COUNT; i++)
        texts[i] = leat_slice_of(heads[i]);
    fill_row(&rows[0], texts);
    for (uint32_t r = 0; r < count; r++)
        fill_entry_row(&rows[r + 1], &entries[r]);
    for (uint32_t r = 0; r <= count; r++)
        for (size_t i = 0; i < CELL_COUNT; i++)
            widths[i] = rows[r].widths[i] > widths[i] ? rows[r].widths[i] : widths[i];
    widths[KEY_CELL] = widths[KEY_CELL] < KEY_WIDTH ? widths[KEY_CELL] : KEY_WIDTH;
    for (uint32_t r = 0; r <= count; r++) {
        print_row(out, &rows[r], widths);
        for (size_t i = 0; i < CELL_COUNT; i++)
            leat_buf_free(&rows[r].cells[i]);
    }
    free(rows);
}

/* ---- one, whole ---- */

static void print_field(FILE *out, const char *name, leat_slice value)
{
    leat_buf text = {0};
    leat_buf_printable(&text, value, SIZE_MAX, true);
    fprintf(out, "%-12s %s\n", name, text.size > 0 ? leat_buf_cstr(&text) : "");
    leat_buf_free(&text);
}

static void print_text(FILE *out, const char *name, const char *value)
{
    print_field(out, name, text_or(value, "-"));
}

static void print_body(FILE *out, const leat_dead_letter *letter)
{
    if (!letter->body) {
        print_text(out, "body", NULL);
        return;
    }
    yyjson_doc *doc = leat_json_read((leat_slice){letter->body, letter->body_size});
    size_t size = 0;
    char *pretty = doc ? yyjson_write(doc, YYJSON_WRITE_PRETTY_TWO_SPACES, &size) : NULL;
    if (pretty)
        print_field(out, "body", (leat_slice){pretty, size});
    else
        print_field(out, "body, not JSON", (leat_slice){letter->body, letter->body_size});
    free(pretty);
    yyjson_doc_free(doc);
}

void leat_dead_print_whole(FILE *out, const leat_dead_entry *entry)
{
    const leat_dead_letter *letter = entry->letter;
    fprintf(out, "%-12s %" PRIu32 "\n%-12s %" PRId64 "\n", "partition", letter->partition, "offset",
            letter->offset);
    fprintf(out, "%-12s %" PRId32 "\n", "source", letter->source);
    print_text(out, "shard", entry->shard);
    print_text(out, "accepted at", letter->accepted_at);
    print_text(out, "refused at", letter->at);
    print_text(out, "sqlstate", letter->sqlstate);
    print_text(out, "message", letter->message);
    print_text(out, "route", letter->route);
    print_text(out, "op", letter->op);
    print_field(out, "key",
                letter->key ? (leat_slice){letter->key, letter->key_size} : LEAT_SLICE("-"));
    print_text(out, "headers", letter->headers);
    print_body(out, letter);
}

/* ---- JSON ---- */

void leat_dead_print_json(FILE *out, const leat_dead_entry *entry)
{
    yyjson_mut_val *object;
    yyjson_mut_doc *doc = leat_json_new(&object);
    leat_json_add_text(doc, object, "at", entry->letter->at);
    leat_json_add_text(doc, object, "shard", entry->shard);
    leat_json_add_dead(doc, object, entry->letter);
    leat_json_print(out, doc);
}
