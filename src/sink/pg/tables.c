/*
 * tables.c - the routes' tables as the catalog has them. All of them come from one snapshot, so
 * that a migration that changes several is seen as a whole. Only properties that statements depend
 * on are read: each difference means new statements for every connection.
 */
#include "sink/shard_ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink/pg/blocking.h"

/* A label is taken literally first (so that odd names need no quotes), then as SQL would read it.
 * Partitions' own indexes and triggers count too, because rows end up in them. An index that is not
 * valid yet is one that CREATE INDEX CONCURRENTLY is making: it refuses already. tgtype: bit 0 is
 * "for each row", bit 1 BEFORE, bits 2 to 4 the events (LEAT_ON_...). The same triggers as
 * leat.before_triggers finds, which may not be there yet. */
static const char find_table_sql[] =
    "WITH RECURSIVE found AS (SELECT coalesce("
    "           pg_catalog.to_regclass(CASE WHEN position('.' IN $1::text) > 0"
    "               THEN pg_catalog.quote_ident(pg_catalog.split_part($1, '.', 1)) || '.' ||"
    "                    pg_catalog.quote_ident(pg_catalog.substr($1, position('.' IN $1) + 1))"
    "               ELSE pg_catalog.quote_ident($1) END),"
    "           pg_catalog.to_regclass($1))::oid AS oid),"
    "     parts AS (SELECT oid FROM found UNION"
    "               SELECT h.inhrelid FROM parts AS p JOIN pg_catalog.pg_inherits AS h ON h.inhparent = p.oid),"
    "     before AS (SELECT g.tgrelid, g.tgtype FROM pg_catalog.pg_trigger AS g WHERE g.tgrelid IN (SELECT oid FROM parts)"
    "                   AND NOT g.tgisinternal AND g.tgenabled <> 'D' AND g.tgtype & 2 = 2)"
    "SELECT c.oid, n.nspname, c.relname, c.relkind, c.relhasrules,"
    "       EXISTS (SELECT FROM pg_catalog.pg_index AS i WHERE i.indrelid = c.oid AND i.indisprimary),"
    "       EXISTS (SELECT FROM pg_catalog.pg_index AS i WHERE i.indrelid IN (SELECT oid FROM parts)"
    "               AND (i.indisunique OR i.indisexclusion) AND NOT i.indisprimary),"
    "       EXISTS (SELECT FROM pg_catalog.pg_constraint AS f WHERE f.confrelid IN (SELECT oid FROM parts)"
    "               AND f.contype = 'f') OR"
    "       EXISTS (SELECT FROM pg_catalog.pg_trigger AS g WHERE g.tgrelid IN (SELECT oid FROM parts)"
    "               AND NOT g.tgisinternal AND g.tgenabled <> 'D' AND g.tgtype & 8 <> 0) OR"
    "       EXISTS (SELECT FROM pg_catalog.pg_attribute AS a"
    "                 LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
    "                WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND (a.attidentity <> ''"
    "                      OR pg_catalog.pg_get_expr(d.adbin, d.adrelid) LIKE '%nextval(%')),"
    "       (SELECT coalesce(pg_catalog.bit_or(b.tgtype & 28), 0) FROM before AS b WHERE b.tgtype & 1 = 1),"
    "       (SELECT coalesce(pg_catalog.bit_or(b.tgtype & 28), 0) FROM before AS b WHERE b.tgtype & 1 = 0 AND b.tgrelid = c.oid),"
    "       pg_catalog.row_security_active(c.oid),"
    "       (SELECT pg_catalog.min(u.oid::pg_catalog.regclass::text) FROM pg_catalog.pg_class AS u"
    "         WHERE u.oid IN (SELECT oid FROM parts) AND u.relpersistence <> 'p')"
    "  FROM found"
    "  JOIN pg_catalog.pg_class AS c ON c.oid = found.oid"
    "  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace";

enum {
    TABLE_OID,
    TABLE_SCHEMA,
    TABLE_NAME,
    TABLE_KIND,
    TABLE_RULES,
    TABLE_HAS_KEY,
    TABLE_ORDERED,
    TABLE_DELETES_MATTER,
    TABLE_ROW_TRIGGERS,
    TABLE_STATEMENT_TRIGGERS,
    TABLE_ROW_SECURITY,
    TABLE_UNLOGGED,
};

