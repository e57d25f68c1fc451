/*
 * privileges.c - the privileges that leat's role needs and lacks. One query asks PostgreSQL's own
 * privilege functions, because grants may come from any role it is a member of, and PUBLIC. The
 * GRANT statements are written from the same rows, so the advice always matches the finding.
 */
#include "sink/shard_ops.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#include "base/buf.h"
#include "sink/pg/blocking.h"

/* By OID and not by name: a name cannot even be looked up in a schema that may not be used.
 * Everything else that a write runs counts too: sequences and functions of defaults, checks,
 * domains and indexes, also those of partitions. A domain's default belongs to its type. leat
 * writes out types and defaults (`is_text`), so it must find them in their schemas too; to leat the
 * sequence of an identity "by default" is such a default. Where commits do not wait for the disk
 * ($2), an answer about them does, by LEAT_PG_WRITES_LEAST_SQL: versions differ in what else that
 * function takes. */
static const char missing_sql[] =
    "WITH wanted AS (SELECT t.schema, t.name FROM jsonb_to_recordset($1::jsonb) AS t (schema text, name text)),"
    "     roots AS (SELECT c.oid FROM wanted AS w JOIN pg_catalog.pg_namespace AS n ON n.nspname = w.schema"
    "                 JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.name),"
    "     tables AS (SELECT oid FROM roots UNION"
    "                SELECT p.relid::oid FROM roots CROSS JOIN LATERAL pg_catalog.pg_partition_tree(roots.oid) AS p),"
    "     types AS (SELECT t.oid, t.typnamespace, t.typelem FROM pg_catalog.pg_attribute AS a"
    "                 JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid"
    "                WHERE a.attrelid IN (SELECT oid FROM tables) AND a.attnum > 0 AND NOT a.attisdropped),"
    "     expressions AS (SELECT 'pg_attrdef'::regclass AS class, e.oid, true AS is_text FROM pg_catalog.pg_attrdef AS e"
    "                      WHERE e.adrelid IN (SELECT oid FROM tables)"
    "                     UNION ALL"
    "                     SELECT 'pg_constraint'::regclass, k.oid, false FROM pg_catalog.pg_constraint AS k"
    "                      WHERE k.conrelid IN (SELECT oid FROM tables) OR k.contypid IN (SELECT oid FROM types)"
    "                     UNION ALL"
    "                     SELECT 'pg_type'::regclass, t.oid, true FROM types AS t"
    "                     UNION ALL"
    "                     SELECT 'pg_class'::regclass, i.indexrelid, false FROM pg_catalog.pg_index AS i"
    "                      WHERE i.indrelid IN (SELECT oid FROM tables)),"
    "     used AS (SELECT d.refclassid, d.refobjid, e.is_text FROM pg_catalog.pg_depend AS d JOIN expressions AS e"
    "                  ON e.class = d.classid AND e.oid = d.objid),"
    "     sequences AS (SELECT q.oid, q.relnamespace FROM pg_catalog.pg_class AS q WHERE q.relkind = 'S'"
    "                      AND (EXISTS (SELECT FROM used AS u WHERE u.refclassid = 'pg_class'::regclass AND u.refobjid = q.oid)"
    "                           OR EXISTS (SELECT FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_attribute AS a"
    "                                          ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid"
    "                                       WHERE d.classid = 'pg_class'::regclass AND d.objid = q.oid AND d.deptype = 'i'"
    "                                         AND a.attrelid IN (SELECT oid FROM tables) AND a.attidentity = 'd'))),"
    "     functions AS (SELECT f.oid FROM pg_catalog.pg_proc AS f WHERE f.oid IN ("
    "                       SELECT u.refobjid FROM used AS u WHERE u.refclassid = 'pg_proc'::regclass"
    "                       UNION ALL"
    "                       SELECT o.oprcode FROM used AS u JOIN pg_catalog.pg_operator AS o ON o.oid = u.refobjid"
    "                        WHERE u.refclassid = 'pg_operator'::regclass)),"
    "     named AS (SELECT typnamespace AS oid FROM types UNION SELECT relnamespace FROM sequences"
    "               UNION SELECT f.pronamespace FROM pg_catalog.pg_proc AS f JOIN used AS u ON u.refobjid = f.oid"
    "                      WHERE u.refclassid = 'pg_proc'::regclass AND u.is_text"
    "               UNION SELECT e.typnamespace FROM types AS t JOIN pg_catalog.pg_type AS e ON e.oid = t.typelem),"
    "     missing AS ("
    "       SELECT p.privilege, p.at, 'TABLE' AS kind, format('%I.%I', n.nspname, c.relname) AS object"
    "         FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace,"
    "              unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) WITH ORDINALITY AS p (privilege, at)"
    "        WHERE (n.nspname = 'leat' AND c.relkind IN ('r', 'p')"
    "               OR EXISTS (SELECT FROM wanted AS w WHERE w.schema = n.nspname AND w.name = c.relname))"
    "          AND NOT has_table_privilege(c.oid, p.privilege)"
    "        UNION ALL "
    "       SELECT 'USAGE', 1, 'SCHEMA', format('%I', n.nspname) FROM pg_catalog.pg_namespace AS n"
    "        WHERE (n.nspname = 'leat' OR n.nspname IN (SELECT w.schema FROM wanted AS w) OR n.oid IN (SELECT oid FROM named))"
    "          AND NOT has_schema_privilege(n.oid, 'USAGE')"
    "        UNION ALL "
    "       SELECT 'USAGE', 1, 'SEQUENCE', format('%I.%I', n.nspname, q.relname)"
    "         FROM sequences AS s JOIN pg_catalog.pg_class AS q ON q.oid = s.oid"
    "         JOIN pg_catalog.pg_namespace AS n ON n.oid = q.relnamespace"
    "        WHERE NOT has_sequence_privilege(q.oid, 'USAGE') AND NOT has_sequence_privilege(q.oid, 'UPDATE')"
    "        UNION ALL "
    "       SELECT 'EXECUTE', 1, CASE f.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END,"
    "              format('%I.%I(%s)', n.nspname, f.proname, pg_catalog.oidvectortypes(f.proargtypes))"
    "         FROM pg_catalog.pg_proc AS f JOIN pg_catalog.pg_namespace AS n ON n.oid = f.pronamespace"
    "        WHERE (n.nspname = 'leat' OR f.oid IN (SELECT oid FROM functions)"
    "               OR ($2::boolean AND n.nspname = 'pg_catalog' AND f.proname = 'pg_logical_emit_message'"
    "                   AND f.proargtypes[2] = 'text'::regtype))"
    "          AND NOT has_function_privilege(f.oid, 'EXECUTE')),"
    "     lacking AS (SELECT kind, object, string_agg(privilege, ', ' ORDER BY at) AS privileges FROM missing GROUP BY 1, 2)"
    "SELECT kind, privileges, string_agg(object, ', ' ORDER BY object), quote_ident(current_user) FROM lacking"
    " GROUP BY 1, 2 ORDER BY array_position(ARRAY['SCHEMA', 'TABLE', 'SEQUENCE', 'FUNCTION', 'PROCEDURE'], kind), 2";

