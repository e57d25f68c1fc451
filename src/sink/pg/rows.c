/*
 * rows.c - from a batch's records to writes, and from writes to statements. Records are decoded in
 * the order of the log; a second write to a key is folded into the first one or goes a round later.
 * Rounds keep a key's writes in order and ensure that a key is in each statement at most once,
 * which MERGE demands. Within a round all writes of a route and operation share one statement.
 * Sorting is by counting, and keys are found by open addressing in arrays that are kept, because
 * this runs for each record of each batch.
 */
#include "sink/pg/rows_state.h"

#include <stdlib.h>
#include <string.h>

enum {
    RECORDS_MIN = 64,
    NO_WRITE = UINT32_MAX,
    FETCH_AHEAD = 4, /* records */
};

/* ---- memory ---- */

leat_rows *leat_rows_new(void)
{
    leat_rows *rows = leat_must_calloc(1, sizeof *rows);
    rows->parser = leat_body_parser_new();
    rows->fold = leat_fold_new();
    if (rows->parser && rows->fold) {
        leat_body_parser_borrow(rows->parser); /* items live as long */
        return rows;
    }
    leat_rows_free(rows);
    return NULL;
}

static void free_arrays(leat_rows *rows)
{
    free(rows->writes);
    free(rows->in_turn);
    free(rows->order);
    free(rows->counts);
    free(rows->statements);
    free(rows->keys);
    free(rows->places);
    free(rows->places_spare);
    rows->capacity = 0;
}

void leat_rows_free(leat_rows *rows)
{
    if (!rows)
        return;
    free_arrays(rows);
    free(rows->values);
    leat_buf_free(&rows->params);
    leat_fold_free(rows->fold);
    leat_body_parser_free(rows->parser);
    free(rows);
}

static int reserve_records(leat_rows *rows, uint32_t count)
{
    if (rows->capacity > 0 && count <= rows->capacity)
        return 0;
    size_t capacity = RECORDS_MIN;
    while (capacity < count)
        capacity *= 2;
    free_arrays(rows);
    rows->writes = calloc(capacity, sizeof *rows->writes);
    rows->in_turn = calloc(capacity, sizeof *rows->in_turn);
    rows->order = calloc(capacity, sizeof *rows->order);
    rows->counts = calloc(capacity + 1, sizeof *rows->counts);
    rows->statements = calloc(capacity, sizeof *rows->statements);
    rows->keys = calloc(2 * capacity, sizeof *rows->keys);
    rows->places = calloc(capacity, sizeof *rows->places);
    rows->places_spare = calloc(capacity, sizeof *rows->places_spare);
    if (!rows->writes || !rows->in_turn || !rows->order || !rows->counts || !rows->statements ||
        !rows->keys || !rows->places || !rows->places_spare)
        return -1; /* capacity is 0: the next call frees what there is and tries again */
    rows->capacity = (uint32_t)capacity;
    rows->key_mask = (uint32_t)(2 * capacity - 1);
    LEAT_ASSERT(count <= rows->capacity && (rows->key_mask & (rows->key_mask + 1)) == 0);
    return 0;
}

static bool is_written(const leat_engine_batch_record *record)
{
    return !record->skip && !record->keep;
}

/* Room for the values of all records at once: earlier writes point into this array. */
static int reserve_values(leat_rows *rows, const leat_engine_batch *batch,
                          const leat_routes *routes)
{
    size_t count = 0;
    for (uint32_t i = 0; i < batch->record_count; i++) {
        const leat_item *item = batch->records[i].payload;
        if (item->route && is_written(&batch->records[i]))
            count += routes->routes[item->route->index].table->column_count;
    }
    rows->value_count = 0;
    if (count <= rows->value_capacity)
        return 0;
    free(rows->values);
    rows->value_capacity = 0;
    rows->values = calloc(2 * count, sizeof *rows->values);
    if (!rows->values)
        return -1;
    rows->value_capacity = 2 * count;
    return 0;
}

