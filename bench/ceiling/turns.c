/*
 * turns.c - connections that write frozen batches. With several forms they take turns batch by
 * batch, forwards and then backwards, so that a slow spell of the machine affects all forms and a
 * drift none more than another. A turn's figures are of one batch.
 */
#include "ceiling/ceiling.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libpq-fe.h>

#define PLAN_ROWS "plan_rows" /* its statement's name */

enum { WARM_UP_S = 1, TURNS_MAX = 1 << 16 };

/* A batch of a connection. */
typedef struct batch_turn {
    double seconds;
    double own_us, server_us; /* processor time; the server's only where it runs on this host */
} batch_turn;

typedef struct runner {
    ceiling *c;
    uint32_t index;
    int64_t begin_us; /* the warm-up's end */
    const atomic_bool *stop;
    PGconn *pg;
    char schedstat[64]; /* empty: the server is elsewhere */
    bool prepared[FORMS_MAX][LEAT_SHAPES_LIMIT];
    uint32_t turn_count;
    batch_turn *turns;
} runner;

static const char *sql_of(const ceiling *c, uint32_t form, int shape)
{
    return c->forms[form].sql ? c->forms[form].sql : leat_shapes_sql(c->shapes, (uint32_t)shape);
}

static void prepare_as(runner *r, const char *name, const char *sql, const char *what)
{
    PGresult *result = PQprepare(r->pg, name, sql, 0, NULL);
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        ceiling_die(what, PQresultErrorMessage(result));
    PQclear(result);
}

static void prepare(runner *r, uint32_t form, int shape, const char *name)
{
    if (r->prepared[form][shape])
        return;
    prepare_as(r, name, sql_of(r->c, form, shape), r->c->forms[form].name);
    r->prepared[form][shape] = true;
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
            ceiling_die("statement", PQresultErrorMessage(result));
        PQclear(result);
        if (status == PGRES_PIPELINE_SYNC)
            return;
    }
}

static const frozen_statement *parameters_of(const frozen_batch *batch, uint32_t form, uint32_t i)
{
    return batch->of_form[form] ? batch->of_form[form] : &batch->statements[i];
}

static void run_batch(runner *r, uint32_t form, const frozen_batch *batch)
{
    int formats[LEAT_STATEMENT_PARAMS_MAX];
    char name[32];
    for (int i = 0; i < LEAT_STATEMENT_PARAMS_MAX; i++)
        formats[i] = 1;
    for (uint32_t i = 0; i < batch->count; i++) {
        snprintf(name, sizeof name, "f%us%d", form, batch->statements[i].shape);
        prepare(r, form, batch->statements[i].shape, name);
    }
    PQenterPipelineMode(r->pg);
    for (uint32_t i = 0; i < batch->count; i++) {
        const frozen_statement *s = parameters_of(batch, form, i);
        snprintf(name, sizeof name, "f%us%d", form, batch->statements[i].shape);
        if (r->c->forms[form].is_leats &&
            !PQsendQueryPrepared(r->pg, PLAN_ROWS, 0, NULL, NULL, NULL, 1))
            ceiling_die("send", PQerrorMessage(r->pg));
        if (!PQsendQueryPrepared(r->pg, name, s->count, s->values, s->sizes, formats, 1))
            ceiling_die("send", PQerrorMessage(r->pg));
    }
    PQpipelineSync(r->pg);
    drain(r);
    PQexitPipelineMode(r->pg);
}

/* ---- clocks ---- */

static double thread_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static double server_us(const runner *r)
{
    unsigned long long ns = 0;
    FILE *file = r->schedstat[0] ? fopen(r->schedstat, "r") : NULL;
    if (!file)
        return 0;
    if (fscanf(file, "%llu", &ns) != 1)
        ns = 0;
    fclose(file);
    return (double)ns / 1e3;
}

/* ---- turns ---- */

static uint32_t form_of(const ceiling *c, uint32_t turn)
{
    uint32_t at = turn % c->form_count;
    bool is_backwards = turn / c->form_count % 2 == 1;
    return is_backwards ? c->form_count - 1 - at : at;
}

/* The server's processes are this host's. */
static bool is_here(const PGconn *pg)
{
    const char *host = PQhost(pg), *address = PQhostaddr(pg);
    return (host && host[0] == '/') ||
           (address && (strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0));
}

static void connect_runner(runner *r)
{
    r->pg = PQconnectdb(r->c->dsn);
    if (PQstatus(r->pg) != CONNECTION_OK)
        ceiling_die("connect", PQerrorMessage(r->pg));
    if (is_here(r->pg))
        snprintf(r->schedstat, sizeof r->schedstat, "/proc/%d/schedstat", PQbackendPID(r->pg));
    PGresult *result = PQexec(r->pg, r->c->settings ? r->c->settings : "");
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_EMPTY_QUERY)
        ceiling_die("--settings", PQresultErrorMessage(result));
    PQclear(result);
    prepare_as(r, PLAN_ROWS, "SELECT leat.plan_rows()", PLAN_ROWS);
}