/* NULL: out of memory. The caller frees it. Names may be of any bytes: the server refuses what is
 * not of its encoding. */
static char *tables_json(const leat_table *tables, uint32_t count)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    yyjson_mut_doc_set_root(doc, list);
    for (uint32_t i = 0; i < count; i++) {
        yyjson_mut_val *table = yyjson_mut_arr_add_obj(doc, list);
        yyjson_mut_obj_add_str(doc, table, "schema", tables[i].schema);
        yyjson_mut_obj_add_str(doc, table, "name", tables[i].name);
    }
    char *text = yyjson_mut_write(doc, YYJSON_WRITE_ALLOW_INVALID_UNICODE, NULL);
    yyjson_mut_doc_free(doc);
    return text;
}

static int query_missing(leat_pg *pg, const char *tables, bool commits_async, leat_buf *ret_missing,
                         leat_buf *ret_grants, leat_error *error)
{
    enum { KIND, PRIVILEGES, OBJECTS, ROLE };
    static const char table[] = "TABLE";
    const char *const values[] = {tables, commits_async ? "true" : "false"};
    PGresult *result = leat_pg_query(pg, missing_sql, 2, values, error);
    if (!result)
        return -1;
    for (int row = 0; row < PQntuples(result); row++) {
        const char *privileges = PQgetvalue(result, row, PRIVILEGES),
                   *kind = PQgetvalue(result, row, KIND);
        const char *objects = PQgetvalue(result, row, OBJECTS);
        bool is_table = strcmp(kind, table) == 0;
        leat_buf_printf(ret_missing, "%s%s on ", row ? "; " : "", privileges);
        for (const char *c = is_table ? "" : kind; *c; c++)
            leat_buf_byte(ret_missing, (char)tolower((unsigned char)*c));
        leat_buf_printf(ret_missing, "%s%s", is_table ? "" : " ", objects);
        leat_buf_printf(ret_grants, "%sGRANT %s ON %s %s TO %s;", row ? "\n" : "", privileges, kind,
                        objects, PQgetvalue(result, row, ROLE));
    }
    PQclear(result);
    return 0;
}

/* Without a search_path types are spelled out, so anybody can run the statements. */
static int read_missing(const char *dsn, const leat_table *tables, uint32_t count,
                        bool commits_async, leat_buf *ret_missing, leat_buf *ret_grants,
                        leat_error *error)
{
    leat_pg pg;
    char *text = tables_json(tables, count);
    int status = leat_pg_open(&pg, dsn, error);
    if (status == 0)
        status = leat_pg_run(&pg, "SET LOCAL search_path TO ''", error);
    if (status == 0)
        status = text ? query_missing(&pg, text, commits_async, ret_missing, ret_grants, error)
                      : leat_fail(error, "out of memory");
    leat_pg_close(&pg);
    free(text);
    return status;
}

const leat_shard_privileges_ops leat_pg_privileges = {.read_missing = read_missing};
