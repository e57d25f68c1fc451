/*
 * measure_run.c - batches of several sizes in turn over one connection, and then of the largest
 * size over several. Their parameters are made beforehand, so only the database is timed. Sizes
 * take turns because a machine is slower at times. What one batch takes is the median of its runs,
 * which leaves out what a checkpoint delays; what a size takes is the mean of several batches of
 * other rows, because some rows cost more than others.
 */
#include "sink/pg/measure.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "sink/pg/commit_sql.h"

enum {
    VARIANTS_MAX = 16,    /* batches of one size */
    LARGEST_VARIANTS = 4, /* of the largest, while several connections write */
    TIMES_MAX = 512,      /* of one batch */
    ONE_MS = 3000,        /* with one connection */
    EACH_MS = 1000,       /* with one of the largest batches, and then with all */
    SUBPARTITIONS_MAX = 256,
};

static const uint32_t wanted_sizes[LEAT_MEASURE_SIZES] = {1, 10, 100, 1000};
static const uint32_t variants[LEAT_MEASURE_SIZES] = {VARIANTS_MAX, VARIANTS_MAX, 8, 4};

/* One connection with its part of the rows. */
typedef struct runner {
    const leat_measure_world *world;
    PGconn *pg;
    uint32_t index;
    uint32_t first, count; /* of the rows */
    uint32_t seq;
    uint32_t limit_ms;
    uint64_t written; /* rows, in... */
    double took_us;   /* ...so much time */
    leat_error error;
    int status;
} runner;

/* A batch: arrays as text, one a column. On a table that is written row by row, as many statements
 * as rows. */
typedef struct measure_batch {
    uint32_t rows;
    uint32_t statements;
    char **arrays; /* [statements][columns] */
    char *progress[2];
} measure_batch;

/* ---- batches ---- */

static void put_element(leat_buf *out, const PGresult *rows, int row, int column)
{
    if (PQgetisnull(rows, row, column)) {
        leat_buf_text(out, "NULL");
        return;
    }
    leat_buf_byte(out, '"');
    for (const char *at = PQgetvalue(rows, row, column); *at; at++) {
        if (*at == '"' || *at == '\\')
            leat_buf_byte(out, '\\');
        leat_buf_byte(out, *at);
    }
    leat_buf_byte(out, '"');
}

/* Rows `from` on, in steps that spread them over the runner's part; what is written to a row is
 * another row's. */
static char *make_array(const runner *on, uint32_t column, uint32_t from, uint32_t count,
                        uint32_t variant)
{
    bool is_key = column < on->world->columns.key_count;
    leat_buf out = {0};
    leat_buf_byte(&out, '{');
    for (uint32_t i = 0; i < count; i++) {
        uint32_t place = (uint32_t)((from + (uint64_t)i * 7919) % on->count);
        uint32_t from_row = is_key ? place : (place + variant + 1) % on->count;
        leat_buf_text(&out, i ? "," : "");
        put_element(&out, on->world->rows, (int)(on->first + from_row), (int)column);
    }
    leat_buf_append(&out, "}", 2);
    LEAT_ASSERT(!out.failed);
    return out.data;
}

static void make_progress(measure_batch *ret)
{
    uint32_t count = ret->rows < SUBPARTITIONS_MAX ? ret->rows : SUBPARTITIONS_MAX;
    for (uint32_t k = 0; k < 2; k++) {
        leat_buf out = {0};
        leat_buf_byte(&out, '{');
        for (uint32_t i = 0; i < count; i++)
            leat_buf_printf(&out, "%s%u", i ? "," : "", k ? 1000000 + i : i);
        leat_buf_append(&out, "}", 2);
        LEAT_ASSERT(!out.failed);
        ret->progress[k] = out.data;
    }
}

static void make_batch(const runner *on, uint32_t rows, uint32_t variant, measure_batch *ret)
{
    uint32_t columns = on->world->columns.count;
    bool one_by_one = on->world->table->is_ordered;
    *ret = (measure_batch){.rows = rows, .statements = one_by_one ? rows : 1};
    ret->arrays = leat_must_calloc((size_t)ret->statements * columns, sizeof *ret->arrays);
    for (uint32_t s = 0; s < ret->statements; s++)
        for (uint32_t c = 0; c < columns; c++)
            ret->arrays[s * columns + c] = make_array(
                on, c, (variant * rows + s * 7919) % on->count, one_by_one ? 1 : rows, variant);
    make_progress(ret);
}

