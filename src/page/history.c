/*
 * history.c - which metrics the page and `leat top` show, in one table, and their last 15 minutes.
 * It reads the cells of metrics and nothing else, so it costs the threads that count nothing, and a
 * number cannot be another here than in a scrape. Cells are looked up once, at the first row: by
 * then every metric is registered. All memory is taken at the beginning; a row takes the place of
 * the oldest.
 *
 * The rates are taken here rather than by whoever looks: two that look at different times see the
 * same, and a page that was opened late has them for the time before.
 */
#include "page/history.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef enum sum_kind {
    SUM,         /* of gauges */
    MOST,        /* the largest of gauges */
    MOST_OF_ALL, /* the same; not known while a worker with partitions of the shard does not know */
    RATE,        /* of counters: a second */
    TOTAL,       /* of counters */
} sum_kind;

typedef struct number {
    const char *member; /* in the JSON */
    const char *metric;
    const char *label;   /* its labels have this text; NULL: whatever they are */
    const char *without; /* and not this one; NULL: likewise */
    sum_kind kind;
    bool is_kept; /* in every row, else only of the last one */
} number;

static const number of_process[] = {
    {"accepted_s", "leat_requests_total", "code=\"20", NULL, RATE, true},
    {"refused_s", "leat_requests_total", NULL, "code=\"20", RATE, true},
    {"applied_s", "leat_records_applied_total", NULL, NULL, RATE, true},
    {"retried_s", "leat_records_retried_total", NULL, NULL, RATE, false},
    {"left_out_s", "leat_records_skipped_by_control_total", NULL, NULL, RATE, false},
    {"dead_letters", "leat_dead_letters_total", NULL, NULL, TOTAL, false},
    {"in_flight", "leat_edge_in_flight", NULL, NULL, SUM, false},
    {"waiting", "leat_edge_waiting", NULL, NULL, SUM, false},
    {"connections", "leat_edge_connections", NULL, NULL, SUM, false},
    {"limited_s", "leat_edge_limited_total", NULL, NULL, RATE, false},
    {"edge_log_silent_s", "leat_edge_log_silent_seconds", NULL, NULL, MOST, false},
    {"log_silent_s", "leat_log_silent_seconds", NULL, NULL, MOST, false},
    {"partitions", "leat_partitions_held", NULL, NULL, SUM, false},
    {"partitions_stopped", "leat_partitions_stopped", NULL, NULL, SUM, false},
    {"tables_stopped", "leat_tables_stopped", NULL, NULL, SUM, false},
    {"shards_halted", "leat_shards_halted", NULL, NULL, SUM, false},
    {"memory_bytes", "leat_memory_bytes", NULL, NULL, SUM, false},
    {"memory_limit_bytes", "leat_memory_limit_bytes", NULL, NULL, SUM, false},
};

/* The first is known of a worker if it has partitions of the shard. */
static const number of_shard[] = {
    {"time_lag_s", "leat_time_lag_seconds", NULL, NULL, MOST, true},
    {"message_lag", "leat_message_lag", NULL, NULL, SUM, true},
    {"rows_s", "leat_rows_total", NULL, NULL, RATE, true},
    {"catch_up_s", "leat_catch_up_seconds", NULL, NULL, MOST_OF_ALL, false},
    {"drained_s", "leat_drain_records_per_second", NULL, NULL, SUM, false},
    {"arriving_s", "leat_arrival_records_per_second", NULL, NULL, SUM, false},
    {"stalled", "leat_subpartitions_stalled", NULL, NULL, SUM, false},
    {"connections", "leat_shard_connections", NULL, NULL, SUM, false},
    {"busy", "leat_shard_connections_busy", NULL, NULL, SUM, false},
    {"limit", "leat_shard_limit", NULL, NULL, SUM, false},
    {"breakers_open", "leat_shard_breaker_open", NULL, NULL, SUM, false},
    {"batch_s", "leat_shard_batch_seconds", NULL, NULL, MOST, false},
    {"silent_s", "leat_shard_silent_seconds", NULL, NULL, MOST, false},
    {"paused", "leat_partitions_paused", NULL, NULL, SUM, false},
    {"held_keys", "leat_held_keys", NULL, NULL, SUM, false},
    {"controls", "leat_controls_active", NULL, NULL, MOST, false},
    {"parked_records", "leat_parked_records", NULL, NULL, SUM, false},
    {"parked_bytes", "leat_parked_bytes", NULL, NULL, SUM, false},
    {"parked_oldest_s", "leat_parked_oldest_seconds", NULL, NULL, MOST, false},
    {"parked_full", "leat_partitions_parked_full", NULL, NULL, SUM, false},
};

