/*
 * The blocking side against a real server: PG_DSN_1 names a database (key=value form) from which
 * others may be made. Each test has a database of its own. Without it everything is skipped.
 */
#include "../../../lib/test_placement.h"
#include "sink/pg/blocking.h"
#include "sink/shard.h"

#include <check.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* First offsets of the log when it is set up: partition 3 has lost its first 41 records already. */
static const int64_t starts[] = {0, 0, 0, 41, 0, 0, 0, 0};

typedef struct fixture {
    char name[64];
    char dsn[1024];
    leat_source source;
    leat_layout layout;
    leat_error error;
} fixture;

static void run(const char *dsn, const char *sql)
{
    PGconn *connection = PQconnectdb(dsn);
    PGresult *result = PQexec(connection, sql);
    ExecStatusType status = PQresultStatus(result);
    ck_assert_msg(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK, "%s: %s", sql,
                  PQerrorMessage(connection));
    PQclear(result);
    PQfinish(connection);
}

/* The first field of the first row. */
static void ask(const char *dsn, const char *sql, char *ret, size_t size)
{
    PGconn *connection = PQconnectdb(dsn);
    PGresult *result = PQexec(connection, sql);
    ck_assert_msg(PQntuples(result) > 0, "%s: %s", sql, PQerrorMessage(connection));
    snprintf(ret, size, "%s", PQgetvalue(result, 0, 0));
    PQclear(result);
    PQfinish(connection);
}

static void assert_answer(const fixture *f, const char *sql, const char *expected)
{
    char answer[256];
    ask(f->dsn, sql, answer, sizeof answer);
    ck_assert_str_eq(answer, expected);
}

static void fixture_source(fixture *f)
{
    snprintf(f->source.log_identity, sizeof f->source.log_identity, "cluster-1");
    snprintf(f->source.topic, sizeof f->source.topic, "writes");
    snprintf(f->source.topic_id, sizeof f->source.topic_id, "topic-id-1");
    snprintf(f->source.hash, sizeof f->source.hash, "xxh3-64");
    f->source.placement = test_placement;
    leat_layout_even(&f->layout, 4, 2, (const char *const[]){"a", "b"});
}

static leat_shard_address pg_address(const fixture *f)
{
    return (leat_shard_address){.dsn = f->dsn};
}

static fixture *fixture_new(const char *test)
{
    const char *server = getenv("PG_DSN_1");
    fixture *f = leat_must_calloc(1, sizeof *f);
    snprintf(f->name, sizeof f->name, "leat_unit_%d_%s", (int)getpid(), test);
    char sql[128];
    snprintf(sql, sizeof sql, "CREATE DATABASE %s", f->name);
    run(server, sql);
    snprintf(f->dsn, sizeof f->dsn, "%s dbname=%s", server, f->name);
    fixture_source(f);
    return f;
}

static void fixture_free(fixture *f)
{
    char sql[128];
    snprintf(sql, sizeof sql, "DROP DATABASE %s WITH (FORCE)", f->name);
    run(getenv("PG_DSN_1"), sql);
    free(f);
}

static void init(fixture *f, uint32_t shard)
{
    int status = leat_shard_init(pg_address(f), &f->source, &f->layout, shard, starts, &f->error);
    ck_assert_msg(status == 0, "%s", f->error.text);
}

static void assert_refused(fixture *f, const char *word)
{
    ck_assert_int_eq(leat_shard_init(pg_address(f), &f->source, &f->layout, 0, starts, &f->error),
                     -1);
    ck_assert_msg(strstr(f->error.text, word) != NULL, "\"%s\" does not say \"%s\"", f->error.text,
                  word);
}

/* ---- init and source ---- */

START_TEST(init_stores_what_read_source_reads)
{
    fixture *f = fixture_new("round");
    leat_source source;
    leat_layout layout;
    ck_assert_int_eq(leat_shard_read_source(pg_address(f), "writes", &source, &layout, &f->error),
                     1);
    init(f, 1);
    ck_assert_int_gt(f->source.id, 0);
    ck_assert_int_eq(leat_shard_read_source(pg_address(f), "writes", &source, &layout, &f->error),
                     0);
    ck_assert_int_eq(source.id, f->source.id);
    ck_assert_int_eq(leat_shard_check_source(&source, &layout, &f->source, &f->layout, &f->error),
                     0);
    ck_assert_int_eq(leat_shard_read_source(pg_address(f), "others", &source, &layout, &f->error),
                     1);
    assert_answer(f,
                  "SELECT string_agg(partition::text, ',' ORDER BY partition) FROM leat.partitions",
                  "2,3");
    assert_answer(f, "SELECT string_agg(low::text, ',' ORDER BY partition) FROM leat.partitions",
                  "-1,40");
    assert_answer(
        f, "SELECT DISTINCT base_offsets = array_fill(-1::bigint, ARRAY[64]) FROM leat.partitions",
        "t");
    fixture_free(f);
}
END_TEST

