/*
 * Facts about types and columns, in tables: a new type gets one line here and one in the tables of
 * value.c, value_scan.c, value_binary.c, compare.c and body.c. Which types may be keys is a matter
 * of equality: only those whose equal values have one canonical text.
 */
#include "record/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The facts that operations rely on. */
enum { KIND_ANY = 1, KIND_NUMBER = 2, KIND_ORDERED = 4, KIND_ORDERED_BY_BYTES = 8, KIND_JSON = 16 };

typedef struct type_facts {
    const char *name;
    bool is_key;
    unsigned kinds;
} type_facts;

static const type_facts types[LEAT_TYPE_COUNT] = {
    [LEAT_TYPE_BOOL] = {"bool", true, KIND_ANY},
    [LEAT_TYPE_INT2] = {"int2", true, KIND_ANY | KIND_NUMBER | KIND_ORDERED},
    [LEAT_TYPE_INT4] = {"int4", true, KIND_ANY | KIND_NUMBER | KIND_ORDERED},
    [LEAT_TYPE_INT8] = {"int8", true, KIND_ANY | KIND_NUMBER | KIND_ORDERED},
    [LEAT_TYPE_FLOAT4] = {"float4", false, KIND_ANY | KIND_NUMBER | KIND_ORDERED},
    [LEAT_TYPE_FLOAT8] = {"float8", false, KIND_ANY | KIND_NUMBER | KIND_ORDERED},
    [LEAT_TYPE_NUMERIC] = {"numeric", false, KIND_ANY | KIND_NUMBER | KIND_ORDERED},
    [LEAT_TYPE_TEXT] = {"text", true, KIND_ANY | KIND_ORDERED_BY_BYTES},
    [LEAT_TYPE_UUID] = {"uuid", true, KIND_ANY | KIND_ORDERED},
    [LEAT_TYPE_DATE] = {"date", true, KIND_ANY | KIND_ORDERED},
    [LEAT_TYPE_TIME] = {"time", false, KIND_ANY | KIND_ORDERED},
    [LEAT_TYPE_TIMESTAMP] = {"timestamp", false, KIND_ANY | KIND_ORDERED},
    [LEAT_TYPE_TIMESTAMPTZ] = {"timestamptz", true, KIND_ANY | KIND_ORDERED},
    [LEAT_TYPE_BYTEA] = {"bytea", true, KIND_ANY | KIND_ORDERED},
    [LEAT_TYPE_JSONB] = {"jsonb", false, KIND_ANY | KIND_JSON},
    [LEAT_TYPE_JSON] = {"json", false, KIND_ANY},
    [LEAT_TYPE_OTHER] = {"other", false, KIND_ANY},
};

static const struct {
    const char *name;
    unsigned kinds; /* any of them will do */
} ops[LEAT_OP_COUNT] = {
    [LEAT_OP_SET] = {"set", KIND_ANY},        [LEAT_OP_ADD] = {"add", KIND_NUMBER},
    [LEAT_OP_APPEND] = {"append", KIND_JSON}, [LEAT_OP_MAX] = {"max", KIND_ORDERED},
    [LEAT_OP_MIN] = {"min", KIND_ORDERED},    [LEAT_OP_MERGE] = {"merge", KIND_JSON},
};

const char *leat_type_name(leat_type type)
{
    LEAT_ASSERT((unsigned)type < LEAT_TYPE_COUNT);
    return types[type].name;
}

leat_type leat_type_by_name(const char *typname)
{
    if (strcmp(typname, "varchar") == 0)
        return LEAT_TYPE_TEXT;
    for (unsigned i = 0; i < LEAT_TYPE_COUNT; i++)
        if (strcmp(types[i].name, typname) == 0)
            return (leat_type)i;
    return LEAT_TYPE_OTHER;
}

bool leat_type_is_key(leat_type type)
{
    LEAT_ASSERT((unsigned)type < LEAT_TYPE_COUNT);
    return types[type].is_key;
}

bool leat_type_is_integer(leat_type type)
{
    return type == LEAT_TYPE_INT2 || type == LEAT_TYPE_INT4 || type == LEAT_TYPE_INT8;
}

bool leat_type_is_float(leat_type type)
{
    return type == LEAT_TYPE_FLOAT4 || type == LEAT_TYPE_FLOAT8;
}

bool leat_op_fits(leat_column_op op, const leat_column *column)
{
    LEAT_ASSERT((unsigned)op < LEAT_OP_COUNT && (unsigned)column->type < LEAT_TYPE_COUNT);
    unsigned kinds = types[column->type].kinds;
    if ((kinds & KIND_ORDERED_BY_BYTES) && column->by_bytes)
        kinds |= KIND_ORDERED;
    return (ops[op].kinds & kinds) != 0;
}

const char *leat_op_name(leat_column_op op)
{
    LEAT_ASSERT((unsigned)op < LEAT_OP_COUNT);
    return ops[op].name;
}

bool leat_op_by_name(const char *name, leat_column_op *ret_op)
{
    for (unsigned i = 0; i < LEAT_OP_COUNT; i++) {
        if (strcmp(ops[i].name, name) == 0) {
            *ret_op = (leat_column_op)i;
            return true;
        }
    }
    return false;
}

bool leat_column_is(const leat_column *column, leat_slice name)
{
    return name.size > 0 && name.size <= LEAT_NAME_MAX && column->name[0] == name.data[0] &&
           column->name[name.size] == '\0' && memcmp(column->name, name.data, name.size) == 0 &&
           !memchr(name.data, '\0', name.size);
}

int leat_table_column(const leat_table *table, leat_slice name)
{
    for (uint32_t i = 0; i < table->column_count; i++)
        if (leat_column_is(&table->columns[i], name))
            return (int)i;
    return -1;
}

void leat_table_fini(leat_table *table)
{
    for (uint32_t i = 0; i < table->column_count; i++) {
        free(table->columns[i].default_expression);
        table->columns[i].default_expression = NULL;
    }
    table->column_count = 0;
    table->key_count = 0;
}

void leat_tables_free(leat_table *tables, uint32_t count)
{
    for (uint32_t i = 0; tables && i < count; i++)
        leat_table_fini(&tables[i]);
    free(tables);
}

void leat_tables_give_up(const char *const *labels, uint32_t count, uint32_t fault,
                         leat_table *tables)
{
    for (uint32_t i = 0; i < count; i++)
        leat_table_fini(&tables[i]);
    if (count > 0)
        snprintf(tables[0].label, sizeof tables[0].label, "%s", fault < count ? labels[fault] : "");
}
