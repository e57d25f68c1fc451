/*
 * table.h - leat's knowledge of a table: columns, types, operations, primary key. Read from the
 * database's own catalog by the sink, kept in a file (catalog.h) for the edge, never changed once
 * built.
 */
#ifndef LEAT_RECORD_TABLE_H
#define LEAT_RECORD_TABLE_H

#include "base/buf.h"
#include "base/limits.h"

enum {
    LEAT_KEY_COLUMNS_MAX = 8,
    LEAT_TYPE_NAME_MAX = 4 * LEAT_NAME_MAX + 7, /* two names that consist of quotes, each quoted; a
                                                   dot; "[]" */
};

/* The types leat sends in binary. Everything else (enums, domains, arrays, inet, ...) is
 * LEAT_TYPE_OTHER and travels in its text form. */
typedef enum leat_type {
    LEAT_TYPE_BOOL,
    LEAT_TYPE_INT2,
    LEAT_TYPE_INT4,
    LEAT_TYPE_INT8,
    LEAT_TYPE_FLOAT4,
    LEAT_TYPE_FLOAT8,
    LEAT_TYPE_NUMERIC,
    LEAT_TYPE_TEXT, /* text and varchar(n) */
    LEAT_TYPE_UUID,
    LEAT_TYPE_DATE,
    LEAT_TYPE_TIME,
    LEAT_TYPE_TIMESTAMP,
    LEAT_TYPE_TIMESTAMPTZ,
    LEAT_TYPE_BYTEA,
    LEAT_TYPE_JSONB,
    LEAT_TYPE_JSON,
    LEAT_TYPE_OTHER,
    LEAT_TYPE_COUNT,
} leat_type;

/* The effect of PATCH on a column. */
typedef enum leat_column_op {
    LEAT_OP_SET,
    LEAT_OP_ADD,
    LEAT_OP_APPEND,
    LEAT_OP_MAX,
    LEAT_OP_MIN,
    LEAT_OP_MERGE, /* RFC 7396 */
    LEAT_OP_COUNT,
} leat_column_op;

/* The events of a trigger; bits as in pg_trigger.tgtype. */
enum { LEAT_ON_INSERT = 4, LEAT_ON_DELETE = 8, LEAT_ON_UPDATE = 16, LEAT_ON_ANY = 28 };

typedef struct leat_column {
    char name[LEAT_NAME_MAX + 1];
    leat_type type;
    char type_name[LEAT_TYPE_NAME_MAX + 1]; /* as format_type() prints it, for messages: "character
                                               varying(20)" */
    char cast_name[LEAT_TYPE_NAME_MAX + 1]; /* the type without its modifier, format_type(oid, -1):
                                               text forms are cast to this, so that the column
                                               refuses a value that is too long and the cast does
                                               not cut it */
    uint32_t type_oid;                      /* of the type itself */
    int32_t type_modifier; /* -1: none. varchar(n): n + 4; numeric(p,s): ((p << 16) | (s & 0x7ff)) +
                              4 */
    bool not_null;
    bool generated;           /* generated or identity-always: never written */
    bool is_array;            /* LEAT_TYPE_OTHER: a JSON array is accepted as its value */
    bool by_bytes;            /* text: COLLATE "C" or "POSIX", so that max and min are by bytes */
    char *default_expression; /* SQL text by pg_get_expr, NULL: none. Owned by the table */
    int8_t key_position;      /* place in the primary key from 0, -1: not part of it */
} leat_column;

typedef struct leat_table {
    char schema[LEAT_NAME_MAX + 1];
    char name[LEAT_NAME_MAX + 1];
    char label[2 * LEAT_NAME_MAX + 2]; /* as the configuration names it */
    bool is_ordered; /* has a unique or exclusion constraint besides the primary key: written record
                        by record, in offset order */
    bool deletes_matter; /* a DELETE does more than remove the row (a foreign key refers to it, a
                            trigger on DELETE, an identity column that a new row would count up):
                            never folded with a later write */
    /* Of one shard only, and so neither in the catalog file nor compared by leat_table_alike: */
    uint8_t row_triggers; /* events with a BEFORE trigger for each row, on the table or a partition:
                             it may drop it */
    uint8_t statement_triggers; /* events with a BEFORE trigger for the statement */
    bool row_security;          /* row security applies to leat's role: rows may be hidden */
    uint32_t column_count;
    leat_column columns[LEAT_COLUMNS_MAX];
    uint32_t key_count;
    uint32_t key_columns[LEAT_KEY_COLUMNS_MAX]; /* column indexes in primary-key order */
} leat_table;

/* "bool", "int4", ...; "other". */
const char *leat_type_name(leat_type type);
/* By pg_type.typname ("varchar" and "text" are LEAT_TYPE_TEXT); LEAT_TYPE_OTHER when unknown. */
leat_type leat_type_by_name(const char *typname);
/* May a column of this type be part of a key? bool, int2/4/8, text, uuid, date, timestamptz,
 * bytea. */
bool leat_type_is_key(leat_type type);
bool leat_type_is_integer(leat_type type); /* int2, int4, int8 */
bool leat_type_is_float(leat_type type);   /* float4, float8 */
/* Does this operation work on this column? set: all; add: numbers; max, min: numbers, date, time,
 * timestamp, timestamptz, uuid, bytea, and text that is ordered by its bytes; merge, append: jsonb.
 */
bool leat_op_fits(leat_column_op op, const leat_column *column);
const char *leat_op_name(leat_column_op op);
bool leat_op_by_name(const char *name, leat_column_op *ret_op);

/* Is this the column of that name? The name may be any bytes. */
bool leat_column_is(const leat_column *column, leat_slice name);
/* Index of the column, -1 when there is none of that name. */
int leat_table_column(const leat_table *table, leat_slice name);
/* Are they the same in everything that matters for writing? The OIDs of types do not: types are
 * named, and each database gives its own. */
bool leat_table_equal(const leat_table *a, const leat_table *b);
/* The same in everything that matters for accepting a write, as the tables of all shards must
 * be. */
bool leat_table_alike(const leat_table *a, const leat_table *b);
/* Appends the differences of `to`, for a log line: "column x: added, column y: type integer ->
 * bigint". Nothing when they are equal. */
void leat_table_describe_change(const leat_table *from, const leat_table *to, leat_buf *out);
/* Frees what the columns own and leaves a table without columns. */
void leat_table_fini(leat_table *table);
/* An array from malloc with all it holds; NULL is none. */
void leat_tables_free(leat_table *tables, uint32_t count);
/* Clears `count` tables whose reading failed, except that tables[0].label becomes labels[fault]; ""
 * with `count`. */
void leat_tables_give_up(const char *const *labels, uint32_t count, uint32_t fault,
                         leat_table *tables);

#endif
