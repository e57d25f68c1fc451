/*
 * batch_split.c - once over what has come, in an array one byte at a time, with the state kept in
 * between. An item that grows beyond its limit is dropped as it comes, so that no more than one
 * item's bytes are ever kept for it; it still ends where it ends, and the next one is found.
 */
#include "edge/batch_split.h"

#include <string.h>

void leat_split_init(leat_split *split, bool is_array, size_t item_max)
{
    LEAT_ASSERT(item_max > 0);
    *split = (leat_split){
        .item_max = item_max,
        .is_array = is_array,
        .state = is_array ? LEAT_SPLIT_OPENING : LEAT_SPLIT_ITEM,
    };
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static leat_slice trim(leat_slice text)
{
    while (text.size > 0 && is_space(text.data[0])) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && is_space(text.data[text.size - 1]))
        text.size--;
    return text;
}

static leat_split_result use(leat_split *split, size_t size, leat_split_result result,
                             size_t *ret_used)
{
    *ret_used = size;
    split->used += size;
    split->scanned = 0;
    return result;
}

/* The item has no end yet: are its bytes kept? */
static leat_split_result item_goes_on(leat_split *split, leat_slice bytes, size_t *ret_used)
{
    split->skips = split->skips || bytes.size > split->item_max;
    if (split->skips)
        return use(split, bytes.size, LEAT_SPLIT_MORE, ret_used);
    split->scanned = bytes.size;
    *ret_used = 0;
    return LEAT_SPLIT_MORE;
}

/* The item's `size` bytes are the first ones; `used` with what follows it. */
static leat_split_result item_ends(leat_split *split, leat_slice bytes, size_t size, size_t used,
                                   leat_slice *ret_item, size_t *ret_used)
{
    bool is_large = split->skips || size > split->item_max;
    split->skips = false;
    *ret_item = trim((leat_slice){bytes.data, size});
    return use(split, used, is_large ? LEAT_SPLIT_TOO_LARGE : LEAT_SPLIT_FOUND, ret_used);
}

/* ---- lines ---- */

static leat_split_result next_line(leat_split *split, leat_slice bytes, bool is_last,
                                   leat_slice *ret_item, size_t *ret_used)
{
    size_t left = bytes.size - split->scanned;
    const char *end = left > 0 ? memchr(bytes.data + split->scanned, '\n', left) : NULL;
    size_t at = end ? (size_t)(end - bytes.data) : bytes.size;
    bool has_end = end != NULL;
    if (!has_end && !is_last)
        return item_goes_on(split, bytes, ret_used);
    if (!has_end && bytes.size == 0 && !split->skips)
        return use(split, 0, LEAT_SPLIT_END, ret_used);
    return item_ends(split, bytes, at, has_end ? at + 1 : at, ret_item, ret_used);
}

/* ---- elements of an array ---- */

static void begin_element(leat_split *split, char c)
{
    split->state = LEAT_SPLIT_ITEM;
    split->in_string = c == '"';
    split->escaped = false;
    split->depth = c == '{' || c == '[' ? 1 : 0;
    split->is_bare = split->depth == 0 && !split->in_string;
}

/* True: the element ends with this byte, or before it when it is bare. */
static bool ends_element(leat_split *split, char c)
{
    if (split->is_bare)
        return c == ',' || c == ']' || is_space(c);
    if (split->in_string) {
        bool closes = c == '"' && !split->escaped;
        split->escaped = c == '\\' && !split->escaped;
        split->in_string = !closes;
        return closes && split->depth == 0;
    }
    if (c == '"')
        split->in_string = true;
    else if (c == '{' || c == '[')
        split->depth++;
    else if ((c == '}' || c == ']') && --split->depth == 0)
        return true;
    return false;
}

