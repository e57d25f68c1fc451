/*
 * facts.c - JSON by hand, because its strings must be ASCII, whatever a key contains: leat.workers
 * lives in the user's database, whose encoding may know neither the bytes of a key nor an emoji of
 * a message. PostgreSQL's jsonb takes \u escapes but not \u0000, so NUL becomes U+FFFD too.
 */
#include "apply/facts.h"

#include <inttypes.h>
#include <string.h>

#include "base/utf8.h"

static void put_point(leat_buf *out, uint32_t point)
{
    if (point == '"' || point == '\\')
        leat_buf_printf(out, "\\%c", (int)point);
    else if (point >= 0x20 && point < 0x7f)
        leat_buf_byte(out, (char)point);
    else if (point < 0x10000)
        leat_buf_printf(out, "\\u%04" PRIx32, point == 0 ? 0xfffd : point); /* PostgreSQL has no NUL
                                                                               in a text */
    else
        leat_buf_printf(out, "\\u%04" PRIx32 "\\u%04" PRIx32, 0xd800 + ((point - 0x10000) >> 10),
                        0xdc00 + ((point - 0x10000) & 0x3ff));
}

void leat_facts_string(leat_buf *out, leat_slice text)
{
    leat_buf_byte(out, '"');
    for (size_t at = 0, size; at < text.size; at += size ? size : 1) {
        size = leat_utf8_size(text.data + at, text.size - at);
        put_point(out, size ? leat_utf8_point(text.data + at, size) : 0xfffd);
    }
    leat_buf_byte(out, '"');
}

static void put_text(leat_buf *out, const char *name, leat_slice value)
{
    if (value.size == 0)
        return;
    leat_buf_printf(out, ",\"%s\":", name);
    leat_facts_string(out, value);
}

static void put_number(leat_buf *out, const char *name, int64_t value)
{
    if (value >= 0)
        leat_buf_printf(out, ",\"%s\":%" PRId64, name, value);
}

static leat_slice text_of(const char *text)
{
    return leat_slice_of(text ? text : "");
}

bool leat_facts_add(leat_buf *out, const leat_fact *fact)
{
    size_t before = out->size;
    leat_buf_text(out, before > 0 ? ",{\"kind\":" : "{\"kind\":");
    leat_facts_string(out, leat_slice_of(fact->kind));
    put_number(out, "since_ms", fact->since_ms);
    put_text(out, "words", leat_slice_of(fact->text));
    put_number(out, "partition", fact->partition);
    put_number(out, "subpartition", fact->subpartition);
    put_number(out, "offset", fact->offset);
    if (fact->count > 0)
        put_number(out, "count", fact->count);
    put_text(out, "table", text_of(fact->table));
    put_text(out, "key", fact->key);
    put_text(out, "tenant", fact->tenant);
    put_text(out, "outcome", text_of(fact->outcome));
    put_text(out, "sqlstate", text_of(fact->sqlstate));
    put_text(out, "message", text_of(fact->message));
    leat_buf_byte(out, '}');
    if (!out->failed && out->size <= LEAT_FACTS_BYTES_MAX)
        return true;
    out->size = before;
    return false;
}
