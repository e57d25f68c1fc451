/*
 * culprits.c - rows of a fixed number, kept sorted, and their JSON. What a tenant or key is shown
 * with is the weight of a sketch without its error: what the records that were looked at say for
 * certain. The sketch's own estimate would name somebody for what others did.
 */
#include "apply/culprits.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#include "base/utf8.h"

#define SHARE_LEAST 0.01 /* of all: whoever has less is nobody's trouble */

/* Without memory of its own: it is called for each row, twice a second. */
void leat_culprit_text(char ret[LEAT_CULPRIT_TEXT_SIZE], leat_slice text)
{
    static const char unknown[] = "\xef\xbf\xbd"; /* U+FFFD */
    size_t used = 0;
    for (size_t at = 0; at < text.size;) {
        bool is_text = text.data[at] != '\0';
        size_t size = is_text ? leat_utf8_size(text.data + at, text.size - at) : 0;
        const char *from = size > 0 ? text.data + at : unknown;
        size_t taken = size > 0 ? size : sizeof unknown - 1;
        if (used + taken >= LEAT_CULPRIT_TEXT_SIZE)
            break;
        memcpy(ret + used, from, taken);
        used += taken;
        at += size > 0 ? size : 1;
    }
    ret[used] = '\0';
}

/* ---- rows ---- */

/* Those that were tried in vain, then those that wait: since when is not the same of both. One that
 * was not read yet counts from when it was accepted, which may be long before any of them failed.
 */
static bool goes_before(const leat_culprit_record *a, const leat_culprit_record *b)
{
    if ((a->attempts > 0) != (b->attempts > 0))
        return a->attempts > 0;
    return a->since_ms < b->since_ms;
}

void leat_culprits_add_record(leat_culprits *to, const leat_culprit_record *record)
{
    uint32_t at = to->partition_count;
    if (at == LEAT_CULPRITS_PARTITIONS && !goes_before(record, &to->partitions[--at]))
        return;
    if (to->partition_count < LEAT_CULPRITS_PARTITIONS)
        to->partition_count++;
    for (; at > 0 && goes_before(record, &to->partitions[at - 1]); at--)
        to->partitions[at] = to->partitions[at - 1];
    to->partitions[at] = *record;
}

/* ---- tenants and keys ---- */

typedef double weigh(const leat_culprit_share *row);

static double by_database(const leat_culprit_share *row)
{
    return row->database_s;
}

static double by_records(const leat_culprit_share *row)
{
    return row->records;
}

static double by_waited(const leat_culprit_share *row)
{
    return row->waited_s;
}

/* The oldest weighs most. */
static double by_holding(const leat_culprit_share *row)
{
    return row->oldest_ms > 0 ? 1 / (double)row->oldest_ms : 0;
}

/* Of the rows from `from` on the one that weighs most gets the place `placed`, unless it has a
 * place before that already, or weighs nothing. Returns how many are placed then. */
static uint32_t place(leat_culprit_shares *shares, uint32_t from, uint32_t placed, weigh *by)
{
    uint32_t most = from;
    for (uint32_t i = from + 1; i < shares->count; i++)
        if (by(&shares->rows[i]) > by(&shares->rows[most]))
            most = i;
    if (most < placed || most >= shares->count || by(&shares->rows[most]) <= 0)
        return placed;
    leat_culprit_share row = shares->rows[most];
    memmove(&shares->rows[placed + 1], &shares->rows[placed], (most - placed) * sizeof row);
    shares->rows[placed] = row;
    return placed + 1;
}

/* A report has only the first rows. With lag there are many holders, most of them quiet: they must
 * push out nobody who takes the database's time. Those beyond their number have no place. */
static void arrange(leat_culprit_shares *shares)
{
    enum { ALL = LEAT_CULPRITS_SHARES + 1 };
    static const struct {
        weigh *by;
        uint32_t most;
        bool is_leader; /* of all, so it may have its place already */
    } order[] = {{by_database, 1, true},    {by_records, 1, true},
                 {by_waited, 1, true},      {by_holding, LEAT_CULPRITS_HOLDERS, false},
                 {by_database, ALL, false}, {by_records, ALL, false},
                 {by_waited, ALL, false}};
    uint32_t placed = 0;
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        for (uint32_t k = 0; k < order[i].most; k++)
            placed = place(shares, order[i].is_leader ? 0 : placed, placed, order[i].by);
    shares->count = placed < LEAT_CULPRITS_SHARES ? placed : LEAT_CULPRITS_SHARES;
}

