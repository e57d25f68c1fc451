/*
 * chunk.h - records of one subpartition as one value of leat.parked: as they were in the log, so
 * that what comes out later takes the same way as from the log, whatever routes and tables are by
 * then. Pure; one thread for each writer or chunk.
 *
 * A chunk is a byte with its format, the number of its records, the size of what was compressed
 * (both as in base/varint.h) and a zstd frame with a checksum. In the frame each record is: its
 * offset (of the first itself, of others the distance from the one before), the differences of its
 * timestamp and epoch to the one before (0 and 0 before the first), then key, value and packed
 * headers (record/headers.h); key and value by size plus one, or 0 where there is none. A format
 * never changes; another one gets another number, and is written only once everybody who may claim
 * the partition reads it.
 */
#ifndef LEAT_RECORD_CHUNK_H
#define LEAT_RECORD_CHUNK_H

#include "base/buf.h"
#include "record/item.h"

enum {
    LEAT_CHUNK_FORMAT = 1, /* the one that is written: leat.parked.codec */
    LEAT_CHUNK_RECORDS_MAX = 65536,
    /* Of what is compressed. A chunk is cut at about 1 MiB; more has only one with a larger record,
     * and the log's client takes no message of more than 100 MB. */
    LEAT_CHUNK_RAW_MAX = 128 * 1024 * 1024,
};

/* ---- writing ---- */

/* Zeroed before its first use; used again for the next chunk. */
typedef struct leat_chunk_writer {
    leat_buf raw;
    uint32_t count;
    int64_t offset; /* of the last record; likewise the next two */
    int64_t accepted_ms;
    int32_t epoch;
} leat_chunk_writer;

/* Copies a record whose headers are filled in; offsets ascend. */
void leat_chunk_add(leat_chunk_writer *writer, const leat_item *item);
/* Appends the chunk of the records added since the last one to `out`. -1, and nothing appended: out
 * of memory, or too large. */
int leat_chunk_end(leat_chunk_writer *writer, leat_buf *out, leat_error *error) LEAT_MUST_CHECK;
void leat_chunk_writer_fini(leat_chunk_writer *writer);

/* ---- reading ---- */

typedef struct leat_chunk_reader {
    char *raw; /* what the records borrow; by malloc, and the caller's */
    leat_slice rest;
    uint32_t count; /* of its records */
    uint32_t taken;
    int64_t offset;
    int64_t accepted_ms;
    int32_t epoch;
} leat_chunk_reader;

/* `format`: what leat.parked says. -1, and nothing to free: not known, damaged, or out of
 * memory. */
int leat_chunk_open(int format, leat_slice bytes, leat_chunk_reader *ret,
                    leat_error *error) LEAT_MUST_CHECK;
/* The next record, without its partition, and all its headers, packed. 1: it is there, 0: there is
 * none left, -1: the chunk is damaged. */
int leat_chunk_next(leat_chunk_reader *chunk, leat_record *ret, leat_slice *ret_headers,
                    leat_error *error) LEAT_MUST_CHECK;

#endif