enum {
    PROCESS_NUMBERS = sizeof of_process / sizeof *of_process,
    SHARD_NUMBERS = sizeof of_shard / sizeof *of_shard,
    CELLS_MIN = 64,
};

/* A cell and the number that it is part of. */
typedef struct part {
    uint32_t slot;
    leat_metric_cell cell;
} part;

/* Slots are the process's numbers, then those of each shard. */
struct leat_history {
    const leat_metrics *metrics;
    const char *const *shards;
    uint32_t shard_count;
    uint32_t slot_count;
    part *parts;
    size_t part_count, part_capacity;
    bool is_ready;      /* the parts are known */
    double *now;        /* [slot_count]; NAN: not known */
    uint64_t *counted;  /* [slot_count]: of counters, at the last row */
    int64_t counted_us; /* when that was; 0: never */
    uint64_t taken;     /* rows, ever */
    int64_t *at_ms;     /* [LEAT_HISTORY_ROWS] */
    float *kept;        /* [slot_count][LEAT_HISTORY_ROWS]; only of those that are kept in use */
};

static const number *number_of(uint32_t slot)
{
    return slot < PROCESS_NUMBERS ? &of_process[slot]
                                  : &of_shard[(slot - PROCESS_NUMBERS) % SHARD_NUMBERS];
}

const char *leat_history_metric(size_t index)
{
    size_t count = PROCESS_NUMBERS + SHARD_NUMBERS;
    return index < count ? number_of((uint32_t)index)->metric : NULL;
}

leat_history *leat_history_new(const leat_metrics *metrics, const char *const *shards,
                               uint32_t shard_count)
{
    leat_history *history = leat_must_calloc(1, sizeof *history);
    history->metrics = metrics;
    history->shards = shards;
    history->shard_count = shard_count;
    history->slot_count = PROCESS_NUMBERS + shard_count * SHARD_NUMBERS;
    history->now = leat_must_calloc(history->slot_count, sizeof *history->now);
    history->counted = leat_must_calloc(history->slot_count, sizeof *history->counted);
    history->at_ms = leat_must_calloc(LEAT_HISTORY_ROWS, sizeof *history->at_ms);
    history->kept =
        leat_must_calloc((size_t)history->slot_count * LEAT_HISTORY_ROWS, sizeof *history->kept);
    for (uint32_t slot = 0; slot < history->slot_count; slot++)
        history->now[slot] = NAN;
    return history;
}

void leat_history_free(leat_history *history)
{
    if (!history)
        return;
    free(history->parts);
    free(history->now);
    free(history->counted);
    free(history->at_ms);
    free(history->kept);
    free(history);
}

/* ---- which cells ---- */

static void add_part(leat_history *history, uint32_t slot, const leat_metric_cell *cell)
{
    bool counts = number_of(slot)->kind == RATE || number_of(slot)->kind == TOTAL;
    LEAT_ASSERT(counts == (cell->counter != NULL));
    if (history->part_count == history->part_capacity) {
        size_t capacity = history->part_capacity ? 2 * history->part_capacity : CELLS_MIN;
        part *grown = leat_must_calloc(capacity, sizeof *grown);
        if (history->part_count > 0)
            memcpy(grown, history->parts, history->part_count * sizeof *grown);
        free(history->parts);
        history->parts = grown;
        history->part_capacity = capacity;
    }
    history->parts[history->part_count++] = (part){slot, *cell};
}