START_TEST(a_placement_is_stored_and_read_from_any_version)
{
    fixture *f = fixture_new("place");
    const leat_placement wanted = {2, 512, 16, 1};
    leat_placement found;
    ck_assert_int_eq(leat_shard_read_placement(pg_address(f), "writes", &found, &f->error), 1);
    f->source.placement = wanted;
    init(f, 0);
    ck_assert_int_eq(leat_shard_read_placement(pg_address(f), "writes", &found, &f->error), 0);
    ck_assert_mem_eq(&found, &wanted, sizeof wanted);
    ck_assert_int_eq(leat_shard_read_placement(pg_address(f), "others", &found, &f->error), 1);
    leat_source source;
    leat_layout layout;
    ck_assert_int_eq(leat_shard_read_source(pg_address(f), "writes", &source, &layout, &f->error),
                     0);
    ck_assert_mem_eq(&source.placement, &wanted, sizeof wanted);
    f->source.placement.tenant_window = 8;
    assert_refused(f, "a tenant window of 16, but this is 8");
    f->source.placement = (leat_placement){2, 512, 16, 0};
    assert_refused(f, "tenant is part 2, but this is 1");
    run(f->dsn, "ALTER TABLE leat.sources DROP placement, DROP tenant_window, DROP tenant_position;"
                "UPDATE leat.schema_version SET version = 4");
    ck_assert_int_eq(leat_shard_read_placement(pg_address(f), "writes", &found, &f->error), 0);
    const leat_placement old = {1, 512, 0, -1};
    ck_assert_mem_eq(&found, &old, sizeof old);
    f->source.placement = old;
    init(f, 0);
    run(f->dsn, "UPDATE leat.sources SET placement = 3");
    ck_assert_int_eq(leat_shard_init(pg_address(f), &f->source, &f->layout, 0, starts, &f->error),
                     -1);
    ck_assert_ptr_nonnull(strstr(f->error.text, "use a newer leat"));
    fixture_free(f);
}
END_TEST

START_TEST(arrays_are_stored_where_they_disturb_least)
{
    fixture *f = fixture_new("storage");
    init(f, 0);
    const char *sql =
        "SELECT string_agg(attname || ' ' || attstorage::text, ', ' ORDER BY attname)"
        "  FROM pg_attribute WHERE (attrelid = 'leat.progress'::regclass"
        "   AND attname IN ('offsets', 'subpartitions'))"
        "    OR (attrelid = 'leat.partitions'::regclass AND attname = 'base_offsets')";
    assert_answer(f, sql, "base_offsets e, offsets m, subpartitions m");
    fixture_free(f);
}
END_TEST

START_TEST(init_again_keeps_progress)
{
    fixture *f = fixture_new("again");
    init(f, 0);
    run(f->dsn, "UPDATE leat.partitions SET low = 77, base_seq = 5 WHERE partition = 0");
    int32_t id = f->source.id;
    f->source.id = 0;
    init(f, 0);
    ck_assert_int_eq(f->source.id, id);
    assert_answer(f, "SELECT low || ' ' || base_seq FROM leat.partitions WHERE partition = 0",
                  "77 5");
    fixture_free(f);
}
END_TEST

START_TEST(shards_agree_on_the_id_whatever_else_they_hold)
{
    fixture *f = fixture_new("id_a");
    fixture *g = fixture_new("id_b");
    snprintf(g->source.topic, sizeof g->source.topic, "others");
    init(g, 0);
    fixture_source(g);
    g->source.id = 0;
    init(f, 0);
    init(g, 1);
    ck_assert_int_eq(f->source.id, g->source.id);
    fixture_free(f);
    fixture_free(g);
}
END_TEST

START_TEST(init_refuses_another_source)
{
    fixture *f = fixture_new("other");
    init(f, 0);
    f->source.log_identity[0] = 'X';
    assert_refused(f, "the log");
    fixture_source(f);
    f->source.topic_id[0] = 'X';
    assert_refused(f, "recreated");
    fixture_source(f);
    f->source.hash[0] = 'X';
    assert_refused(f, "hash");
    fixture_source(f);
    f->source.placement.subpartitions = 32;
    assert_refused(f, "subpartitions");
    fixture_source(f);
    f->source.placement.version = 2;
    assert_refused(f, "set up for placement 1, but this is 2");
    fixture_source(f);
    leat_layout_even(&f->layout, 6, 2, (const char *const[]){"a", "b"});
    assert_refused(f, "Adding partitions");
    leat_layout_even(&f->layout, 4, 1, (const char *const[]){"a"});
    assert_refused(f, "shards");
    leat_layout_even(&f->layout, 4, 2, (const char *const[]){"b", "a"});
    assert_refused(f, "the shard");
    fixture_source(f);
    f->layout.tenant_slots[9] ^= 1;
    assert_refused(f, "tenant slots");
    fixture_source(f);
    init(f, 0);
    fixture_free(f);
}
END_TEST

START_TEST(init_refuses_one_database_for_two_shards)
{
    fixture *f = fixture_new("twice");
    init(f, 0);
    ck_assert_int_eq(leat_shard_init(pg_address(f), &f->source, &f->layout, 1, starts, &f->error),
                     -1);
    ck_assert_ptr_nonnull(strstr(f->error.text, "two shards"));
    assert_answer(f, "SELECT count(*) FROM leat.partitions", "2");
    fixture_free(f);
}
END_TEST

START_TEST(a_newer_schema_is_left_alone)
{
    fixture *f = fixture_new("newer");
    init(f, 0);
    run(f->dsn, "UPDATE leat.schema_version SET version = 99");
    assert_refused(f, "newer leat");
    leat_source source;
    leat_layout layout;
    ck_assert_int_eq(leat_shard_read_source(pg_address(f), "writes", &source, &layout, &f->error),
                     -1);
    ck_assert_ptr_nonnull(strstr(f->error.text, "newer leat"));
    fixture_free(f);
}
END_TEST