static void free_batch(const runner *on, measure_batch *batch)
{
    for (uint32_t i = 0; i < batch->statements * on->world->columns.count; i++)
        free(batch->arrays[i]);
    free(batch->arrays);
    free(batch->progress[0]);
    free(batch->progress[1]);
}

/* ---- running one ---- */

static int drain(runner *on)
{
    int status = 0;
    for (;;) {
        PGresult *result = PQgetResult(on->pg);
        if (!result && PQstatus(on->pg) != CONNECTION_OK)
            return leat_fail(&on->error, "%s", "the connection is lost");
        if (!result)
            continue;
        ExecStatusType end = PQresultStatus(result);
        if (end == PGRES_FATAL_ERROR && status == 0) {
            const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
            status = leat_fail(&on->error, "%s", text ? text : "a batch failed");
        }
        PQclear(result);
        if (end == PGRES_PIPELINE_SYNC)
            return status;
    }
}

static int run_batch(runner *on, const measure_batch *batch, double *ret_us)
{
    char partition[16], seq[16];
    snprintf(partition, sizeof partition, "%u", on->index);
    snprintf(seq, sizeof seq, "%u", on->seq++);
    const char *progress[] = {partition, seq, batch->progress[0], batch->progress[1]};
    int columns = (int)on->world->columns.count;
    int64_t from = leat_mono_us();
    if (!PQsendQueryPrepared(on->pg, "progress", 4, progress, NULL, NULL, 0))
        return leat_fail(&on->error, "%s", PQerrorMessage(on->pg));
    for (uint32_t s = 0; s < batch->statements; s++)
        if (!PQsendQueryPrepared(on->pg, "rows", columns,
                                 (const char *const *)(batch->arrays + s * (uint32_t)columns), NULL,
                                 NULL, 0))
            return leat_fail(&on->error, "%s", PQerrorMessage(on->pg));
    if (!PQpipelineSync(on->pg))
        return leat_fail(&on->error, "%s", PQerrorMessage(on->pg));
    int status = drain(on);
    *ret_us = (double)(leat_mono_us() - from);
    return status;
}

#define PROGRESS_SQL                                                                               \
    "insert into " LEAT_MEASURE_SCHEMA                                                             \
    ".progress select 1, $1::int, $2::bigint, $3::smallint[], $4::bigint[], 0 where "

static int prepare(runner *on)
{
    const char *progress = on->world->commits_async ? PROGRESS_SQL LEAT_PG_COMMITS_ASYNC_SQL
                                                    : PROGRESS_SQL LEAT_PG_COMMITS_SYNC_SQL;
    PGresult *result = PQprepare(on->pg, "progress", progress, 0, NULL);
    bool is_good = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    result = PQprepare(on->pg, "rows", on->world->sql.data, 0, NULL);
    is_good = is_good && PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    if (!is_good || !PQenterPipelineMode(on->pg))
        return leat_fail(&on->error, "%s", PQerrorMessage(on->pg));
    return 0;
}

static int connect_runner(const leat_measure_world *world, uint32_t index, runner *ret)
{
    uint32_t part = (uint32_t)PQntuples(world->rows) / LEAT_MEASURE_CONNECTIONS;
    *ret = (runner){.world = world, .index = index, .first = index * part, .count = part};
    ret->pg = leat_measure_connect(world->dsn, &ret->error);
    return ret->pg ? prepare(ret) : -1;
}

static bool is_stopped(runner *on)
{
    if (!atomic_load(on->world->stop))
        return false;
    leat_fail(&on->error, "interrupted");
    return true;
}

/* ---- one connection ---- */