/* ---- faults ---- */

static int fail_memory(leat_rows_fault *fault)
{
    *fault = (leat_rows_fault){.outcome = LEAT_ENGINE_OUTAGE, .bad_record = -1};
    return leat_fail(&fault->error, "out of memory");
}

static int fail_record(leat_rows_fault *fault, uint32_t at, bool relies_on_table, const char *field,
                       const char *message)
{
    LEAT_ASSERT(field && message);
    *fault = (leat_rows_fault){.outcome = LEAT_ENGINE_BAD_DATA,
                               .bad_record = (int32_t)at,
                               .relies_on_table = relies_on_table};
    return leat_fail(&fault->error, "%s%s%s", field, *field ? ": " : "", message);
}

/* ---- decoding ---- */

/* The key was decoded with an older version of the table; its integers may be narrower by now. */
static const char *find_unfit_key(const leat_item *item, const leat_route *route)
{
    for (uint32_t i = 0; item->route != route && i < leat_route_value_count(route); i++) {
        const leat_column *column = leat_route_value_column(route, i);
        if (!leat_integer_fits(column->type, item->key[i].integer))
            return column->name;
    }
    return NULL;
}

/* Decodes the record into the next write, as if it were the only one of its key. */
static int decode_record(leat_rows *rows, uint32_t at, const leat_item *item,
                         const leat_routes *routes, leat_rows_fault *fault)
{
    LEAT_ASSERT(rows->write_count < rows->capacity);
    if (item->fault || !item->route)
        return fail_record(fault, at, false, "",
                           item->fault ? item->fault : "the record makes no sense");
    const leat_route *route = &routes->routes[item->route->index];
    const char *unfit = find_unfit_key(item, route);
    if (unfit)
        return fail_record(fault, at, true, unfit, "the number is too large for the column");
    if (item->op != LEAT_DELETE) {
        leat_body_error error;
        leat_body_fault body_fault = leat_body_parse(
            rows->parser, route, item->op, item->record.value, item->key, &rows->body, &error);
        if (body_fault == LEAT_BODY_MEMORY)
            return fail_memory(fault);
        if (body_fault != LEAT_BODY_OK)
            return fail_record(fault, at, body_fault == LEAT_BODY_REFUSED, error.field,
                               error.message);
    }
    row_write *write = &rows->writes[rows->write_count];
    *write = (row_write){.route = route, .item = item, .record = at, .record_count = 1};
    write->row = leat_route_row(route, item->canonical_key);
    write->row_hash = route->tenant_leads ? leat_hash(write->row) : item->hash;
    write->write.values = rows->values + rows->value_count;
    if (leat_fold_start(rows->fold, route, item->op, &rows->body, &write->write) < 0)
        return fail_memory(fault);
    return 0;
}

/* ---- writes to one key ---- */

static bool is_same_row(const row_write *a, const row_write *b)
{
    return a->row_hash == b->row_hash && a->route->table_index == b->route->table_index &&
           leat_slice_equal(a->row, b->row);
}

static key_slot *find_key(leat_rows *rows, const row_write *write)
{
    uint64_t hash = write->row_hash;
    uint32_t at = (uint32_t)(hash ^ (hash >> 32)) & rows->key_mask;
    while (rows->keys[at].batch == rows->batch &&
           !is_same_row(&rows->writes[rows->keys[at].write], write))
        at = (at + 1) & rows->key_mask;
    key_slot *slot = &rows->keys[at];
    if (slot->batch != rows->batch)
        *slot = (key_slot){.batch = rows->batch, .write = NO_WRITE};
    return slot;
}

static leat_fold_outcome fold(leat_rows *rows, row_write *open, const row_write *next)
{
    if (open->route != next->route || !open->route->fold || open->route->table->is_ordered)
        return LEAT_FOLD_APART;
    leat_fold_outcome folded = leat_fold_next(rows->fold, open->route, &open->write, &next->write);
    if (folded == LEAT_FOLD_DONE)
        open->record_count++;
    return folded;
}