START_TEST(an_older_schema_wants_init)
{
    fixture *f = fixture_new("older");
    leat_source source;
    leat_layout layout;
    init(f, 0);
    run(f->dsn, "UPDATE leat.schema_version SET version = 1; DROP INDEX leat.dead_letters_at");
    ck_assert_int_eq(leat_shard_read_source(pg_address(f), "writes", &source, &layout, &f->error),
                     -1);
    ck_assert_ptr_nonnull(strstr(f->error.text, "`leat init`"));
    init(f, 0);
    ck_assert_int_eq(leat_shard_read_source(pg_address(f), "writes", &source, &layout, &f->error),
                     0);
    assert_answer(f, "SELECT to_regclass('leat.dead_letters_at') IS NOT NULL", "t");
    fixture_free(f);
}
END_TEST

/* A database that is away may come back; one that refuses will go on refusing. */
START_TEST(away_is_not_an_error)
{
    fixture *f = fixture_new("away");
    leat_source source;
    leat_layout layout;
    init(f, 0);
    char dsn[1200];
    snprintf(dsn, sizeof dsn, "%s host=/nowhere", f->dsn);
    ck_assert_int_eq(leat_shard_read_source((leat_shard_address){.dsn = dsn}, "writes", &source,
                                            &layout, &f->error),
                     2);
    snprintf(dsn, sizeof dsn, "%s dbname=leat_no_such_database", f->dsn);
    ck_assert_int_eq(leat_shard_read_source((leat_shard_address){.dsn = dsn}, "writes", &source,
                                            &layout, &f->error),
                     2);
    ck_assert_int_eq(leat_shard_read_source((leat_shard_address){.dsn = "no dsn"}, "writes",
                                            &source, &layout, &f->error),
                     -1);
    run(f->dsn, "DROP TABLE leat.tenant_slots");
    ck_assert_int_eq(leat_shard_read_source(pg_address(f), "writes", &source, &layout, &f->error),
                     -1);
    ck_assert_ptr_nonnull(strstr(f->error.text, "42P01"));
    fixture_free(f);
}
END_TEST

/* ---- dead letters ---- */

static const char make_letters[] =
    "INSERT INTO leat.dead_letters SELECT s.id, 0, 1, 'r', 'a', 'put', NULL, '{\"n\":1}', '22003', 'first',"
    " '2024-01-02 03:04:05.678+00', '2024-01-02 03:04:06+00' FROM leat.sources AS s;"
    "INSERT INTO leat.dead_letters SELECT s.id, 1, 7, NULL, '\\xff00'::bytea, NULL, '{\"h\":\"x\"}', NULL, NULL, 'second',"
    " '2024-01-02 03:04:05+00', '2024-01-02 03:04:07.000001+00' FROM leat.sources AS s;"
    "INSERT INTO leat.dead_letters SELECT s.id, 0, 2, 'q\"', NULL, 'delete', NULL, '', '23503', 'third',"
    " '2024-01-02 03:04:05+00', '2024-01-02 03:04:05+00' FROM leat.sources AS s;"
    "INSERT INTO leat.dead_letters VALUES (0, 0, 3, 'r', 'a', 'put', NULL, NULL, NULL, 'of another source', now(), now())";

static void assert_letters(fixture *f, const leat_dead_query *query, const char *expected)
{
    leat_dead_letters letters;
    char said[256] = "";
    int status = leat_shard_dead_letters(pg_address(f), query, &letters, &f->error);
    ck_assert_msg(status == 0, "%s", f->error.text);
    for (uint32_t i = 0; i < letters.count; i++)
        strcat(strcat(said, i ? " " : ""), letters.letters[i].message);
    leat_dead_letters_fini(&letters);
    ck_assert_str_eq(said, expected);
}

START_TEST(dead_letters_are_read_newest_first)
{
    fixture *f = fixture_new("dead");
    leat_dead_query any = {.topic = "writes", .partition = -1, .offset = -1, .limit = 10};
    leat_dead_letters letters;
    ck_assert_int_eq(leat_shard_dead_letters(pg_address(f), &any, &letters, &f->error), -1);
    ck_assert_ptr_nonnull(strstr(f->error.text, "`leat init`"));
    init(f, 0);
    assert_letters(f, &any, "");
    run(f->dsn, make_letters);
    assert_letters(f, &any, "second first third");
    leat_dead_query query = any;
    query.limit = 2;
    assert_letters(f, &query, "second first");
    query = any;
    query.routes = "[\"r\",\"q\\\"\"]";
    assert_letters(f, &query, "first third");
    query = any;
    query.partition = 0;
    query.offset = 2;
    assert_letters(f, &query, "third");
    fixture_free(f);
}
END_TEST

