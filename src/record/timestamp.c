/*
 * RFC 3339 by hand instead of strptime: the locale must not matter, the fraction has up to six
 * digits, and what PostgreSQL would accept but round or shift (second 60, a seventh digit) has to
 * be refused before it is in the log. Days are counted from year 1 in the proleptic Gregorian
 * calendar, as PostgreSQL counts them.
 */
#include "record/timestamp.h"

#include <string.h>

static const int64_t us_per_second = 1000000;
static const int64_t us_per_day = 86400 * 1000000LL;

enum {
    DAYS_PER_400_YEARS = 146097,
    DAYS_PER_100_YEARS = 36524,
    DAYS_PER_4_YEARS = 1461,
    DAYS_TO_EPOCH = 730119, /* from 0001-01-01 to 2000-01-01 */
    DAYS_TO_YEAR_10000 = 3652059,
};

/* Days of a common year before each month. */
static const int32_t days_before_month[] = {0,   31,  59,  90,  120, 151, 181,
                                            212, 243, 273, 304, 334, 365};

static bool is_leap(int32_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int32_t days_in_month(int32_t year, int32_t month)
{
    return days_before_month[month] - days_before_month[month - 1] +
           (month == 2 && is_leap(year) ? 1 : 0);
}

/* Days from 0001-01-01 to the first day of the year, and of the month. */
static int32_t days_to_month(int32_t year, int32_t month)
{
    int32_t before = year - 1;
    return before * 365 + before / 4 - before / 100 + before / 400 + days_before_month[month - 1] +
           (month > 2 && is_leap(year) ? 1 : 0);
}

/* The number in exactly `count` digits, -1 when they are not all digits. */
static int32_t take_number(leat_slice *rest, size_t count)
{
    if (rest->size < count)
        return -1;
    int32_t number = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned digit = (unsigned)(unsigned char)rest->data[i] - '0';
        if (digit > 9)
            return -1;
        number = number * 10 + (int32_t)digit;
    }
    rest->data += count;
    rest->size -= count;
    return number;
}

static bool take_date(leat_slice *rest, int64_t *ret_days)
{
    int32_t year = take_number(rest, 4);
    if (year < 1 || !leat_slice_take(rest, '-'))
        return false;
    int32_t month = take_number(rest, 2);
    if (month < 1 || month > 12 || !leat_slice_take(rest, '-'))
        return false;
    int32_t day = take_number(rest, 2);
    if (day < 1 || day > days_in_month(year, month))
        return false;
    *ret_days = days_to_month(year, month) + day - 1;
    return true;
}

/* ".678", or nothing. */
static bool take_fraction(leat_slice *rest, int64_t *ret_us)
{
    *ret_us = 0;
    if (!leat_slice_take(rest, '.'))
        return true;
    int64_t unit = us_per_second;
    int64_t us = 0;
    while (rest->size > 0 && rest->data[0] >= '0' && rest->data[0] <= '9') {
        unit /= 10;
        if (unit == 0)
            return false;
        us += unit * take_number(rest, 1);
    }
    *ret_us = us;
    return unit < us_per_second;
}

static bool take_clock(leat_slice *rest, int64_t *ret_us)
{
    int32_t hour = take_number(rest, 2);
    if (hour < 0 || hour > 23 || !leat_slice_take(rest, ':'))
        return false;
    int32_t minute = take_number(rest, 2);
    if (minute < 0 || minute > 59 || !leat_slice_take(rest, ':'))
        return false;
    int32_t second = take_number(rest, 2);
    int64_t fraction = 0;
    if (second < 0 || second > 59 || !take_fraction(rest, &fraction))
        return false;
    *ret_us = (hour * 3600 + minute * 60 + second) * us_per_second + fraction;
    return true;
}

/* "Z" or "+05:30": how far local time is ahead of UTC. */
static bool take_offset(leat_slice *rest, int64_t *ret_us)
{
    if (leat_slice_take(rest, 'Z') || leat_slice_take(rest, 'z')) {
        *ret_us = 0;
        return true;
    }
    bool is_behind = leat_slice_take(rest, '-');
    if (!is_behind && !leat_slice_take(rest, '+'))
        return false;
    int32_t hour = take_number(rest, 2);
    if (hour < 0 || hour > 23 || !leat_slice_take(rest, ':'))
        return false;
    int32_t minute = take_number(rest, 2);
    if (minute < 0 || minute > 59)
        return false;
    int64_t ahead = (hour * 60 + minute) * 60 * us_per_second;
    *ret_us = is_behind ? -ahead : ahead;
    return true;
}