static leat_split_result next_in_element(leat_split *split, leat_slice bytes, bool is_last,
                                         leat_slice *ret_item, size_t *ret_used)
{
    for (size_t at = split->scanned; at < bytes.size; at++) {
        if (!ends_element(split, bytes.data[at]))
            continue;
        size_t size = split->is_bare ? at : at + 1;
        split->state = LEAT_SPLIT_AFTER;
        return item_ends(split, bytes, size, size, ret_item, ret_used);
    }
    if (is_last) /* however much of it was dropped already, it breaks at the end of the bytes */
        return use(split, bytes.size, LEAT_SPLIT_FAULT, ret_used);
    return item_goes_on(split, bytes, ret_used);
}

/* The byte between elements: false where the array breaks. */
static bool take_between(leat_split *split, char c)
{
    switch (split->state) {
    case LEAT_SPLIT_OPENING:
        split->state = LEAT_SPLIT_FIRST;
        return c == '[';
    case LEAT_SPLIT_FIRST:
    case LEAT_SPLIT_NEXT:
        if (c == ']' && split->state == LEAT_SPLIT_FIRST)
            split->state = LEAT_SPLIT_CLOSED;
        else if (c == ',' || c == ']' || c == '}' || c == ':')
            return false;
        else
            begin_element(split, c);
        return true;
    case LEAT_SPLIT_AFTER:
        split->state = c == ',' ? LEAT_SPLIT_NEXT : LEAT_SPLIT_CLOSED;
        return c == ',' || c == ']';
    case LEAT_SPLIT_ITEM:
    case LEAT_SPLIT_CLOSED:
        break;
    }
    return false;
}

/* What lies between elements is used at once, so an element begins at the first byte kept. */
static leat_split_result next_element(leat_split *split, leat_slice bytes, bool is_last,
                                      leat_slice *ret_item, size_t *ret_used)
{
    size_t at = 0;
    while (split->state != LEAT_SPLIT_ITEM) {
        if (at == bytes.size) {
            bool is_whole = split->state == LEAT_SPLIT_CLOSED;
            return use(split, at,
                       !is_last   ? LEAT_SPLIT_MORE
                       : is_whole ? LEAT_SPLIT_END
                                  : LEAT_SPLIT_FAULT,
                       ret_used);
        }
        leat_split_state before = split->state;
        if (!is_space(bytes.data[at]) && !take_between(split, bytes.data[at])) {
            split->state = before;
            return use(split, at, LEAT_SPLIT_FAULT, ret_used);
        }
        at++;
    }
    if (split->scanned == 0 && at > 0) { /* its first byte has been taken, and stays */
        split->used += at - 1;
        bytes.data += at - 1;
        bytes.size -= at - 1;
        split->scanned = 1;
        leat_split_result result = next_in_element(split, bytes, is_last, ret_item, ret_used);
        *ret_used += at - 1;
        return result;
    }
    return next_in_element(split, bytes, is_last, ret_item, ret_used);
}

leat_split_result leat_split_next(leat_split *split, leat_slice bytes, bool is_last,
                                  leat_slice *ret_item, size_t *ret_used)
{
    LEAT_ASSERT(split->scanned <= bytes.size);
    *ret_item = (leat_slice){"", 0};
    if (split->is_array)
        return next_element(split, bytes, is_last, ret_item, ret_used);
    leat_split_result result;
    size_t used = 0;
    do { /* over empty lines */
        leat_slice rest = {bytes.data + used, bytes.size - used};
        size_t size;
        result = next_line(split, rest, is_last, ret_item, &size);
        used += size;
    } while (result == LEAT_SPLIT_FOUND && ret_item->size == 0);
    *ret_used = used;
    return result;
}

const char *leat_split_expected(const leat_split *split)
{
    switch (split->state) {
    case LEAT_SPLIT_OPENING:
        return "'[' is expected";
    case LEAT_SPLIT_FIRST:
        return "an item or ']' is expected";
    case LEAT_SPLIT_NEXT:
        return "an item is expected";
    case LEAT_SPLIT_AFTER:
        return "',' or ']' is expected";
    case LEAT_SPLIT_ITEM:
        return "an item has no end";
    case LEAT_SPLIT_CLOSED:
        break;
    }
    return "nothing is expected after ']'";
}
