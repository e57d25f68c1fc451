/*
 * row_order.c - the rows of a statement in the order of their table's key. A batch usually has its
 * rows from all over the table, so they are dealt out first: by the first key column that differs,
 * into as many piles as there are rows. That leaves them nearly sorted, and a merge sort does the
 * rest; it passes over what is in order already, and it is quick enough where the keys lie so that
 * dealing them out helps nothing.
 */
#include "sink/pg/rows_state.h"

#include <string.h>

enum { INSERT_UP_TO = 12 /* rows: of fewer an insertion is quicker than a merge */ };

/* A value as a number: in the order of an index where that is the order of what is kept of it, as
 * with whole numbers, times and UUIDs, and with texts in collation C. Elsewhere, as with a bytea,
 * of which the base64 is kept, it is some order that all share. Of a text only its first bytes. */
static uint64_t place_of(const leat_column *column, const leat_value *value)
{
    uint8_t bytes[8] = {0};
    if (column->type == LEAT_TYPE_UUID)
        memcpy(bytes, value->uuid, sizeof bytes);
    else if (leat_value_is_text(column->type))
        memcpy(bytes, value->text.data, value->text.size < 8 ? value->text.size : 8);
    else if (column->type == LEAT_TYPE_BOOL)
        return value->boolean;
    else
        return (uint64_t)value->integer ^ (uint64_t)1 << 63;
    uint64_t place;
    memcpy(&place, bytes, sizeof place);
    return be64toh(place);
}

static bool is_text_before(const row_write *writes, const row_place *a, const row_place *b)
{
    leat_slice one = writes[a->write].row, other = writes[b->write].row;
    int order = memcmp(one.data, other.data, one.size < other.size ? one.size : other.size);
    return order != 0 ? order < 0 : one.size < other.size;
}

static bool is_before(const row_write *writes, const row_place *a, const row_place *b)
{
    if (a->places[0] != b->places[0])
        return a->places[0] < b->places[0];
    if (a->places[1] != b->places[1])
        return a->places[1] < b->places[1];
    return is_text_before(writes, a, b);
}

static void insert_each(const row_write *writes, row_place *rows, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        row_place row = rows[i];
        uint32_t at = i;
        for (; at > 0 && is_before(writes, &row, &rows[at - 1]); at--)
            rows[at] = rows[at - 1];
        rows[at] = row;
    }
}

/* `spare` has room for the first half. */
static void merge_sort(const row_write *writes, row_place *rows, uint32_t count, row_place *spare)
{
    if (count <= INSERT_UP_TO) {
        insert_each(writes, rows, count);
        return;
    }
    uint32_t half = count / 2, left = 0, right = half;
    merge_sort(writes, rows, half, spare);
    merge_sort(writes, rows + half, count - half, spare);
    if (is_before(writes, &rows[half - 1], &rows[half]))
        return;
    memcpy(spare, rows, half * sizeof *rows);
    for (uint32_t i = 0; left < half; i++) {
        bool takes_right = right < count && is_before(writes, &rows[right], &spare[left]);
        rows[i] = takes_right ? rows[right++] : spare[left++];
    }
}

/* Which pile a row is dealt to. */
typedef struct pile_rule {
    uint32_t by;    /* the places that tell */
    uint64_t least; /* of them */
    uint32_t shift; /* what is above that, without so many of its low bits, is the pile's number */
} pile_rule;

/* False: all places are the same. */
static bool find_rule(const row_place *rows, uint32_t count, pile_rule *ret)
{
    for (uint32_t by = 0; by < 2; by++) {
        uint64_t least = rows[0].places[by], most = least;
        for (uint32_t i = 1; i < count; i++) {
            least = rows[i].places[by] < least ? rows[i].places[by] : least;
            most = rows[i].places[by] > most ? rows[i].places[by] : most;
        }
        if (least == most)
            continue;
        uint32_t bits = 64 - (uint32_t)__builtin_clzll(most - least);
        uint32_t pile_bits = 31 - (uint32_t)__builtin_clz(count);
        *ret = (pile_rule){by, least, bits > pile_bits ? bits - pile_bits : 0};
        return true;
    }
    return false;
}

static uint32_t pile_of(const pile_rule *rule, const row_place *row)
{
    return (uint32_t)((row->places[rule->by] - rule->least) >> rule->shift);
}

/* From `from` to `to`; there are no more piles than rows. */
static void deal_out(const row_place *from, uint32_t count, const pile_rule *rule, uint32_t *counts,
                     row_place *to)
{
    memset(counts, 0, (count + 1) * sizeof *counts);
    for (uint32_t i = 0; i < count; i++)
        counts[pile_of(rule, &from[i]) + 1]++;
    for (uint32_t i = 1; i < count; i++)
        counts[i] += counts[i - 1];
    for (uint32_t i = 0; i < count; i++)
        to[counts[pile_of(rule, &from[i])]++] = from[i];
}

void leat_rows_sort_by_key(leat_rows *rows, const row_group *statement)
{
    uint32_t *order = rows->order + statement->first;
    const leat_table *table = statement->shape.route->table;
    row_place *places = rows->places, *spare = rows->places_spare;
    for (uint32_t i = 0; i < statement->count; i++) {
        places[i] = (row_place){.write = order[i]};
        for (uint32_t k = 0; k < 2 && k < table->key_count; k++)
            places[i].places[k] = place_of(&table->columns[table->key_columns[k]],
                                           &rows->writes[order[i]].item->key[k]);
    }
    pile_rule rule;
    if (statement->count > INSERT_UP_TO && find_rule(places, statement->count, &rule)) {
        deal_out(places, statement->count, &rule, rows->counts, spare);
        places = spare;
        spare = rows->places;
    }
    merge_sort(rows->writes, places, statement->count, spare);
    for (uint32_t i = 0; i < statement->count; i++)
        order[i] = places[i].write;
}
