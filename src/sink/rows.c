#include "sink/rows.h"

#include <stdlib.h>
#include <string.h>

#include "record/body.h"

enum {
    GROUPS_MAX = LEAT_ROUTES_MAX * LEAT_ROUTE_OP_COUNT, /* route and operation */
    RECORDS_MIN = 64,
};

/* A record, its body parsed. */
typedef struct decoded_record {
    const leat_item *item;
    uint64_t present;
    uint32_t first_value; /* in rows->values: those present, by ascending column */
} decoded_record;

/* A write to one row. The n-th write to a key of a batch belongs to round n: rounds go one after another. */
typedef struct row_write {
    uint32_t record; /* index of a decoded record */
    uint32_t round;
    uint32_t statement;
} row_write;

typedef struct row_group {
    leat_shape shape;
    uint64_t named_by_all;
    uint32_t first; /* in rows->order */
    uint32_t count;
} row_group;

/* A slot of the table of keys; one that an older batch used is empty. */
typedef struct key_slot {
    uint64_t batch;
    const leat_item *item;
    uint32_t writes; /* of this key, so far */
} key_slot;

/* The statement that takes rows of one route and operation in the current round. */
typedef struct open_group {
    uint32_t round; /* plus one; 0: none yet */
    uint32_t statement;
} open_group;

struct leat_rows {
    leat_body_parser *parser;
    leat_body body;     /* of the record being decoded */
    const leat_routes *routes;
    uint64_t batch;     /* counts builds */
    uint32_t capacity;  /* records that the arrays below have room for */
    decoded_record *records;
    uint32_t record_count;
    row_write *writes;
    uint32_t write_count;
    uint32_t *by_round; /* writes in order of rounds, within one as in the batch */
    uint32_t *order;    /* writes in order of statements */
    uint32_t *counts;   /* of a counting sort */
    row_group *statements;
    uint32_t statement_count;
    key_slot *keys; /* open addressing, at most half full */
    uint32_t key_mask;
    leat_value *values;
    uint32_t value_count;
    uint32_t value_capacity;
    open_group open[GROUPS_MAX];
    leat_buf params;
};

/* --- memory ------------------------------------------------------------------------------------------------------ */

leat_rows *leat_rows_new(void)
{
    leat_rows *rows = leat_must_calloc(1, sizeof *rows);
    rows->parser = leat_body_parser_new();
    if (rows->parser)
        return rows;
    free(rows);
    return NULL;
}

static void free_arrays(leat_rows *rows)
{
    free(rows->records);
    free(rows->writes);
    free(rows->by_round);
    free(rows->order);
    free(rows->counts);
    free(rows->statements);
    free(rows->keys);
    rows->capacity = 0;
}

void leat_rows_free(leat_rows *rows)
{
    if (!rows)
        return;
    free_arrays(rows);
    free(rows->values);
    leat_buf_free(&rows->params);
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
    rows->records = calloc(capacity, sizeof *rows->records);
    rows->writes = calloc(capacity, sizeof *rows->writes);
    rows->by_round = calloc(capacity, sizeof *rows->by_round);
    rows->order = calloc(capacity, sizeof *rows->order);
    rows->counts = calloc(capacity + 1, sizeof *rows->counts);
    rows->statements = calloc(capacity, sizeof *rows->statements);
    rows->keys = calloc(2 * capacity, sizeof *rows->keys);
    if (!rows->records || !rows->writes || !rows->by_round || !rows->order || !rows->counts || !rows->statements ||
        !rows->keys)
        return -1; /* capacity is 0: the next call frees what there is and tries again */
    rows->capacity = (uint32_t)capacity;
    rows->key_mask = (uint32_t)(2 * capacity - 1);
    return 0;
}

static int reserve_values(leat_rows *rows, uint32_t count)
{
    if (rows->value_count + count <= rows->value_capacity)
        return 0;
    uint32_t capacity = 2 * (rows->value_count + count);
    leat_value *grown = realloc(rows->values, capacity * sizeof *grown);
    if (!grown)
        return -1;
    rows->values = grown;
    rows->value_capacity = capacity;
    return 0;
}

/* --- decoding ---------------------------------------------------------------------------------------------------- */

static int fail_record(leat_rows_fault *fault, leat_outcome outcome, uint32_t at, const char *field,
                       const char *message)
{
    fault->outcome = outcome;
    fault->bad_record = outcome == LEAT_BAD_DATA ? (int32_t)at : -1;
    return leat_fail(&fault->error, "%s%s%s", field, *field ? ": " : "", message);
}

/* A body holds a slot for every column a table can have; only those it names are kept. */
static int keep_values(leat_rows *rows, decoded_record *record)
{
    if (reserve_values(rows, (uint32_t)__builtin_popcountll(rows->body.present)) < 0)
        return -1;
    record->present = rows->body.present;
    record->first_value = rows->value_count;
    for (uint64_t rest = rows->body.present; rest; rest &= rest - 1)
        rows->values[rows->value_count++] = rows->body.values[__builtin_ctzll(rest)];
    return 0;
}