/* From 0001-01-01, by the clock of the text. */
static bool take_date_and_clock(leat_slice *rest, int64_t *ret_us)
{
    int64_t days, clock;
    if (!take_date(rest, &days) || !(leat_slice_take(rest, 'T') || leat_slice_take(rest, 't')) ||
        !take_clock(rest, &clock))
        return false;
    *ret_us = days * us_per_day + clock;
    return true;
}

bool leat_timestamp_scan(leat_slice text, int64_t *ret_us)
{
    int64_t local, ahead;
    if (!take_date_and_clock(&text, &local) || !take_offset(&text, &ahead) || text.size != 0)
        return false;
    int64_t since_year_1 = local - ahead;
    /* The offset may have led out of the years that can be written again. */
    if (since_year_1 < 0 || since_year_1 >= DAYS_TO_YEAR_10000 * us_per_day)
        return false;
    *ret_us = since_year_1 - DAYS_TO_EPOCH * us_per_day;
    return true;
}

bool leat_timestamp_scan_local(leat_slice text, int64_t *ret_us)
{
    int64_t since_year_1;
    if (!take_date_and_clock(&text, &since_year_1) || text.size != 0)
        return false;
    *ret_us = since_year_1 - DAYS_TO_EPOCH * us_per_day;
    return true;
}

bool leat_date_scan(leat_slice text, int64_t *ret_days)
{
    int64_t since_year_1;
    if (!take_date(&text, &since_year_1) || text.size != 0)
        return false;
    *ret_days = since_year_1 - DAYS_TO_EPOCH;
    return true;
}

bool leat_time_scan(leat_slice text, int64_t *ret_us)
{
    int64_t clock;
    if (!take_clock(&text, &clock) || text.size != 0)
        return false;
    *ret_us = clock;
    return true;
}

/* From days since 0001-01-01. A period's last day is its leap day, so whole smaller periods are
 * capped at one less. */
static void split_days(int32_t days, int32_t *ret_year, int32_t *ret_month, int32_t *ret_day)
{
    int32_t year = 1 + days / DAYS_PER_400_YEARS * 400;
    days %= DAYS_PER_400_YEARS;
    int32_t centuries = days / DAYS_PER_100_YEARS;
    centuries = centuries > 3 ? 3 : centuries;
    days -= centuries * DAYS_PER_100_YEARS;
    year += centuries * 100 + days / DAYS_PER_4_YEARS * 4;
    days %= DAYS_PER_4_YEARS;
    int32_t years = days / 365;
    years = years > 3 ? 3 : years;
    days -= years * 365;
    year += years;
    int32_t month = 1;
    while (days >= days_in_month(year, month))
        days -= days_in_month(year, month++);
    *ret_year = year;
    *ret_month = month;
    *ret_day = days + 1;
}

static char *put_number(char *at, int64_t number, size_t count, char after)
{
    for (size_t i = count; i-- > 0; number /= 10)
        at[i] = (char)('0' + number % 10);
    at[count] = after;
    return at + count + 1;
}

/* From days since 0001-01-01. */
static char *put_date(char *at, int32_t days, char after)
{
    int32_t year, month, day;
    split_days(days, &year, &month, &day);
    at = put_number(at, year, 4, '-');
    at = put_number(at, month, 2, '-');
    return put_number(at, day, 2, after);
}

size_t leat_date_format(int64_t days, char out[LEAT_DATE_MAX])
{
    int64_t since_year_1 = days + DAYS_TO_EPOCH;
    LEAT_ASSERT(since_year_1 >= 0 && since_year_1 < DAYS_TO_YEAR_10000);
    char text[LEAT_DATE_MAX + 1];
    put_date(text, (int32_t)since_year_1, '\0');
    memcpy(out, text, LEAT_DATE_MAX);
    return LEAT_DATE_MAX;
}

size_t leat_timestamp_format(int64_t us, char out[LEAT_TIMESTAMP_MAX])
{
    int64_t since_year_1 = us + DAYS_TO_EPOCH * us_per_day;
    LEAT_ASSERT(since_year_1 >= 0 && since_year_1 < DAYS_TO_YEAR_10000 * us_per_day);
    int64_t clock = since_year_1 % us_per_day;
    int64_t seconds = clock / us_per_second;
    int64_t fraction = clock % us_per_second;
    char *at = put_date(out, (int32_t)(since_year_1 / us_per_day), 'T');
    at = put_number(at, seconds / 3600, 2, ':');
    at = put_number(at, seconds / 60 % 60, 2, ':');
    at = put_number(at, seconds % 60, 2, 'Z');
    if (fraction == 0)
        return (size_t)(at - out);
    at[-1] = '.';
    at = put_number(at, fraction, 6, 'Z') - 1;
    while (at[-1] == '0')
        at--;
    *at++ = 'Z';
    return (size_t)(at - out);
}
