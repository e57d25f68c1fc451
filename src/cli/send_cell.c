/*
 * send_cell.c - only what PostgreSQL writes otherwise than the edge reads it is changed. Whether a
 * cell is right for its column is for the edge to say; here it is only held against its kind.
 */
#include "cli/send_cell.h"

#include <string.h>
#include <yyjson.h>

bool leat_send_kind_named(leat_slice name, leat_send_kind *ret)
{
    static const char *const names[] = {[LEAT_SEND_TEXT] = "text",
                                        [LEAT_SEND_NUMBER] = "number",
                                        [LEAT_SEND_BOOL] = "bool",
                                        [LEAT_SEND_JSON] = "json",
                                        [LEAT_SEND_TIMESTAMP] = "timestamp"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (leat_slice_is(name, names[i])) {
            *ret = (leat_send_kind)i;
            return true;
        }
    return false;
}

const char *leat_send_kind_words(leat_send_kind kind)
{
    static const char *const words[] = {
        [LEAT_SEND_TEXT] = "a text",        [LEAT_SEND_NUMBER] = "a number",
        [LEAT_SEND_BOOL] = "true or false", [LEAT_SEND_JSON] = "JSON",
        [LEAT_SEND_TIMESTAMP] = "a time",   [LEAT_SEND_JSON_OR_TEXT] = "JSON or a text"};
    LEAT_ASSERT(kind < sizeof words / sizeof *words);
    return words[kind];
}

/* One value, and nothing behind it but space. */
static bool is_any_json(leat_slice cell, bool is_number)
{
    yyjson_doc *doc = yyjson_read(cell.data, cell.size, YYJSON_READ_NUMBER_AS_RAW);
    bool is_it = doc && (!is_number || yyjson_is_raw(yyjson_doc_get_root(doc)));
    yyjson_doc_free(doc);
    return is_it;
}

bool leat_send_cell_is_json(leat_slice cell)
{
    return cell.size > 0 && strchr("{[", *cell.data) && is_any_json(cell, false);
}

/* NULL: it is none. */
static const char *find_bool(leat_slice cell)
{
    static const struct {
        const char *text;
        const char *value;
    } words[] = {{"t", "true"},  {"true", "true"},   {"1", "true"},
                 {"f", "false"}, {"false", "false"}, {"0", "false"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (leat_slice_is_nocase(cell, words[i].text))
            return words[i].value;
    return NULL;
}

/* JSON as it stands, on one line: line feeds are space there, and inside strings they are no JSON.
 */
static void append_raw(leat_buf *out, leat_slice cell)
{
    for (size_t i = 0; i < cell.size; i++)
        leat_buf_byte(out, cell.data[i] == '\n' || cell.data[i] == '\r' ? ' ' : cell.data[i]);
}

/* "2026-01-02 03:04:05.678+00" as "2026-01-02T03:04:05.678+00:00". */
static void append_timestamp(leat_buf *out, leat_slice cell)
{
    enum { DATE = 10, CLOCK = 19, HOURS = 3 };
    bool is_iso = cell.size >= CLOCK && cell.data[DATE] == ' ';
    if (!is_iso) {
        leat_buf_slice(out, cell);
        return;
    }
    char sign = cell.size > CLOCK + HOURS - 1 ? cell.data[cell.size - HOURS] : ' ';
    leat_buf_append(out, cell.data, DATE);
    leat_buf_byte(out, 'T');
    leat_buf_append(out, cell.data + DATE + 1, cell.size - DATE - 1);
    leat_buf_text(out, sign == '+' || sign == '-' ? ":00" : "");
}

void leat_send_cell_text(leat_buf *out, leat_send_kind kind, leat_slice cell)
{
    if (kind == LEAT_SEND_TIMESTAMP)
        append_timestamp(out, cell);
    else
        leat_buf_slice(out, cell);
}

static void append_json(leat_buf *out, leat_slice cell, bool is_raw)
{
    if (is_raw)
        append_raw(out, cell);
    else
        leat_buf_json_string(out, cell);
}

bool leat_send_cell_value(leat_buf *out, leat_send_kind kind, leat_slice cell)
{
    leat_buf text = {0};
    const char *value;
    bool is_raw;
    switch (kind) {
    case LEAT_SEND_BOOL:
        value = find_bool(cell);
        append_json(out, value ? leat_slice_of(value) : cell, value != NULL);
        return value != NULL;
    case LEAT_SEND_NUMBER:
    case LEAT_SEND_JSON:
    case LEAT_SEND_JSON_OR_TEXT:
        is_raw = is_any_json(cell, kind == LEAT_SEND_NUMBER);
        append_json(out, cell, is_raw);
        return is_raw || kind == LEAT_SEND_JSON_OR_TEXT;
    case LEAT_SEND_TIMESTAMP:
        append_timestamp(&text, cell);
        leat_buf_json_string(out, (leat_slice){text.data, text.size});
        leat_buf_free(&text);
        return true;
    case LEAT_SEND_TEXT:
        break;
    }
    leat_buf_json_string(out, cell);
    return true;
}