static int decode_record(leat_rows *rows, uint32_t at, const leat_item *item, leat_rows_fault *fault)
{
    decoded_record *record = &rows->records[at];
    fault->relies_on_table = false;
    if (item->fault || !item->route)
        return fail_record(fault, LEAT_BAD_DATA, at, "", item->fault ? item->fault : "the record makes no sense");
    *record = (decoded_record){.item = item};
    if (item->op == LEAT_DELETE)
        return 0;
    leat_body_error error;
    leat_body_fault body_fault = leat_body_parse(rows->parser, &rows->routes->routes[item->route->index], item->op, item->record.value, item->key,
                                                 &rows->body, &error);
    fault->relies_on_table = body_fault == LEAT_BODY_REFUSED;
    if (body_fault != LEAT_BODY_OK && body_fault != LEAT_BODY_MEMORY)
        return fail_record(fault, LEAT_BAD_DATA, at, error.field, error.message);
    if (body_fault == LEAT_BODY_MEMORY || keep_values(rows, record) < 0)
        return fail_record(fault, LEAT_OUTAGE, at, "", "out of memory");
    return 0;
}

static int decode_records(leat_rows *rows, const leat_batch *batch, leat_rows_fault *fault)
{
    for (uint32_t i = 0; i < batch->record_count; i++)
        if (decode_record(rows, i, batch->records[i].payload, fault) < 0)
            return -1;
    rows->record_count = batch->record_count;
    return 0;
}

/* --- order ------------------------------------------------------------------------------------------------------- */

static bool is_same_row(const leat_item *a, const leat_item *b)
{
    return a->hash == b->hash && a->route->table_index == b->route->table_index &&
           leat_slice_equal(a->canonical_key, b->canonical_key);
}

static key_slot *find_key(leat_rows *rows, const leat_item *item)
{
    uint32_t at = (uint32_t)(item->hash ^ (item->hash >> 32)) & rows->key_mask;
    while (rows->keys[at].batch == rows->batch && !is_same_row(rows->keys[at].item, item))
        at = (at + 1) & rows->key_mask;
    key_slot *slot = &rows->keys[at];
    if (slot->batch != rows->batch)
        *slot = (key_slot){.batch = rows->batch, .item = item};
    return slot;
}

/* Turns decoded records into writes to rows: each record is one, several to one key wait for each other. Merging the
 * writes to one key into one belongs here. */
static void plan_writes(leat_rows *rows)
{
    for (uint32_t i = 0; i < rows->record_count; i++) {
        key_slot *slot = find_key(rows, rows->records[i].item);
        rows->writes[i] = (row_write){.record = i, .round = slot->writes++};
    }
    rows->write_count = rows->record_count;
}

static void sort_by_round(leat_rows *rows)
{
    uint32_t round_count = 0;
    memset(rows->counts, 0, (rows->write_count + 1) * sizeof *rows->counts);
    for (uint32_t i = 0; i < rows->write_count; i++) {
        uint32_t round = rows->writes[i].round;
        rows->counts[round + 1]++;
        round_count = round >= round_count ? round + 1 : round_count;
    }
    for (uint32_t i = 1; i < round_count; i++)
        rows->counts[i] += rows->counts[i - 1];
    for (uint32_t i = 0; i < rows->write_count; i++)
        rows->by_round[rows->counts[rows->writes[i].round]++] = i;
}

/* The statement of this write's route and operation in its round, a new one when it is the first. */
static uint32_t statement_of(leat_rows *rows, const row_write *write)
{
    const leat_item *item = rows->records[write->record].item;
    open_group *open = &rows->open[item->route->index * LEAT_ROUTE_OP_COUNT + item->op];
    if (open->round != write->round + 1) {
        *open = (open_group){write->round + 1, rows->statement_count};
        rows->statements[rows->statement_count++] = (row_group){
            .shape = {.route = &rows->routes->routes[item->route->index], .op = item->op, .uniform = true},
            .named_by_all = UINT64_MAX,
        };
    }
    return open->statement;
}

static void group_writes(leat_rows *rows)
{
    memset(rows->open, 0, sizeof rows->open);
    rows->statement_count = 0;
    for (uint32_t i = 0; i < rows->write_count; i++) {
        row_write *write = &rows->writes[rows->by_round[i]];
        write->statement = statement_of(rows, write);
        row_group *statement = &rows->statements[write->statement];
        uint64_t present = rows->records[write->record].present;
        statement->shape.columns |= present;
        statement->named_by_all &= present;
        statement->count++;
    }
    uint32_t first = 0;
    for (uint32_t i = 0; i < rows->statement_count; i++) {
        row_group *statement = &rows->statements[i];
        statement->shape.uniform = statement->shape.columns == statement->named_by_all;
        statement->first = first;
        rows->counts[i] = first;
        first += statement->count;
    }
    for (uint32_t i = 0; i < rows->write_count; i++) {
        uint32_t at = rows->by_round[i];
        rows->order[rows->counts[rows->writes[at].statement]++] = at;
    }
}