START_TEST(a_dead_letter_is_read_whole)
{
    fixture *f = fixture_new("whole");
    leat_dead_query query = {
        .topic = "writes", .partition = -1, .offset = -1, .limit = 2, .with_bodies = true};
    leat_dead_letters letters;
    init(f, 0);
    run(f->dsn, make_letters);
    ck_assert_int_eq(leat_shard_dead_letters(pg_address(f), &query, &letters, &f->error), 0);
    ck_assert_uint_eq(letters.count, 2);
    const leat_dead_letter *second = &letters.letters[0], *first = &letters.letters[1];
    ck_assert_uint_eq(second->partition, 1);
    ck_assert_int_eq(second->offset, 7);
    ck_assert_int_eq(second->at_us, 1704164647000001);
    ck_assert(!second->route && !second->op && !second->sqlstate && !second->body);
    ck_assert_str_eq(second->headers, "{\"h\": \"x\"}");
    ck_assert_uint_eq(second->key_size, 2);
    ck_assert_int_eq(memcmp(second->key, "\xff\0", 2), 0);
    ck_assert_str_eq(first->at, "2024-01-02T03:04:06.000Z");
    ck_assert_str_eq(first->accepted_at, "2024-01-02T03:04:05.678Z");
    ck_assert_str_eq(first->route, "r");
    ck_assert_str_eq(first->op, "put");
    ck_assert_str_eq(first->sqlstate, "22003");
    ck_assert_str_eq(first->key, "a");
    ck_assert_str_eq(first->body, "{\"n\":1}");
    leat_dead_letters_fini(&letters);
    fixture_free(f);
}
END_TEST

/* ---- tables ---- */

static const char make_tables[] =
    "CREATE SCHEMA \"Odd Schema\"; CREATE SCHEMA hidden; CREATE DOMAIN public.int4 AS int;"
    "CREATE DOMAIN \"Odd Schema\".\"li\"\"sts\" AS text[];"
    "CREATE TYPE mood AS ENUM ('ok'); CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1';"
    "CREATE TABLE plain (b varchar(20) NOT NULL, gone int, a uuid, n numeric(12,3) DEFAULT 1.5, i2 smallint, i4 integer"
    "  DEFAULT one(), i8 bigint GENERATED BY DEFAULT AS IDENTITY, f double precision, t text DEFAULT 'it''s', ts"
    "  timestamptz, j jsonb, bo boolean, always int GENERATED ALWAYS AS IDENTITY,"
    "  gen int GENERATED ALWAYS AS (1) STORED,"
    "  dom public.int4, m mood, arr int[], c char(3), f4 real, d date, ti time(3), lo timestamp, by bytea, js json,"
    "  vc varchar(3)[], bx box[], doma \"Odd Schema\".\"li\"\"sts\", iv interval(3), PRIMARY KEY (a, b) INCLUDE (i2));"
    "ALTER TABLE plain DROP COLUMN gone;"
    "CREATE TABLE \"Odd Schema\".\"a \"\"b.c\" (id bigint PRIMARY KEY);"
    "CREATE TABLE hidden.plain (id int PRIMARY KEY); CREATE TABLE keyless (id int); CREATE VIEW seen AS SELECT 1;"
    "CREATE COLLATION loose (provider = icu, locale = 'und', deterministic = false);"
    "CREATE TABLE loose (id text COLLATE loose PRIMARY KEY);"
    "CREATE TABLE ruled (id int PRIMARY KEY); CREATE RULE r AS ON DELETE TO ruled DO INSTEAD NOTHING;";

static leat_table *read_one(fixture *f, const char *label)
{
    leat_table *table = leat_must_calloc(1, sizeof *table);
    int status = leat_shard_read_tables(pg_address(f), &label, 1, table, &f->error);
    ck_assert_msg(status == 0, "%s", f->error.text);
    return table;
}

static void table_free(leat_table *table)
{
    leat_table_fini(table);
    free(table);
}

static void assert_column(const leat_table *table, const char *name, leat_type type,
                          const char *type_name, const char *expression, int key)
{
    int at = leat_table_column(table, leat_slice_of(name));
    ck_assert_msg(at >= 0, "no column %s", name);
    const leat_column *column = &table->columns[at];
    ck_assert_msg(column->type == type, "%s: type %d", name, (int)column->type);
    ck_assert_str_eq(column->type_name, type_name);
    ck_assert_int_eq(column->key_position, key);
    ck_assert_pstr_eq(column->default_expression, expression);
}

