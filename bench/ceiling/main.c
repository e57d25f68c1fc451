/*
 * leat-ceiling - the throughput of a database alone: leat's own row statements, built in memory
 * beforehand, over two connections; no log, no progress. The figure that `leat apply` is measured
 * against.
 *
 *   leat-ceiling --dsn DSN --catalog FILE [--connections 2] [--batch 1000] [--batches 200]
 *                [--seconds 5] [--keys 200000] [--apps 1000] [--fill] [--settings SQL]
 *
 * --fill writes every key once and ends. Prints one JSON object: rows_s, cpu_us (own, a row).
 */
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libpq-fe.h>

#include "load/workload.h"
#include "record/catalog.h"
#include "record/item.h"
#include "sink/pg/rows.h"
#include "sink/pg/shapes.h"

enum { CONNECTIONS_MAX = 64, STATEMENTS_MAX = 8, WARM_UP_S = 1 };

/* A batch's statements with their parameters, copied out of the builder. */
typedef struct frozen_statement {
    int shape;
    int count;
    char *memory;
    const char *values[LEAT_STATEMENT_PARAMS_MAX];
    int sizes[LEAT_STATEMENT_PARAMS_MAX];
} frozen_statement;

typedef struct frozen_batch {
    uint32_t rows;
    uint32_t count;
    frozen_statement statements[STATEMENTS_MAX];
} frozen_batch;

typedef struct ceiling {
    const char *dsn;
    const char *settings;
    uint32_t connections, batch, batches;
    double seconds;
    bool fill;
    load_options load;
    leat_catalog catalog;
    leat_routes *routes;
    leat_shapes *shapes;
    frozen_batch *frozen;
    atomic_bool stop;
    _Atomic uint64_t rows;
} ceiling;

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "leat-ceiling: %s: %s\n", what, why);
    exit(1);
}

/* ---- batches made beforehand ---- */

static void make_route(ceiling *c)
{
    leat_error error;
    if (leat_catalog_load(&c->catalog, c->load.catalog, &error) != 0)
        die("catalog", error.text);
    const load_profile *profile = c->load.profile;
    int table = leat_catalog_table(&c->catalog, profile->table);
    if (table < 0)
        die("catalog has no table", profile->table);
    leat_route_spec spec = {.path = profile->path,
                            .tenant = profile->tenant,
                            .column_count = 1,
                            .column_names = (const char *const[]){"session_count"},
                            .column_ops = (const leat_column_op[]){LEAT_OP_ADD}};
    c->routes = leat_must_calloc(1, sizeof *c->routes);
    c->routes->count = 1;
    if (leat_route_build(&spec, &c->catalog.tables[table], (uint32_t)table, &c->routes->routes[0],
                         &error) != 0)
        die("route", error.text);
}

static void make_item(ceiling *c, const load_write *write, leat_item *item)
{
    leat_key *key = leat_must_calloc(1, sizeof *key);
    const leat_route *route;
    char field[LEAT_NAME_MAX + 1];
    leat_error error;
    if (leat_routes_match(c->routes, (leat_slice){write->path.data, write->path.size}, &route, key,
                          field, &error) != LEAT_MATCH_OK)
        die("key", error.text);
    char *text = leat_must_calloc(1, key->canonical_size + write->body.size);
    memcpy(text, key->canonical, key->canonical_size);
    memcpy(text + key->canonical_size, write->body.data, write->body.size);
    item->record = (leat_record){.key = {text, key->canonical_size},
                                 .value = {text + key->canonical_size, write->body.size},
                                 .op = LEAT_SLICE("patch")};
    const leat_placement placement = {.version = 1, .subpartitions = 64, .tenant_position = -1};
    if (leat_item_decode(c->routes, &placement, item) != 0 || item->fault)
        die("record", item->fault ? item->fault : "out of memory");
    free(key);
}

static void drop_item(leat_item *item)
{
    free((void *)(uintptr_t)item->record.key.data);
    leat_item_clear(item);
}

static void freeze_statement(ceiling *c, leat_rows *rows, uint32_t at, frozen_statement *ret)
{
    leat_shape shape;
    leat_row_statement statement;
    ret->shape = leat_shapes_find(c->shapes, leat_rows_shape(rows, at), &shape);
    if (ret->shape < 0 || leat_rows_statement(rows, at, shape, &statement) != 0)
        die("statement", "out of memory");
    size_t size = 0;
    for (uint32_t i = 0; i < statement.param_count; i++)
        size += (size_t)statement.sizes[i];
    ret->count = (int)statement.param_count;
    ret->memory = leat_must_calloc(1, size);
    size_t used = 0;
    for (uint32_t i = 0; i < statement.param_count; i++) {
        memcpy(ret->memory + used, statement.values[i], (size_t)statement.sizes[i]);
        ret->values[i] = ret->memory + used;
        ret->sizes[i] = statement.sizes[i];
        used += (size_t)statement.sizes[i];
    }
}

