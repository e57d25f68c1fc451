/*
 * What the writes of a key make of its row. The fold knows what an operation does to a value; it is
 * asked for one column at a time, so that a column of which nothing can be said (an operation on
 * something unknown, a sum that the fold keeps apart) spoils no other. What a state knows is copied
 * out of the scratch memory of parser and fold after each write, into one piece.
 */
#include "record/key_state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "record/chars.h"

enum { TEXT_MAX = 64 * 1024 * 1024 }; /* of a value that operations make */

struct leat_key_follower {
    leat_body_parser *parser;
    leat_fold *fold;
    leat_body body;
    leat_value values[LEAT_COLUMNS_MAX]; /* of the write that is followed */
    leat_value next[LEAT_COLUMNS_MAX];   /* of the state after it */
    leat_value scratch[LEAT_COLUMNS_MAX];
};

/* ---- memory ---- */

leat_key_follower *leat_key_follower_new(void)
{
    leat_key_follower *ret = calloc(1, sizeof *ret);
    if (!ret)
        return NULL;
    ret->parser = leat_body_parser_new();
    ret->fold = leat_fold_new();
    if (ret->parser && ret->fold) {
        leat_fold_limit(ret->fold, TEXT_MAX);
        return ret;
    }
    leat_key_follower_free(ret);
    return NULL;
}

void leat_key_follower_free(leat_key_follower *follower)
{
    if (!follower)
        return;
    leat_body_parser_free(follower->parser);
    leat_fold_free(follower->fold);
    free(follower);
}

void leat_key_state_init(leat_key_state *state, bool is_new)
{
    *state = (leat_key_state){.row = is_new ? LEAT_ROW_ABSENT : LEAT_ROW_UNKNOWN};
}

void leat_key_state_fini(leat_key_state *state)
{
    free(state->values);
    free(state->texts);
    state->values = NULL;
    state->texts = NULL;
}

void leat_key_state_forget(leat_key_state *state)
{
    leat_key_state_fini(state);
    *state = (leat_key_state){.unknown = UINT64_MAX};
}

static bool has_text(const leat_table *table, uint64_t known, const leat_value *values, uint32_t i)
{
    return known >> i & 1 && values[i].presence == LEAT_PRESENT &&
           leat_value_is_text(table->columns[i].type);
}

/* The values and their texts, in memory of the state's own, in place of what it had. */
static int keep(leat_key_state *state, const leat_table *table, const leat_value *values)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < table->column_count; i++)
        bytes += has_text(table, state->known, values, i) ? values[i].text.size : 0;
    leat_value *kept = state->known ? calloc(table->column_count, sizeof *kept) : NULL;
    char *texts = bytes > 0 ? malloc(bytes) : NULL;
    if ((state->known && !kept) || (bytes > 0 && !texts)) {
        free(kept);
        free(texts);
        return -1;
    }
    char *at = texts;
    for (uint32_t i = 0; kept && i < table->column_count; i++) {
        if (!(state->known >> i & 1))
            continue;
        kept[i] = values[i];
        if (!has_text(table, state->known, values, i) || values[i].text.size == 0)
            continue;
        memcpy(at, values[i].text.data, values[i].text.size);
        kept[i].text.data = at;
        at += values[i].text.size;
    }
    LEAT_ASSERT(at == (texts ? texts + bytes : NULL));
    leat_key_state_fini(state);
    state->values = kept;
    state->texts = texts;
    state->text_bytes = bytes;
    return 0;
}

int leat_key_state_copy(const leat_key_state *from, leat_key_state *ret)
{
    *ret = *from;
    ret->values = NULL;
    ret->texts = NULL;
    if (!from->known)
        return 0;
    LEAT_ASSERT(from->values && from->operated_by);
    return keep(ret, from->operated_by->table, from->values);
}

size_t leat_key_state_bytes(const leat_key_state *state, const leat_table *table)
{
    return (state->values ? table->column_count * sizeof *state->values : 0) + state->text_bytes;
}

/* ---- defaults ---- */

static size_t word_size(const char *at)
{
    size_t size = 0;
    while (leat_is_unreserved(at[size]) && at[size] != '-' && at[size] != '~')
        size++;
    return size;
}

/* A number, a text, true, false or null, whatever it is cast to. Anything with another name in it
 * may give another value each time. */
static bool is_constant(const char *expression)
{
    bool is_cast = false;
    for (const char *at = expression; *at;) {
        if (*at == '\'') {
            const char *end = strchr(at + 1, '\'');
            if (!end)
                return false;
            at = end + 1;
            continue;
        }
        leat_slice word = {at, word_size(at)};
        bool is_name = word.size > 0 && (*at < '0' || *at > '9') && *at != '.';
        if (is_name && !is_cast && !leat_slice_is_nocase(word, "true") &&
            !leat_slice_is_nocase(word, "false") && !leat_slice_is_nocase(word, "null"))
            return false;
        if (word.size == 0)
            is_cast = *at == ':' || (is_cast && strchr(" (),.[]\"", *at));
        at += word.size > 0 ? word.size : 1;
    }
    return true;
}

uint64_t leat_key_state_comparable(const leat_key_state *state, const leat_table *table)
{
    uint64_t ret = state->known;
    for (uint32_t i = 0; state->operated && i < table->column_count; i++) {
        const char *expression = table->columns[i].default_expression;
        if (state->operated >> i & 1 && expression && !is_constant(expression))
            ret &= ~((uint64_t)1 << i);
    }
    return ret;
}

/* ---- columns ---- */

/* The fold keeps a sum of floats apart, because its rounding depends on the order. Here each write
 * comes by itself, as in the table; but of a float4 the database rounds each sum to its own size.
 */