START_TEST(columns_are_read_as_they_are)
{
    fixture *f = fixture_new("columns");
    run(f->dsn, make_tables);
    leat_table *table = read_one(f, "plain");
    ck_assert_str_eq(table->schema, "public");
    ck_assert_str_eq(table->label, "plain");
    ck_assert_uint_eq(table->column_count, 27);
    assert_column(table, "b", LEAT_TYPE_TEXT, "character varying(20)", NULL, 1);
    assert_column(table, "a", LEAT_TYPE_UUID, "uuid", NULL, 0);
    assert_column(table, "n", LEAT_TYPE_NUMERIC, "numeric(12,3)", "1.5", -1);
    assert_column(table, "i2", LEAT_TYPE_INT2, "smallint", NULL, -1);
    assert_column(table, "i4", LEAT_TYPE_INT4, "integer", "public.one()", -1);
    assert_column(table, "i8", LEAT_TYPE_INT8, "bigint", "nextval('public.plain_i8_seq'::regclass)",
                  -1);
    assert_column(table, "f", LEAT_TYPE_FLOAT8, "double precision", NULL, -1);
    assert_column(table, "t", LEAT_TYPE_TEXT, "text", "'it''s'::text", -1);
    assert_column(table, "ts", LEAT_TYPE_TIMESTAMPTZ, "timestamp with time zone", NULL, -1);
    assert_column(table, "j", LEAT_TYPE_JSONB, "jsonb", NULL, -1);
    assert_column(table, "bo", LEAT_TYPE_BOOL, "boolean", NULL, -1);
    assert_column(table, "always", LEAT_TYPE_INT4, "integer", NULL, -1);
    assert_column(table, "gen", LEAT_TYPE_INT4, "integer", NULL, -1);
    assert_column(table, "dom", LEAT_TYPE_OTHER, "public.int4", NULL, -1);
    assert_column(table, "m", LEAT_TYPE_OTHER, "public.mood", NULL, -1);
    assert_column(table, "arr", LEAT_TYPE_OTHER, "integer[]", NULL, -1);
    assert_column(table, "c", LEAT_TYPE_OTHER, "character(3)", NULL, -1);
    assert_column(table, "f4", LEAT_TYPE_FLOAT4, "real", NULL, -1);
    assert_column(table, "d", LEAT_TYPE_DATE, "date", NULL, -1);
    assert_column(table, "ti", LEAT_TYPE_TIME, "time(3) without time zone", NULL, -1);
    assert_column(table, "lo", LEAT_TYPE_TIMESTAMP, "timestamp without time zone", NULL, -1);
    assert_column(table, "by", LEAT_TYPE_BYTEA, "bytea", NULL, -1);
    assert_column(table, "js", LEAT_TYPE_JSON, "json", NULL, -1);
    assert_column(table, "vc", LEAT_TYPE_OTHER, "character varying(3)[]", NULL, -1);
    assert_column(table, "bx", LEAT_TYPE_OTHER, "box[]", NULL, -1);
    assert_column(table, "doma", LEAT_TYPE_OTHER, "\"Odd Schema\".\"li\"\"sts\"", NULL, -1);
    assert_column(table, "iv", LEAT_TYPE_OTHER, "interval(3)", NULL, -1);
    ck_assert_uint_eq(table->key_count, 2);
    ck_assert_str_eq(table->columns[table->key_columns[0]].name, "a");
    ck_assert_str_eq(table->columns[table->key_columns[1]].name, "b");
    table_free(table);
    fixture_free(f);
}
END_TEST

START_TEST(column_flags_and_modifiers)
{
    fixture *f = fixture_new("flags");
    run(f->dsn, make_tables);
    leat_table *table = read_one(f, "public.plain");
    const leat_column *columns = table->columns;
    ck_assert_int_eq(columns[0].type_modifier, 20 + 4);
    ck_assert_uint_eq(columns[0].type_oid, 1043);
    ck_assert(columns[0].not_null && columns[1].not_null && !columns[2].not_null);
    ck_assert_int_eq(columns[2].type_modifier, ((12 << 16) | 3) + 4);
    ck_assert_int_eq(columns[3].type_modifier, -1);
    for (uint32_t i = 0; i < table->column_count; i++) {
        bool generated = strcmp(columns[i].name, "always") == 0 ||
                         strcmp(columns[i].name, "gen") == 0;
        ck_assert_msg(columns[i].generated == generated, "%s", columns[i].name);
    }
    table_free(table);
    fixture_free(f);
}
END_TEST

/* A cast to it neither cuts nor rounds; "character" and "bit" without a length would. */
START_TEST(a_cast_has_no_modifier)
{
    static const struct {
        const char *column, *cast;
        bool is_array;
    } cases[] = {
        {"b", "character varying", false},
        {"n", "numeric", false},
        {"dom", "public.int4", false},
        {"m", "public.mood", false},
        {"arr", "integer[]", true},
        {"vc", "character varying[]", true},
        {"bx", "box[]", false}, /* its text form has ; between the elements */
        {"doma", "\"Odd Schema\".\"li\"\"sts\"", true},
        {"c", "bpchar", false},
        {"ti", "time without time zone", false},
        {"iv", "interval", false},
        {"j", "jsonb", false},
    };
    fixture *f = fixture_new("casts");
    run(f->dsn, make_tables);
    leat_table *table = read_one(f, "plain");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const leat_column *column =
            &table->columns[leat_table_column(table, leat_slice_of(cases[i].column))];
        ck_assert_str_eq(column->cast_name, cases[i].cast);
        ck_assert_msg(column->is_array == cases[i].is_array, "%s", cases[i].column);
    }
    table_free(table);
    fixture_free(f);
}
END_TEST

static bool is_by_bytes(fixture *f, const char *name)
{
    leat_table *table = read_one(f, "t");
    int at = leat_table_column(table, leat_slice_of(name));
    ck_assert_msg(at >= 0, "no column %s", name);
    bool by_bytes = table->columns[at].by_bytes;
    table_free(table);
    return by_bytes;
}

static const char make_texts[] =
    "CREATE COLLATION mine (locale = 'C'); CREATE COLLATION icu (provider = icu, locale = 'und');"
    "CREATE TABLE t (id int PRIMARY KEY, plain text, c text COLLATE \"C\", posix varchar(9) COLLATE \"POSIX\","
    "  mine text COLLATE mine, icu text COLLATE icu, number int);";

