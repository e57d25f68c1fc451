/*
 * top_frame.c - one frame of `leat top`, from what the processes have said. A shard is served by
 * several processes, each of which knows its own partitions: their numbers are added up, those of
 * its tenants and keys too, and of ages the largest counts.
 */
#include "cli/top_frame.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink/shard.h"

enum { LISTED = 10, NUMBER_SIZE = 32 };

/* ---- numbers ---- */

/* A member as a number; NAN: it is not there, or null. */
static double get(yyjson_val *object, const char *name)
{
    yyjson_val *value = yyjson_obj_get(object, name);
    return yyjson_is_num(value) ? yyjson_get_num(value) : NAN;
}

static bool is_true(yyjson_val *object, const char *name)
{
    return yyjson_get_bool(yyjson_obj_get(object, name));
}

static const char *get_text(yyjson_val *object, const char *name)
{
    return yyjson_get_str(yyjson_obj_get(object, name));
}

static void put_number(leat_buf *cell, double value)
{
    if (isnan(value))
        leat_buf_byte(cell, '-');
    else
        leat_buf_printf(cell, fabs(value) < 10 && value != floor(value) ? "%.1f" : "%.0f", value);
}

static void put_seconds(leat_buf *cell, double value)
{
    if (isnan(value))
        leat_buf_byte(cell, '-');
    else if (value < 1)
        leat_buf_printf(cell, "%.0f ms", value * 1000);
    else if (value < 100)
        leat_buf_printf(cell, "%.1f s", value);
    else if (value < 7200)
        leat_buf_printf(cell, "%.0f min", value / 60);
    else
        leat_buf_printf(cell, "%.1f h", value / 3600);
}

/* The metric leat_catch_up_seconds. */
static void put_catch_up(leat_buf *cell, double value)
{
    if (value * 1000 >= LEAT_CATCH_UP_NEVER_MS)
        leat_buf_text(cell, "never");
    else
        put_seconds(cell, value);
}

static const char *words(char ret[NUMBER_SIZE], double value,
                         void (*put)(leat_buf *cell, double value))
{
    leat_buf text = {0};
    put(&text, value);
    const char *made = leat_buf_cstr(&text);
    snprintf(ret, NUMBER_SIZE, "%s", made ? made : "");
    leat_buf_free(&text);
    return ret;
}

/* ---- processes ---- */

static void put_process(leat_top_frame *frame, const leat_top_source *source)
{
    char accepted[NUMBER_SIZE], applied[NUMBER_SIZE], refused[NUMBER_SIZE], up[NUMBER_SIZE];
    yyjson_val *root = yyjson_doc_get_root(source->state),
               *process = yyjson_obj_get(root, "process");
    if (*source->error.text)
        leat_top_put(frame, LEAT_TOP_BAD, "%s: %s%s", source->url, source->error.text,
                     root ? "; what follows is what it said last" : "");
    if (!root)
        return;
    const char *reason = get_text(root, "reason");
    bool is_ready = is_true(root, "is_ready");
    leat_top_put(frame, is_ready ? LEAT_TOP_PLAIN : LEAT_TOP_BAD,
                 "%s %s %.0f: accepted %s/s, applied %s/s, refused %s/s, up %s%s%s",
                 get_text(root, "command") ? get_text(root, "command") : "leat",
                 get_text(root, "host") ? get_text(root, "host") : "?", get(root, "pid"),
                 words(accepted, get(process, "accepted_s"), put_number),
                 words(applied, get(process, "applied_s"), put_number),
                 words(refused, get(process, "refused_s"), put_number),
                 words(up, (get(root, "now_ms") - get(root, "started_ms")) / 1000, put_seconds),
                 is_ready ? "" : ", not ready: ", is_ready || !reason ? "" : reason);
}

/* ---- shards ---- */

typedef struct shard_sum {
    const char *name;
    double lag_s, count, catch_up_s, drained_s, rows_s, batch_s, busy, connections, limit, open,
        stalled, parked, held, controls, silent_s;
    bool is_catch_up_unknown; /* of a process that has partitions of it */
} shard_sum;