static void put_share(leat_culprit_shares *shares, const leat_culprit_share *row)
{
    shares->rows[shares->count++] = *row;
    arrange(shares);
}

/* The row of this name, out of its place; false: there is none. */
static bool take_share(leat_culprit_shares *shares, uint64_t name, leat_culprit_share *ret)
{
    for (uint32_t i = 0; i < shares->count; i++) {
        leat_culprit_share *row = &shares->rows[i];
        if (row->name != name)
            continue;
        *ret = *row;
        memmove(row, row + 1, (--shares->count - i) * sizeof *row);
        return true;
    }
    return false;
}

static void merge_share(leat_culprit_shares *shares, const leat_culprit_share *row)
{
    leat_culprit_share sum = *row, before;
    if (take_share(shares, row->name, &before)) {
        sum.records += before.records;
        sum.per_s += before.per_s;
        sum.database_s += before.database_s;
        sum.waited_s += before.waited_s;
        if (sum.oldest_ms == 0 || (before.oldest_ms > 0 && before.oldest_ms < sum.oldest_ms))
            sum.oldest_ms = before.oldest_ms;
    }
    put_share(shares, &sum);
}

static void merge_shares(leat_culprit_shares *to, const leat_culprit_shares *from)
{
    to->database_s += from->database_s;
    for (uint32_t i = 0; i < from->count; i++)
        merge_share(to, &from->rows[i]);
}

void leat_culprits_add_holder(leat_culprits *to, leat_slice tenant, int64_t accepted_ms)
{
    leat_culprit_share share = {.name = leat_hash(tenant), .oldest_ms = accepted_ms};
    if (tenant.size == 0 || accepted_ms <= 0)
        return;
    leat_culprit_text(share.text, tenant);
    merge_share(&to->tenants, &share);
}

/* ---- out of the sketches ---- */

static double certain_of(const leat_heavy *heavy, uint64_t name)
{
    uint32_t place = leat_heavy_find(heavy, name);
    return place < LEAT_HEAVY_MAX ? leat_heavy_certain(heavy, place) : 0;
}

static leat_culprit_share share_of(const leat_heavy *of, uint64_t name, const char *text,
                                   double span_us)
{
    leat_culprit_share share = {
        .name = name,
        .records = certain_of(&of[LEAT_BLAME_RECORDS], name),
        .database_s = certain_of(&of[LEAT_BLAME_DATABASE], name) / 1e6,
        .waited_s = certain_of(&of[LEAT_BLAME_WAITED], name) / 1e3,
    };
    share.per_s = span_us > 0 ? share.records * 1e6 / span_us : 0;
    leat_culprit_text(share.text, leat_slice_of(text));
    return share;
}

/* Some of each measure, so that whoever leads in one is there. */
static void add_shares(leat_culprit_shares *shares, const leat_heavy *of, double span_us)
{
    enum { OF_EACH = LEAT_CULPRITS_SHARES / LEAT_BLAME_BY_COUNT + 1 };
    shares->database_s = of[LEAT_BLAME_DATABASE].total / 1e6;
    for (leat_blame_by by = 0; by < LEAT_BLAME_BY_COUNT; by++) {
        uint32_t places[OF_EACH];
        uint32_t found = leat_heavy_largest(&of[by], SHARE_LEAST, places, OF_EACH);
        for (uint32_t i = 0; i < found; i++) {
            leat_culprit_share before;
            uint64_t name = of[by].names[places[i]];
            leat_culprit_share share = share_of(of, name, of[by].entries[places[i]].text, span_us);
            if (take_share(shares, name, &before))
                share.oldest_ms = before.oldest_ms;
            put_share(shares, &share);
        }
    }
}

void leat_culprits_add_blame(leat_culprits *to, const leat_blame *blame)
{
    add_shares(&to->tenants, blame->tenants, blame->span_us);
    add_shares(&to->keys, blame->keys, blame->span_us);
}

