/*
 * Folding against PostgreSQL: random tables and records, applied one batch a record to one table
 * and in one batch to its twin, leave the same rows, and those that the naive model says, where it
 * knows the types. Records that fail on their own are left out of the batch.
 *
 * LEAT_TEST_SEED=n repeats a run, LEAT_TEST_WORLDS=n makes it longer. World w of seed s is world 0
 * of seed s + w.
 */
#include "../../lib/setting.h"
#include "../../unit/sink/pg/sink_fixture.h"

#include <stdarg.h>

#include "../record/row_model.h"

enum {
    WORLDS = 250,
    COLUMNS_MAX = 9,
    RECORDS_MAX = 40,
    SQL_SIZE = 8192,
    BODY_SIZE = 2048,
    KINDS_VALUES_MAX = 10
};

enum {
    CAN_ADD = 1 << LEAT_OP_ADD,
    CAN_EXTREME = 1 << LEAT_OP_MAX | 1 << LEAT_OP_MIN,
    CAN_JSON = 1 << LEAT_OP_APPEND | 1 << LEAT_OP_MERGE,
};

/* A type of column: its values in a body, and its DEFAULT. */
typedef struct kind {
    const char *sql;
    unsigned ops;
    const char *fallback;
    const char *values[KINDS_VALUES_MAX];
    const char *modelled; /* the fallback as text for the model, NULL: the model does not know this
                             kind */
} kind;