static bool is_part(const number *of, const leat_metric_cell *cell)
{
    return strcmp(of->metric, cell->name) == 0 && (!of->label || strstr(cell->labels, of->label)) &&
           (!of->without || !strstr(cell->labels, of->without));
}

/* The shard of a cell by its label; shard_count: it is of none. */
static uint32_t shard_of(const leat_history *history, const leat_metric_cell *cell)
{
    uint32_t shard = 0;
    for (; shard < history->shard_count; shard++) {
        leat_buf label = {0};
        leat_metrics_label(&label, "shard", history->shards[shard]);
        const char *wanted = leat_buf_cstr(&label),
                   *found = wanted ? strstr(cell->labels, wanted) : NULL;
        leat_buf_free(&label);
        if (found && (found == cell->labels || found[-1] == ','))
            break;
    }
    return shard;
}

static void see_cell(void *context, const leat_metric_cell *cell)
{
    leat_history *history = context;
    for (uint32_t i = 0; i < PROCESS_NUMBERS; i++)
        if (is_part(&of_process[i], cell))
            add_part(history, i, cell);
    for (uint32_t i = 0; i < SHARD_NUMBERS; i++) {
        uint32_t shard = is_part(&of_shard[i], cell) ? shard_of(history, cell)
                                                     : history->shard_count;
        if (shard < history->shard_count)
            add_part(history, PROCESS_NUMBERS + shard * SHARD_NUMBERS + i, cell);
    }
}

/* ---- a row ---- */

/* False: it is not known. */
static bool add_gauge(const part *from, double *sum)
{
    int64_t value = atomic_load_explicit(from->cell.gauge, memory_order_relaxed);
    if (value == INT64_MIN)
        return false;
    double scaled = (double)value / (double)from->cell.scale;
    if (isnan(*sum))
        *sum = scaled;
    else if (number_of(from->slot)->kind == SUM)
        *sum += scaled;
    else if (scaled > *sum)
        *sum = scaled;
    return true;
}

/* `known`: [slot_count], of how many workers. */
static void forget_parts_of_all(leat_history *history, const uint32_t *known)
{
    for (uint32_t slot = PROCESS_NUMBERS; slot < history->slot_count; slot++) {
        uint32_t holders = slot - (slot - PROCESS_NUMBERS) % SHARD_NUMBERS;
        if (number_of(slot)->kind == MOST_OF_ALL && known[slot] < known[holders])
            history->now[slot] = NAN;
    }
}

/* A counter only grows, but its cells are read one after the other. */
static void show_counted(leat_history *history, uint32_t slot, uint64_t counted, int64_t now_us)
{
    uint64_t before = history->counted[slot];
    double seconds = (double)(now_us - history->counted_us) / 1e6;
    history->counted[slot] = counted;
    if (number_of(slot)->kind == TOTAL)
        history->now[slot] = (double)counted;
    else if (history->counted_us > 0 && seconds > 0 && counted >= before)
        history->now[slot] = (double)(counted - before) / seconds;
}

static void read_parts(leat_history *history, int64_t now_us)
{
    uint64_t *sums = leat_must_calloc(history->slot_count, sizeof *sums);
    bool *counts = leat_must_calloc(history->slot_count, sizeof *counts);
    uint32_t *known = leat_must_calloc(history->slot_count, sizeof *known);
    for (size_t i = 0; i < history->part_count; i++) {
        const part *from = &history->parts[i];
        if (from->cell.gauge) {
            known[from->slot] += add_gauge(from, &history->now[from->slot]);
            continue;
        }
        sums[from->slot] += atomic_load_explicit(from->cell.counter, memory_order_relaxed);
        counts[from->slot] = true;
    }
    for (uint32_t slot = 0; slot < history->slot_count; slot++)
        if (counts[slot])
            show_counted(history, slot, sums[slot], now_us);
    forget_parts_of_all(history, known);
    free(known);
    free(sums);
    free(counts);
}