static void add(double *sum, double value)
{
    if (!isnan(value))
        *sum = isnan(*sum) ? value : *sum + value;
}

static void raise_to(double *most, double value)
{
    if (!isnan(value) && (isnan(*most) || value > *most))
        *most = value;
}

static shard_sum *find_shard(shard_sum *sums, uint32_t *count, const char *name)
{
    for (uint32_t i = 0; i < *count; i++)
        if (strcmp(sums[i].name, name) == 0)
            return &sums[i];
    if (*count == LEAT_TOP_ROWS_MAX)
        return NULL;
    shard_sum *ret = &sums[(*count)++];
    *ret = (shard_sum){name, NAN, NAN, NAN, NAN, NAN, NAN, NAN,  NAN,
                       NAN,  NAN, NAN, NAN, NAN, NAN, NAN, false};
    return ret;
}

static void add_shard(shard_sum *to, yyjson_val *shard)
{
    raise_to(&to->lag_s, get(shard, "time_lag_s"));
    add(&to->count, get(shard, "message_lag"));
    double catch_up_s = get(shard, "catch_up_s");
    raise_to(&to->catch_up_s, catch_up_s);
    to->is_catch_up_unknown |= isnan(catch_up_s) && !isnan(get(shard, "time_lag_s"));
    add(&to->drained_s, get(shard, "drained_s"));
    add(&to->rows_s, get(shard, "rows_s"));
    raise_to(&to->batch_s, get(shard, "batch_s"));
    add(&to->busy, get(shard, "busy"));
    add(&to->connections, get(shard, "connections"));
    add(&to->limit, get(shard, "limit"));
    add(&to->open, get(shard, "breakers_open"));
    add(&to->stalled, get(shard, "stalled"));
    add(&to->parked, get(shard, "parked_records"));
    add(&to->held, get(shard, "held_keys"));
    raise_to(&to->controls, get(shard, "controls"));
    raise_to(&to->silent_s, get(shard, "silent_s"));
}

static uint32_t sum_shards(const leat_top_sources *all, shard_sum *ret)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < all->count; i++) {
        size_t at, max;
        yyjson_val *shard;
        yyjson_val *root = yyjson_doc_get_root(all->sources[i].state);
        yyjson_arr_foreach(yyjson_obj_get(root, "shards"), at, max, shard)
        {
            const char *name = get_text(shard, "name");
            shard_sum *to = name ? find_shard(ret, &count, name) : NULL;
            if (to)
                add_shard(to, shard);
        }
    }
    return count;
}

/* The larger first; what is not known last. */
static int larger(double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) - isnan(b);
    return (a < b) - (a > b);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const shard_sum *)a)->name, ((const shard_sum *)b)->name);
}

static int by_lag(const void *a, const void *b)
{
    int order = larger(((const shard_sum *)a)->lag_s, ((const shard_sum *)b)->lag_s);
    return order ? order : by_name(a, b);
}

static int by_count(const void *a, const void *b)
{
    int order = larger(((const shard_sum *)a)->count, ((const shard_sum *)b)->count);
    return order ? order : by_name(a, b);
}

static int by_rows(const void *a, const void *b)
{
    int order = larger(((const shard_sum *)a)->rows_s, ((const shard_sum *)b)->rows_s);
    return order ? order : by_name(a, b);
}

static void put_shard(leat_top_table *table, const shard_sum *of)
{
    bool is_bad = of->open > 0 || of->stalled > 0 || of->silent_s > 0 || of->connections == 0;
    leat_buf *cell = leat_top_row(table, is_bad);
    if (!cell)
        return;
    leat_top_cell(cell++, of->name);
    put_seconds(cell++, of->lag_s);
    put_number(cell++, of->count);
    put_catch_up(cell++, of->is_catch_up_unknown ? NAN : of->catch_up_s);
    put_number(cell++, of->rows_s);
    put_number(cell++, of->drained_s);
    put_number(cell++, of->stalled);
    put_number(cell++, of->held);
    put_number(cell++, of->parked);
    put_number(cell, of->busy);
    leat_buf_byte(cell, '/');
    put_number(cell++, of->connections);
    put_seconds(cell++, of->batch_s);
    put_number(cell++, of->limit);
    leat_top_cell(cell++, isnan(of->open) ? NULL : of->open > 0 ? "open" : "closed");
    put_number(cell, of->controls);
}