START_TEST(the_collation_says_whether_the_order_is_by_bytes)
{
    fixture *f = fixture_new("collate");
    char sql[160];
    run(f->dsn, make_texts);
    ck_assert(is_by_bytes(f, "c") && is_by_bytes(f, "posix") && is_by_bytes(f, "mine"));
    ck_assert(!is_by_bytes(f, "icu") && !is_by_bytes(f, "number"));
    static const struct {
        const char *locale;
        bool by_bytes;
    } databases[] = {{"LOCALE 'C'", true},
                     {"LOCALE 'C.UTF-8'", false},
                     {"LOCALE_PROVIDER icu ICU_LOCALE 'und' LOCALE 'C'", false}};
    for (size_t i = 0; i < sizeof databases / sizeof databases[0]; i++) {
        snprintf(sql, sizeof sql, "DROP DATABASE %s WITH (FORCE)", f->name);
        run(getenv("PG_DSN_1"), sql);
        snprintf(sql, sizeof sql, "CREATE DATABASE %s TEMPLATE template0 ENCODING 'UTF8' %s",
                 f->name, databases[i].locale);
        run(getenv("PG_DSN_1"), sql);
        run(f->dsn, make_texts);
        ck_assert_msg(is_by_bytes(f, "plain") == databases[i].by_bytes, "%s", databases[i].locale);
        ck_assert(is_by_bytes(f, "c"));
    }
    fixture_free(f);
}
END_TEST

/* Each changes the table t, which begins as (id int PRIMARY KEY, a int, b int) and has a
 * partitioned neighbour p. */
static const struct {
    const char *sql;
    const char *label;
    bool is_ordered, deletes_matter;
} effects[] = {
    {"SELECT 1", "t", false, false},
    {"SELECT 1", "p", false, false},
    {"CREATE INDEX ON t (a)", "t", false, false},
    {"CREATE UNIQUE INDEX ON t (a)", "t", true, false},
    {"CREATE UNIQUE INDEX i ON t (a); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'i'::regclass",
     "t", true, false},
    {"CREATE UNIQUE INDEX ON t ((a + b)) WHERE a > 0", "t", true, false},
    {"ALTER TABLE t ADD UNIQUE (b) DEFERRABLE", "t", true, false},
    {"ALTER TABLE t ADD EXCLUDE USING gist (int4range(a, b) WITH &&)", "t", true, false},
    {"ALTER TABLE t ADD CHECK (a > 0), ADD FOREIGN KEY (a) REFERENCES t2 (id)", "t", false, false},
    {"ALTER TABLE t2 ADD FOREIGN KEY (id) REFERENCES t (id)", "t", false, true},
    {"CREATE TRIGGER g AFTER DELETE ON t FOR EACH ROW EXECUTE FUNCTION f()", "t", false, true},
    {"CREATE TRIGGER g BEFORE INSERT OR DELETE ON t EXECUTE FUNCTION f()", "t", false, true},
    {"CREATE TRIGGER g BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()", "t", false,
     false},
    {"CREATE TRIGGER g AFTER DELETE ON t FOR EACH ROW EXECUTE FUNCTION f(); ALTER TABLE t DISABLE TRIGGER g",
     "t", false, false},
    {"ALTER TABLE t ALTER a SET NOT NULL, ALTER a ADD GENERATED ALWAYS AS IDENTITY", "t", false,
     true},
    {"ALTER TABLE t ADD s bigserial", "t", false, true},
    {"ALTER TABLE t ADD s bigserial; ALTER TABLE t DROP s", "t", false, false},
    {"ALTER TABLE t ADD s timestamptz DEFAULT now()", "t", false, false},
    {"CREATE UNIQUE INDEX ON p1 (a)", "p", true, false},
    {"CREATE TRIGGER g AFTER DELETE ON p1 FOR EACH ROW EXECUTE FUNCTION f()", "p", false, true},
    {"ALTER TABLE t2 ADD FOREIGN KEY (id) REFERENCES p (id)", "p", false, true},
    {"ALTER TABLE t2 ADD FOREIGN KEY (id) REFERENCES p1 (id)", "p", false, true},
};