static bool add_float(leat_type type, leat_value *base, const leat_value *operand)
{
    if (type != LEAT_TYPE_FLOAT8 || base->presence != LEAT_PRESENT)
        return false;
    base->real += operand->real;
    return isfinite(base->real);
}

/* The operand of column `i` meets what is known of it. -1: out of memory. */
static int operate(leat_key_follower *follower, leat_key_state *state, const leat_route *route,
                   uint32_t i, leat_merge merge)
{
    uint64_t bit = (uint64_t)1 << i;
    leat_type type = route->table->columns[i].type;
    bool is_known = state->known & bit;
    if (state->unknown & bit || (!is_known && !state->from_defaults) || route->steps[i].is_set) {
        state->known &= ~bit;
        state->unknown |= bit;
        return 0;
    }
    leat_row_write from = {.op = LEAT_PUT,
                           .merge = state->merge,
                           .present = is_known ? bit : 0,
                           .operated = state->operated & bit,
                           .values = follower->scratch};
    leat_row_write next = {.op = LEAT_PATCH,
                           .merge = merge,
                           .present = bit,
                           .operated = bit,
                           .values = follower->values};
    follower->scratch[i] = follower->next[i];
    leat_fold_outcome folded = leat_fold_next(follower->fold, route, &from, &next);
    if (folded == LEAT_FOLD_MEMORY)
        return -1;
    bool is_apart = folded == LEAT_FOLD_APART &&
                    !(is_known && !(state->operated & bit) && route->ops[i] == LEAT_OP_ADD &&
                      add_float(type, &follower->scratch[i], &follower->values[i]));
    if (is_apart) {
        state->known &= ~bit;
        state->operated &= ~bit;
        state->unknown |= bit;
        return 0;
    }
    follower->next[i] = follower->scratch[i];
    state->known |= bit;
    state->operated = (state->operated & ~bit) | (from.operated & bit);
    state->merge = from.merge > state->merge ? from.merge : state->merge;
    return 0;
}

/* Operands belong to a route's operations: what another route would do with them is not known. */
static void take_route(leat_key_state *state, const leat_route *route)
{
    for (uint32_t i = 0; state->operated && i < route->table->column_count; i++) {
        uint64_t bit = (uint64_t)1 << i;
        if (!(state->operated & bit) || state->operated_by->ops[i] == route->ops[i])
            continue;
        state->operated &= ~bit;
        state->known &= ~bit;
        state->unknown |= bit;
    }
    state->operated_by = route;
}

static int take_columns(leat_key_follower *follower, leat_key_state *state, const leat_route *route,
                        const leat_row_write *write)
{
    for (uint32_t i = 0; i < route->table->column_count; i++) {
        uint64_t bit = (uint64_t)1 << i;
        if (!(write->present & bit))
            continue;
        if (write->operated & bit) {
            if (operate(follower, state, route, i, write->merge) != 0)
                return -1;
            continue;
        }
        follower->next[i] = follower->values[i];
        state->known |= bit;
        state->operated &= ~bit;
        state->unknown &= ~bit;
    }
    return 0;
}

/* ---- rows ---- */

static void begin_row(leat_key_state *state, leat_row_there row)
{
    state->row = row;
    state->from_defaults = true;
    state->known = state->operated = state->unknown = 0;
    state->merge = LEAT_MERGE_CONCAT;
}

/* False: the write is dropped. */
static bool begin_write(leat_key_state *state, const leat_route *route, leat_route_op op)
{
    if (op == LEAT_PUT) {
        begin_row(state, LEAT_ROW_PRESENT);
    } else if (state->row == LEAT_ROW_ABSENT) {
        if (route->patch_existing)
            return false;
        begin_row(state, LEAT_ROW_PRESENT);
    } else if (!route->patch_existing) {
        state->row = LEAT_ROW_PRESENT;
    }
    return true;
}

static int follow_write(leat_key_follower *follower, leat_key_state *state, const leat_route *route,
                        const leat_row_write *write)
{
    const leat_table *table = route->table;
    leat_key_state after = *state; /* its memory stays the old one's until all went well */
    if (after.values)
        memcpy(follower->next, after.values, table->column_count * sizeof *after.values);
    if (!begin_write(&after, route, write->op))
        return 0;
    take_route(&after, route);
    if (take_columns(follower, &after, route, write) != 0)
        return -1;
    LEAT_ASSERT((after.operated & ~after.known) == 0 && (after.known & after.unknown) == 0);
    if (keep(&after, table, follower->next) != 0)
        return -1;
    *state = after;
    return 0;
}

leat_followed leat_key_state_follow(leat_key_follower *follower, leat_key_state *state,
                                    const leat_route *route, leat_route_op op, leat_slice body,
                                    const leat_value *key)
{
    leat_body_error error;
    leat_body_parser_reset(follower->parser);
    leat_fold_reset(follower->fold);
    if (op == LEAT_DELETE) {
        leat_key_state_fini(state);
        *state = (leat_key_state){0};
        begin_row(state, LEAT_ROW_ABSENT);
        return LEAT_FOLLOWED;
    }
    leat_body_fault fault =
        leat_body_parse(follower->parser, route, op, body, key, &follower->body, &error);
    if (fault == LEAT_BODY_MEMORY)
        return LEAT_FOLLOWED_MEMORY;
    if (fault != LEAT_BODY_OK) {
        leat_key_state_forget(state);
        return LEAT_FOLLOWED_UNREADABLE;
    }
    leat_row_write write = {.values = follower->values};
    if (leat_fold_start(follower->fold, route, op, &follower->body, &write) < 0 ||
        follow_write(follower, state, route, &write) != 0)
        return LEAT_FOLLOWED_MEMORY;
    return LEAT_FOLLOWED;
}