static int compare_times(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* The batches of one size, and how long each took. */
typedef struct measured_size {
    uint32_t count;
    measure_batch batches[VARIANTS_MAX];
    double times[VARIANTS_MAX][TIMES_MAX];
    uint32_t times_count;
} measured_size;

static double median(double *times, uint32_t count)
{
    qsort(times, count, sizeof *times, compare_times);
    return (times[(count - 1) / 2] + times[count / 2]) / 2;
}

static double mean_of_medians(measured_size *size)
{
    double sum = 0;
    for (uint32_t v = 0; v < size->count; v++)
        sum += median(size->times[v], size->times_count);
    return sum / size->count;
}

/* Each batch once. */
static int run_size(runner *on, measured_size *size)
{
    double us = 0;
    int status = 0;
    for (uint32_t v = 0; v < size->count && status == 0; v++) {
        status = is_stopped(on) ? -1 : run_batch(on, &size->batches[v], &us);
        if (size->times_count < TIMES_MAX)
            size->times[v][size->times_count] = us;
    }
    size->times_count += size->times_count < TIMES_MAX;
    return status;
}

/* Sizes in turn, at least once after the turn that warms up. */
static int run_sizes(runner *on, measured_size *sizes, uint32_t count)
{
    int64_t end = leat_mono_us() + ONE_MS * INT64_C(1000);
    for (uint32_t turn = 0; turn < 2 || leat_mono_us() < end; turn++)
        for (uint32_t s = 0; s < count; s++) {
            if (turn == 1)
                sizes[s].times_count = 0;
            if (run_size(on, &sizes[s]) != 0)
                return -1;
        }
    return 0;
}

static int measure_one(runner *on, leat_measurement *ret)
{
    measured_size *sizes = leat_must_calloc(LEAT_MEASURE_SIZES, sizeof *sizes);
    for (uint32_t s = 0; s < LEAT_MEASURE_SIZES && wanted_sizes[s] <= on->count; s++) {
        ret->sizes[ret->size_count++] = wanted_sizes[s];
        sizes[s].count = variants[s];
        for (uint32_t v = 0; v < variants[s]; v++)
            make_batch(on, wanted_sizes[s], v, &sizes[s].batches[v]);
    }
    int status = run_sizes(on, sizes, ret->size_count);
    for (uint32_t s = 0; s < ret->size_count; s++) {
        if (status == 0)
            ret->batch_us[s] = mean_of_medians(&sizes[s]);
        for (uint32_t v = 0; v < variants[s]; v++)
            free_batch(on, &sizes[s].batches[v]);
    }
    free(sizes);
    return status;
}

/* ---- several ---- */

static void *write_for_a_while(void *argument)
{
    runner *on = argument;
    measure_batch batches[LARGEST_VARIANTS];
    uint32_t largest = on->count < wanted_sizes[LEAT_MEASURE_SIZES - 1]
                           ? on->count
                           : wanted_sizes[LEAT_MEASURE_SIZES - 1];
    for (uint32_t v = 0; v < LARGEST_VARIANTS; v++)
        make_batch(on, largest, v, &batches[v]);
    int64_t end = leat_mono_us() + on->limit_ms * INT64_C(1000);
    on->written = 0;
    on->took_us = 0;
    for (uint32_t i = 0; on->status == 0 && (i < 2 || leat_mono_us() < end); i++) {
        double us = 0;
        on->status = is_stopped(on) ? -1 : run_batch(on, &batches[i % LARGEST_VARIANTS], &us);
        on->written += largest;
        on->took_us += us;
    }
    for (uint32_t v = 0; v < LARGEST_VARIANTS; v++)
        free_batch(on, &batches[v]);
    return NULL;
}

static int measure_several(runner *runners, leat_measurement *ret, leat_error *error)
{
    pthread_t threads[LEAT_MEASURE_CONNECTIONS];
    double alone = 0, together = 0;
    for (uint32_t round = 0; round < 2; round++) {
        uint32_t count = round ? LEAT_MEASURE_CONNECTIONS : 1;
        for (uint32_t i = 0; i < count; i++) {
            int failed = pthread_create(&threads[i], NULL, write_for_a_while, &runners[i]);
            LEAT_ASSERT(!failed);
        }
        for (uint32_t i = 0; i < count; i++) {
            pthread_join(threads[i], NULL);
            double rate = (double)runners[i].written / (runners[i].took_us + 1);
            *(round ? &together : &alone) += rate;
        }
        for (uint32_t i = 0; i < count; i++)
            if (runners[i].status != 0)
                return leat_fail(error, "%s", runners[i].error.text);
    }
    ret->speed_up = together / alone;
    return 0;
}

int leat_measure_run(const leat_measure_world *world, leat_measurement *ret, leat_error *error)
{
    runner runners[LEAT_MEASURE_CONNECTIONS] = {0};
    int status = 0;
    for (uint32_t i = 0; i < LEAT_MEASURE_CONNECTIONS && status == 0; i++) {
        status = connect_runner(world, i, &runners[i]);
        runners[i].limit_ms = EACH_MS;
        if (status != 0)
            leat_fail(error, "%s", runners[i].error.text);
    }
    if (status == 0 && measure_one(&runners[0], ret) != 0)
        status = leat_fail(error, "%s", runners[0].error.text);
    if (status == 0)
        status = measure_several(runners, ret, error);
    for (uint32_t i = 0; i < LEAT_MEASURE_CONNECTIONS; i++)
        PQfinish(runners[i].pg);
    return status;
}