/* The next write to a key of connection `owner`: as in leat, no key is written over two connections
 * at a time. */
static void next_item(ceiling *c, workload *load, uint32_t owner, leat_item *ret_item)
{
    for (;;) {
        load_write write = {0};
        workload_next(load, &write);
        make_item(c, &write, ret_item);
        leat_buf_free(&write.path);
        leat_buf_free(&write.body);
        if (ret_item->hash % c->connections == owner)
            return;
        drop_item(ret_item);
    }
}

static void freeze_batch(ceiling *c, workload *load, leat_rows *rows, uint32_t owner,
                         frozen_batch *ret)
{
    leat_item *items = leat_must_calloc(c->batch, sizeof *items);
    leat_engine_batch_record *records = leat_must_calloc(c->batch, sizeof *records);
    for (uint32_t i = 0; i < c->batch; i++) {
        next_item(c, load, owner, &items[i]);
        records[i] = (leat_engine_batch_record){.payload = &items[i], .offset = i};
    }
    leat_engine_batch batch = {.record_count = c->batch, .records = records};
    leat_rows_fault fault;
    if (leat_rows_build(rows, &batch, c->routes, &fault) != 0)
        die("batch", fault.error.text);
    ret->rows = c->batch;
    ret->count = leat_rows_statement_count(rows);
    if (ret->count > STATEMENTS_MAX)
        die("batch", "a key is in it too often: use more --keys");
    for (uint32_t i = 0; i < ret->count; i++)
        freeze_statement(c, rows, i, &ret->statements[i]);
    for (uint32_t i = 0; i < c->batch; i++)
        drop_item(&items[i]);
    free(items);
    free(records);
}

static void freeze_all(ceiling *c)
{
    workload load;
    workload_init(&load, &c->load);
    leat_rows *rows = leat_rows_new();
    c->shapes = leat_shapes_new();
    c->frozen = leat_must_calloc(c->batches, sizeof *c->frozen);
    for (uint32_t i = 0; i < c->batches; i++)
        freeze_batch(c, &load, rows, i % c->connections, &c->frozen[i]);
    leat_rows_free(rows);
}

/* ---- running them ---- */

typedef struct runner {
    ceiling *c;
    uint32_t index;
    bool prepared[LEAT_SHAPES_LIMIT];
    PGconn *pg;
} runner;

static void prepare(runner *r, int shape, const char *name)
{
    if (r->prepared[shape])
        return;
    PQclear(PQprepare(r->pg, name, leat_shapes_sql(r->c->shapes, (uint32_t)shape), 0, NULL));
    r->prepared[shape] = true;
}

static void drain(runner *r)
{
    PGresult *result;
    int empty = 0;
    while (empty < 2) {
        result = PQgetResult(r->pg);
        if (!result) {
            empty++;
            continue;
        }
        empty = 0;
        ExecStatusType status = PQresultStatus(result);
        if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK &&
            status != PGRES_PIPELINE_SYNC)
            die("statement", PQresultErrorMessage(result));
        PQclear(result);
        if (status == PGRES_PIPELINE_SYNC)
            return;
    }
}

static void run_batch(runner *r, const frozen_batch *batch)
{
    int formats[LEAT_STATEMENT_PARAMS_MAX];
    char name[16];
    for (int i = 0; i < LEAT_STATEMENT_PARAMS_MAX; i++)
        formats[i] = 1;
    for (uint32_t i = 0; i < batch->count; i++) {
        snprintf(name, sizeof name, "s%d", batch->statements[i].shape);
        prepare(r, batch->statements[i].shape, name);
    }
    PQenterPipelineMode(r->pg);
    for (uint32_t i = 0; i < batch->count; i++) {
        const frozen_statement *s = &batch->statements[i];
        snprintf(name, sizeof name, "s%d", s->shape);
        if (!PQsendQueryPrepared(r->pg, name, s->count, s->values, s->sizes, formats, 1))
            die("send", PQerrorMessage(r->pg));
    }
    PQpipelineSync(r->pg);
    drain(r);
    PQexitPipelineMode(r->pg);
    atomic_fetch_add(&r->c->rows, batch->rows);
}

/* The planner settings that leat.advance makes for its batches. */
static const char leat_settings[] =
    "set enable_seqscan=off; set enable_hashjoin=off; set enable_mergejoin=off;"
    "set plan_cache_mode=force_generic_plan; set jit=off";

