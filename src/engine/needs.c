/*
 * needs.c - a hash set with open addressing, at most half full. A place belongs to the set only in
 * the round in which it was taken, so emptying it is one addition.
 */
#include "engine/needs.h"

uint32_t leat_needs_places(uint32_t seqs)
{
    uint32_t count = 2;
    while (count < 2 * seqs)
        count *= 2;
    return count;
}

void leat_needs_init(leat_needs *needs, leat_needs_place *places, uint32_t count)
{
    LEAT_ASSERT(count > 0 && (count & (count - 1)) == 0);
    *needs = (leat_needs){.places = places, .mask = count - 1};
}

void leat_needs_begin(leat_needs *needs)
{
    needs->round++;
}

bool leat_needs_add(leat_needs *needs, int64_t seq)
{
    LEAT_ASSERT(seq >= 0 && needs->round > 0);
    if (seq == 0)
        return false;
    /* Seqs that are needed together are close to each other: their low bits spread them best. */
    uint32_t at = (uint32_t)seq & needs->mask;
    for (uint32_t tried = 0; needs->places[at].round == needs->round; tried++) {
        if (needs->places[at].seq == seq)
            return false;
        LEAT_ASSERT(tried <= needs->mask / 2);
        at = (at + 1) & needs->mask;
    }
    needs->places[at] = (leat_needs_place){seq, needs->round};
    return true;
}