static const kind kinds[] = {
    {"bool", 0, "true", {"true", "false"}, "t"},
    {"smallint", CAN_ADD | CAN_EXTREME, "7", {"0", "1", "-3", "32767", "-32768", "20000"}, "7"},
    {"int",
     CAN_ADD | CAN_EXTREME,
     "1 + 4",
     {"0", "1", "-3", "7", "2147483647", "-2147483648"},
     "5"},
    {"bigint",
     CAN_ADD | CAN_EXTREME,
     "-5",
     {"0", "1", "-3", "\"7\"", "9223372036854775807", "-9223372036854775808"},
     "-5"},
    {"real",
     CAN_ADD | CAN_EXTREME,
     "0.1",
     {"0", "1", "0.1", "-0.3", "3e38", "1e-30", "\"NaN\"", "\"-Infinity\""},
     NULL},
    {"double precision",
     CAN_ADD | CAN_EXTREME,
     "0.1",
     {"0", "0.1", "-0.3", "1e300", "\"NaN\"", "\"Infinity\""},
     NULL},
    {"numeric",
     CAN_ADD | CAN_EXTREME,
     "1.50",
     {"0", "0.00", "1.5", "1.500", "-2e3", "1e-20", "\"NaN\"", "12345678901234567890.5"},
     NULL},
    {"numeric(6,2)",
     CAN_ADD | CAN_EXTREME,
     "1.505",
     {"0", "0.005", "1.5", "1.499", "-0.005", "9999.99", "99999", "\"NaN\""},
     NULL},
    {"numeric",
     CAN_ADD | CAN_EXTREME,
     "1.50",
     {"0", "0.00", "1.5", "1.500", "-2e3", "1e-3"},
     "1.50"},
    {"numeric(6,2)",
     CAN_ADD | CAN_EXTREME,
     "1.505",
     {"0", "0.005", "1.5", "1.499", "-0.005", "9999.99"},
     "1.51"},
    {"double precision",
     CAN_ADD | CAN_EXTREME,
     "0.1",
     {"0", "0.1", "-0.3", "1e300", "12345.678"},
     "0.1"},
    {"numeric(4,-2)",
     CAN_ADD | CAN_EXTREME,
     "100",
     {"0", "50", "49", "150", "-50", "999999"},
     NULL},
    {"text", 0, "'Ä'", {"\"\"", "\"a\"", "\"A\"", "\"\\u00e4\\n'\\\\\"", "\"b \""}, "Ä"},
    {"text COLLATE \"C\"",
     CAN_EXTREME,
     "'m'",
     {"\"\"", "\"a\"", "\"Z\"", "\"\\u00e4\"", "\"z\""},
     "m"},
    {"varchar(5) COLLATE \"C\"",
     CAN_EXTREME,
     "'m'",
     {"\"\"", "\"a\"", "\"Z\"", "\"\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\"", "\"abcdef\""},
     NULL},
    {"uuid",
     CAN_EXTREME,
     "'00000000-0000-0000-0000-000000000005'",
     {"\"00000000-0000-0000-0000-000000000001\"", "\"F0000000-0000-0000-0000-00000000000A\""},
     NULL},
    {"date",
     CAN_EXTREME,
     "'2026-01-01'",
     {"\"2026-01-02\"", "\"1999-12-31\"", "\"0001-01-01\"", "\"9999-12-31\""},
     NULL},
    {"time",
     CAN_EXTREME,
     "'12:00'",
     {"\"00:00:00\"", "\"23:59:59.999999\"", "\"12:00:00.5\""},
     NULL},
    {"time(1)",
     CAN_EXTREME,
     "'12:00'",
     {"\"00:00:00.05\"", "\"23:59:59.94\"", "\"12:00:00.5\"", "\"12:00:00.54\""},
     NULL},
    {"timestamp",
     CAN_EXTREME,
     "'2026-01-01 00:00'",
     {"\"2026-01-02T03:04:05\"", "\"2026-01-02T03:04:05.000001\""},
     NULL},
    {"timestamp(0)",
     CAN_EXTREME,
     "'2026-01-01 00:00'",
     {"\"2026-01-02T03:04:05.5\"", "\"2026-01-02T03:04:05.4\"", "\"2026-01-02T03:04:06\""},
     NULL},
    {"timestamptz",
     CAN_EXTREME,
     "'2026-01-01 00:00Z'",
     {"\"2026-01-02T03:04:05Z\"", "\"2026-01-02T03:04:05+01:00\""},
     "2026-01-01 00:00:00+00"},
    {"timestamptz(2)",
     CAN_EXTREME,
     "'2026-01-01 00:00Z'",
     {"\"2026-01-02T03:04:05.005Z\"", "\"2026-01-02T03:04:05.004Z\"", "\"2026-01-02T03:04:05Z\""},
     NULL},
    {"bytea", CAN_EXTREME, "'\\x05'", {"\"\"", "\"AAE=\"", "\"/w==\""}, NULL},
    {"jsonb",
     CAN_JSON,
     "'{\"d\": {\"x\": 1}}'",
     {"{}", "{\"a\":1}", "{\"a\":null}", "{\"a\":{\"b\":1,\"c\":null}}", "{\"a\":{\"b\":null}}",
      "{\"d\":{\"y\":[null]}}", "{\"d\":2}", "[1,{\"z\":null}]", "\"s\"", "{\"a\":[],\"d\":null}"},
     "{\"d\":{\"x\":1}}"},
    {"jsonb",
     CAN_JSON,
     "'[1]'",
     {"{}", "1", "[]", "{\"a\":1,\"b\":2}", "{\"a\":null}", "{\"b\":{\"c\":{\"d\":null,\"e\":0}}}",
      "false"},
     "[1]"},
    {"json", 0, "'[1]'", {"{}", "{\"a\":1}", "[null]", "\"s\"", "1.0"}, NULL},
    {"mood", 0, "'ok'", {"\"sad\"", "\"ok\"", "\"no such mood\""}, NULL},
    {"positive", 0, "3", {"1", "\"2\"", "0"}, NULL},
    {"fallback", 0, "'own'", {"\"a\"", "\"domain's\""}, NULL},
    {"int[]", 0, "'{1,2}'", {"[]", "[1,null]", "\"{3}\"", "[[1],[2]]"}, NULL},
    {"text[]", 0, "'{}'", {"[]", "[\"a b\",\"\\\"\",null,\"NULL\"]"}, NULL},
    {"inet", 0, "'10.0.0.1'", {"\"10.0.0.0/8\"", "\"::1\"", "\"nowhere\""}, NULL},
    {"interval", 0, "'1 day'", {"\"24:00:00\"", "\"1 mon\""}, NULL},
    {"char(4)", 0, "'ab'", {"\"ab\"", "\"abcd\"", "\"abcde\"", "\"\""}, NULL},
};

/* Parts of keys as they are in a path. */
static const struct {
    const char *sql;
    const char *values[2];
} key_kinds[] = {
    {"int", {"1", "-2"}},
    {"bigint", {"1", "9000000000"}},
    {"text", {"a", "B%2F%27"}},
    {"varchar(9)", {"x", "%C3%A4"}},
    {"uuid", {"00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"}},
    {"date", {"2026-01-01", "2026-01-02"}},
    {"bool", {"true", "false"}},
};