/* Types leat knows are those of pg_catalog: a domain or an enum may have the same name elsewhere. A
 * JSON array is taken where the text form is the usual one, {..,..}; a domain over an array has its
 * category and delimiter. An int2vector counts from 0, so array_position does; columns that the
 * index merely includes come after its key. An identity "by default" has no stored expression; its
 * sequence is the default. Without one of its own a column has its domain's. The order is by bytes
 * where the C library compares in locale C, be it the collation's or, for the default one, the
 * database's. */
static const char read_columns_sql[] =
    "SELECT a.attname,"
    "       CASE WHEN t.typnamespace = 'pg_catalog'::regnamespace AND t.typtype = 'b' THEN t.typname ELSE '' END,"
    "       format_type(a.atttypid, a.atttypmod), format_type(a.atttypid, -1), a.atttypid, a.atttypmod, a.attnotnull,"
    "       a.attgenerated <> '' OR a.attidentity = 'a',"
    "       t.typcategory = 'A' AND t.typdelim = ',' AND t.typname NOT IN ('int2vector', 'oidvector'),"
    "       CASE l.collprovider WHEN 'c' THEN l.collcollate IN ('C', 'POSIX')"
    "            WHEN 'd' THEN b.datlocprovider = 'c' AND b.datcollate IN ('C', 'POSIX') ELSE false END,"
    "       CASE WHEN a.attidentity = 'd' THEN"
    "                format('nextval(%L::regclass)', pg_get_serial_sequence(a.attrelid::regclass::text, a.attname))"
    "            WHEN a.attgenerated = '' THEN"
    "                coalesce(pg_get_expr(d.adbin, d.adrelid), pg_get_expr(t.typdefaultbin, 0)) END,"
    "       CASE WHEN array_position(i.indkey::int2[], a.attnum) < i.indnkeyatts"
    "            THEN array_position(i.indkey::int2[], a.attnum) END,"
    "       coalesce(l.collisdeterministic, true)"
    "  FROM pg_attribute AS a"
    "  JOIN pg_type AS t ON t.oid = a.atttypid"
    "  JOIN pg_database AS b ON b.datname = current_database()"
    "  LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
    "  LEFT JOIN pg_index AS i ON i.indrelid = a.attrelid AND i.indisprimary"
    "  LEFT JOIN pg_collation AS l ON l.oid = a.attcollation"
    " WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped"
    " ORDER BY a.attnum";

enum {
    COLUMN_NAME,
    COLUMN_TYPE,
    COLUMN_FORMAT,
    COLUMN_CAST,
    COLUMN_OID,
    COLUMN_MODIFIER,
    COLUMN_NOT_NULL,
    COLUMN_GENERATED,
    COLUMN_ARRAY,
    COLUMN_BY_BYTES,
    COLUMN_DEFAULT,
    COLUMN_KEY,
    COLUMN_DETERMINISTIC,
};

static void copy_name(char ret[LEAT_NAME_MAX + 1], const PGresult *result, int row, int column)
{
    snprintf(ret, LEAT_NAME_MAX + 1, "%s", PQgetvalue(result, row, column));
}

static const char *kind_name(char kind)
{
    switch (kind) {
    case 'v':
        return "a view";
    case 'm':
        return "a materialized view";
    case 'f':
        return "a foreign table";
    case 'i':
        return "an index";
    case 'S':
        return "a sequence";
    default:
        return "of another kind";
    }
}

