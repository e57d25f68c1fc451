/* Which record ends its session: told step by step, and against a naive model. */
#include <stdio.h>

#include "engine/narrow.h"
#include "story.h"

START_TEST(once_is_an_accident)
{
    leat_narrow narrow = {0};
    leat_narrow_unknown(&narrow, 3, 5, 5, 40, 1);
    ck_assert(!leat_narrow_on_trial(&narrow));
    leat_narrow_passed(&narrow, 40, 0); /* the claim shows that it was committed */
    ck_assert_uint_eq(narrow.unknowns, 0);
    leat_narrow_unknown(&narrow, 3, 5, 5, 40, 2);
    leat_narrow_passed(&narrow, 20, 2); /* a part of it was applied since: the rest is still
                                           suspected */
    leat_narrow_unknown(&narrow, 1, 3, 3, 40, 3);
    ck_assert(leat_narrow_on_trial(&narrow));
}
END_TEST

START_TEST(what_ended_two_batches_is_in_both)
{
    leat_narrow narrow = {0};
    leat_narrow_unknown(&narrow, 3, 5, 5, 40, 1);
    leat_narrow_unknown(&narrow, 2, 9, 5, 90, 2);
    ck_assert_int_eq(narrow.to, 40);
    ck_assert_uint_eq(narrow.limit, 5); /* alone, and whole */
    leat_narrow_unknown(&narrow, 1, 5, 5, 40, 3);
    ck_assert_uint_eq(narrow.limit, 2);
    leat_narrow_passed(&narrow, 30, 2);
    ck_assert_uint_eq(narrow.limit, 1);
    ck_assert(leat_narrow_on_trial(&narrow));
    leat_narrow_passed(&narrow, 40, 3);
    ck_assert(!leat_narrow_on_trial(&narrow));
}
END_TEST

START_TEST(one_alone_is_named_the_second_time_until_it_is_answered)
{
    leat_narrow narrow = {0};
    leat_narrow_unknown(&narrow, 1, 1, 1, 7, 1);
    ck_assert(!leat_narrow_is_found(&narrow));
    leat_narrow_unknown(&narrow, 1, 1, 1, 7, 2);
    ck_assert(leat_narrow_is_found(&narrow));
    leat_narrow_answered(&narrow);
    ck_assert(!leat_narrow_is_found(&narrow) && leat_narrow_on_trial(&narrow));
    leat_narrow_passed(&narrow, 7, 1);
    ck_assert_uint_eq(narrow.unknowns, 0);
}
END_TEST

START_TEST(one_that_is_refused_needs_no_trial_and_what_is_behind_it_stays_suspected)
{
    leat_narrow narrow = {0};
    leat_narrow_refused(&narrow);
    ck_assert_uint_eq(narrow.unknowns, 0);
    leat_narrow_unknown(&narrow, 2, 3, 3, 7, 1);
    leat_narrow_unknown(&narrow, 1, 3, 3, 7, 2);
    leat_narrow_unknown(&narrow, 1, 1, 1, 7, 3);
    leat_narrow_refused(&narrow);
    ck_assert(!leat_narrow_on_trial(&narrow) && narrow.to == 7 && narrow.alone == 0);
    leat_narrow_unknown(&narrow, 1, 2, 2, 7, 4);
    ck_assert(leat_narrow_on_trial(&narrow));
}
END_TEST

/* ---- the naive model: a log of which some records end their session, and a subpartition that
 * works through it ---- */

enum { LOG = 200 };

typedef struct model {
    leat_prng prng;
    bool ends[LOG];   /* its session, each time */
    uint32_t applied; /* all below are */
    uint32_t steps;
    bool named[LOG];
} model;

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static bool any_ends(const model *m, uint32_t count)
{
    for (uint32_t i = m->applied; i < m->applied + count; i++)
        if (m->ends[i])
            return true;
    return false;
}

/* One batch, and the claim that follows when its outcome is unknown. Offsets are 10 apart. */
static void try_batch(model *m, leat_narrow *narrow, uint32_t batch_max)
{
    bool on_trial = leat_narrow_on_trial(narrow);
    uint32_t count = 1 + (uint32_t)leat_prng_below(&m->prng, batch_max);
    if (on_trial)
        count = least(count, narrow->limit);
    count = least(count, LOG - m->applied);
    uint32_t queues = on_trial ? 1 : 1 + (uint32_t)leat_prng_below(&m->prng, 3);
    uint32_t kind = (uint32_t)leat_prng_below(&m->prng, 20);
    bool ends = any_ends(m, count) || kind == 0; /* others end it too, or the network */
    bool committed = ends && !any_ends(m, count) && leat_prng_below(&m->prng, 2);
    int64_t last = 10 * (int64_t)(m->applied + count - 1);
    int64_t to = narrow->unknowns > 0 && narrow->to < last ? narrow->to : last;
    m->steps++;
    if (ends)
        leat_narrow_unknown(narrow, queues, count, (uint32_t)(to / 10) - m->applied + 1, last,
                            m->steps);
    if (ends && leat_narrow_is_found(narrow)) {
        ck_assert_uint_eq(count, 1);
        m->named[m->applied] = true;
        m->ends[m->applied] = false; /* somebody mends it */
    }
    if (ends && !committed)
        return;
    m->applied += count;
    leat_narrow_passed(narrow, last, ends ? 0 : count);
}

START_TEST(it_finds_each_one_and_leaves_no_suspicion)
{
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        model m = {.prng = {seed}};
        leat_narrow narrow = {0};
        bool guilty[LOG] = {0};
        uint32_t guilty_count = (uint32_t)leat_prng_below(&m.prng, 4);
        uint32_t batch_max = 1 + (uint32_t)leat_prng_below(&m.prng, 64);
        for (uint32_t i = 0; i < guilty_count; i++)
            m.ends[leat_prng_below(&m.prng, LOG)] = true;
        memcpy(guilty, m.ends, sizeof guilty);
        while (m.applied < LOG) {
            uint32_t before = m.applied;
            try_batch(&m, &narrow, batch_max);
            /* Nothing is suspected that is applied, and no more than was in a batch. */
            bool is_bounded = narrow.unknowns == 0 ||
                              (narrow.to >= 10 * (int64_t)m.applied && narrow.records <= batch_max);
            if (!is_bounded || m.applied < before)
                ck_abort_msg("seed %llu: suspects what is applied, or too much",
                             (unsigned long long)seed);
            if (m.steps >= 4 * LOG + 40 * guilty_count)
                ck_abort_msg("seed %llu does not come to an end", (unsigned long long)seed);
        }
        ck_assert_uint_eq(narrow.unknowns, 0);
        for (uint32_t i = 0; i < LOG; i++)
            if (guilty[i] && !m.named[i])
                ck_abort_msg("seed %llu: %u was never named", (unsigned long long)seed, i);
    }
}
END_TEST

STORY_MAIN("narrow", once_is_an_accident, what_ended_two_batches_is_in_both,
           one_alone_is_named_the_second_time_until_it_is_answered,
           it_finds_each_one_and_leaves_no_suspicion,
           one_that_is_refused_needs_no_trial_and_what_is_behind_it_stays_suspected)