typedef struct column {
    const kind *kind;
    leat_column_op op;
} column;

enum { ONE_BY_ONE, FOLDED, MODELLED, TABLE_COUNT };
static const char *const tables[TABLE_COUNT] = {"One by one", "Folded", "Modelled"};

typedef struct world {
    fixture *f;
    leat_prng prng;
    uint64_t seed;
    uint32_t key_count;
    uint32_t key_kinds[3];
    bool is_modelled;
    uint32_t column_count;
    column columns[COLUMNS_MAX];
    uint32_t record_count;
    struct {
        const char *op;
        char key[128];
        char body[BODY_SIZE];
        bool failed;
    } records[RECORDS_MAX];
} world;

static uint32_t below(world *w, uint32_t bound)
{
    return (uint32_t)leat_prng_below(&w->prng, bound);
}

static bool one_in(world *w, uint32_t chances)
{
    return below(w, chances) == 0;
}

__attribute__((format(printf, 3, 4))) static void add(char *text, size_t size, const char *format,
                                                      ...)
{
    size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    int count = vsnprintf(text + used, size - used, format, arguments);
    va_end(arguments);
    ck_assert_int_lt(count, (int)(size - used));
}

/* ---- tables ---- */

static void choose_columns(world *w)
{
    w->key_count = 1 + below(w, 3);
    for (uint32_t i = 0; i < w->key_count; i++)
        w->key_kinds[i] = below(w, sizeof key_kinds / sizeof *key_kinds);
    w->column_count = 1 + below(w, COLUMNS_MAX);
    w->is_modelled = one_in(w, 2);
    for (uint32_t i = 0; i < w->column_count; i++) {
        column *c = &w->columns[i];
        do
            c->kind = &kinds[below(w, sizeof kinds / sizeof *kinds)];
        while (w->is_modelled && !c->kind->modelled);
        c->op = LEAT_OP_SET;
        for (unsigned op = 0; op < LEAT_OP_COUNT; op++)
            if ((c->kind->ops >> op & 1) && !one_in(w, 3))
                c->op = (leat_column_op)op;
    }
}

/* Column j of the key stands behind the j-th column, so that the key is somewhere in the table, and
 * the primary key names its parts from the last to the first. */
static void write_columns(world *w, char *sql, size_t size)
{
    for (uint32_t i = 0; i < w->column_count || i < w->key_count; i++) {
        if (i < w->column_count) {
            const char *fallback = w->columns[i].kind->fallback;
            add(sql, size, "\"C \"\"%u\" %s", i, w->columns[i].kind->sql);
            if (one_in(w, 2))
                add(sql, size, " DEFAULT %s", fallback);
            add(sql, size, "%s, ", one_in(w, 5) ? " NOT NULL" : "");
        }
        if (i < w->key_count)
            add(sql, size, "\"k%u\" %s, ", i, key_kinds[w->key_kinds[i]].sql);
    }
    add(sql, size, "PRIMARY KEY (");
    for (uint32_t i = w->key_count; i-- > 0;)
        add(sql, size, "\"k%u\"%s", i, i > 0 ? ", " : ")");
}

static void make_tables(world *w)
{
    char sql[SQL_SIZE] = "";
    fixture_sql(w->f, "DROP TABLE IF EXISTS \"One by one\", \"Folded\", \"Modelled\"");
    add(sql, sizeof sql, "CREATE TABLE \"One by one\" (");
    write_columns(w, sql, sizeof sql);
    bool can_be_unique = strcmp(w->columns[0].kind->sql, "json") != 0;
    add(sql, sizeof sql, "%s)", can_be_unique && one_in(w, 6) ? ", UNIQUE (\"C \"\"0\")" : "");
    fixture_sql(w->f, sql);
    fixture_sql(w->f, "CREATE TABLE \"Folded\" (LIKE \"One by one\" INCLUDING ALL);"
                      "CREATE TABLE \"Modelled\" (LIKE \"One by one\")");
}

