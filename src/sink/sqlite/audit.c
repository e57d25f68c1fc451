/*
 * audit.c - a file asked for proof, in read transactions: SQLite's write-ahead log lets them read
 * beside the process that writes. Columns are compared by SQLite, with the values in the form in
 * which a batch would bind them. An operand meets the column's default here and not in SQL, as it
 * does when it is written (rows.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink/identifier.h"
#include "sink/shard_ops.h"
#include "sink/sqlite/db.h"
#include "sink/sqlite/progress.h"
#include "sink/sqlite/sql.h"
#include "sink/sqlite/value.h"
#include "sink/sqlite/writes.h"

enum { BUSY_MS = 5000 };

typedef struct sqlite_audit {
    leat_shard_audit base;
    char *file;
    int32_t source_id;
    uint32_t subpartitions;
    leat_sqlite sqlite; /* open while it has a db */
    bool is_inside;     /* a transaction */
    leat_fold *fold;
    leat_arena texts;
} sqlite_audit;

/* ---- the moment ---- */

static void end(leat_shard_audit *base)
{
    sqlite_audit *audit = (sqlite_audit *)base;
    if (audit->is_inside && leat_sqlite_run(&audit->sqlite, "ROLLBACK", NULL) != 0)
        leat_sqlite_close(&audit->sqlite);
    audit->is_inside = false;
}

/* SQLite has its snapshot with the first read. */
static int take_snapshot(sqlite_audit *audit, leat_error *error)
{
    int64_t version;
    if (leat_sqlite_run(&audit->sqlite, "BEGIN", error) != 0)
        return -1;
    audit->is_inside = true;
    return leat_sqlite_integer(&audit->sqlite, "SELECT version FROM leat_schema_version", &version,
                               error);
}

static int begin(leat_shard_audit *base, leat_error *error)
{
    sqlite_audit *audit = (sqlite_audit *)base;
    LEAT_ASSERT(!audit->is_inside);
    int status = 0;
    if (!audit->sqlite.db)
        status = leat_sqlite_open(&audit->sqlite, audit->file, BUSY_MS, error);
    if (status == 0)
        status = take_snapshot(audit, error);
    if (status == 0)
        return 0;
    end(base);
    leat_sqlite_close(&audit->sqlite);
    return -1;
}

/* After an error the moment is over. */
static int checked(sqlite_audit *audit, int status)
{
    if (status < 0)
        end(&audit->base);
    return status;
}

/* ---- progress and records ---- */

static int read_reached(leat_shard_audit *base, uint32_t partition, int64_t *ret, leat_error *error)
{
    sqlite_audit *audit = (sqlite_audit *)base;
    int64_t reached[LEAT_SUBPARTITIONS_MAX];
    LEAT_ASSERT(audit->is_inside);
    leat_sqlite_standing standing =
        leat_sqlite_read_reached(&audit->sqlite, audit->source_id, partition, reached);
    if (standing == LEAT_SQLITE_ABSENT)
        return 1;
    if (standing != LEAT_SQLITE_STANDS)
        return checked(audit, leat_fail(error, "%s: the progress of partition %u cannot be read",
                                        audit->sqlite.file, partition));
    memcpy(ret, reached, audit->subpartitions * sizeof *ret);
    return 0;
}

static int read_writes(leat_shard_audit *base, const leat_write_question *questions, uint32_t count,
                       leat_write_answer *ret, leat_error *error)
{
    sqlite_audit *audit = (sqlite_audit *)base;
    LEAT_ASSERT(audit->is_inside);
    return checked(audit, leat_sqlite_answer_writes(&audit->sqlite, audit->source_id, true,
                                                    questions, count, ret, error));
}

/* ---- rows ---- */

/* "Is it as bound?" for each column that is written; parameters: the key, then those columns. */
static void put_comparison(const leat_table *table, leat_buf *out)
{
    uint32_t parameter = table->key_count;
    leat_buf_text(out, "SELECT 1");
    for (uint32_t i = 0; i < table->column_count; i++) {
        if (!leat_sqlite_is_written(&table->columns[i]))
            continue;
        leat_buf_text(out, ", ");
        leat_put_identifier(out, table->columns[i].name);
        leat_buf_printf(out, " COLLATE BINARY IS ?%u", ++parameter);
    }
    leat_buf_text(out, " FROM main.");
    leat_put_identifier(out, table->name);
    for (uint32_t i = 0; i < table->key_count; i++) {
        leat_buf_text(out, i > 0 ? " AND " : " WHERE ");
        leat_put_identifier(out, table->columns[table->key_columns[i]].name);
        leat_buf_printf(out, " = ?%u", i + 1);
    }
}

/* A question about rows of one route. */
typedef struct comparison {
    sqlite_audit *audit;
    const leat_route *route;
    uint64_t columns;
    sqlite3_stmt *row;
    sqlite3_stmt *defaults; /* with its row; NULL: not needed yet */
} comparison;

static sqlite3_stmt *prepare(sqlite_audit *audit, leat_buf *sql, leat_error *error)
{
    const char *text = leat_buf_cstr(sql);
    sqlite3_stmt *ret = text ? leat_sqlite_prepare(&audit->sqlite, text, error) : NULL;
    if (!text)
        leat_fail(error, "out of memory");
    leat_buf_free(sql);
    return ret;
}

static int read_defaults(comparison *with, leat_error *error)
{
    leat_buf sql = {0};
    if (with->defaults)
        return 0;
    leat_sqlite_sql(LEAT_SQLITE_DEFAULTS, with->route->table, &sql);
    with->defaults = prepare(with->audit, &sql, error);
    return with->defaults && leat_sqlite_step(&with->audit->sqlite, with->defaults, error) == 1
               ? 0
               : -1;
}