void leat_history_take(leat_history *history, int64_t now_us, int64_t now_ms)
{
    if (!history->is_ready)
        leat_metrics_each(history->metrics, see_cell, history);
    history->is_ready = true;
    for (uint32_t slot = 0; slot < history->slot_count; slot++)
        history->now[slot] = NAN;
    read_parts(history, now_us);
    history->counted_us = now_us;
    size_t at = (size_t)(history->taken % LEAT_HISTORY_ROWS);
    history->at_ms[at] = now_ms;
    for (uint32_t slot = 0; slot < history->slot_count; slot++)
        history->kept[(size_t)slot * LEAT_HISTORY_ROWS + at] = (float)history->now[slot];
    history->taken++;
}

/* ---- JSON ---- */

static void put_number(leat_buf *out, double value, bool is_exact)
{
    if (isnan(value))
        leat_buf_text(out, "null");
    else
        leat_buf_printf(out, is_exact ? "%.12g" : "%.6g", value);
}

static void put_name(leat_buf *out, const char *name, bool is_first)
{
    leat_buf_printf(out, "%s\"%s\":", is_first ? "" : ",", name);
}

static void put_now(const leat_history *history, uint32_t first, uint32_t count, leat_buf *out)
{
    for (uint32_t i = 0; i < count; i++) {
        put_name(out, number_of(first + i)->member, i == 0);
        put_number(out, history->now[first + i], true);
    }
}

static void put_rows(const leat_history *history, uint32_t first, uint32_t count, uint64_t from,
                     leat_buf *out)
{
    bool is_first = true;
    leat_buf_byte(out, '{');
    for (uint32_t slot = first; slot < first + count; slot++) {
        if (!number_of(slot)->is_kept)
            continue;
        put_name(out, number_of(slot)->member, is_first);
        is_first = false;
        leat_buf_byte(out, '[');
        for (uint64_t row = from; row < history->taken; row++) {
            size_t at = (size_t)(row % LEAT_HISTORY_ROWS);
            leat_buf_text(out, row == from ? "" : ",");
            put_number(out, (double)history->kept[(size_t)slot * LEAT_HISTORY_ROWS + at], false);
        }
        leat_buf_byte(out, ']');
    }
    leat_buf_byte(out, '}');
}

static void put_kept(const leat_history *history, uint64_t from, leat_buf *out)
{
    uint64_t oldest = history->taken > LEAT_HISTORY_ROWS ? history->taken - LEAT_HISTORY_ROWS : 0;
    if (from > history->taken || from < oldest)
        from = oldest;
    leat_buf_printf(out, ",\"history\":{\"next\":%llu,\"at_ms\":[",
                    (unsigned long long)history->taken);
    for (uint64_t row = from; row < history->taken; row++)
        leat_buf_printf(out, "%s%lld", row == from ? "" : ",",
                        (long long)history->at_ms[row % LEAT_HISTORY_ROWS]);
    leat_buf_text(out, "],\"process\":");
    put_rows(history, 0, PROCESS_NUMBERS, from, out);
    leat_buf_text(out, ",\"shards\":[");
    for (uint32_t shard = 0; shard < history->shard_count; shard++) {
        leat_buf_text(out, shard == 0 ? "" : ",");
        put_rows(history, PROCESS_NUMBERS + shard * SHARD_NUMBERS, SHARD_NUMBERS, from, out);
    }
    leat_buf_text(out, "]}");
}

void leat_history_write(const leat_history *history, uint64_t from, leat_buf *out)
{
    leat_buf_text(out, "\"process\":{");
    put_now(history, 0, PROCESS_NUMBERS, out);
    leat_buf_text(out, "},\"shards\":[");
    for (uint32_t shard = 0; shard < history->shard_count; shard++) {
        leat_buf_text(out, shard == 0 ? "{\"name\":" : ",{\"name\":");
        leat_buf_json_string(out, leat_slice_of(history->shards[shard]));
        leat_buf_byte(out, ',');
        put_now(history, PROCESS_NUMBERS + shard * SHARD_NUMBERS, SHARD_NUMBERS, out);
        leat_buf_byte(out, '}');
    }
    leat_buf_byte(out, ']');
    put_kept(history, from, out);
}