static void make_routes(world *w)
{
    char names[COLUMNS_MAX][LEAT_NAME_MAX + 1];
    const char *name_list[COLUMNS_MAX];
    leat_column_op ops[COLUMNS_MAX];
    leat_error error = {""};
    bool patch_existing = one_in(w, 4), put_merge = !patch_existing && one_in(w, 2);
    fixture *f = w->f;
    for (uint32_t i = 0; i < f->routes.count; i++)
        leat_table_fini(&f->catalog.tables[i]);
    int got = leat_shard_read_tables(pg_address(f), tables, 2, f->catalog.tables, &error);
    ck_assert_msg(got == 0, "%s", error.text);
    f->catalog.table_count = f->routes.count = 2;
    for (uint32_t i = 0; i < w->column_count; i++) {
        snprintf(names[i], sizeof names[i], "C \"%u", i);
        name_list[i] = names[i];
        ops[i] = w->columns[i].op;
    }
    for (uint32_t at = 0; at < 2; at++) {
        char path[256] = "";
        add(path, sizeof path, "/%u", at);
        for (uint32_t i = w->key_count; i-- > 0;)
            add(path, sizeof path, "/{k%u}", i);
        leat_route_spec spec = {.name = at == 0 ? "one" : "folded",
                                .path = path,
                                .patch_existing = patch_existing,
                                .put_merge = put_merge,
                                .column_count = w->column_count,
                                .column_names = name_list,
                                .column_ops = ops};
        int built =
            leat_route_build(&spec, &f->catalog.tables[at], at, &f->routes.routes[at], &error);
        ck_assert_msg(built == 0, "seed %lu: %s", w->seed, error.text);
        f->routes.routes[at].index = at;
    }
}

/* ---- records ---- */

static void choose_key(world *w, char *key, size_t size)
{
    for (uint32_t i = w->key_count; i-- > 0;)
        add(key, size, "%s%s", key_kinds[w->key_kinds[i]].values[i == 0 ? below(w, 2) : 0],
            i > 0 ? "/" : "");
}

static void choose_body(world *w, char *body, size_t size)
{
    add(body, size, "{");
    for (uint32_t i = 0; i < w->column_count; i++) {
        const kind *of = w->columns[i].kind;
        uint32_t count = 0;
        while (count < KINDS_VALUES_MAX && of->values[count])
            count++;
        if (one_in(w, 2))
            continue;
        const char *value = one_in(w, 8) ? "null" : of->values[below(w, count)];
        add(body, size, "%s\"C \\\"%u\":%s", body[1] ? "," : "", i, value);
    }
    add(body, size, "}");
}

static void choose_records(world *w)
{
    static const char *const ops[] = {"put", "patch", "patch", "patch", "patch", "patch", "delete"};
    w->record_count = 2 + below(w, RECORDS_MAX - 1);
    for (uint32_t i = 0; i < w->record_count; i++) {
        w->records[i].failed = false;
        w->records[i].op = ops[below(w, sizeof ops / sizeof *ops)];
        w->records[i].key[0] = w->records[i].body[0] = '\0';
        choose_key(w, w->records[i].key, sizeof w->records[i].key);
        if (strcmp(w->records[i].op, "delete") != 0)
            choose_body(w, w->records[i].body, sizeof w->records[i].body);
    }
}

/* ---- applying ---- */

/* Builds and runs the batch. Returns whether it succeeded. */
static bool run_batch(world *w, leat_rows *rows, bool general)
{
    leat_rows_fault fault = {0};
    int changed = 0;
    bool succeeded = leat_rows_build(rows, &w->f->batch, &w->f->routes, &fault) == 0;
    for (uint32_t i = 0; succeeded && i < leat_rows_statement_count(rows); i++)
        succeeded = !*fixture_run_statement(w->f, rows, i, general, &changed);
    fixture_clear(w->f);
    return succeeded;
}

static uint32_t apply_one_by_one(world *w, leat_rows *rows)
{
    uint32_t failed = 0;
    fixture_sql(w->f, "BEGIN");
    for (uint32_t i = 0; i < w->record_count; i++) {
        fixture_sql(w->f, "SAVEPOINT one");
        fixture_add(w->f, "one", w->records[i].op, w->records[i].key, w->records[i].body);
        w->records[i].failed = !run_batch(w, rows, false);
        failed += w->records[i].failed;
        fixture_sql(w->f, w->records[i].failed ? "ROLLBACK TO one" : "RELEASE one");
    }
    fixture_sql(w->f, "COMMIT");
    return failed;
}

