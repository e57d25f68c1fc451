/*
 * facts.c - one document for each fact, written in ASCII whatever a key contains: leat.workers
 * lives in the user's database, whose encoding may know neither the bytes of a key nor an emoji of
 * a message. PostgreSQL's jsonb takes \u escapes but not \u0000, so NUL becomes U+FFFD, as bytes
 * that are not UTF-8 do. A fact is written before it is known whether it fits: only then is its
 * size known.
 */
#include "apply/facts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <yyjson.h>

#include "base/utf8.h"

typedef struct fact_document {
    yyjson_mut_doc *doc;
    yyjson_mut_val *root;
} fact_document;

/* An empty one does not apply. */
static void put_text(const fact_document *to, const char *name, leat_slice value)
{
    leat_buf clean = {0};
    if (value.size == 0)
        return;
    leat_utf8_append(&clean, value);
    if (!clean.failed)
        yyjson_mut_obj_add_strncpy(to->doc, to->root, name, clean.data, clean.size);
    leat_buf_free(&clean);
}

/* One below 0 does not apply. */
static void put_number(const fact_document *to, const char *name, int64_t value)
{
    if (value >= 0)
        yyjson_mut_obj_add_sint(to->doc, to->root, name, value);
}

static leat_slice text_of(const char *text)
{
    return leat_slice_of(text ? text : "");
}

static void put_fact(const fact_document *to, const leat_fact *fact)
{
    put_text(to, "kind", leat_slice_of(fact->kind));
    put_number(to, "since_ms", fact->since_ms);
    if (fact->is_least)
        yyjson_mut_obj_add_bool(to->doc, to->root, "at_least", true);
    put_text(to, "words", leat_slice_of(fact->text));
    put_number(to, "partition", fact->partition);
    put_number(to, "subpartition", fact->subpartition);
    put_number(to, "offset", fact->offset);
    if (fact->count > 0)
        put_number(to, "count", fact->count);
    if (fact->wait_s > 0)
        put_number(to, "wait_s", fact->wait_s);
    put_text(to, "table", text_of(fact->table));
    put_text(to, "key", fact->key);
    put_text(to, "tenant", fact->tenant);
    put_text(to, "outcome", text_of(fact->outcome));
    put_text(to, "sqlstate", text_of(fact->sqlstate));
    put_text(to, "message", text_of(fact->message));
}

/* NULL: out of memory. */
static char *write_fact(const leat_fact *fact, size_t *ret_size)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    fact_document to = {doc, yyjson_mut_obj(doc)};
    yyjson_mut_doc_set_root(doc, to.root);
    put_fact(&to, fact);
    char *text = yyjson_mut_write(doc, YYJSON_WRITE_ESCAPE_UNICODE, ret_size);
    yyjson_mut_doc_free(doc);
    return text;
}

/* ---- several ---- */

/* For the fact that says how many are left out. */
enum { LAST_BYTES = 256, FACTS_BYTES_MAX = LEAT_FACTS_BYTES_MAX - LAST_BYTES };

size_t leat_facts_room(const leat_facts *facts)
{
    return facts->json.size < FACTS_BYTES_MAX ? FACTS_BYTES_MAX - facts->json.size : 0;
}

void leat_facts_free(leat_facts *facts)
{
    leat_buf_free(&facts->json);
    *facts = (leat_facts){0};
}

static void append(leat_buf *json, leat_slice fact)
{
    if (json->size > 0)
        leat_buf_byte(json, ',');
    leat_buf_slice(json, fact);
}

/* False: it has no room in `most` bytes, with its comma. */
static bool put(leat_facts *facts, leat_slice fact, size_t most)
{
    if (facts->count == LEAT_FACTS_MAX || fact.size + 1 > most)
        return false;
    append(&facts->json, fact);
    facts->ends[facts->count++] = (uint32_t)facts->json.size;
    return true;
}

void leat_facts_add(leat_facts *facts, const leat_fact *fact)
{
    LEAT_ASSERT(fact->kind && *fact->kind && fact->text);
    size_t size = 0;
    char *text = write_fact(fact, &size);
    bool is_put = text && put(facts, (leat_slice){text, size}, leat_facts_room(facts));
    facts->left_out += !is_put;
    free(text);
}

void leat_facts_join(leat_facts *facts, const leat_facts *from, size_t most)
{
    size_t room = leat_facts_room(facts), begin = 0;
    size_t end = facts->json.size + (most < room ? most : room);
    for (uint32_t i = 0; i < from->count; i++) {
        leat_slice fact = {from->json.data + begin, from->ends[i] - begin};
        facts->left_out += !put(facts, fact, end - facts->json.size);
        begin = from->ends[i] + 1;
    }
    facts->left_out += from->left_out;
}

void leat_facts_end(leat_facts *facts)
{
    char text[LAST_BYTES / 2];
    if (facts->left_out == 0)
        return;
    snprintf(text, sizeof text, "%" PRIu32 " more facts of this process have no room here",
             facts->left_out);
    leat_fact last = {.kind = "left_out",
                      .text = text,
                      .since_ms = -1,
                      .partition = -1,
                      .subpartition = -1,
                      .offset = -1,
                      .count = facts->left_out};
    size_t size = 0;
    char *written = write_fact(&last, &size);
    if (written)
        append(&facts->json, (leat_slice){written, size});
    free(written);
    LEAT_ASSERT(facts->json.size <= LEAT_FACTS_BYTES_MAX);
}