START_TEST(what_a_write_does_besides_is_seen)
{
    fixture *f = fixture_new("effects");
    run(f->dsn,
        "CREATE TABLE t (id int PRIMARY KEY, a int, b int); CREATE TABLE t2 (id int PRIMARY KEY);"
        "CREATE TABLE p (id int PRIMARY KEY, a int) PARTITION BY RANGE (id);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);"
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'");
    run(f->dsn, effects[_i].sql);
    leat_table *table = read_one(f, effects[_i].label);
    ck_assert_msg(table->is_ordered == effects[_i].is_ordered, "%s", effects[_i].sql);
    ck_assert_msg(table->deletes_matter == effects[_i].deletes_matter, "%s", effects[_i].sql);
    ck_assert_uint_eq(table->key_count, 1);
    table_free(table);
    fixture_free(f);
}
END_TEST

/* BEFORE triggers by their events: 4 INSERT, 8 DELETE, 16 UPDATE. The same tables. */
static const struct {
    const char *sql;
    const char *label;
    int for_rows, for_statement;
} befores[] = {
    {"SELECT 1", "t", 0, 0},
    {"CREATE TRIGGER g BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()", "t", 20, 0},
    {"CREATE TRIGGER g BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION f();"
     "CREATE TRIGGER h BEFORE UPDATE OF a ON t FOR EACH ROW WHEN (NEW.a > 0) EXECUTE FUNCTION f()",
     "t", 24, 0},
    {"CREATE TRIGGER g BEFORE INSERT OR TRUNCATE ON t EXECUTE FUNCTION f()", "t", 0, 4},
    {"CREATE TRIGGER g AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();"
     "CREATE TRIGGER h AFTER DELETE ON t EXECUTE FUNCTION f()",
     "t", 0, 0},
    {"CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f(); ALTER TABLE t DISABLE TRIGGER g",
     "t", 0, 0},
    {"ALTER TABLE t2 ADD FOREIGN KEY (id) REFERENCES t (id) ON DELETE CASCADE", "t", 0, 0},
    {"CREATE TRIGGER g BEFORE UPDATE ON p1 FOR EACH ROW EXECUTE FUNCTION f()", "p", 16, 0},
    {"CREATE TRIGGER g BEFORE UPDATE ON p FOR EACH ROW EXECUTE FUNCTION f()", "p", 16, 0},
    {"CREATE TRIGGER g BEFORE DELETE ON p1 EXECUTE FUNCTION f()", "p", 0, 0},
    {"CREATE TABLE heir () INHERITS (t); CREATE TRIGGER g BEFORE DELETE ON heir FOR EACH ROW EXECUTE FUNCTION f()",
     "t", 8, 0},
};

/* leat.enter looks for itself: where the two disagreed, leat would look at the table for ever. */
static void expect_same_in_schema(fixture *f, int at)
{
    char sql[256];
    bool is_plain = befores[at].for_rows == 0 && befores[at].for_statement == 0;
    snprintf(sql, sizeof sql,
             "DO $$ BEGIN ASSERT (SELECT (for_rows, for_statement) = (%d, %d)"
             " FROM leat.before_triggers('%s'::regclass, 28)); END $$",
             befores[at].for_rows, befores[at].for_statement, befores[at].label);
    run(f->dsn, leat_schema_sql);
    run(f->dsn, sql);
    snprintf(sql, sizeof sql,
             "DO $$ BEGIN PERFORM leat.enter('%s'::regclass, 28, 0, 0, false); ASSERT %s;"
             " EXCEPTION WHEN SQLSTATE 'LT006' THEN ASSERT %s; END $$",
             befores[at].label, is_plain ? "true" : "false", is_plain ? "false" : "true");
    run(f->dsn, sql);
}

START_TEST(before_triggers_are_seen)
{
    fixture *f = fixture_new("befores");
    run(f->dsn,
        "CREATE TABLE t (id int PRIMARY KEY, a int, b int); CREATE TABLE t2 (id int PRIMARY KEY);"
        "CREATE TABLE p (id int PRIMARY KEY, a int) PARTITION BY RANGE (id);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);"
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'");
    run(f->dsn, befores[_i].sql);
    leat_table *table = read_one(f, befores[_i].label);
    ck_assert_msg(table->row_triggers == befores[_i].for_rows, "%s: %d", befores[_i].sql,
                  table->row_triggers);
    ck_assert_msg(table->statement_triggers == befores[_i].for_statement, "%s: %d", befores[_i].sql,
                  table->statement_triggers);
    ck_assert(!table->row_security);
    expect_same_in_schema(f, _i);
    table_free(table);
    fixture_free(f);
}
END_TEST

START_TEST(a_look_before_and_one_after_tell_what_was_altered)
{
    fixture *f = fixture_new("altered");
    run(f->dsn, "CREATE TABLE t (id int PRIMARY KEY, a int, b int DEFAULT 1, c text)");
    leat_table *before = read_one(f, "t");
    leat_table *again = read_one(f, "t");
    ck_assert(leat_table_equal(before, again));
    run(f->dsn,
        "ALTER TABLE t ALTER a TYPE bigint, ALTER b SET DEFAULT 2, DROP c, ADD d date, ADD UNIQUE (b)");
    leat_table *after = read_one(f, "t");
    leat_buf words = {0};
    leat_table_describe_change(before, after, &words);
    ck_assert(!leat_table_equal(before, after));
    ck_assert_str_eq(leat_buf_cstr(&words),
                     "column a: type integer -> bigint, column b: default 1 -> 2, column c: "
                     "dropped, column d: added, further unique constraints: now there");
    leat_buf_free(&words);
    table_free(before);
    table_free(again);
    table_free(after);
    fixture_free(f);
}
END_TEST

START_TEST(odd_names_and_search_path)
{
    fixture *f = fixture_new("names");
    run(f->dsn, make_tables);
    leat_table *table = read_one(f, "Odd Schema.a \"b.c");
    ck_assert_str_eq(table->schema, "Odd Schema");
    ck_assert_str_eq(table->name, "a \"b.c");
    table_free(table);
    table = read_one(f, "\"Odd Schema\".\"a \"\"b.c\"");
    ck_assert_str_eq(table->name, "a \"b.c");
    table_free(table);
    table = read_one(f, "PLAIN");
    ck_assert_str_eq(table->name, "plain");
    table_free(table);
    size_t end = strlen(f->dsn);
    snprintf(f->dsn + end, sizeof f->dsn - end, " options='-c search_path=hidden,public'");
    table = read_one(f, "plain");
    ck_assert_str_eq(table->schema, "hidden");
    table_free(table);
    fixture_free(f);
}
END_TEST

/* A role named leat finds schema leat first, by "$user", as soon as `leat init` has made it. */
START_TEST(schema_leat_is_no_place_for_tables)
{
    fixture *f = fixture_new("own");
    run(f->dsn, make_tables);
    run(f->dsn, "create schema if not exists leat; create table leat.plain (id int primary key)");
    size_t end = strlen(f->dsn);
    snprintf(f->dsn + end, sizeof f->dsn - end, " options='-c search_path=leat,public'");
    leat_table *table = read_one(f, "plain");
    ck_assert_str_eq(table->schema, "public");
    table_free(table);
    fixture_free(f);
}
END_TEST

START_TEST(tables_that_cannot_work_are_named)
{
    static const struct {
        const char *label;
        const char *word;
    } cases[] = {
        {"missing", "not found"}, {"keyless", "no primary key"}, {"seen", "a view"},
        {"ruled", "rules"},       {"loose", "nondeterministic"}, {"no.such.thing", "no.such.thing"},
    };
    fixture *f = fixture_new("refused");
    run(f->dsn, make_tables);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        leat_table tables[2];
        const char *const labels[] = {"plain", cases[i].label};
        ck_assert_int_eq(leat_shard_read_tables(pg_address(f), labels, 2, tables, &f->error), -1);
        ck_assert_msg(strstr(f->error.text, cases[i].word) && strstr(f->error.text, cases[i].label),
                      "%s", f->error.text);
        ck_assert_msg(strstr(f->error.text, f->name) != NULL, "%s", f->error.text);
    }
    fixture_free(f);
}
END_TEST

START_TEST(tables_that_a_crash_empties_are_refused)
{
    static const char *const labels[] = {"lost", "parted"};
    fixture *f = fixture_new("unlogged");
    run(f->dsn,
        "create unlogged table lost (id int primary key);"
        "create table parted (id int primary key) partition by range (id);"
        "create table kept partition of parted for values from (0) to (10);"
        "create unlogged table \"Part 2\" partition of parted for values from (10) to (20)");
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
        leat_table table;
        ck_assert_int_eq(leat_shard_read_tables(pg_address(f), &labels[i], 1, &table, &f->error),
                         1);
        ck_assert_str_eq(table.label, labels[i]);
        ck_assert_msg(
            strstr(f->error.text, i ? "(ALTER TABLE \"Part 2\" SET LOGGED)" : "lost is UNLOGGED"),
            "%s", f->error.text);
    }
    run(f->dsn, "alter table \"Part 2\" set logged");
    table_free(read_one(f, "parted"));
    fixture_free(f);
}
END_TEST