static void put_shards(leat_top_frame *frame, leat_top_table *table, const leat_top_sources *all,
                       leat_top_sort sort)
{
    static const leat_top_column columns[] = {
        {"SHARD", 0, 24, false},   {"OLDEST", 0, 0, true},   {"NOT APPLIED", 1, 0, true},
        {"CAUGHT UP", 3, 0, true}, {"ROWS/S", 2, 0, true},   {"DRAIN/S", 8, 0, true},
        {"STALLED", 4, 0, true},   {"HELD", 5, 0, true},     {"PARKED", 6, 0, true},
        {"BUSY", 7, 0, true},      {"BATCH", 9, 0, true},    {"AT ONCE", 10, 0, true},
        {"BREAKER", 11, 0, false}, {"CONTROLS", 12, 0, true}};
    static int (*const orders[])(const void *, const void *) = {[LEAT_TOP_BY_LAG] = by_lag,
                                                                [LEAT_TOP_BY_NAME] = by_name,
                                                                [LEAT_TOP_BY_COUNT] = by_count,
                                                                [LEAT_TOP_BY_ROWS] = by_rows};
    shard_sum *sums = leat_must_calloc(LEAT_TOP_ROWS_MAX, sizeof *sums);
    uint32_t count = sum_shards(all, sums);
    table->columns = columns;
    table->column_count = sizeof columns / sizeof *columns;
    if (count > 0)
        qsort(sums, count, sizeof *sums, orders[sort]);
    for (uint32_t i = 0; i < count; i++)
        put_shard(table, &sums[i]);
    leat_top_put_table(frame, table);
    free(sums);
}

/* ---- who ---- */

/* Of all processes, the records that hold low waters, the oldest first. Returns how many. */
static uint32_t pick_holders(const leat_top_sources *all, yyjson_val *ret[LISTED])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < all->count; i++) {
        size_t at, max;
        yyjson_val *one;
        yyjson_val *root = yyjson_doc_get_root(all->sources[i].culprits);
        yyjson_arr_foreach(yyjson_obj_get(root, "partitions"), at, max, one)
        {
            uint32_t place = count;
            while (place > 0 && larger(get(one, "age_s"), get(ret[place - 1], "age_s")) < 0)
                place--;
            if (place == LISTED)
                continue;
            count += count < LISTED;
            for (uint32_t k = count - 1; k > place; k--)
                ret[k] = ret[k - 1];
            ret[place] = one;
        }
    }
    return count;
}

/* Two UUIDs must be seen whole: keys of one tenant begin alike. The tenant is in most keys, so its
 * column goes first. */
enum { KEY_MOST = 80 };

