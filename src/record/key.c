/*
 * Keys in and out of their text form: the parts are split at '/', percent-decoded, read as their
 * column's type, and written again in the one form that is hashed and compared. Two spellings of
 * one key (7 and 007, an upper-case UUID) must go to one subpartition, or their order would be
 * lost.
 */
#include "record/route.h"

#include <string.h>

#include "record/chars.h"

/* The text of each part of a key, in its order, percent-encoded. */
typedef struct key_parts {
    leat_slice parts[LEAT_KEY_VALUES_MAX];
    int plain; /* the part that is not percent-encoded, or NO_PART */
} key_parts;

enum { NO_PART = -1 };

/* ---- Parts and values ---- */

uint32_t leat_route_value_count(const leat_route *route)
{
    return route->table->key_count + route->tenant_leads;
}

const leat_column *leat_route_value_column(const leat_route *route, uint32_t index)
{
    static const leat_column text = {
        .name = "tenant", .type = LEAT_TYPE_TEXT, .type_name = "text", .type_modifier = -1};
    LEAT_ASSERT(index < leat_route_value_count(route));
    if (index < route->table->key_count)
        return &route->table->columns[route->table->key_columns[index]];
    return route->tenant_column < 0 ? &text : &route->table->columns[route->tenant_column];
}

/* A tenant that leads is the first part and the last value. */
static uint32_t value_of_part(const leat_route *route, uint32_t part)
{
    if (!route->tenant_leads)
        return part;
    return part == 0 ? route->table->key_count : part - 1;
}

static const leat_column *column_of_part(const leat_route *route, uint32_t part)
{
    return leat_route_value_column(route, value_of_part(route, part));
}

/* As a request calls it. */
static const char *name_of_part(const leat_route *route, uint32_t part)
{
    bool is_elsewhere = route->tenant_from != LEAT_TENANT_IN_PATH &&
                        (int)part == route->tenant_key_position;
    return is_elsewhere ? route->tenant_name : column_of_part(route, part)->name;
}

/* Splits at '/'. The number of parts, or max + 1 when there are more. */
static uint32_t split(leat_slice text, leat_slice *parts, uint32_t max)
{
    LEAT_ASSERT(max > 0);
    uint32_t count = 0;
    const char *at = text.data;
    const char *end = at + text.size;
    for (;;) {
        const char *slash = at == end ? NULL : memchr(at, '/', (size_t)(end - at));
        if (count == max)
            return max + 1;
        parts[count++] = (leat_slice){at, (size_t)((slash ? slash : end) - at)};
        if (!slash)
            return count;
        at = slash + 1;
    }
}

/* ---- Percent-coding ---- */

/* Writes at most text.size bytes. */
static int percent_decode(leat_slice text, char *out, size_t *ret_size, leat_error *error)
{
    size_t size = 0;
    if (!memchr(text.data, '%', text.size)) {
        memcpy(out, text.data, text.size);
        *ret_size = text.size;
        return 0;
    }
    for (size_t at = 0; at < text.size; at++) {
        char c = text.data[at];
        if (c == '%') {
            int high = text.size - at > 2 ? leat_hex_digit(text.data[at + 1]) : -1;
            int low = high < 0 ? -1 : leat_hex_digit(text.data[at + 2]);
            if (low < 0)
                return leat_fail(error, "has a '%%' that two hexadecimal digits do not follow");
            c = (char)(high << 4 | low);
            at += 2;
        }
        out[size++] = c;
    }
    LEAT_ASSERT(size <= text.size);
    *ret_size = size;
    return 0;
}

static size_t count_unreserved(leat_slice text)
{
    size_t count = 0;
    while (count < text.size && leat_is_unreserved(text.data[count]))
        count++;
    return count;
}

/* `plain_count`: of its first bytes, which stay as they are. False when the key gets too long. */
static bool percent_encode(leat_slice text, size_t plain_count, leat_key *key)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t size = key->canonical_size;
    LEAT_ASSERT(size <= sizeof key->canonical);
    if (sizeof key->canonical - size < plain_count)
        return false;
    memcpy(key->canonical + size, text.data, plain_count);
    size += plain_count;
    for (size_t i = plain_count; i < text.size; i++) {
        char c = text.data[i];
        bool plain = leat_is_unreserved(c);
        if (sizeof key->canonical - size < (plain ? 1 : 3))
            return false;
        if (plain) {
            key->canonical[size++] = c;
            continue;
        }
        key->canonical[size++] = '%';
        key->canonical[size++] = digits[(unsigned char)c >> 4];
        key->canonical[size++] = digits[(unsigned char)c & 15];
    }
    key->canonical_size = (uint32_t)size;
    return true;
}

/* ---- Decoding ---- */

static int too_long(leat_error *error)
{
    return leat_fail(error, "the key is longer than %d bytes", LEAT_KEY_BYTES_MAX);
}

