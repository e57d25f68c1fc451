/*
 * context.c - the two headers of W3C Trace Context. `traceparent` is of fixed form, so it is read
 * place by place. `tracestate` belongs to others: it is only checked, because what is wrong in it
 * would make the next one drop all of it, and cut, because it is kept in the log.
 */
#include "trace/context.h"

#include <string.h>

enum {
    MEMBERS_MAX = 32,
    KEY_MAX = 256,
    VALUE_MAX = 256,
    LONG_MEMBER = 128,
    TRACE_AT = 3, /* in a traceparent, as are the next two */
    SPAN_AT = 36,
    FLAGS_AT = 53,
};

static leat_slice trim(leat_slice text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t'))
        text = (leat_slice){text.data + 1, text.size - 1};
    while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t'))
        text.size--;
    return text;
}

/* ---- traceparent ---- */

/* In lower case, as the standard has it. -1: it is none. */
static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(const char *text, uint8_t *ret, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        ret[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
    uint8_t any = 0;
    for (size_t i = 0; i < size; i++)
        any |= bytes[i];
    return any == 0;
}

bool leat_traceparent_read(leat_slice text, leat_trace_context *ret)
{
    uint8_t version, flags;
    text = trim(text);
    if (text.size < LEAT_TRACEPARENT_SIZE || !read_hex(text.data, &version, 1) || version == 0xff)
        return false;
    if (text.size > LEAT_TRACEPARENT_SIZE &&
        (version == 0 || text.data[LEAT_TRACEPARENT_SIZE] != '-'))
        return false;
    if (text.data[TRACE_AT - 1] != '-' || text.data[SPAN_AT - 1] != '-' ||
        text.data[FLAGS_AT - 1] != '-' ||
        !read_hex(text.data + TRACE_AT, ret->trace_id, sizeof ret->trace_id) ||
        !read_hex(text.data + SPAN_AT, ret->span_id, sizeof ret->span_id) ||
        !read_hex(text.data + FLAGS_AT, &flags, 1))
        return false;
    ret->flags = flags & (LEAT_TRACE_SAMPLED | LEAT_TRACE_RANDOM);
    return !is_zero(ret->trace_id, sizeof ret->trace_id) &&
           !is_zero(ret->span_id, sizeof ret->span_id);
}

static void write_hex(const uint8_t *bytes, size_t size, char *ret)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        ret[2 * i] = digits[bytes[i] >> 4];
        ret[2 * i + 1] = digits[bytes[i] & 15];
    }
}

void leat_traceparent_write(const leat_trace_context *context, char ret[LEAT_TRACEPARENT_SIZE])
{
    memset(ret, '-', LEAT_TRACEPARENT_SIZE);
    memset(ret, '0', 2);
    write_hex(context->trace_id, sizeof context->trace_id, ret + TRACE_AT);
    write_hex(context->span_id, sizeof context->span_id, ret + SPAN_AT);
    write_hex(&context->flags, 1, ret + FLAGS_AT);
}

/* ---- tracestate ---- */

typedef struct members {
    leat_slice all[MEMBERS_MAX];
    size_t count;
    size_t size; /* of the line that they make */
} members;

static bool is_key(leat_slice key)
{
    for (size_t i = 0; i < key.size; i++) {
        char c = key.data[i];
        bool is_alphanumeric = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!is_alphanumeric && (i == 0 || !c || !strchr("_-*/@", c)))
            return false;
    }
    return key.size > 0 && key.size <= KEY_MAX;
}

static bool is_value(leat_slice value)
{
    for (size_t i = 0; i < value.size; i++) {
        char c = value.data[i];
        if (c < ' ' || c > '~' || c == ',' || c == '=')
            return false;
    }
    return value.size > 0 && value.size <= VALUE_MAX;
}

static leat_slice key_of(leat_slice member)
{
    const char *end = memchr(member.data, '=', member.size);
    return (leat_slice){member.data, end ? (size_t)(end - member.data) : member.size};
}

static bool add_member(members *to, leat_slice member)
{
    leat_slice key = key_of(member);
    if (key.size == member.size || to->count == MEMBERS_MAX || !is_key(key) ||
        !is_value((leat_slice){key.data + key.size + 1, member.size - key.size - 1}))
        return false;
    for (size_t i = 0; i < to->count; i++)
        if (leat_slice_equal(key_of(to->all[i]), key))
            return false;
    to->size += member.size + (to->count > 0);
    to->all[to->count++] = member;
    return true;
}

static bool add_line(members *to, leat_slice line)
{
    while (line.size > 0) {
        const char *end = memchr(line.data, ',', line.size);
        size_t size = end ? (size_t)(end - line.data) : line.size;
        leat_slice member = trim((leat_slice){line.data, size});
        if (member.size > 0 && !add_member(to, member))
            return false;
        size += end != NULL;
        line = (leat_slice){line.data + size, line.size - size};
    }
    return true;
}

static void drop_member(members *from, size_t at)
{
    from->size -= from->all[at].size + (from->count > 1);
    from->count--;
    memmove(from->all + at, from->all + at + 1, (from->count - at) * sizeof *from->all);
}

static void cut(members *all)
{
    for (size_t i = all->count; i-- > 0 && all->size > LEAT_TRACESTATE_MAX;)
        if (all->all[i].size > LONG_MEMBER)
            drop_member(all, i);
    while (all->size > LEAT_TRACESTATE_MAX)
        drop_member(all, all->count - 1);
}

size_t leat_tracestate_join(const leat_slice *lines, size_t count, char ret[LEAT_TRACESTATE_MAX])
{
    members all = {.count = 0};
    size_t used = 0;
    for (size_t i = 0; i < count; i++)
        if (!add_line(&all, lines[i]))
            return 0;
    cut(&all);
    for (size_t i = 0; i < all.count; i++) {
        if (i > 0)
            ret[used++] = ',';
        memcpy(ret + used, all.all[i].data, all.all[i].size);
        used += all.all[i].size;
    }
    LEAT_ASSERT(used == all.size);
    return used;
}
