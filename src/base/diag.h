/*
 * diag.h - the log of the process: one line for one event, on standard error.
 *
 * A line is a short message in plain English, then key=value pairs (here on two lines):
 *
 *     2026-01-02T03:04:05.678Z warn shard has too few connections shard=eu open=3 wanted=8
 *         reason="connection refused"
 *
 * The message has no names or numbers in it, so one search finds every line of its kind. The keys
 * come in this order, as far as they apply (lint knows no others):
 *
 *     command signal worker loop client brokers url port socket
 *     shard server partition subpartition offset topic group table key tenant file
 *     code facility sqlstate outcome cause state change
 *     records in_flight parked held_keys held_keys_max subpartition_keys subpartition_keys_max
 *         partitions subpartitions sessions statements renewals waiting refused total controls
 *         suppressed
 *     open found in_sync wanted allowed
 *     held_offsets limit_files kept_files wanted_files max_message_bytes body_max_bytes
 *     parked_bytes relation_bytes parked_max_bytes
 *     left_s silent_s stood_s batch_ms usual_ms
 *     reason="..."  the text of a server, a library or the system
 *     advice="..."  where a person has to act: what to do
 *
 * One thing has one key everywhere. A count has what it counts in its name, or the message says it:
 * `wanted` is always the number that there should be. Times are UTC; levels are debug, info, warn,
 * error.
 *
 * Any thread may call; a line is written by one write(2) and made harmless by printable.h. When
 * nobody reads standard error any longer, lines are dropped and counted, because a loop must not
 * wait for a reader. Never pass a secret: a DSN is named, not shown.
 */
#ifndef LEAT_BASE_DIAG_H
#define LEAT_BASE_DIAG_H

#include "base/base.h"

typedef enum leat_level { LEAT_DEBUG, LEAT_INFO, LEAT_WARN, LEAT_ERROR } leat_level;

/* Lines below `level` are not written. Called once, before other threads start. */
void leat_diag_level(leat_level level);
bool leat_diag_parse_level(const char *name, leat_level *ret_level);
void leat_diag(leat_level level, const char *format, ...) LEAT_PRINTF(2, 3);
/* The message of a command that fails: a line without time and level. */
void leat_print_error(const char *format, ...) LEAT_PRINTF(1, 2);

#define leat_debug(...) leat_diag(LEAT_DEBUG, __VA_ARGS__)
#define leat_info(...)  leat_diag(LEAT_INFO, __VA_ARGS__)
#define leat_warn(...)  leat_diag(LEAT_WARN, __VA_ARGS__)
#define leat_err(...)   leat_diag(LEAT_ERROR, __VA_ARGS__)

#endif