int leat_rows_build(leat_rows *rows, const leat_batch *batch, const leat_routes *routes, leat_rows_fault *ret_fault)
{
    rows->routes = routes;
    rows->batch++;
    rows->value_count = 0;
    rows->write_count = 0;
    rows->statement_count = 0;
    leat_body_parser_reset(rows->parser);
    if (reserve_records(rows, batch->record_count) < 0)
        return fail_record(ret_fault, LEAT_OUTAGE, 0, "", "out of memory");
    if (decode_records(rows, batch, ret_fault) < 0)
        return -1;
    plan_writes(rows);
    sort_by_round(rows);
    group_writes(rows);
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

/* --- parameters -------------------------------------------------------------------------------------------------- */

/* The head of a one-dimensional array as array_recv wants it. "May hold NULLs" is not looked at there. */
static void put_array_head(leat_buf *out, uint32_t element_oid, uint32_t count)
{
    leat_buf_be32(out, 1); /* dimensions */
    leat_buf_be32(out, 1); /* may hold NULLs */
    leat_buf_be32(out, element_oid);
    leat_buf_be32(out, count);
    leat_buf_be32(out, 1); /* first subscript */
}

static const decoded_record *record_at(const leat_rows *rows, const row_group *statement, uint32_t row)
{
    return &rows->records[rows->writes[rows->order[statement->first + row]].record];
}

static void put_key_array(leat_rows *rows, const row_group *statement, uint32_t position)
{
    const leat_table *table = statement->shape.route->table;
    const leat_column *column = &table->columns[table->key_columns[position]];
    put_array_head(&rows->params, leat_statement_element_oid(column->type), statement->count);
    for (uint32_t i = 0; i < statement->count; i++)
        leat_value_binary(column, &record_at(rows, statement, i)->item->key[position], &rows->params);
}

static void put_column_array(leat_rows *rows, const row_group *statement, uint32_t index)
{
    static const leat_value null = {.presence = LEAT_NULL};
    const leat_column *column = &statement->shape.route->table->columns[index];
    uint64_t bit = (uint64_t)1 << index;
    put_array_head(&rows->params, leat_statement_element_oid(column->type), statement->count);
    for (uint32_t i = 0; i < statement->count; i++) {
        const decoded_record *record = record_at(rows, statement, i);
        const leat_value *value = &null;
        if (record->present & bit)
            value = &rows->values[record->first_value + (uint32_t)__builtin_popcountll(record->present & (bit - 1))];
        leat_value_binary(column, value, &rows->params);
    }
}

static void put_presence_array(leat_rows *rows, const row_group *statement)
{
    put_array_head(&rows->params, leat_statement_element_oid(LEAT_TYPE_INT8), statement->count);
    for (uint32_t i = 0; i < statement->count; i++) {
        leat_buf_be32(&rows->params, sizeof(uint64_t));
        leat_buf_be64(&rows->params, record_at(rows, statement, i)->present);
    }
}

/* Ends a parameter. The buffer may still move: only its place is known yet, and `values` is filled at the end. */
static void end_param(leat_rows *rows, leat_row_statement *statement, size_t *from)
{
    statement->sizes[statement->param_count++] = (int)(rows->params.size - *from);
    *from = rows->params.size;
}

int leat_rows_statement(leat_rows *rows, uint32_t at, leat_shape shape, leat_row_statement *ret)
{
    LEAT_ASSERT(at < rows->statement_count);
    const row_group *statement = &rows->statements[at];
    LEAT_ASSERT(leat_shape_equal(&shape, &statement->shape) || !shape.uniform);
    LEAT_ASSERT((statement->shape.columns & ~shape.columns) == 0);
    size_t from = 0;
    ret->shape = shape;
    ret->row_count = statement->count;
    ret->param_count = 0;
    leat_buf_clear(&rows->params);
    for (uint32_t i = 0; i < shape.route->table->key_count; i++) {
        put_key_array(rows, statement, i);
        end_param(rows, ret, &from);
    }
    for (uint64_t rest = shape.columns; rest; rest &= rest - 1) {
        put_column_array(rows, statement, (uint32_t)__builtin_ctzll(rest));
        end_param(rows, ret, &from);
    }
    if (!shape.uniform) {
        put_presence_array(rows, statement);
        end_param(rows, ret, &from);
    }
    if (rows->params.failed || rows->params.size > INT32_MAX)
        return -1;
    const char *value = rows->params.data;
    for (uint32_t i = 0; i < ret->param_count; value += ret->sizes[i++])
        ret->values[i] = value;
    return 0;
}
