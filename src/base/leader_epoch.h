/* leader_epoch.h - does a record belong to the log that others of it were read from? Pure. Used by
 * the log's readers and by the engine, which must not know each other. */
#ifndef LEAT_BASE_LEADER_EPOCH_H
#define LEAT_BASE_LEADER_EPOCH_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Was the record at `offset`, with leader epoch `epoch`, written to the log in which the epochs up
 * to `seen_epoch` were seen, none of them after the offset `seen`? Each election of a leader has a
 * higher epoch, and along a log epochs never fall: at or below `seen` it is at most `seen_epoch`,
 * above it at least. -1 for either epoch: not known, so nothing speaks against it.
 */
static inline bool leat_leader_epoch_fits(int64_t seen, int32_t seen_epoch, int64_t offset,
                                          int32_t epoch)
{
    if (seen_epoch < 0 || epoch < 0)
        return true;
    return offset > seen ? epoch >= seen_epoch : epoch <= seen_epoch;
}

#endif
