/*
 * shard_source.h - what every kind of shard stores about a source. Pure. Not for use outside
 * src/sink.
 */
#ifndef LEAT_SINK_SHARD_SOURCE_H
#define LEAT_SINK_SHARD_SOURCE_H

#include "sink/shard.h"

/* The same in every shard, whatever other sources each of them has; another one when the topic is
 * recreated, so that rows of the old one that were left behind are never taken for its own. Never
 * 0. */
int32_t leat_source_id(const leat_source *source);
/* {"partitions":4,"shards":[{"name":"a","first":0,"count":2}, ...],
 * "tenants":{"count":9,"digest":"..."}}, the last where there are some: the caller frees it. NULL:
 * out of memory. The slots of tenants, and those with an entry, are stored apart. */
char *leat_layout_to_json(const leat_layout *layout);

enum { LEAT_DIGEST_SIZE = 17 };
/* What that says of tenants: how many, 0 and "" where it says nothing, and their digest. -1: it
 * makes no sense. */
int leat_layout_read_tenants(leat_layout *layout, int64_t count, const char *digest,
                             leat_error *error);

/* Whose partitions these are, `first` to `last` as a database holds them: puts the shard's name
 * there. -1: they belong to no shard, or to several. */
int leat_layout_name_shard(const leat_layout *layout, uint32_t first, uint32_t last,
                           const char *where, char ret[LEAT_NAME_MAX + 1], leat_error *error);

#endif
