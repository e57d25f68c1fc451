/*
 * writes_story.h - one shard and the questions about it, for both backends: the rows of leat's own
 * tables are written by hand, so that each question has one reason for its answer. Partition 0 is
 * at low 10; subpartition 3 is at 20 by the base and at 30 by the journal, 4 at 25.
 */
#ifndef LEAT_TEST_WRITES_STORY_H
#define LEAT_TEST_WRITES_STORY_H

#include <check.h>

#include "sink/audit.h"

enum { WRITES_STORY_KEY = 77 };

typedef struct writes_case {
    uint32_t partition, subpartition;
    int64_t offset;
    uint64_t key;
    leat_write_state state;
    const char *sqlstate, *message;
} writes_case;

static const writes_case writes_story[] = {
    {0, 9, 0, 1, LEAT_WRITE_APPLIED, "", ""}, /* by the low water */
    {0, 9, 10, 1, LEAT_WRITE_APPLIED, "", ""},
    {0, 9, 11, 1, LEAT_WRITE_PENDING, "", ""},
    {0, 3, 20, 1, LEAT_WRITE_APPLIED, "", ""}, /* by the base */
    {0, 3, 30, 1, LEAT_WRITE_APPLIED, "", ""}, /* by the journal */
    {0, 3, 31, 1, LEAT_WRITE_PENDING, "", ""},
    {0, 4, 25, 1, LEAT_WRITE_APPLIED, "", ""},
    {0, 4, 26, 1, LEAT_WRITE_PENDING, "", ""},
    {0, 5, 12, 1, LEAT_WRITE_PENDING, "", ""},
    {0, 3, 22, 1, LEAT_WRITE_APPLIED, "", ""}, /* parked once, and taken back */
    {0, 3, 23, 1, LEAT_WRITE_APPLIED, "", ""},
    {0, 3, 24, 1, LEAT_WRITE_PENDING, "", ""}, /* parked */
    {0, 3, 26, 1, LEAT_WRITE_PENDING, "", ""},
    {0, 3, 27, 1, LEAT_WRITE_APPLIED, "", ""}, /* between two chunks */
    {0, 3, 28, 1, LEAT_WRITE_PENDING, "", ""},
    {0, 4, 24, 1, LEAT_WRITE_APPLIED, "", ""}, /* another one's chunk */
    {0, 3, 21, WRITES_STORY_KEY, LEAT_WRITE_HELD, "23503", "no parent"},
    {0, 3, 21, 1, LEAT_WRITE_APPLIED, "", ""}, /* of no held key */
    {0, 3, 20, WRITES_STORY_KEY, LEAT_WRITE_APPLIED, "", ""},
    {0, 3, 15, 1, LEAT_WRITE_DEAD_LETTER, "23514", "n is negative"},
    {0, 3, 16, 1, LEAT_WRITE_SKIPPED, "", "skipped"},
    {0, 3, 17, 1, LEAT_WRITE_DEAD_LETTER, "", "no route"},
    {0, 3, 18, 1, LEAT_WRITE_APPLIED, "", ""}, /* its dead letter was deleted */
    {1, 3, 0, 1, LEAT_WRITE_APPLIED, "", ""},  /* another partition, at low 5 */
    {1, 3, 6, 1, LEAT_WRITE_PENDING, "", ""},
    {9, 3, 0, 1, LEAT_WRITE_PENDING, "", ""}, /* not of this shard */
};
enum { WRITES_STORY_COUNT = sizeof writes_story / sizeof *writes_story };

/* An audit is told the same, and what was removed. */
static inline void writes_story_audit(leat_shard_address at, int32_t source_id,
                                      const leat_write_question *asked)
{
    leat_write_answer answers[WRITES_STORY_COUNT];
    leat_error error = {""};
    leat_shard_audit *audit = leat_shard_audit_new(at, source_id, 64);
    ck_assert_msg(leat_shard_audit_begin(audit, &error) == 0, "%s", error.text);
    ck_assert_msg(leat_shard_audit_writes(audit, asked, WRITES_STORY_COUNT, answers, &error) == 0,
                  "%s", error.text);
    for (uint32_t i = 0; i < WRITES_STORY_COUNT; i++) {
        bool is_removed = writes_story[i].partition == 0 && writes_story[i].offset == 18;
        ck_assert_int_eq(answers[i].state, writes_story[i].state);
        ck_assert_int_eq(answers[i].was_removed, is_removed);
        if (is_removed)
            ck_assert_str_eq(answers[i].message, at.dsn ? "2026-02-03T04:05:06.789Z by a person"
                                                        : "2026-02-03T04:05:06.789Z");
        else
            ck_assert_str_eq(answers[i].message, writes_story[i].message);
    }
    leat_shard_audit_end(audit);
    leat_shard_audit_free(audit);
}

static inline void writes_story_tell(leat_shard_address at, int32_t source_id)
{
    leat_write_question asked[WRITES_STORY_COUNT];
    leat_write_answer answers[WRITES_STORY_COUNT];
    leat_error error = {""};
    for (uint32_t i = 0; i < WRITES_STORY_COUNT; i++)
        asked[i] = (leat_write_question){i + 1,
                                         {writes_story[i].partition, writes_story[i].subpartition,
                                          writes_story[i].offset, writes_story[i].key}};
    leat_shard_reporter *reporter = leat_shard_reporter_new(at, source_id);
    for (uint32_t round = 0; round < 3; round++) {
        uint32_t count = round == 0 ? WRITES_STORY_COUNT : round; /* all, one, two */
        ck_assert_msg(
            leat_shard_reporter_read_writes(reporter, true, asked, count, answers, &error) == 0,
            "%s", error.text);
        for (uint32_t i = 0; i < count; i++) {
            ck_assert_msg(answers[i].state == writes_story[i].state, "case %u: %s, not %s", i,
                          leat_write_state_name(answers[i].state),
                          leat_write_state_name(writes_story[i].state));
            ck_assert_str_eq(answers[i].sqlstate, writes_story[i].sqlstate);
            ck_assert_str_eq(answers[i].message, writes_story[i].message);
        }
        leat_shard_reporter_rest(reporter);
    }
    leat_shard_reporter_free(reporter);
    writes_story_audit(at, source_id, asked);
}

#endif
