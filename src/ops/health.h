/*
 * health.h - the content of a health page: ready, ready with some parts degraded, or not ready and
 * why. The part that knows fills it; written as JSON. Not thread-safe; one owner.
 */
#ifndef LEAT_OPS_HEALTH_H
#define LEAT_OPS_HEALTH_H

#include "base/buf.h"

/* Zeroed is ready, with nothing degraded. */
typedef struct leat_health {
    bool unready;
    leat_buf reason;   /* why it is not ready */
    leat_buf degraded; /* texts, each with its NUL */
} leat_health;

void leat_health_free(leat_health *health);
void leat_health_set_unready(leat_health *health, const char *format, ...) LEAT_PRINTF(2, 3);
/* One more part that is in trouble, whether ready or not. */
void leat_health_add_degraded(leat_health *health, const char *format, ...) LEAT_PRINTF(2, 3);
/* Appends {"status":"ok"|"degraded"|"unready","reason":"...","degraded":["...",...]}; the last two
 * where there are any. Marks `out` as failed when out of memory. */
void leat_health_write(const leat_health *health, leat_buf *out);

#endif