void leat_culprits_add(leat_culprits *to, const leat_culprits *from)
{
    for (uint32_t i = 0; i < from->partition_count; i++)
        leat_culprits_add_record(to, &from->partitions[i]);
    merge_shares(&to->tenants, &from->tenants);
    merge_shares(&to->keys, &from->keys);
    if (!from->is_alert || (to->is_alert && to->alert_since_ms <= from->alert_since_ms))
        return;
    to->is_alert = true;
    to->alert_since_ms = from->alert_since_ms;
    memcpy(to->alert, from->alert, sizeof to->alert);
}

/* ---- in words ---- */

static double seconds_since(int64_t then_ms, int64_t now_ms)
{
    return then_ms > 0 && then_ms < now_ms ? (double)(now_ms - then_ms) / 1000 : 0;
}

static void describe_record(const leat_culprit_record *record, int64_t now_ms, leat_buf *out)
{
    leat_buf_printf(out, "offset %" PRId64 " of partition %" PRIu32, record->offset,
                    record->partition);
    if (*record->key)
        leat_buf_printf(out, " (key '%s'%s%s%s)", record->key, *record->tenant ? ", tenant '" : "",
                        record->tenant, *record->tenant ? "'" : "");
    leat_buf_printf(out, " holds it for %.0f s: %s", seconds_since(record->since_ms, now_ms),
                    record->reason);
    if (record->attempts > 0)
        leat_buf_printf(out, " (%" PRIu32 " attempts)", record->attempts);
}

/* Of everybody's time of the database. */
static double ratio_of(const leat_culprit_shares *shares, const leat_culprit_share *row)
{
    return shares->database_s > 0 ? row->database_s / shares->database_s : 0;
}

void leat_culprits_describe(const leat_culprits *culprits, int64_t now_ms, char *ret, size_t size)
{
    leat_buf text = {0};
    const leat_culprit_share *tenant = culprits->tenants.rows;
    if (culprits->partition_count > 0)
        describe_record(&culprits->partitions[0], now_ms, &text);
    if (culprits->tenants.count > 0 && tenant->database_s > 0)
        leat_buf_printf(&text, "%stenant '%s' has %.0f %% of the database's time",
                        text.size > 0 ? "; " : "", tenant->text,
                        100 * ratio_of(&culprits->tenants, tenant));
    const char *whole = leat_buf_cstr(&text);
    snprintf(ret, size, "%s", whole ? whole : "");
    leat_buf_free(&text);
}

/* ---- JSON ---- */

/* The lists of one shard; `doc` may be NULL, out of memory: then what follows does nothing. */
typedef struct writing {
    yyjson_mut_doc *doc;
    const char *shard;
    int64_t now_ms;
} writing;

static yyjson_mut_val *add_row(const writing *in, yyjson_mut_val *list)
{
    yyjson_mut_val *row = yyjson_mut_arr_add_obj(in->doc, list);
    yyjson_mut_obj_add_strcpy(in->doc, row, "shard", in->shard);
    return row;
}

static void put_text(const writing *in, yyjson_mut_val *row, const char *name, const char *text)
{
    if (*text)
        yyjson_mut_obj_add_strcpy(in->doc, row, name, text);
    else
        yyjson_mut_obj_add_null(in->doc, row, name);
}

/* Rounded: more digits would only be noise. */
static void put_real(const writing *in, yyjson_mut_val *row, const char *name, double value)
{
    yyjson_mut_obj_add_real(in->doc, row, name, (double)(int64_t)(value * 1000 + 0.5) / 1000);
}

static void put_since(const writing *in, yyjson_mut_val *row, const char *name, int64_t then_ms)
{
    if (then_ms > 0)
        put_real(in, row, name, seconds_since(then_ms, in->now_ms));
    else
        yyjson_mut_obj_add_null(in->doc, row, name);
}