/* 1: it is UNLOGGED. */
static int check_table(const leat_pg *pg, const char *label, const PGresult *found,
                       leat_error *error)
{
    if (PQntuples(found) == 0)
        return leat_fail(
            error,
            "table %s: not found in %s (search_path counts, without schema leat; schema.name is exact)",
            label, pg->where);
    char kind = PQgetvalue(found, 0, TABLE_KIND)[0];
    if (kind != 'r' && kind != 'p')
        return leat_fail(error, "table %s in %s: it is %s, a table is needed", label, pg->where,
                         kind_name(kind));
    if (leat_pg_boolean(found, 0, TABLE_RULES))
        return leat_fail(
            error, "table %s in %s: it has rules, which would do something else than leat writes",
            label, pg->where);
    if (!leat_pg_boolean(found, 0, TABLE_HAS_KEY))
        return leat_fail(error, "table %s in %s: it has no primary key", label, pg->where);
    if (PQgetisnull(found, 0, TABLE_UNLOGGED))
        return 0;
    leat_fail(
        error,
        "table %s in %s: %s is UNLOGGED: a crash of the server, or a failover, empties it and "
        "leaves leat's progress, so its writes would be lost (ALTER TABLE %s SET LOGGED)",
        label, pg->where, PQgetvalue(found, 0, TABLE_UNLOGGED),
        PQgetvalue(found, 0, TABLE_UNLOGGED));
    return 1;
}

static void read_column(const PGresult *result, int row, leat_column *ret)
{
    LEAT_ASSERT(row < PQntuples(result));
    copy_name(ret->name, result, row, COLUMN_NAME);
    ret->type = leat_type_by_name(PQgetvalue(result, row, COLUMN_TYPE));
    snprintf(ret->type_name, sizeof ret->type_name, "%s", PQgetvalue(result, row, COLUMN_FORMAT));
    snprintf(ret->cast_name, sizeof ret->cast_name, "%s", PQgetvalue(result, row, COLUMN_CAST));
    ret->type_oid = (uint32_t)leat_pg_integer(result, row, COLUMN_OID);
    ret->type_modifier = (int32_t)leat_pg_integer(result, row, COLUMN_MODIFIER);
    ret->not_null = leat_pg_boolean(result, row, COLUMN_NOT_NULL);
    ret->generated = leat_pg_boolean(result, row, COLUMN_GENERATED);
    ret->is_array = leat_pg_boolean(result, row, COLUMN_ARRAY);
    ret->by_bytes = leat_pg_boolean(result, row, COLUMN_BY_BYTES);
    if (!PQgetisnull(result, row, COLUMN_DEFAULT))
        ret->default_expression = leat_must_strdup(PQgetvalue(result, row, COLUMN_DEFAULT));
    ret->key_position = -1;
}

/* Puts the column into the primary key, when it is part of it. */
static int place_key(const leat_pg *pg, const PGresult *result, int row, leat_table *table,
                     leat_error *error)
{
    LEAT_ASSERT(row < PQntuples(result));
    if (PQgetisnull(result, row, COLUMN_KEY))
        return 0;
    leat_column *column = &table->columns[row];
    int64_t position = leat_pg_integer(result, row, COLUMN_KEY);
    if (position >= LEAT_KEY_COLUMNS_MAX)
        return leat_fail(error, "table %s in %s: its primary key has more than %d columns",
                         table->label, pg->where, LEAT_KEY_COLUMNS_MAX);
    /* Equal keys must be equal bytes: the order of writes is kept by the key's text. */
    if (!leat_pg_boolean(result, row, COLUMN_DETERMINISTIC))
        return leat_fail(error, "table %s in %s: key column %s has a nondeterministic collation",
                         table->label, pg->where, column->name);
    column->key_position = (int8_t)position;
    table->key_columns[position] = (uint32_t)row;
    table->key_count++;
    return 0;
}

static int take_columns(const leat_pg *pg, const PGresult *result, leat_table *table,
                        leat_error *error)
{
    int count = PQntuples(result);
    if (count > LEAT_COLUMNS_MAX)
        return leat_fail(error, "table %s in %s: it has %d columns, at most %d work", table->label,
                         pg->where, count, LEAT_COLUMNS_MAX);
    for (int row = 0; row < count; row++) {
        read_column(result, row, &table->columns[row]);
        table->column_count++;
        if (place_key(pg, result, row, table, error) != 0)
            return -1;
    }
    return 0;
}