/* ---- messages ---- */

START_TEST(no_message_holds_the_password)
{
    static const char *const dsns[] = {
        "host=127.0.0.1 port=1 dbname=x user=u password=s3cret connect_timeout=2",
        "postgresql://u:s3cret@127.0.0.1:1/x?connect_timeout=2",
        "postgresql://u:pa@s3cret@127.0.0.1:1/x",
        "postgresql://u:s3cret@127.0.0.1:1/x?nonsense=1&s3cret",
        "host=127.0.0.1 s3cret",
        "s3cret",
    };
    for (size_t i = 0; i < sizeof dsns / sizeof dsns[0]; i++) {
        leat_error error = {""};
        leat_table table;
        const char *label = "t";
        ck_assert_int_eq(
            leat_shard_read_tables((leat_shard_address){.dsn = dsns[i]}, &label, 1, &table, &error),
            -1);
        ck_assert_msg(error.text[0] && !strstr(error.text, "s3cret"), "%s", error.text);
    }
}
END_TEST

int main(void)
{
    if (!getenv("PG_DSN_1")) {
        puts("1..0 # SKIP PG_DSN_1 is not set");
        return 0;
    }
    Suite *suite = suite_create("postgres");
    TCase *tests = tcase_create("blocking");
    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, init_stores_what_read_source_reads);
    tcase_add_test(tests, a_placement_is_stored_and_read_from_any_version);
    tcase_add_test(tests, arrays_are_stored_where_they_disturb_least);
    tcase_add_test(tests, init_again_keeps_progress);
    tcase_add_test(tests, shards_agree_on_the_id_whatever_else_they_hold);
    tcase_add_test(tests, init_refuses_another_source);
    tcase_add_test(tests, init_refuses_one_database_for_two_shards);
    tcase_add_test(tests, a_newer_schema_is_left_alone);
    tcase_add_test(tests, an_older_schema_wants_init);
    tcase_add_test(tests, away_is_not_an_error);
    tcase_add_test(tests, dead_letters_are_read_newest_first);
    tcase_add_test(tests, a_dead_letter_is_read_whole);
    tcase_add_test(tests, columns_are_read_as_they_are);
    tcase_add_test(tests, column_flags_and_modifiers);
    tcase_add_test(tests, a_cast_has_no_modifier);
    tcase_add_test(tests, the_collation_says_whether_the_order_is_by_bytes);
    tcase_add_loop_test(tests, what_a_write_does_besides_is_seen, 0,
                        (int)(sizeof effects / sizeof effects[0]));
    tcase_add_loop_test(tests, before_triggers_are_seen, 0,
                        (int)(sizeof befores / sizeof befores[0]));
    tcase_add_test(tests, a_look_before_and_one_after_tell_what_was_altered);
    tcase_add_test(tests, odd_names_and_search_path);
    tcase_add_test(tests, schema_leat_is_no_place_for_tables);
    tcase_add_test(tests, tables_that_cannot_work_are_named);
    tcase_add_test(tests, tables_that_a_crash_empties_are_refused);
    tcase_add_test(tests, no_message_holds_the_password);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
