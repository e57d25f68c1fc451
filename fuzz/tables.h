/* tables.h - the tables and routes that the targets write through. */
#ifndef FUZZ_TABLES_H
#define FUZZ_TABLES_H

#include "record/route.h"

typedef struct fuzz_column {
    const char *name;
    leat_type type;
    int32_t type_modifier;
    bool not_null;
    const char *default_text;
    leat_column_op op;
} fuzz_column;

/* A route to a table with these columns; the first `key_count` are its key. The table lives until
 * the process ends. */
void fuzz_route(const char *path, const fuzz_column *columns, uint32_t count, uint32_t key_count,
                leat_route *ret);

#endif
