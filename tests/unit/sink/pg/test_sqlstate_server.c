/* The real thing: what PostgreSQL says, field by field, when each of these is done to a table, and
 * what leat takes it for. */
#include "sink/sqlstate.h"
#include "sink_fixture.h"

typedef struct provocation {
    const char *before; /* in a schema of its own, which is all of search_path */
    const char *statement;
    const char *sqlstates; /* one of these: versions differ */
    leat_engine_outcome outcome;
} provocation;

#define TRIGGER(declare, body)                                                                     \
    "create table t (id int primary key, n int, v text);"                                          \
    "create function f() returns trigger language plpgsql as $$ declare " declare                  \
    " x int; begin " body " end $$;"                                                               \
    "create trigger f before insert or update on t for each row execute function f()"
#define INSERT "insert into t (id) values (1)"

static const provocation provocations[] = {
    /* Data. */
    {"create table t (v varchar(2))", "insert into t values ('long')", "22001",
     LEAT_ENGINE_BAD_DATA},
    {"create table t (n int)", "insert into t values (2147483647::int8 + 1)", "22003",
     LEAT_ENGINE_BAD_DATA},
    {"create table t (n int); insert into t values (2147483647)", "update t set n = n + 1", "22003",
     LEAT_ENGINE_BAD_DATA},
    {"create table t (n int)", "insert into t select v::int from (values ('x')) as s (v)", "22P02",
     LEAT_ENGINE_BAD_DATA},
    {"create type color as enum ('red'); create table t (c color)",
     "insert into t select v::color from (values ('blue')) as s (v)", "22P02",
     LEAT_ENGINE_BAD_DATA},
    {"create table t (v text)", "insert into t values (convert_from('\\xff', 'UTF8'))", "22021",
     LEAT_ENGINE_BAD_DATA},
    {"create table t (n int check (1 / n > 0))", "insert into t values (0)", "22012",
     LEAT_ENGINE_BAD_DATA},
    {"create table t (d date)",
     "insert into t select v::date from (values ('2026-02-30')) as s (v)", "22008",
     LEAT_ENGINE_BAD_DATA},
    {"create table t (v text check (v ~ '('))", "insert into t values ('a')", "2201B",
     LEAT_ENGINE_BAD_DATA},
    /* A sequence at its end; one that has outgrown its column is said as a value would be. */
    {"create sequence s start 2 maxvalue 2; select nextval('s'); create table t (id int, n int default nextval('s'))",
     "insert into t (id) values (1)", "2200H", LEAT_ENGINE_DRIFT},
    {"create sequence s start 2147483648; create table t (id int, n int default nextval('s'))",
     "insert into t (id) values (1)", "22003", LEAT_ENGINE_BAD_DATA},
    /* Constraints. */
    {"create table t (id int, n int not null)", "insert into t (id) values (1)", "23502",
     LEAT_ENGINE_BAD_DATA},
    {"create table p (id int primary key); create table t (p int references p)",
     "insert into t values (1)", "23503", LEAT_ENGINE_NOT_YET},
    {"create table p (id int primary key); create table t (p int references p); insert into p values (1);"
     "insert into t values (1)",
     "delete from p", "23503", LEAT_ENGINE_NOT_YET},
    {"create table p (id int primary key); create table t (p int references p on delete restrict);"
     "insert into p values (1); insert into t values (1)",
     "delete from p", "23503 23001", LEAT_ENGINE_NOT_YET},
    {"create table t (v text unique); insert into t values ('a')", "insert into t values ('a')",
     "23505", LEAT_ENGINE_NOT_YET},
    {"create table t (r int4range, exclude using gist (r with &&)); insert into t values ('[1,3)')",
     "insert into t values ('[2,4)')", "23P01", LEAT_ENGINE_NOT_YET},
    {"create table t (n int constraint small check (n < 9))", "insert into t values (9)", "23514",
     LEAT_ENGINE_BAD_DATA},
    {"create domain small as int check (value < 9); create table t (n small)",
     "insert into t select v::small from (values (9)) as s (v)", "23514", LEAT_ENGINE_BAD_DATA},
    {"create table t (n int) partition by range (n); create table t1 partition of t for values from (0) to (9)",
     "insert into t values (9)", "23514", LEAT_ENGINE_DRIFT},
    {"create table t (n int) partition by list (n); create table t1 partition of t for values in (1);"
     "insert into t values (1)",
     "update t set n = 2", "23514", LEAT_ENGINE_DRIFT},
    {"create table t (n int) partition by range (n); create table t1 partition of t for values from (0) to (9)",
     "insert into t1 values (9)", "23514", LEAT_ENGINE_NOT_YET},
    {TRIGGER("", "raise check_violation;"), INSERT, "23514", LEAT_ENGINE_BAD_DATA},
    {"create table t (n int); create view w as select * from t where n < 9 with check option",
     "insert into w values (9)", "44000", LEAT_ENGINE_BAD_DATA},
    /* Limits. */
    {"create table t (v text primary key)",
     "insert into t select string_agg(md5(i::text), '') from generate_series(1, 1000) as i",
     "54000", LEAT_ENGINE_BAD_DATA},
    {TRIGGER(
         "",
         "return f2(new);") "; create function f2(t) returns t language plpgsql as $$ begin return f2($1); end $$",
     INSERT, "54001", LEAT_ENGINE_BAD_DATA},
    {TRIGGER("", "execute 'select ' || repeat('1,', 1700) || '1'; return new;"), INSERT, "54011",
     LEAT_ENGINE_BAD_DATA},
    {TRIGGER("", "execute 'select f(' || repeat('1,', 101) || '1)'; return new;"), INSERT, "54023",
     LEAT_ENGINE_BAD_DATA},
    {"set temp_file_limit = '64kB'; set work_mem = '64kB'; create table t (v text)",
     "insert into t select md5(i::text) from generate_series(1, 200000) as i order by 1", "53400",
     LEAT_ENGINE_CONTENTION},
    {"create table t (n int)",
     "select pg_advisory_xact_lock(i) from generate_series(1, 1000000) as i", "53200",
     LEAT_ENGINE_CONTENTION},
    /* Triggers that raise: by PL/pgSQL's words, or the application's own. */
    {TRIGGER("", "raise 'no';"), INSERT, "P0001", LEAT_ENGINE_BAD_DATA},
    {TRIGGER("", "select n into strict x from t; return new;"), INSERT, "P0002",
     LEAT_ENGINE_BAD_DATA},
    {TRIGGER("", "select g into strict x from generate_series(1, 2) as g; return new;"), INSERT,
     "P0003", LEAT_ENGINE_BAD_DATA},
    {TRIGGER("", "assert false; return new;"), INSERT, "P0004", LEAT_ENGINE_BAD_DATA},
    {TRIGGER("", "raise 'no' using errcode = 'ZZ123';"), INSERT, "ZZ123", LEAT_ENGINE_BAD_DATA},
    {TRIGGER("", "raise 'no' using errcode = '02000';"), INSERT, "02000", LEAT_ENGINE_BAD_DATA},
    {TRIGGER("", "case new.id when 2 then return new; end case;"), INSERT, "20000",
     LEAT_ENGINE_BAD_DATA},
    {TRIGGER("", "x := (select g from generate_series(1, 2) as g); return new;"), INSERT, "21000",
     LEAT_ENGINE_BAD_DATA},
    /* In the database's name, or leat's. */
    {TRIGGER("", "raise 'no' using errcode = '53100';"), INSERT, "53100", LEAT_ENGINE_RECORD_ERROR},
    {TRIGGER("", "raise 'no' using errcode = '08006';"), INSERT, "08006", LEAT_ENGINE_RECORD_ERROR},
    {TRIGGER("", "raise 'no' using errcode = 'XX000';"), INSERT, "XX000", LEAT_ENGINE_RECORD_ERROR},
    {TRIGGER("", "raise insufficient_privilege;"), INSERT, "42501", LEAT_ENGINE_RECORD_ERROR},
    {TRIGGER("", "raise 'no' using errcode = 'LT001';"), INSERT, "LT001", LEAT_ENGINE_RECORD_ERROR},
    /* Triggers that are wrong in themselves. */
    {TRIGGER("", "null;"), INSERT, "2F005", LEAT_ENGINE_DRIFT},
    {TRIGGER("", "commit; return new;"), INSERT, "2D000", LEAT_ENGINE_DRIFT},
    {TRIGGER(
         "",
         "update t set n = n + 1 where id = new.id; return new;") "; alter table t disable trigger f;"
                                                                  "insert into t values (1, 1); alter table t enable trigger f;"
                                                                  "create or replace function f() returns trigger language plpgsql as "
                                                                  "$$ begin if pg_trigger_depth() = 1 then update t set v = 'x' where id = new.id; end if; return new; end $$",
     "update t set n = 2", "27000", LEAT_ENGINE_DRIFT},
    {TRIGGER("", "execute 'close nobody'; return new;"), INSERT, "34000", LEAT_ENGINE_DRIFT},
    {TRIGGER("c cursor for select 1;", "open c; open c; return new;"), INSERT, "42P03",
     LEAT_ENGINE_DRIFT},
    {TRIGGER("", "execute 'vacuum'; return new;"), INSERT, "25001", LEAT_ENGINE_DRIFT},
    {TRIGGER("", "perform set_config('wal_level', 'minimal', false); return new;"), INSERT, "55P02",
     LEAT_ENGINE_DRIFT},
    {TRIGGER("", "alter table t add column more int; return new;"), INSERT, "55006",
     LEAT_ENGINE_DRIFT},
    {TRIGGER("r record;", "x := r.id; return new;"), INSERT, "55000", LEAT_ENGINE_DRIFT},
    {TRIGGER("", "perform nowhere.f(); return new;"), INSERT, "3F000", LEAT_ENGINE_DRIFT},
    {TRIGGER("m text;", "get stacked diagnostics m = message_text; return new;"), INSERT, "0Z002",
     LEAT_ENGINE_DRIFT},
    /* The table, or who we are. */
    {"create table t (id int, n int); insert into t values (1, 1); create publication leat_test for table t",
     "update t set n = 2", "55000", LEAT_ENGINE_DRIFT},
    {"create table t (n int)", "insert into t (m) values (1)", "42703", LEAT_ENGINE_DRIFT},
    {"create table t (n int)", "insert into u values (1)", "42P01", LEAT_ENGINE_DRIFT},
    {"create table t (n int)", "insert into t values ('2026-01-01'::date)", "42804",
     LEAT_ENGINE_DRIFT},
    {"create table t (n int)", "insert into t values (nowhere(1))", "42883", LEAT_ENGINE_DRIFT},
    {"create table t (n int generated always as identity)", "insert into t values (1)", "428C9",
     LEAT_ENGINE_DRIFT},
    {"create table t (n int); grant usage on schema c to pg_monitor; set role pg_monitor",
     "insert into t values (1)", "42501", LEAT_ENGINE_DRIFT},
    {"create table t (n int) partition by list (n); create table t1 partition of t for values in (1);"
     "create function f() returns trigger language plpgsql as $$ begin new.n := 2; return new; end $$;"
     "create trigger f before insert on t for each row execute function f()",
     "insert into t values (1)", "0A000", LEAT_ENGINE_DRIFT},
    {"create table t (n int); create materialized view m as select * from t",
     "insert into m values (1)", "42809", LEAT_ENGINE_DRIFT},
    {"create table t (n int)",
     "create function g() returns int language c as '/nowhere/library', 'g'", "58P01",
     LEAT_ENGINE_DRIFT},
    {"create extension dblink", "select dblink_connect('host=/nowhere connect_timeout=1')", "08001",
     LEAT_ENGINE_DRIFT},
    {"create extension postgres_fdw",
     "create server nobody foreign data wrapper postgres_fdw options (nothing 'x')", "HV00D",
     LEAT_ENGINE_RECORD_ERROR},
    /* The session and the moment. */
    {"create table t (n int)", "begin read only; insert into t values (1)", "25006",
     LEAT_ENGINE_OUTAGE},
    {"create table t (n int); set statement_timeout = '20ms'",
     "insert into t select 1 from pg_sleep(60)", "57014", LEAT_ENGINE_CONTENTION},
    {"create table t (n int)", "execute nobody", "26000", LEAT_ENGINE_CONTENTION},
    {"prepare twice as select 1", "prepare twice as select 1", "42P05", LEAT_ENGINE_CONTENTION},
    {"create table t (n int); prepare all_of_it as select * from t; alter table t add m int",
     "execute all_of_it", "0A000", LEAT_ENGINE_CONTENTION},
};

