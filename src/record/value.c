/*
 * Facts about a value that do not depend on its source: how it is kept, when two keys are equal,
 * and the one text that a key is hashed and compared by. The forms for clients and PostgreSQL are
 * in value_scan.c, value_binary.c and compare.c.
 */
#include "record/value.h"

#include <string.h>

#include "record/chars.h"
#include "record/timestamp.h"

typedef leat_slice canonical_function(const leat_value *value, char *room);

/* ---- canonical text ---- */

static leat_slice canonical_bool(const leat_value *value, char *room)
{
    (void)room;
    return value->boolean ? LEAT_SLICE("true") : LEAT_SLICE("false");
}

static leat_slice canonical_integer(const leat_value *value, char *room)
{
    bool negative = value->integer < 0;
    uint64_t rest = negative ? 0 - (uint64_t)value->integer : (uint64_t)value->integer;
    size_t at = LEAT_CANONICAL_MAX;
    do {
        room[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (negative)
        room[--at] = '-';
    return (leat_slice){room + at, LEAT_CANONICAL_MAX - at};
}

static leat_slice canonical_text(const leat_value *value, char *room)
{
    (void)room;
    return value->text;
}

static leat_slice canonical_uuid(const leat_value *value, char *room)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < LEAT_UUID_DASHES; i++)
        room[leat_uuid_dashes[i]] = '-';
    for (size_t i = 0; i < LEAT_UUID_BYTES; i++) {
        room[leat_uuid_digits[i]] = digits[value->uuid[i] >> 4];
        room[leat_uuid_digits[i] + 1] = digits[value->uuid[i] & 15];
    }
    return (leat_slice){room, LEAT_UUID_TEXT};
}

static leat_slice canonical_date(const leat_value *value, char *room)
{
    return (leat_slice){room, leat_date_format(value->integer, room)};
}

static leat_slice canonical_timestamptz(const leat_value *value, char *room)
{
    return (leat_slice){room, leat_timestamp_format(value->integer, room)};
}

/* Key types only. */
static canonical_function *const canonical_by_type[LEAT_TYPE_COUNT] = {
    [LEAT_TYPE_BOOL] = canonical_bool,    [LEAT_TYPE_INT2] = canonical_integer,
    [LEAT_TYPE_INT4] = canonical_integer, [LEAT_TYPE_INT8] = canonical_integer,
    [LEAT_TYPE_TEXT] = canonical_text,    [LEAT_TYPE_UUID] = canonical_uuid,
    [LEAT_TYPE_DATE] = canonical_date,    [LEAT_TYPE_TIMESTAMPTZ] = canonical_timestamptz,
    [LEAT_TYPE_BYTEA] = canonical_text,
};

leat_slice leat_value_canonical(leat_type type, const leat_value *value,
                                char room[LEAT_CANONICAL_MAX])
{
    LEAT_ASSERT(leat_type_is_key(type) && value->presence == LEAT_PRESENT);
    return canonical_by_type[type](value, room);
}

/* ---- by type ---- */

static const bool is_text[LEAT_TYPE_COUNT] = {
    [LEAT_TYPE_NUMERIC] = true, [LEAT_TYPE_TEXT] = true, [LEAT_TYPE_BYTEA] = true,
    [LEAT_TYPE_JSONB] = true,   [LEAT_TYPE_JSON] = true, [LEAT_TYPE_OTHER] = true,
};

bool leat_value_is_text(leat_type type)
{
    LEAT_ASSERT((unsigned)type < LEAT_TYPE_COUNT);
    return is_text[type];
}

int64_t leat_integer_max(leat_type type)
{
    return type == LEAT_TYPE_INT2 ? INT16_MAX : type == LEAT_TYPE_INT4 ? INT32_MAX : INT64_MAX;
}

bool leat_integer_fits(leat_type type, int64_t value)
{
    int64_t max = leat_integer_max(type);
    return value >= -max - 1 && value <= max;
}

bool leat_value_equal(leat_type type, const leat_value *a, const leat_value *b)
{
    LEAT_ASSERT(leat_type_is_key(type) && a->presence == LEAT_PRESENT &&
                b->presence == LEAT_PRESENT);
    if (type == LEAT_TYPE_BOOL)
        return a->boolean == b->boolean;
    if (leat_value_is_text(type))
        return leat_slice_equal(a->text, b->text);
    if (type == LEAT_TYPE_UUID)
        return memcmp(a->uuid, b->uuid, sizeof a->uuid) == 0;
    return a->integer == b->integer;
}