static void put_culprits(leat_top_frame *frame, leat_top_table *table, const leat_top_sources *all)
{
    static const leat_top_column columns[] = {
        {"HELD UP BY", 0, 24, false}, {"PARTITION", 2, 0, true}, {"OFFSET", 5, 0, true},
        {"WRITTEN", 0, 0, true},      {"TRIES", 4, 0, true},     {"TENANT", 7, 40, false},
        {"KEY", 0, KEY_MOST, false},  {"SQLSTATE", 6, 0, false}, {"REASON", 3, 0, false}};
    yyjson_val *found[LISTED];
    uint32_t count = pick_holders(all, found);
    table->columns = columns;
    table->column_count = sizeof columns / sizeof *columns;
    for (uint32_t i = 0; i < count; i++) {
        if (isnan(get(found[i], "offset")))
            continue;
        leat_buf *cell = leat_top_row(table, true);
        leat_top_cell(cell++, get_text(found[i], "shard"));
        put_number(cell++, get(found[i], "partition"));
        put_number(cell++, get(found[i], "offset"));
        put_seconds(cell++, get(found[i], "age_s"));
        put_number(cell++, get(found[i], "attempts"));
        leat_top_cell(cell++, get_text(found[i], "tenant"));
        leat_top_cell(cell++, get_text(found[i], "key"));
        leat_top_cell(cell++, get_text(found[i], "sqlstate"));
        leat_top_cell(cell, get_text(found[i], "reason"));
    }
    if (table->row_count == 0)
        return;
    leat_top_put(frame, LEAT_TOP_PLAIN, "%s", "");
    leat_top_put_table(frame, table);
}

typedef enum heavy_by { BY_RECORDS_S, BY_DATABASE_S, BY_WAITED_S, HEAVY_BY_COUNT } heavy_by;

/* A tenant or key of a shard. */
typedef struct heavy_sum {
    const char *shard, *name; /* NULL: it did not say */
    double by[HEAVY_BY_COUNT], records;
    bool is_listed;
} heavy_sum;

static int by_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "");
}

static int by_shard_and_name(const void *a, const void *b)
{
    const heavy_sum *one = a, *other = b;
    int order = by_text(one->shard, other->shard);
    return order ? order : by_text(one->name, other->name);
}

static int by_place(const void *a, const void *b)
{
    const heavy_sum *one = a, *other = b;
    if (one->is_listed != other->is_listed)
        return one->is_listed ? -1 : 1;
    int order = larger(one->by[BY_RECORDS_S], other->by[BY_RECORDS_S]);
    return order ? order : by_shard_and_name(a, b);
}

static heavy_sum heavy_of(yyjson_val *row, const char *name)
{
    return (heavy_sum){.shard = get_text(row, "shard"),
                       .name = get_text(row, name),
                       .by = {[BY_RECORDS_S] = get(row, "records_s"),
                              [BY_DATABASE_S] = get(row, "database_s"),
                              [BY_WAITED_S] = get(row, "waited_s")},
                       .records = get(row, "records")};
}

/* The rows of that list, of all processes. The caller frees them. */
static heavy_sum *gather_heavy(const leat_top_sources *all, const char *list, const char *name,
                               uint32_t *ret_count)
{
    size_t count = 0, at, max;
    yyjson_val *row, *lists[LEAT_TOP_SOURCES_MAX];
    for (uint32_t i = 0; i < all->count; i++) {
        lists[i] = yyjson_obj_get(yyjson_doc_get_root(all->sources[i].culprits), list);
        count += yyjson_arr_size(lists[i]);
    }
    heavy_sum *ret = leat_must_calloc(count + 1, sizeof *ret);
    *ret_count = 0;
    for (uint32_t i = 0; i < all->count; i++) {
        yyjson_arr_foreach(lists[i], at, max, row)
        {
            ret[(*ret_count)++] = heavy_of(row, name);
        }
    }
    return ret;
}

/* Rows of the same shard and name become one. Returns how many are left. */
static uint32_t sum_heavy(heavy_sum *sums, uint32_t count)
{
    uint32_t kept = 0;
    qsort(sums, count, sizeof *sums, by_shard_and_name);
    for (uint32_t i = 0; i < count; i++) {
        heavy_sum *to = kept > 0 ? &sums[kept - 1] : NULL;
        if (!to || by_shard_and_name(to, &sums[i]) != 0) {
            sums[kept++] = sums[i];
            continue;
        }
        for (heavy_by by = 0; by < HEAVY_BY_COUNT; by++)
            add(&to->by[by], sums[i].by[by]);
        add(&to->records, sums[i].records);
    }
    return kept;
}

/* The heaviest by each measure in turn, so that each one's leader is among them; they come first
 * then, by records a second. Returns how many. */