enum { PROVOCATION_COUNT = sizeof provocations / sizeof *provocations };

static leat_engine_outcome outcome_of(const PGresult *result)
{
    leat_sql_error fields = {.sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE),
                             .severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED),
                             .table = PQresultErrorField(result, PG_DIAG_TABLE_NAME),
                             .constraint = PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME),
                             .function = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION)};
    return leat_sqlstate_outcome(&fields, LEAT_SQL_ROWS);
}

static const provocation in_sql_ascii[] = {
    {"create table t (v jsonb)", "insert into t values ('\"\\u00fc\"')", "0A000 22P05",
     LEAT_ENGINE_BAD_DATA},
};

enum { IN_SQL_ASCII_COUNT = sizeof in_sql_ascii / sizeof *in_sql_ascii };

static void expect(const provocation *one, const char *database)
{
    fixture *f = fixture_new();
    fixture_open_database_with(f, database);
    fixture_sql(f, "set client_min_messages = error; create schema c; set search_path = c");
    fixture_sql(f, one->before);
    PGresult *result = PQexec(f->pg, one->statement);
    ck_assert_msg(PQresultStatus(result) == PGRES_FATAL_ERROR, "%s: no error", one->statement);
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    ck_assert_msg(strstr(one->sqlstates, sqlstate) != NULL, "%s: %s, expected %s: %s",
                  one->statement, sqlstate, one->sqlstates, PQresultErrorMessage(result));
    leat_engine_outcome outcome = outcome_of(result);
    ck_assert_msg(outcome == one->outcome, "%s (%s, said by %s): %s, expected %s", sqlstate,
                  one->statement, PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION),
                  leat_engine_outcome_name(outcome), leat_engine_outcome_name(one->outcome));
    PQclear(result);
    fixture_free(f);
}

START_TEST(what_the_server_says)
{
    expect(&provocations[_i], "");
}
END_TEST

START_TEST(what_a_database_without_characters_says)
{
    expect(&in_sql_ascii[_i], IN_SQL_ASCII);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sqlstate server");
    TCase *tests = tcase_create("provoked");
    if (fixture_server()) {
        tcase_add_loop_test(tests, what_the_server_says, 0, PROVOCATION_COUNT);
        tcase_add_loop_test(tests, what_a_database_without_characters_says, 0, IN_SQL_ASCII_COUNT);
    }
    suite_add_tcase(suite, tests);
    return fixture_main(suite);
}