static void *run_connection(void *argument)
{
    runner *r = argument;
    ceiling *c = r->c;
    r->pg = PQconnectdb(c->dsn);
    if (PQstatus(r->pg) != CONNECTION_OK)
        die("connect", PQerrorMessage(r->pg));
    PQclear(PQexec(r->pg, leat_settings));
    if (c->settings)
        PQclear(PQexec(r->pg, c->settings));
    for (uint32_t i = r->index; !atomic_load(&c->stop); i += c->connections) {
        if (c->fill && i >= c->batches)
            break;
        run_batch(r, &c->frozen[i % (c->batches - c->batches % c->connections)]);
    }
    PQfinish(r->pg);
    return NULL;
}

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void sleep_seconds(double seconds)
{
    struct timespec span = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&span, NULL);
}

static void run(ceiling *c)
{
    pthread_t threads[CONNECTIONS_MAX];
    runner *runners = leat_must_calloc(c->connections, sizeof *runners);
    for (uint32_t i = 0; i < c->connections; i++) {
        runners[i] = (runner){.c = c, .index = i};
        pthread_create(&threads[i], NULL, run_connection, &runners[i]);
    }
    uint64_t rows = 0;
    double cpu = 0, elapsed = 1;
    if (!c->fill) {
        sleep_seconds(WARM_UP_S);
        rows = atomic_load(&c->rows);
        cpu = cpu_seconds();
        int64_t from = leat_mono_us();
        sleep_seconds(c->seconds);
        rows = atomic_load(&c->rows) - rows;
        cpu = cpu_seconds() - cpu;
        elapsed = (double)(leat_mono_us() - from) / 1e6;
        atomic_store(&c->stop, true);
    }
    for (uint32_t i = 0; i < c->connections; i++)
        pthread_join(threads[i], NULL);
    free(runners);
    if (c->fill)
        printf("{\"rows\": %llu}\n", (unsigned long long)c->rows);
    else
        printf("{\"rows\": %llu, \"rows_s\": %.0f, \"cpu_us\": %.3f}\n", (unsigned long long)rows,
               (double)rows / elapsed, cpu * 1e6 / (double)(rows ? rows : 1));
}

/* ---- the command line ---- */

static void parse(ceiling *c, int argc, char **argv)
{
    static const struct option options[] = {
        {"dsn", required_argument, NULL, 'd'},
        {"catalog", required_argument, NULL, 'f'},
        {"connections", required_argument, NULL, 'c'},
        {"batch", required_argument, NULL, 'b'},
        {"batches", required_argument, NULL, 'n'},
        {"seconds", required_argument, NULL, 's'},
        {"keys", required_argument, NULL, 'k'},
        {"apps", required_argument, NULL, 'a'},
        {"fill", no_argument, NULL, 'i'},
        {"settings", required_argument, NULL, 'x'},
        {0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        unsigned long number = optarg ? strtoul(optarg, NULL, 10) : 0;
        switch (option) {
        case 'd':
            c->dsn = optarg;
            break;
        case 'f':
            c->load.catalog = optarg;
            break;
        case 'c':
            c->connections = (uint32_t)number;
            break;
        case 'b':
            c->batch = (uint32_t)number;
            break;
        case 'n':
            c->batches = (uint32_t)number;
            break;
        case 's':
            c->seconds = strtod(optarg, NULL);
            break;
        case 'k':
            c->load.keys = number;
            break;
        case 'a':
            c->load.apps = number;
            break;
        case 'i':
            c->fill = true;
            break;
        case 'x':
            c->settings = optarg;
            break;
        default:
            exit(2);
        }
    }
    if (!c->dsn || !c->load.catalog || c->connections == 0 || c->connections > CONNECTIONS_MAX ||
        c->batch == 0 || c->batches < c->connections) {
        fprintf(
            stderr,
            "leat-ceiling: --dsn and --catalog are needed, --connections 1 to %d, --batch from 1\n",
            CONNECTIONS_MAX);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    ceiling *c = leat_must_calloc(1, sizeof *c);
    *c = (ceiling){.connections = 2, .batch = 1000, .batches = 200, .seconds = 5};
    c->load = (load_options){.profile = load_profile_by_name("subscription"),
                             .records = UINT64_MAX,
                             .keys = 200000,
                             .apps = 1000,
                             .seed = 11,
                             .first_seq = 1,
                             .mix = {[LEAT_PATCH] = 100}};
    c->load.path = c->load.profile->path;
    parse(c, argc, argv);
    make_route(c);
    freeze_all(c);
    run(c);
    return 0;
}
