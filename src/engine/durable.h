/*
 * durable.h - shards whose batches do not wait for the disk. What is *durable*, no crash of the
 * database takes back: a commit that waits makes itself durable, and all that came before it. Of
 * the others a crash takes back the last ones, rows and progress together, and they are read from
 * the log again. Most of the protocol is made for that: a failover may lose the last commits too.
 * What is special is here.
 *
 *   - The log is told only of a low water that is durable (`durable_low`), as it may forget what is
 *     below. Claims and compactions wait for the disk: so it is what a claim has read, or a
 *     compaction has written. One that wrote nothing proves nothing, since PostgreSQL then has
 *     nothing to wait for.
 *   - A crash need not be visible: the server keeps its identity, and some connection may be usable
 *     all the time. So after any loss each partition is looked at (`in_doubt`): the needs of a
 *     compaction are the last batches of all subpartitions, idle ones included. Nothing wrong is
 *     written without it, but what is lost in an idle subpartition would stay so for a minute.
 *     A look that the shard refuses has seen nothing: it is made again after a pause.
 *   - Behind a pooler no connection of ours need be lost (`is_veiled`). Any moment may have been a
 *     crash, so no look is urgent: each partition is looked at in turn, as when it is verified.
 */
#ifndef LEAT_ENGINE_DURABLE_H
#define LEAT_ENGINE_DURABLE_H

#include "engine/state.h"

/* Up to where the log may be told that all is applied; never above the low water. Where batches
 * wait, that is the low water, and O(subpartitions). */
int64_t leat_durable_low(const leat_engine *engine, const leat_partition *partition);
/* The compaction is applied, and its base is not the partition's yet. */
void leat_durable_compacted(leat_engine *engine, leat_partition *partition,
                            const leat_engine_compaction *compaction);

#endif