/* The operand of `column`, which is at `at` in the defaults, becomes a value. 1: it cannot. */
static int operate(comparison *with, const leat_key_state *state, uint32_t column, int at,
                   leat_value *values, leat_error *error)
{
    uint64_t bit = (uint64_t)1 << column;
    leat_value base[LEAT_COLUMNS_MAX];
    if (read_defaults(with, error) != 0)
        return -1;
    if (leat_sqlite_value(with->defaults, at, &with->route->table->columns[column],
                          &with->audit->texts, &base[column], error) != 0)
        return 1;
    leat_row_write from = {.op = LEAT_PUT, .present = bit, .values = base};
    leat_row_write next = {.op = LEAT_PATCH,
                           .merge = state->merge,
                           .present = bit,
                           .operated = bit,
                           .values = state->values};
    if (leat_fold_next(with->audit->fold, with->route, &from, &next) != LEAT_FOLD_DONE)
        return 1;
    values[column] = base[column];
    return 0;
}

/* Binds what is compared, NULL for the rest. */
static int bind_columns(comparison *with, const leat_key_state *state, uint64_t *compared,
                        leat_error *error)
{
    const leat_table *table = with->route->table;
    leat_value values[LEAT_COLUMNS_MAX];
    int at = 0;
    for (uint32_t i = 0; i < table->column_count; i++) {
        if (!leat_sqlite_is_written(&table->columns[i]))
            continue;
        int parameter = (int)table->key_count + at + 1;
        int status = 1;
        if (*compared >> i & 1) {
            values[i] = state->values[i];
            status = state->operated >> i & 1 ? operate(with, state, i, at, values, error) : 0;
            if (status == 0)
                status = leat_sqlite_bind(with->row, parameter, &table->columns[i], &values[i],
                                          error) != 0;
        }
        if (status < 0)
            return -1;
        if (status > 0) {
            *compared &= ~((uint64_t)1 << i);
            sqlite3_bind_null(with->row, parameter);
        }
        at++;
    }
    return 0;
}

static int bind_key(const comparison *with, const leat_value *key, leat_error *error)
{
    const leat_table *table = with->route->table;
    for (uint32_t i = 0; i < table->key_count; i++)
        if (leat_sqlite_bind(with->row, (int)i + 1, &table->columns[table->key_columns[i]], &key[i],
                             error) != 0)
            return -1;
    return 0;
}

static void take_row(const comparison *with, uint64_t compared, leat_audit_answer *ret)
{
    const leat_table *table = with->route->table;
    int at = 1;
    ret->is_there = true;
    for (uint32_t i = 0; i < table->column_count; i++) {
        if (!leat_sqlite_is_written(&table->columns[i]))
            continue;
        if (compared >> i & 1 && !sqlite3_column_int(with->row, at))
            ret->differs |= (uint64_t)1 << i;
        at++;
    }
}

static int compare_row(comparison *with, const leat_audit_row *row, leat_audit_answer *ret,
                       leat_error *error)
{
    uint64_t known = row->state->known & with->columns;
    uint64_t compared = leat_key_state_comparable(row->state, with->route->table) & known;
    leat_fold_reset(with->audit->fold);
    leat_arena_reset(&with->audit->texts);
    *ret = (leat_audit_answer){0};
    if (bind_key(with, row->key, error) != 0 ||
        bind_columns(with, row->state, &compared, error) != 0)
        return -1;
    int status = leat_sqlite_step(&with->audit->sqlite, with->row, error);
    if (status == 1)
        take_row(with, compared, ret);
    ret->undecided = known & ~compared;
    sqlite3_reset(with->row);
    return status < 0 ? -1 : 0;
}

static int read_rows(leat_shard_audit *base, const leat_route *route, uint64_t columns,
                     const leat_audit_row *rows, uint32_t count, leat_audit_answer *ret,
                     leat_error *error)
{
    sqlite_audit *audit = (sqlite_audit *)base;
    LEAT_ASSERT(audit->is_inside);
    leat_buf sql = {0};
    comparison with = {.audit = audit, .route = route, .columns = columns};
    put_comparison(route->table, &sql);
    with.row = prepare(audit, &sql, error);
    int status = with.row ? 0 : -1;
    for (uint32_t i = 0; status == 0 && i < count; i++)
        status = compare_row(&with, &rows[i], &ret[i], error);
    sqlite3_finalize(with.row);
    sqlite3_finalize(with.defaults);
    return checked(audit, status);
}

/* ---- life ---- */

static void free_audit(leat_shard_audit *base)
{
    sqlite_audit *audit = (sqlite_audit *)base;
    end(base);
    leat_sqlite_close(&audit->sqlite);
    leat_fold_free(audit->fold);
    leat_arena_fini(&audit->texts);
    free(audit->file);
    free(audit);
}

static leat_shard_audit *open_audit(const char *file, int32_t source_id, uint32_t subpartitions)
{
    sqlite_audit *audit = leat_must_calloc(1, sizeof *audit);
    audit->base.ops = &leat_sqlite_audit;
    audit->file = leat_must_strdup(file);
    audit->source_id = source_id;
    audit->subpartitions = subpartitions;
    audit->fold = leat_fold_new();
    LEAT_ASSERT(audit->fold);
    return &audit->base;
}

const leat_shard_audit_ops leat_sqlite_audit = {.open = open_audit,
                                                .begin = begin,
                                                .end = end,
                                                .reached = read_reached,
                                                .writes = read_writes,
                                                .rows = read_rows,
                                                .free = free_audit};