static uint32_t choose_heavy(heavy_sum *sums, uint32_t count)
{
    uint32_t listed = count < LISTED ? count : LISTED;
    for (uint32_t turn = 0; turn < listed; turn++) {
        heavy_by by = turn % HEAVY_BY_COUNT;
        heavy_sum *most = NULL;
        for (uint32_t i = 0; i < count; i++)
            if (!sums[i].is_listed && (!most || larger(sums[i].by[by], most->by[by]) < 0))
                most = &sums[i];
        most->is_listed = true;
    }
    qsort(sums, count, sizeof *sums, by_place);
    return listed;
}

static void put_heavy(leat_top_frame *frame, leat_top_table *table, const leat_top_sources *all,
                      const char *list, const char *name, const char *title)
{
    const leat_top_column columns[] = {{title, 0, KEY_MOST, false}, {"SHARD", 3, 24, false},
                                       {"RECORDS/S", 0, 0, true},   {"RECORDS", 4, 0, true},
                                       {"DATABASE", 1, 0, true},    {"WAITED", 2, 0, true}};
    uint32_t count;
    heavy_sum *sums = gather_heavy(all, list, name, &count);
    count = choose_heavy(sums, sum_heavy(sums, count));
    table->columns = columns;
    table->column_count = sizeof columns / sizeof *columns;
    for (uint32_t i = 0; i < count; i++) {
        leat_buf *cell = leat_top_row(table, false);
        leat_top_cell(cell++, sums[i].name);
        leat_top_cell(cell++, sums[i].shard);
        put_number(cell++, sums[i].by[BY_RECORDS_S]);
        put_number(cell++, sums[i].records);
        put_seconds(cell++, sums[i].by[BY_DATABASE_S]);
        put_seconds(cell, sums[i].by[BY_WAITED_S]);
    }
    free(sums);
    if (count == 0)
        return;
    leat_top_put(frame, LEAT_TOP_PLAIN, "%s", "");
    leat_top_put_table(frame, table);
}

static void put_alerts(leat_top_frame *frame, const leat_top_sources *all)
{
    for (uint32_t i = 0; i < all->count; i++) {
        size_t at, max;
        yyjson_val *alert;
        yyjson_val *root = yyjson_doc_get_root(all->sources[i].culprits);
        yyjson_arr_foreach(yyjson_obj_get(root, "alerts"), at, max, alert)
        {
            const char *shard = get_text(alert, "shard"), *text = get_text(alert, "text");
            leat_top_put(frame, LEAT_TOP_BAD, "%s%s%s%s", shard ? "shard " : "", shard ? shard : "",
                         shard ? ": " : "", text ? text : "");
        }
    }
}

/* ---- the frame ---- */

void leat_top_draw(leat_top_frame *frame, const leat_top_sources *all, leat_top_sort sort,
                   const char *clock, bool is_paused)
{
    LEAT_ASSERT(frame->width >= LEAT_TOP_WIDTH_MIN && frame->width <= LEAT_TOP_WIDTH_MAX);
    leat_top_table *table = leat_must_calloc(1, sizeof *table);
    yyjson_val *first = NULL;
    for (uint32_t i = 0; i < all->count && !first; i++)
        first = yyjson_doc_get_root(all->sources[i].state);
    frame->count = 0;
    leat_top_put(frame, LEAT_TOP_HEAD, "leat top  %s  %s%s%s", clock, first ? "topic " : "",
                 first && get_text(first, "topic") ? get_text(first, "topic") : "",
                 is_paused ? "  paused" : "");
    for (uint32_t i = 0; i < all->count; i++)
        put_process(frame, &all->sources[i]);
    put_alerts(frame, all);
    leat_top_put(frame, LEAT_TOP_PLAIN, "%s", "");
    put_shards(frame, table, all, sort);
    put_culprits(frame, table, all);
    put_heavy(frame, table, all, "tenants", "tenant", "TENANT");
    put_heavy(frame, table, all, "keys", "key", "KEY");
    free(table);
}