/* The '/' between the parts keeps `decoded` in step with the key in the log. */
static int read_part(const leat_route *route, uint32_t position, leat_slice part, bool is_plain,
                     leat_key *key, leat_error *error)
{
    LEAT_ASSERT(key->decoded_size <= sizeof key->decoded);
    char *out = key->decoded + key->decoded_size;
    size_t size = 0;
    if (part.size == 0)
        return leat_fail(error, "must not be empty");
    if (part.size > sizeof key->decoded - key->decoded_size)
        return too_long(error);
    if (is_plain) {
        memcpy(out, part.data, part.size);
        size = part.size;
    } else if (percent_decode(part, out, &size, error) != 0) {
        return -1;
    }
    key->decoded_size += (uint32_t)size;
    return leat_value_from_text(column_of_part(route, position), (leat_slice){out, size},
                                &key->values[value_of_part(route, position)], error);
}

static bool write_part(const leat_route *route, uint32_t position, leat_key *key)
{
    char room[LEAT_CANONICAL_MAX];
    leat_type type = column_of_part(route, position)->type;
    const leat_value *value = &key->values[value_of_part(route, position)];
    leat_slice text = leat_value_canonical(type, value, room);
    bool is_plain = type == LEAT_TYPE_UUID; /* digits and dashes */
    return percent_encode(text, is_plain ? text.size : count_unreserved(text), key);
}

static bool put_slashes(leat_key *key)
{
    if (key->decoded_size == sizeof key->decoded || key->canonical_size == sizeof key->canonical)
        return false;
    key->decoded[key->decoded_size++] = '/';
    key->canonical[key->canonical_size++] = '/';
    return true;
}

/* `ret_bad`: the wrong part, or their count when it is the whole key. */
static int decode(const leat_route *route, const key_parts *from, leat_key *ret, uint32_t *ret_bad,
                  leat_error *error)
{
    uint32_t count = leat_route_value_count(route);
    LEAT_ASSERT(count > 0 && count <= LEAT_KEY_VALUES_MAX);
    ret->canonical_size = 0;
    ret->decoded_size = 0;
    for (uint32_t i = 0; i < count; i++) {
        *ret_bad = count;
        if (i > 0 && !put_slashes(ret))
            return too_long(error);
        *ret_bad = i;
        if (read_part(route, i, from->parts[i], (int)i == from->plain, ret, error) != 0)
            return -1;
        *ret_bad = count;
        if (!write_part(route, i, ret))
            return too_long(error);
    }
    ret->hash = leat_hash((leat_slice){ret->canonical, ret->canonical_size});
    return 0;
}

int leat_key_decode(const leat_route *route, leat_slice key, leat_key *ret, leat_error *error)
{
    key_parts from;
    uint32_t count = leat_route_value_count(route);
    if (key.size == 0)
        return leat_fail(error, "the key is empty");
    if (split(key, from.parts, count) != count)
        return leat_fail(error, "the key must have %u part%s, separated by '/'", count,
                         count == 1 ? "" : "s");
    from.plain = NO_PART;
    uint32_t bad;
    if (decode(route, &from, ret, &bad, error) == 0)
        return 0;
    return bad == count ? -1 : leat_fail_prefix(error, "%s", name_of_part(route, bad));
}

/* Is the text of a part, as it stands in a key, the one that its value is written as? */
static bool is_canonical(leat_type type, const leat_value *value, leat_slice part)
{
    char room[LEAT_CANONICAL_MAX];
    bool is_plain = type == LEAT_TYPE_UUID || count_unreserved(part) == part.size;
    return is_plain && (leat_value_is_text(type) ||
                        leat_slice_equal(leat_value_canonical(type, value, room), part));
}

bool leat_key_read_plain(const leat_route *route, leat_slice key,
                         leat_value ret[LEAT_KEY_VALUES_MAX])
{
    leat_slice parts[LEAT_KEY_VALUES_MAX];
    uint32_t count = leat_route_value_count(route);
    if (key.size == 0 || key.size > LEAT_KEY_BYTES_MAX || split(key, parts, count) != count)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const leat_column *column = column_of_part(route, i);
        leat_value *value = &ret[value_of_part(route, i)];
        if (parts[i].size == 0 || leat_value_from_text(column, parts[i], value, NULL) != 0 ||
            !is_canonical(column->type, value, parts[i]))
            return false;
    }
    return true;
}

int leat_key_decode_tenant(const leat_route *route, leat_slice tenant, leat_key *ret,
                           leat_error *error)
{
    LEAT_ASSERT(route->tenant_key_position >= 0);
    uint32_t position = (uint32_t)route->tenant_key_position;
    ret->canonical_size = 0;
    ret->decoded_size = 0;
    if (memchr(tenant.data, '/', tenant.size))
        return leat_fail(error, "%s: a '/' must be written as %%2F", name_of_part(route, position));
    if (read_part(route, position, tenant, false, ret, error) != 0)
        return leat_fail_prefix(error, "%s", name_of_part(route, position));
    if (!write_part(route, position, ret))
        return too_long(error);
    ret->hash = leat_hash((leat_slice){ret->canonical, ret->canonical_size});
    return 0;
}