static void take_turn(runner *r, const frozen_batch *batch)
{
    double own = thread_us(), server = server_us(r);
    int64_t from = leat_mono_us();
    run_batch(r, form_of(r->c, r->turn_count), batch);
    r->turns[r->turn_count++] = (batch_turn){.seconds = (double)(leat_mono_us() - from) / 1e6,
                                             .own_us = thread_us() - own,
                                             .server_us = server_us(r) - server};
}

static void *run_connection(void *argument)
{
    runner *r = argument;
    ceiling *c = r->c;
    uint32_t warm = 0;
    for (uint32_t i = r->index; !atomic_load(r->stop); i += c->connections) {
        if (c->fill && i >= c->batches)
            break;
        const frozen_batch *batch = &c->frozen[i % (c->batches - c->batches % c->connections)];
        if (c->fill)
            run_batch(r, 0, batch);
        else if (leat_mono_us() < r->begin_us)
            run_batch(r, warm++ % c->form_count, batch);
        else if (r->turn_count < TURNS_MAX)
            take_turn(r, batch);
        else
            break;
    }
    PQfinish(r->pg);
    return NULL;
}

/* ---- figures ---- */

/* Whole rounds, so that the nth figure of one form is a neighbour of the nth of another. */
static uint32_t full_turns(const runner *r)
{
    return r->turn_count - r->turn_count % (2 * r->c->form_count);
}

static void print_form(const runner *runners, uint32_t form, bool is_server)
{
    const ceiling *c = runners[0].c;
    const char *separator = "";
    printf("\"%s\": [", is_server ? "server_us" : "rows_s");
    for (uint32_t i = 0; i < c->connections; i++)
        for (uint32_t t = 0; t < full_turns(&runners[i]); t++) {
            const batch_turn *of = &runners[i].turns[t];
            if (form_of(c, t) != form)
                continue;
            double rows_s = c->batch / of->seconds * c->connections;
            printf("%s%.3f", separator, is_server ? of->server_us / c->batch : rows_s);
            separator = ", ";
        }
    printf("]");
}

static void print(const runner *runners)
{
    const ceiling *c = runners[0].c;
    batch_turn sum = {0};
    uint64_t rows = 0;
    double rows_s = 0;
    for (uint32_t i = 0; i < c->connections; i++) {
        double seconds = 0;
        for (uint32_t t = 0; t < runners[i].turn_count; t++) {
            seconds += runners[i].turns[t].seconds;
            sum.own_us += runners[i].turns[t].own_us;
            sum.server_us += runners[i].turns[t].server_us;
        }
        uint64_t own_rows = (uint64_t)runners[i].turn_count * c->batch;
        rows += own_rows;
        rows_s += seconds > 0 ? (double)own_rows / seconds : 0;
    }
    double count = (double)(rows ? rows : 1);
    printf("{\"rows\": %llu, \"rows_s\": %.0f, \"cpu_us\": %.3f, \"server_cpu_us\": %.3f",
           (unsigned long long)rows, rows_s, sum.own_us / count, sum.server_us / count);
    for (uint32_t i = 0; c->form_count > 1 && i < c->form_count; i++) {
        printf("%s\"%s\": {", i == 0 ? ", \"forms\": {" : ", ", c->forms[i].name);
        print_form(runners, i, false);
        printf(", ");
        print_form(runners, i, true);
        printf("}%s", i + 1 == c->form_count ? "}" : "");
    }
    printf("}\n");
}

static void sleep_until(int64_t end_us)
{
    for (int64_t left; (left = end_us - leat_mono_us()) > 0;) {
        struct timespec span = {left / 1000000, left % 1000000 * 1000};
        nanosleep(&span, NULL);
    }
}

void ceiling_run(ceiling *c)
{
    static pthread_t threads[CONNECTIONS_MAX];
    static runner runners[CONNECTIONS_MAX];
    atomic_bool stop = false;
    ceiling_make_parameters(c);
    for (uint32_t i = 0; i < c->connections; i++) {
        runners[i] = (runner){.c = c, .index = i, .stop = &stop};
        runners[i].turns = leat_must_calloc(TURNS_MAX, sizeof *runners[i].turns);
        connect_runner(&runners[i]);
    }
    int64_t begin = leat_mono_us() + (int64_t)WARM_UP_S * 1000000;
    for (uint32_t i = 0; i < c->connections; i++) {
        runners[i].begin_us = c->fill ? INT64_MAX : begin;
        pthread_create(&threads[i], NULL, run_connection, &runners[i]);
    }
    if (!c->fill) {
        sleep_until(begin + (int64_t)(c->seconds * 1e6));
        atomic_store(&stop, true);
    }
    for (uint32_t i = 0; i < c->connections; i++)
        pthread_join(threads[i], NULL);
    if (c->fill)
        printf("{\"rows\": %llu}\n", (unsigned long long)c->batches * c->batch);
    else
        print(runners);
    for (uint32_t i = 0; i < c->connections; i++)
        free(runners[i].turns);
}