static int find_table(leat_pg *pg, const char *label, leat_table *ret, char *ret_oid, size_t size,
                      leat_error *error)
{
    if (strlen(label) >= sizeof ret->label)
        return leat_fail(error, "table %s: the name is too long", label);
    snprintf(ret->label, sizeof ret->label, "%s", label);
    PGresult *found = leat_pg_query(pg, find_table_sql, 1, &label, error);
    if (!found)
        return leat_fail_prefix(error, "table %s", label);
    int status = check_table(pg, label, found, error);
    if (status == 0) {
        copy_name(ret->schema, found, 0, TABLE_SCHEMA);
        copy_name(ret->name, found, 0, TABLE_NAME);
        ret->is_ordered = leat_pg_boolean(found, 0, TABLE_ORDERED);
        ret->deletes_matter = leat_pg_boolean(found, 0, TABLE_DELETES_MATTER);
        ret->row_triggers = (uint8_t)leat_pg_integer(found, 0, TABLE_ROW_TRIGGERS);
        ret->statement_triggers = (uint8_t)leat_pg_integer(found, 0, TABLE_STATEMENT_TRIGGERS);
        ret->row_security = leat_pg_boolean(found, 0, TABLE_ROW_SECURITY);
        snprintf(ret_oid, size, "%s", PQgetvalue(found, 0, TABLE_OID));
    }
    PQclear(found);
    return status;
}

static int read_columns(leat_pg *pg, const char *oid, leat_table *table, leat_error *error)
{
    PGresult *columns = leat_pg_query(pg, read_columns_sql, 1, &oid, error);
    if (!columns)
        return leat_fail_prefix(error, "table %s", table->label);
    int status = take_columns(pg, columns, table, error);
    PQclear(columns);
    return status;
}

/* A role named leat has our own schema first in its search_path ("$user"), and would find another
 * table before and after `leat init`. Written out, without "$user" and without schemas that do not
 * exist. */
static const char search_path_sql[] =
    "SELECT set_config('search_path', coalesce(string_agg(pg_catalog.quote_ident(s.name), ', ' ORDER BY s.at), ''), true)"
    "  FROM unnest(current_schemas(false)) WITH ORDINALITY AS s (name, at) WHERE s.name <> 'leat'";

/* Defaults are read as text and put into statements as text, so the text must not depend on the
 * reader. */
static const char plain_sql[] =
    "SET LOCAL search_path = ''; SET LOCAL standard_conforming_strings = on; SET LOCAL quote_all_identifiers = off;"
    "SET LOCAL DateStyle = 'ISO, MDY'; SET LOCAL IntervalStyle = 'postgres'; SET LOCAL TimeZone = 'UTC';"
    "SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex'; SET LOCAL array_nulls = on;"
    "SET LOCAL xmlbinary = 'base64'";

/* First all labels are looked up, which needs the search_path; then the columns are read without
 * one, so that the server spells out every name outside pg_catalog and types and defaults mean the
 * same on any other connection. */
static int query_tables(leat_pg *pg, const char *const *labels, uint32_t count, leat_table *ret,
                        uint32_t *ret_at, leat_error *error)
{
    typedef struct oid_text {
        char text[16];
    } oid_text;
    oid_text *oids = leat_must_calloc(count, sizeof *oids);
    int status = leat_pg_run(pg, search_path_sql, error);
    for (uint32_t i = 0; status == 0 && i < count; i++)
        status =
            find_table(pg, labels[ *ret_at = i], &ret[i], oids[i].text, sizeof oids[i].text, error);
    if (status == 0)
        status = leat_pg_run(pg, plain_sql, error);
    for (uint32_t i = 0; status == 0 && i < count; i++)
        status = read_columns(pg, oids[ *ret_at = i].text, &ret[i], error);
    free(oids);
    return status;
}

static int read_tables(const char *dsn, const char *const *labels, uint32_t count, leat_table *ret,
                       leat_error *error)
{
    uint32_t at = count;
    memset(ret, 0, count * sizeof *ret);
    leat_pg pg;
    int status = leat_pg_open(&pg, dsn, error);
    if (status == 0)
        status = query_tables(&pg, labels, count, ret, &at, error);
    leat_pg_close(&pg);
    if (status != 0)
        leat_tables_give_up(labels, count, at, ret);
    return status;
}

const leat_shard_tables_ops leat_pg_tables = {.read = read_tables};
