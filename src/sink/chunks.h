/*
 * chunks.h - the chunks of a park, made before its transaction begins, and what both kinds of shard
 * know of a chunk in its table. Not for use outside src/sink.
 */
#ifndef LEAT_SINK_CHUNKS_H
#define LEAT_SINK_CHUNKS_H

#include "base/buf.h"
#include "engine/batch.h"

/* One after the other. Zeroed at first. */
typedef struct leat_sink_chunks {
    leat_buf bytes;
    size_t ends[LEAT_BATCH_CUTS_MAX];
    int64_t oldest_ms[LEAT_BATCH_CUTS_MAX];
} leat_sink_chunks;

/* Makes a chunk of each cut, in place of what was there; payloads are leat_items with their
 * headers. -1: out of memory. */
int leat_sink_chunks_write(leat_sink_chunks *ret, const leat_engine_batch *batch,
                           leat_error *error) LEAT_MUST_CHECK;
leat_slice leat_sink_chunks_at(const leat_sink_chunks *chunks, uint32_t cut);
void leat_sink_chunks_free(leat_sink_chunks *chunks);

/* The column `done` of a chunk that is in this state: of one that nothing was taken from it is the
 * offset before its first. */
int64_t leat_sink_chunk_done(const leat_engine_chunk_step *step);

#endif