/* Folds the write just decoded into the newest of its key, or lets it follow that one. */
static int take_write(leat_rows *rows)
{
    row_write *next = &rows->writes[rows->write_count];
    key_slot *slot = find_key(rows, next);
    if (slot->write != NO_WRITE) {
        row_write *open = &rows->writes[slot->write];
        leat_fold_outcome folded = fold(rows, open, next);
        if (folded == LEAT_FOLD_MEMORY)
            return -1;
        if (folded == LEAT_FOLD_DONE)
            return 0;
        next->round = open->round + 1;
    }
    slot->write = rows->write_count++;
    rows->value_count += next->route->table->column_count;
    return 0;
}

/* Records of a batch come from all over the memory that a backlog takes, so each is fetched while
 * those before it are decoded: first the item, then the bytes that it points at. */
static void fetch_ahead(const leat_engine_batch *batch, uint32_t at)
{
    if (at + 2 * FETCH_AHEAD < batch->record_count)
        leat_item_fetch(batch->records[at + 2 * FETCH_AHEAD].payload);
    if (at + FETCH_AHEAD < batch->record_count)
        leat_item_fetch_bytes(batch->records[at + FETCH_AHEAD].payload);
}

static int make_writes(leat_rows *rows, const leat_engine_batch *batch, const leat_routes *routes,
                       leat_rows_fault *fault)
{
    for (uint32_t i = 0; i < batch->record_count; i++) {
        fetch_ahead(batch, i);
        if (!is_written(&batch->records[i]))
            continue;
        if (decode_record(rows, i, batch->records[i].payload, routes, fault) < 0)
            return -1;
        if (take_write(rows) < 0)
            return fail_memory(fault);
    }
    return 0;
}

/* ---- order ---- */

static bool is_ordered(const row_write *write)
{
    return write->route->table->is_ordered;
}

/* Sorts the writes, except those of ordered tables, by round; returns their number. */
static uint32_t sort_by_round(leat_rows *rows)
{
    uint32_t round_count = 0;
    uint32_t count = 0;
    memset(rows->counts, 0, (rows->write_count + 1) * sizeof *rows->counts);
    for (uint32_t i = 0; i < rows->write_count; i++) {
        uint32_t round = rows->writes[i].round;
        if (is_ordered(&rows->writes[i]))
            continue;
        count++;
        rows->counts[round + 1]++;
        round_count = round >= round_count ? round + 1 : round_count;
    }
    for (uint32_t i = 1; i < round_count; i++)
        rows->counts[i] += rows->counts[i - 1];
    for (uint32_t i = 0; i < rows->write_count; i++)
        if (!is_ordered(&rows->writes[i]))
            rows->in_turn[rows->counts[rows->writes[i].round]++] = i;
    return count;
}

typedef struct log_order {
    const leat_rows *rows;
    const leat_engine_batch *batch;
} log_order;

static int compare_in_log(const void *a, const void *b, void *context)
{
    const log_order *order = context;
    const leat_engine_batch_record *left =
        &order->batch->records[order->rows->writes[*(const uint32_t *)a].record];
    const leat_engine_batch_record *right =
        &order->batch->records[order->rows->writes[*(const uint32_t *)b].record];
    if (left->partition != right->partition)
        return left->partition < right->partition ? -1 : 1;
    return left->offset < right->offset ? -1 : left->offset > right->offset;
}

/* Puts the writes to tables with further unique constraints after the others, in the order of the
 * log: a value may pass from row to row. */
static void sort_ordered(leat_rows *rows, const leat_engine_batch *batch, uint32_t first)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < rows->write_count; i++)
        if (is_ordered(&rows->writes[i]))
            rows->in_turn[first + count++] = i;
    LEAT_ASSERT(first + count == rows->write_count);
    log_order order = {rows, batch};
    if (count > 1)
        qsort_r(rows->in_turn + first, count, sizeof *rows->in_turn, compare_in_log, &order);
}

