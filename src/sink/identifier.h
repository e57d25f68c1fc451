/*
 * identifier.h - a name in SQL, quoted so that any text can be a name: PostgreSQL and SQLite have
 * the same rule.
 */
#ifndef LEAT_SINK_IDENTIFIER_H
#define LEAT_SINK_IDENTIFIER_H

#include "base/buf.h"

static inline void leat_put_identifier(leat_buf *out, const char *name)
{
    leat_buf_byte(out, '"');
    for (; *name; name++) {
        if (*name == '"')
            leat_buf_byte(out, '"');
        leat_buf_byte(out, *name);
    }
    leat_buf_byte(out, '"');
}

#endif
