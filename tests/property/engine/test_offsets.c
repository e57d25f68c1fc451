/*
 * leat_offsets against a naive set: random holes, random completions, records that were done before.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/offsets.h"

enum { RECORDS = 400, SEEDS = 3000, CAPACITY = 37 };

typedef struct naive {
    int64_t offset, at_ms;
    bool done;
    uint32_t position;
} naive;

/* `end`: nothing comes below it. `low` is what it was before. */
static bool agrees(const leat_offsets *offsets, const naive *records, uint32_t count, int64_t *low, int64_t end)
{
    uint32_t i = 0;
    for (; i < count && records[i].done; i++)
        *low = records[i].offset > *low ? records[i].offset : *low;
    if (i == count)
        *low = end - 1;
    leat_offsets_validate(offsets);
    return offsets->low == *low &&
           leat_offsets_oldest_ms(offsets) == (i < count ? records[i].at_ms : 0) &&
           leat_offsets_last(offsets) == (i == count ? *low : records[count - 1].offset);
}

static void run(uint64_t seed)
{
    leat_prng prng = {seed};
    leat_offsets_entry entries[CAPACITY];
    naive records[RECORDS];
    leat_offsets offsets;
    leat_offsets_init(&offsets, entries, 1 + (uint32_t)leat_prng_below(&prng, CAPACITY));
    int64_t first_low = (int64_t)leat_prng_below(&prng, 5) - 1;
    leat_offsets_begin(&offsets, first_low);
    int64_t offset = first_low;
    int64_t low = first_low;
    uint32_t count = 0;
    for (uint32_t step = 0; step < 100; step++) {
        bool done = leat_prng_below(&prng, 3) == 0;
        bool room = done ? leat_offsets_room_done(&offsets) : leat_offsets_room(&offsets);
        if (leat_prng_below(&prng, 2) && room && count < RECORDS) {
            offset += 1 + (int64_t)(leat_prng_below(&prng, 3) ? 0 : leat_prng_below(&prng, 1000));
            records[count] = (naive){.offset = offset, .at_ms = 5 + offset, .done = done};
            if (done)
                leat_offsets_push_done(&offsets, offset, 5 + offset);
            else
                records[count].position = leat_offsets_push(&offsets, offset, 5 + offset);
            count++;
        } else if (leat_prng_below(&prng, 4) == 0) {
            offset += (int64_t)leat_prng_below(&prng, 3); /* offsets without a record */
            leat_offsets_read_to(&offsets, offset + 1);
        } else if (count > 0) {
            naive *record = &records[leat_prng_below(&prng, count)];
            if (!record->done)
                leat_offsets_complete(&offsets, record->position);
            record->done = true;
        }
        ck_assert_msg(agrees(&offsets, records, count, &low, offset + 1), "again with TEST_SEED=%llu",
                      (unsigned long long)seed);
    }
}

START_TEST(low_agrees_with_a_naive_set)
{
    const char *one = getenv("TEST_SEED");
    uint64_t first = one ? strtoull(one, NULL, 10) : 1;
    uint64_t last = one ? first : SEEDS;
    for (uint64_t seed = first; seed <= last; seed++)
        run(seed);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("offsets");
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, low_agrees_with_a_naive_set);
    Suite *suite = suite_create("offsets property");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_ENV);
    srunner_free(runner);
    return 0;
}
