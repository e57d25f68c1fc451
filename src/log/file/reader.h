/*
 * reader.h - the reader's state, shared by reader.c and range.c; nothing else includes it. All of
 * it is used on its loop's thread only.
 */
#ifndef LEAT_LOG_FILE_READER_H
#define LEAT_LOG_FILE_READER_H

#include "log/file/file_log.h"

enum { LEAT_LOCAL_BATCH_RECORDS = 256 };

typedef enum leat_local_part_state {
    LEAT_LOCAL_PART_FOREIGN, /* another reader's */
    LEAT_LOCAL_PART_NEW,     /* ours; not reported yet */
    LEAT_LOCAL_PART_HELD,    /* not sought, not read */
    LEAT_LOCAL_PART_SOUGHT,  /* its range is to be checked in the next turn */
    LEAT_LOCAL_PART_READING,
    LEAT_LOCAL_PART_BROKEN,
} leat_local_part_state;

typedef struct leat_local_reader_part {
    leat_local_part_state state;
    bool paused;
    uint32_t generation; /* of the seek */
    int64_t low;         /* as the seek gave it */
    int64_t high;
    int64_t high_ms;      /* 0: not known */
    int64_t next;         /* the offset to read; -1: the log's first */
    int64_t committed;    /* the offset last committed; -1: none */
    sqlite3_stmt *select; /* NULL: not needed yet */
    uint32_t batch_at;    /* records read, not yet taken by the caller */
    uint32_t batch_count;
    leat_local_record *batch[LEAT_LOCAL_BATCH_RECORDS];
} leat_local_reader_part;

typedef struct leat_local_reader {
    leat_log_reader base;
    uv_async_t wake;
    uv_timer_t retry;
    uint32_t open_handles;
    leat_reader_events events;
    leat_local_log *log;
    leat_local_listener listener;
    sqlite3 *db;
    leat_local_reader_part *parts; /* [log->head.partition_count] */
    uint32_t turn;                 /* the partition whose turn is next */
    size_t handed;                 /* records with the caller */
    int64_t committed_us;          /* when the last commit without an answer was begun; 0: none */
    bool other_log;                /* it was made for the identity of another file */
    bool has_failed;
} leat_local_reader;

/* ---- reader.c ---- */

/* Changes the state; asserts that the new one may follow. */
void leat_local_part_enter(leat_local_reader_part *part, leat_local_part_state state);
void leat_local_break_part(leat_local_reader *reader, uint32_t partition, const char *reason);
/* SQLite's error: reading is tried again soon, or the log is broken for this process. */
void leat_local_reader_fail(leat_local_reader *reader, int code);

/* ---- range.c ---- */

/* Checks a partition that is sought: afterwards it is being read, or broken. */
void leat_local_check_range(leat_local_reader *reader, uint32_t partition);
/* The record at `next` is missing: was it deleted meanwhile because it was applied? */
void leat_local_on_hole(leat_local_reader *reader, uint32_t partition);

#endif
