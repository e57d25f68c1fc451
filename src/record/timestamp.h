/*
 * timestamp.h - RFC 3339 to microseconds since 2000-01-01 UTC (PostgreSQL's epoch) and back. Years 0001 to 9999 in UTC,
 * at most 6 fractional digits, no leap seconds.
 */
#ifndef LEAT_TIMESTAMP_H
#define LEAT_TIMESTAMP_H

#include "base/base.h"

enum { LEAT_TIMESTAMP_MAX = 27 }; /* bytes of "2026-01-02T03:04:05.123456Z" */

bool leat_timestamp_scan(leat_slice text, int64_t *ret_us);
/* Writes the canonical form, without a NUL, and returns its size. */
size_t leat_timestamp_format(int64_t us, char out[LEAT_TIMESTAMP_MAX]);

#endif