static void fail_world(world *w, const char *what)
{
    fprintf(stderr, "# %s; LEAT_TEST_SEED=%lu\n", what, w->seed);
    for (uint32_t i = 0; i < w->record_count; i++)
        if (!w->records[i].failed)
            fprintf(stderr, "# %s %s %s\n", w->records[i].op, w->records[i].key,
                    w->records[i].body);
    for (uint32_t i = 0; i < w->column_count; i++)
        fprintf(stderr, "# C \"%u %s: %s\n", i, w->columns[i].kind->sql,
                leat_op_name(w->columns[i].op));
    ck_abort_msg("%s; LEAT_TEST_SEED=%lu", what, w->seed);
}

static uint32_t apply_folded(world *w, leat_rows *rows)
{
    for (uint32_t i = 0; i < w->record_count; i++)
        if (!w->records[i].failed)
            fixture_add(w->f, "folded", w->records[i].op, w->records[i].key, w->records[i].body);
    fixture_sql(w->f, "BEGIN");
    if (!run_batch(w, rows, one_in(w, 2)))
        fail_world(w, "the batch failed where each record alone succeeds");
    fixture_sql(w->f, "COMMIT");
    return leat_rows_count(rows);
}

static void write_selection(world *w, char *sql, size_t size, uint32_t table)
{
    add(sql, size, "SELECT ");
    for (uint32_t i = 0; i < w->column_count; i++)
        add(sql, size, "\"C \"\"%u\"%s, ", i,
            strcmp(w->columns[i].kind->sql, "jsonb") == 0 ? "" : "::text");
    for (uint32_t i = 0; i < w->key_count; i++)
        add(sql, size, "%s\"k%u\"", i > 0 ? ", " : "", i);
    add(sql, size, " FROM \"%s\"", tables[table]);
}

static void expect_same_rows(world *w, uint32_t one, uint32_t other, const char *what)
{
    char sql[SQL_SIZE];
    for (uint32_t turn = 0; turn < 2; turn++) {
        uint32_t first = turn == 0 ? one : other;
        sql[0] = '\0';
        add(sql, sizeof sql, "SELECT string_agg(d::text, ' ') FROM (");
        write_selection(w, sql, sizeof sql, first);
        add(sql, sizeof sql, " EXCEPT ");
        write_selection(w, sql, sizeof sql, turn == 0 ? other : one);
        add(sql, sizeof sql, ") AS d");
        const char *different = fixture_ask(w->f, sql);
        if (strcmp(different, "(null)") == 0)
            continue;
        fprintf(stderr, "# only in \"%s\": %s\n", tables[first], different);
        fail_world(w, what);
    }
}

/* ---- the model ---- */

typedef struct model {
    const char *keys[2];
    model_row rows[2];
    leat_body_parser *parser;
    const char *defaults[LEAT_COLUMNS_MAX];
} model;

static int column_of_table(const leat_table *table, const char *prefix, uint32_t number)
{
    char name[LEAT_NAME_MAX + 1];
    snprintf(name, sizeof name, "%s%u", prefix, number);
    int at = leat_table_column(table, leat_slice_of(name));
    ck_assert_int_ge(at, 0);
    return at;
}

static void apply_to_model(world *w, model *m, uint32_t at)
{
    const leat_route *route = &w->f->routes.routes[ONE_BY_ONE];
    leat_body *body = leat_must_calloc(1, sizeof *body);
    leat_body_error error;
    fixture_add(w->f, "one", w->records[at].op, w->records[at].key, w->records[at].body);
    const leat_item *item = &w->f->items[0];
    leat_body_parser_reset(m->parser);
    if (item->op != LEAT_DELETE)
        ck_assert_int_eq(leat_body_parse(m->parser, route, item->op, item->record.value, item->key,
                                         body, &error),
                         0);
    uint32_t row = m->keys[0] && strcmp(m->keys[0], w->records[at].key) != 0;
    m->keys[row] = w->records[at].key;
    if (!row_model_apply(&m->rows[row], route, m->defaults, item->op, body))
        fail_world(w, "the model refuses what PostgreSQL takes");
    fixture_clear(w->f);
    free(body);
}

