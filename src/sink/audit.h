/*
 * audit.h - a shard asked for proof: how far its progress is, what became of records, and whether
 * rows are as their writes say. For `leat verify`. Blocking, like shard.h; it only reads, takes no
 * lock that a batch waits for, and each question ends in time. One connection that stays open; one
 * thread at a time.
 *
 * Between begin and end all answers are of one moment: a worker that goes on meanwhile changes
 * nothing of them. Keep that short: a database cannot clean up behind it.
 */
#ifndef LEAT_SINK_AUDIT_H
#define LEAT_SINK_AUDIT_H

#include "record/key_state.h"
#include "record/write_waits.h"
#include "sink/shard.h"

typedef struct leat_shard_audit leat_shard_audit;

enum { LEAT_AUDIT_ROWS_MAX = 500, LEAT_AUDIT_WRITES_MAX = 2000 };

/* Without connecting. `subpartitions`: of each partition. */
leat_shard_audit *leat_shard_audit_new(leat_shard_address at, int32_t source_id,
                                       uint32_t subpartitions);
/* Connects when it has to. After an error of any call the moment is over. */
int leat_shard_audit_begin(leat_shard_audit *audit, leat_error *error) LEAT_MUST_CHECK;
void leat_shard_audit_end(leat_shard_audit *audit);

/* Of each subpartition the offset that it has reached. 1: the shard has no progress of that
 * partition. */
int leat_shard_audit_reached(leat_shard_audit *audit, uint32_t partition, int64_t *ret,
                             leat_error *error) LEAT_MUST_CHECK;

/* As leat_shard_reporter_read_writes, of at most LEAT_AUDIT_WRITES_MAX writes; and whether they
 * were removed. */
int leat_shard_audit_writes(leat_shard_audit *audit, const leat_write_question *questions,
                            uint32_t count, leat_write_answer *ret,
                            leat_error *error) LEAT_MUST_CHECK;

/* A row that is looked at. Borrowed. */
typedef struct leat_audit_row {
    const leat_value *key; /* as in leat_key */
    const leat_key_state *state;
} leat_audit_row;

typedef struct leat_audit_answer {
    bool is_there;
    uint64_t differs;   /* columns that are known, and are not so in the row */
    uint64_t undecided; /* columns that are known and cannot be compared */
} leat_audit_answer;

/* Compares at most LEAT_AUDIT_ROWS_MAX rows of a route's table, in the columns of `columns`. Of one
 * that is not there no column differs. */
int leat_shard_audit_rows(leat_shard_audit *audit, const leat_route *route, uint64_t columns,
                          const leat_audit_row *rows, uint32_t count, leat_audit_answer *ret,
                          leat_error *error) LEAT_MUST_CHECK;

void leat_shard_audit_free(leat_shard_audit *audit); /* NULL: none */

#endif