/* ---- Matching ---- */

static bool matches(const leat_route *route, const leat_slice *segments, uint32_t count)
{
    if (route->segment_count != count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (route->segments[i].key_position < 0 &&
            !leat_slice_is(segments[i], route->segments[i].text))
            return false;
    return true;
}

/* One bit for each literal, the first segment highest: the larger, the more specific. */
static uint32_t particularity(const leat_route *route)
{
    uint32_t bits = 0;
    static_assert(LEAT_SEGMENTS_MAX <= 32, "a bit for each segment");
    LEAT_ASSERT(route->segment_count <= LEAT_SEGMENTS_MAX);
    for (uint32_t i = 0; i < route->segment_count; i++)
        bits = bits << 1 | (route->segments[i].key_position < 0);
    return bits;
}

static const leat_route *find(const leat_routes *routes, const leat_slice *segments, uint32_t count)
{
    const leat_route *best = NULL;
    for (uint32_t i = 0; i < routes->count; i++) {
        const leat_route *route = &routes->routes[i];
        if (matches(route, segments, count) &&
            (!best || particularity(route) > particularity(best)))
            best = route;
    }
    return best;
}

/* The parts of the key that are in the path. */
static void take_segments(const leat_route *route, const leat_slice *segments, key_parts *ret)
{
    for (uint32_t i = 0; i < route->segment_count; i++)
        if (route->segments[i].key_position >= 0)
            ret->parts[route->segments[i].key_position + route->tenant_leads] = segments[i];
}

static leat_match make_key(const leat_route *route, const key_parts *from, leat_key *ret_key,
                           char *ret_field, leat_error *error)
{
    uint32_t bad;
    if (decode(route, from, ret_key, &bad, error) == 0)
        return LEAT_MATCH_OK;
    const char *field = bad < leat_route_value_count(route) ? name_of_part(route, bad) : "";
    memcpy(ret_field, field, strlen(field) + 1);
    return LEAT_MATCH_BAD_KEY;
}

static uint32_t split_path(leat_slice path, leat_slice segments[LEAT_SEGMENTS_MAX])
{
    return split((leat_slice){path.data + 1, path.size - 1}, segments, LEAT_SEGMENTS_MAX);
}

leat_match leat_routes_match(const leat_routes *routes, leat_slice path,
                             const leat_route **ret_route, leat_key *ret_key, char *ret_field,
                             leat_error *error)
{
    leat_slice segments[LEAT_SEGMENTS_MAX];
    if (path.size == 0 || path.data[0] != '/')
        return LEAT_MATCH_NO_ROUTE;
    uint32_t count = split_path(path, segments);
    const leat_route *route = count <= LEAT_SEGMENTS_MAX ? find(routes, segments, count) : NULL;
    if (!route)
        return LEAT_MATCH_NO_ROUTE;
    LEAT_ASSERT(count == route->segment_count);
    *ret_route = route;
    if (route->tenant_from != LEAT_TENANT_IN_PATH)
        return LEAT_MATCH_NEEDS_TENANT;
    key_parts from;
    from.plain = NO_PART;
    take_segments(route, segments, &from);
    return make_key(route, &from, ret_key, ret_field, error);
}

leat_match leat_key_from_path(const leat_route *route, leat_slice path, leat_slice tenant,
                              leat_key *ret_key, char *ret_field, leat_error *error)
{
    LEAT_ASSERT(route->tenant_from != LEAT_TENANT_IN_PATH && route->tenant_key_position >= 0);
    leat_slice segments[LEAT_SEGMENTS_MAX];
    uint32_t count = split_path(path, segments);
    LEAT_ASSERT(count == route->segment_count);
    key_parts from;
    from.plain = route->tenant_key_position;
    take_segments(route, segments, &from);
    from.parts[from.plain] = tenant;
    return make_key(route, &from, ret_key, ret_field, error);
}

void leat_route_path(const leat_route *route, leat_slice canonical, leat_buf *out)
{
    leat_slice parts[LEAT_KEY_VALUES_MAX];
    uint32_t count = split(canonical, parts, leat_route_value_count(route));
    LEAT_ASSERT(count == leat_route_value_count(route));
    for (uint32_t i = 0; i < route->segment_count; i++) {
        const leat_segment *segment = &route->segments[i];
        leat_buf_byte(out, '/');
        if (segment->key_position < 0)
            leat_buf_text(out, segment->text);
        else
            leat_buf_slice(out, parts[segment->key_position + route->tenant_leads]);
    }
}