static void insert_modelled(world *w, const char *key, const model_row *row)
{
    const leat_table *table = &w->f->catalog.tables[ONE_BY_ONE];
    const char *values[LEAT_COLUMNS_MAX];
    char texts[LEAT_KEY_COLUMNS_MAX][64];
    char sql[SQL_SIZE] = "INSERT INTO \"Modelled\" VALUES (";
    fixture_add(w->f, "one", "delete", key, NULL);
    for (uint32_t i = 0; i < table->column_count; i++) {
        int position = table->columns[i].key_position;
        values[i] = row->values[i];
        add(sql, sizeof sql, "$%u%s", i + 1, i + 1 < table->column_count ? ", " : ")");
        if (position < 0)
            continue;
        char arena[LEAT_CANONICAL_MAX];
        leat_slice text =
            leat_value_canonical(table->columns[i].type, &w->f->items[0].key[position], arena);
        snprintf(texts[position], sizeof texts[position], "%.*s", (int)text.size, text.data);
        values[i] = texts[position];
    }
    PGresult *result =
        PQexecParams(w->f->pg, sql, (int)table->column_count, NULL, values, NULL, NULL, 0);
    ck_assert_msg(PQresultStatus(result) == PGRES_COMMAND_OK, "%s", PQerrorMessage(w->f->pg));
    PQclear(result);
    fixture_clear(w->f);
}

static void apply_modelled(world *w)
{
    const leat_table *table = &w->f->catalog.tables[ONE_BY_ONE];
    model m = {.parser = leat_body_parser_new()};
    for (uint32_t i = 0; i < w->column_count; i++) {
        int at = column_of_table(table, "C \"", i);
        if (table->columns[at].default_expression)
            m.defaults[at] = w->columns[i].kind->modelled;
    }
    for (uint32_t i = 0; i < w->record_count; i++)
        if (!w->records[i].failed)
            apply_to_model(w, &m, i);
    for (uint32_t i = 0; i < 2; i++) {
        if (m.keys[i] && m.rows[i].exists)
            insert_modelled(w, m.keys[i], &m.rows[i]);
        model_row_clear(&m.rows[i]);
    }
    leat_body_parser_free(m.parser);
}

/* ---- the property ---- */

START_TEST(folded_is_one_by_one)
{
    world *w = leat_must_calloc(1, sizeof *w);
    leat_rows *rows = leat_rows_new();
    uint64_t records = 0, failed = 0, writes = 0, modelled = 0;
    uint64_t seed = setting("LEAT_TEST_SEED", (uint64_t)leat_wall_ms());
    uint64_t worlds = setting("LEAT_TEST_WORLDS", getenv("LEAT_TEST_SEED") ? 1 : WORLDS);
    fprintf(stderr, "# seed %lu\n", seed); /* whatever ends it */
    w->f = fixture_new();
    fixture_open_database(w->f);
    fixture_schema(w->f);
    fixture_sql(
        w->f,
        "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN positive AS int CHECK (VALUE > 0);"
        "CREATE DOMAIN fallback AS text DEFAULT 'domain''s'");
    w->f->catalog.tables = leat_must_calloc(2, sizeof(leat_table));
    for (uint64_t i = 0; i < worlds; i++) {
        w->seed = seed + i;
        w->prng.state = w->seed;
        choose_columns(w);
        make_tables(w);
        make_routes(w);
        choose_records(w);
        failed += apply_one_by_one(w, rows);
        writes += apply_folded(w, rows);
        records += w->record_count;
        expect_same_rows(w, ONE_BY_ONE, FOLDED, "folding is not one by one");
        if (!w->is_modelled)
            continue;
        apply_modelled(w);
        expect_same_rows(w, FOLDED, MODELLED, "the rows are not those of the model");
        modelled++;
    }
    printf("# seed %lu: %lu worlds, %lu modelled, %lu records, %lu refused, %lu row writes\n", seed,
           worlds, modelled, records, failed, writes);
    ck_assert_uint_lt(failed, records / 2);
    leat_rows_free(rows);
    fixture_free(w->f);
    free(w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fold");
    TCase *tests = tcase_create("postgres");
    tcase_set_timeout(tests, 600);
    if (fixture_server())
        tcase_add_test(tests, folded_is_one_by_one);
    suite_add_tcase(suite, tests);
    return fixture_main(suite);
}
