/*
 * timestamp.h - dates and times as text and in PostgreSQL's count, from 2000-01-01: RFC 3339 with
 * an offset (timestamptz) and without (timestamp), a date, a time of day. Years 0001 to 9999, at
 * most 6 fractional digits, no leap seconds.
 */
#ifndef LEAT_RECORD_TIMESTAMP_H
#define LEAT_RECORD_TIMESTAMP_H

#include "base/base.h"

enum {
    LEAT_TIMESTAMP_MAX = 27, /* bytes of "2026-01-02T03:04:05.123456Z" */
    LEAT_DATE_MAX = 10,      /* bytes of "2026-01-02" */
};

/* "2026-01-02T03:04:05.678+01:00": microseconds in UTC, where the year must be in range too. */
bool leat_timestamp_scan(leat_slice text, int64_t *ret_us);
/* "2026-01-02T03:04:05.678", without an offset. */
bool leat_timestamp_scan_local(leat_slice text, int64_t *ret_us);
/* "2026-01-02": days. */
bool leat_date_scan(leat_slice text, int64_t *ret_days);
/* "03:04:05.678": microseconds of the day. */
bool leat_time_scan(leat_slice text, int64_t *ret_us);

/* Writes the canonical form, without a NUL, and returns its size. */
size_t leat_timestamp_format(int64_t us, char out[LEAT_TIMESTAMP_MAX]);
size_t leat_date_format(int64_t days, char out[LEAT_DATE_MAX]);

#endif