/* A message of a server may be of any encoding: what is not UTF-8 becomes U+FFFD. */
static void put_list(yyjson_mut_val *list, leat_buf *out)
{
    const yyjson_write_flag flags = YYJSON_WRITE_ESCAPE_UNICODE |
                                    YYJSON_WRITE_ALLOW_INVALID_UNICODE;
    size_t size = 0;
    char *text = yyjson_mut_val_write(list, flags, &size);
    out->failed = out->failed || !text;
    if (size > 2 && out->size > 0) /* "[]" has none */
        leat_buf_byte(out, ',');
    if (size > 2)
        leat_buf_append(out, text + 1, size - 2);
    free(text);
}

static void write_records(const writing *in, const leat_culprits *culprits, uint32_t most,
                          leat_buf *out)
{
    yyjson_mut_val *list = yyjson_mut_arr(in->doc);
    for (uint32_t i = 0; i < culprits->partition_count && i < most; i++) {
        const leat_culprit_record *record = &culprits->partitions[i];
        yyjson_mut_val *row = add_row(in, list);
        yyjson_mut_obj_add_uint(in->doc, row, "partition", record->partition);
        yyjson_mut_obj_add_sint(in->doc, row, "low", record->low);
        yyjson_mut_obj_add_sint(in->doc, row, "offset", record->offset);
        put_text(in, row, "tenant", record->tenant);
        put_text(in, row, "key", record->key);
        put_since(in, row, "age_s", record->accepted_ms);
        put_since(in, row, "since_s", record->since_ms);
        put_text(in, row, "reason", record->reason);
        put_text(in, row, "sqlstate", record->sqlstate);
        yyjson_mut_obj_add_uint(in->doc, row, "attempts", record->attempts);
    }
    put_list(list, out);
}

static void write_shares(const writing *in, const char *name, const leat_culprit_shares *shares,
                         uint32_t most, leat_buf *out)
{
    yyjson_mut_val *list = yyjson_mut_arr(in->doc);
    for (uint32_t i = 0; i < shares->count && i < most; i++) {
        const leat_culprit_share *share = &shares->rows[i];
        yyjson_mut_val *row = add_row(in, list);
        put_text(in, row, name, share->text);
        put_real(in, row, "records", share->records);
        put_real(in, row, "records_s", share->per_s);
        put_real(in, row, "database_s", share->database_s);
        put_real(in, row, "database_ratio", ratio_of(shares, share));
        put_real(in, row, "waited_s", share->waited_s);
        put_since(in, row, "oldest_s", share->oldest_ms);
    }
    put_list(list, out);
}

static void write_alert(const writing *in, const leat_culprits *culprits, leat_buf *out)
{
    yyjson_mut_val *list = yyjson_mut_arr(in->doc);
    if (culprits->is_alert) {
        yyjson_mut_val *row = add_row(in, list);
        put_text(in, row, "name", "incident_signature");
        put_text(in, row, "text", culprits->alert);
        put_since(in, row, "since_s", culprits->alert_since_ms);
    }
    put_list(list, out);
}

void leat_culprits_write(const leat_culprits *culprits, const char *shard, int64_t now_ms,
                         uint32_t most, leat_culprits_text *out)
{
    const writing in = {yyjson_mut_doc_new(NULL), shard, now_ms};
    write_records(&in, culprits, most, &out->partitions);
    write_shares(&in, "tenant", &culprits->tenants, most, &out->tenants);
    write_shares(&in, "key", &culprits->keys, most, &out->keys);
    write_alert(&in, culprits, &out->alerts);
    yyjson_mut_doc_free(in.doc);
}

void leat_culprits_join(const leat_culprits_text *text, leat_buf *out)
{
    const struct {
        const char *before;
        const leat_buf *list;
    } lists[] = {{"{\"partitions\":[", &text->partitions},
                 {"],\"tenants\":[", &text->tenants},
                 {"],\"keys\":[", &text->keys},
                 {"],\"alerts\":[", &text->alerts}};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        leat_buf_text(out, lists[i].before);
        leat_buf_append(out, lists[i].list->data, lists[i].list->size);
        out->failed = out->failed || lists[i].list->failed;
    }
    leat_buf_text(out, "]}");
}

void leat_culprits_text_free(leat_culprits_text *text)
{
    leat_buf_free(&text->partitions);
    leat_buf_free(&text->tenants);
    leat_buf_free(&text->keys);
    leat_buf_free(&text->alerts);
}
