/*
 * send_cell.c - only what PostgreSQL writes otherwise than the edge reads it is changed; whether
 * a cell is right is for the edge to say.
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

static bool is_any_json(leat_slice cell)
{
    yyjson_doc *doc = yyjson_read(cell.data, cell.size, YYJSON_READ_NUMBER_AS_RAW);
    yyjson_doc_free(doc);
    return doc != NULL;
}

bool leat_send_cell_is_json(leat_slice cell)
{
    return cell.size > 0 && strchr("{[", *cell.data) && is_any_json(cell);
}

static void append_bool(leat_buf *out, leat_slice cell)
{
    static const struct {
        const char *text;
        const char *value;
    } words[] = {{"t", "true"},  {"true", "true"},   {"1", "true"},
                 {"f", "false"}, {"false", "false"}, {"0", "false"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (leat_slice_is_nocase(cell, words[i].text)) {
            leat_buf_text(out, words[i].value);
            return;
        }
    leat_buf_json_string(out, cell);
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

void leat_send_cell_value(leat_buf *out, leat_send_kind kind, leat_slice cell)
{
    leat_buf text = {0};
    switch (cell.size == 0 ? LEAT_SEND_TEXT : kind) {
    case LEAT_SEND_BOOL:
        append_bool(out, cell);
        return;
    case LEAT_SEND_JSON_OR_TEXT:
        if (is_any_json(cell))
            append_raw(out, cell);
        else
            leat_buf_json_string(out, cell);
        return;
    case LEAT_SEND_TIMESTAMP:
        append_timestamp(&text, cell);
        leat_buf_json_string(out, (leat_slice){text.data, text.size});
        leat_buf_free(&text);
        return;
    case LEAT_SEND_NUMBER:
    case LEAT_SEND_JSON:
        append_raw(out, cell);
        return;
    case LEAT_SEND_TEXT:
        leat_buf_json_string(out, cell);
        return;
    }
}
