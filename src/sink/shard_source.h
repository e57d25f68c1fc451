/*
 * shard_source.h - what every kind of shard stores of a source. Pure. Not for use outside src/sink.
 */
#ifndef LEAT_SHARD_SOURCE_H
#define LEAT_SHARD_SOURCE_H

#include "sink/shard.h"

/* The same in every shard, whatever other sources each of them has; another one when the topic is made anew, so that
 * rows of the old one that were left behind are never taken for its own. Never 0. */
int32_t leat_source_id(const leat_source *source);
/* Appends {"partitions": 4, "shards": [{"name": "a", "first": 0, "count": 2}, ...]}. */
void leat_layout_json(const leat_layout *layout, leat_buf *out);

#endif