static uint32_t add_statement(leat_rows *rows, const row_write *write)
{
    LEAT_ASSERT(rows->statement_count < rows->capacity);
    rows->statements[rows->statement_count] = (row_group){
        .shape = {.route = write->route, .op = write->write.op, .uniform = true},
        .named_by_all = UINT64_MAX,
        .operated_by_all = UINT64_MAX,
    };
    return rows->statement_count++;
}

/* The statement of this write's route and operation in its round, a new one when it is the
 * first. */
static uint32_t statement_of(leat_rows *rows, const row_write *write)
{
    LEAT_ASSERT(write->route->index < LEAT_ROUTES_MAX);
    if (is_ordered(write))
        return add_statement(rows, write);
    open_group *open = &rows->open[write->route->index * LEAT_ROUTE_OP_COUNT + write->write.op];
    if (open->round != write->round + 1)
        *open = (open_group){write->round + 1, add_statement(rows, write)};
    return open->statement;
}

static void add_to_shape(row_group *statement, const leat_row_write *write)
{
    leat_shape *shape = &statement->shape;
    shape->columns |= write->present;
    shape->operated |= write->operated;
    shape->merge = write->merge > shape->merge ? write->merge : shape->merge;
    statement->named_by_all &= write->present;
    statement->operated_by_all &= write->operated;
    statement->count++;
}

static void group_writes(leat_rows *rows)
{
    memset(rows->open, 0, sizeof rows->open);
    for (uint32_t i = 0; i < rows->write_count; i++) {
        row_write *write = &rows->writes[rows->in_turn[i]];
        write->statement = statement_of(rows, write);
        add_to_shape(&rows->statements[write->statement], &write->write);
    }
    uint32_t first = 0;
    for (uint32_t i = 0; i < rows->statement_count; i++) {
        row_group *statement = &rows->statements[i];
        statement->shape.uniform = statement->shape.columns == statement->named_by_all &&
                                   statement->shape.operated == statement->operated_by_all;
        statement->first = first;
        rows->counts[i] = first;
        first += statement->count;
    }
    LEAT_ASSERT(first == rows->write_count);
    for (uint32_t i = 0; i < rows->write_count; i++) {
        uint32_t at = rows->in_turn[i];
        rows->order[rows->counts[rows->writes[at].statement]++] = at;
    }
}

int leat_rows_build(leat_rows *rows, const leat_engine_batch *batch, const leat_routes *routes,
                    leat_rows_fault *ret_fault)
{
    LEAT_ASSERT(routes);
    rows->batch++;
    rows->write_count = 0;
    rows->statement_count = 0;
    leat_body_parser_reset(rows->parser);
    leat_fold_reset(rows->fold);
    if (reserve_records(rows, batch->record_count) < 0 || reserve_values(rows, batch, routes) < 0)
        return fail_memory(ret_fault);
    if (make_writes(rows, batch, routes, ret_fault) < 0) {
        rows->write_count = 0;
        return -1;
    }
    uint32_t first_ordered = sort_by_round(rows);
    sort_ordered(rows, batch, first_ordered);
    group_writes(rows);
    for (uint32_t i = 0; i < rows->statement_count; i++)
        if (rows->statements[i].count > 1)
            leat_rows_sort_by_key(rows, &rows->statements[i]);
    return 0;
}

uint32_t leat_rows_statement_count(const leat_rows *rows)
{
    return rows->statement_count;
}

uint32_t leat_rows_count(const leat_rows *rows)
{
    return rows->write_count;
}

leat_shape leat_rows_shape(const leat_rows *rows, uint32_t at)
{
    LEAT_ASSERT(at < rows->statement_count);
    return rows->statements[at].shape;
}
