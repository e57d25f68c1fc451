/*
 * modes.h - leat.modes: which way the writes of a route go (record/mode.h), in one shard. A change
 * is three calls: begin, which closes the keys that move; then whatever has to be waited for; then
 * settle, which opens them. Each may be repeated after a crash. Blocking, as shard.h is; none is
 * for a SQLite file.
 */
#ifndef LEAT_SINK_MODES_H
#define LEAT_SINK_MODES_H

#include "record/mode.h"
#include "sink/shard.h"

typedef struct leat_mode_row {
    char route[LEAT_NAME_MAX + 1];
    leat_mode_setting setting;
    uint32_t before; /* the version before it; 0: none */
    char since[LEAT_CONTROL_TIME_SIZE];
} leat_mode_row;

typedef struct leat_mode_rows {
    uint32_t count;
    leat_mode_row rows[LEAT_ROUTES_MAX];
} leat_mode_rows;

/* By route. */
int leat_shard_read_modes(leat_shard_address at, int32_t source_id, leat_mode_rows *ret,
                          leat_error *error) LEAT_MUST_CHECK;
/* The same over the connection of a reporter. */
int leat_shard_reporter_read_modes(leat_shard_reporter *reporter, leat_mode_rows *ret,
                                   leat_error *error) LEAT_MUST_CHECK;
/* Stores the shares, in points; `ret` is then the route's row. The first ones of a route are a
 * change from all keys in the log. Nothing changes where they are stored already. A change that is
 * under way may be turned round; while it goes to other shares than those before it nothing
 * happens: 1, and `ret` is that one. */
int leat_shard_begin_mode(leat_shard_address at, int32_t source_id, const char *route,
                          uint32_t async, uint32_t shadow, leat_mode_row *ret,
                          leat_error *error) LEAT_MUST_CHECK;
/* Waits for the end of every write that was let through before the row's version; a write that
 * comes later by an older one is refused. -1 also when that took too long: worth another try. */
int leat_shard_await_writes(leat_shard_address at, int32_t source_id, const leat_mode_row *row,
                            leat_error *error) LEAT_MUST_CHECK;
/* Keys of the table ("schema.table") that are held. */
int leat_shard_count_held(leat_shard_address at, int32_t source_id, const char *table, int64_t *ret,
                          leat_error *error) LEAT_MUST_CHECK;
/* The keys that the change of this row has closed are open. -1 also if it is another one, or was
 * turned round. `look`, unless NULL, is the last look at whether they may be, by other connections,
 * while the transaction of the change is open: a crash of the shard ends that, so nothing that was
 * seen is lost once it is committed. Not 0: they may not, or `error`. */
int leat_shard_settle_mode(leat_shard_address at, int32_t source_id, const leat_mode_row *row,
                           int (*look)(void *context, leat_error *error), void *context,
                           leat_error *error) LEAT_MUST_CHECK;

#endif
