/*
 * sometimes.c - the names of the events that a campaign counts, and the first one that never
 * happened.
 */
#include "sometimes.h"

static const char *const names[SOMETIMES_COUNT] = {
    [SOMETIMES_ZOMBIE_FENCED] = "zombie_fenced",
    [SOMETIMES_COMMIT_UNHEARD] = "commit_unheard",
    [SOMETIMES_COMMIT_LOST] = "commit_lost",
    [SOMETIMES_COMMIT_FAILED] = "commit_failed",
    [SOMETIMES_WENT_BACK] = "went_back",
    [SOMETIMES_REWOUND] = "rewound",
    [SOMETIMES_BISECTED] = "bisected",
    [SOMETIMES_FOLDED] = "folded",
    [SOMETIMES_ROUNDS] = "rounds",
    [SOMETIMES_BUDGET_FULL] = "budget_full",
    [SOMETIMES_DEAD_LETTER] = "dead_letter",
    [SOMETIMES_LETTER_FAILED] = "letter_failed",
    [SOMETIMES_TABLE_STOPPED] = "table_stopped",
    [SOMETIMES_SHARD_HALTED] = "shard_halted",
    [SOMETIMES_STALE_BATCH] = "stale_batch",
    [SOMETIMES_SKIPPED] = "skipped",
    [SOMETIMES_COMPACTED] = "compacted",
    [SOMETIMES_LOCK_TIMEOUT] = "lock_timeout",
    [SOMETIMES_ROW_LOCK_TIMEOUT] = "row_lock_timeout",
    [SOMETIMES_BLOCKED_BESIDE] = "blocked_beside",
    [SOMETIMES_BREAKER_ASKED] = "breaker_asked",
    [SOMETIMES_LIMITED] = "limited",
    [SOMETIMES_SLOW_BATCH] = "slow_batch",
    [SOMETIMES_TENANT_ALONE] = "tenant_alone",
    [SOMETIMES_CLAIM_WAITED] = "claim_waited",
    [SOMETIMES_BATCH_WAITED] = "batch_waited",
    [SOMETIMES_HOLDER_TERMINATED] = "holder_terminated",
    [SOMETIMES_FATAL] = "fatal",
    [SOMETIMES_KILLED_BY_RECORD] = "killed_by_record",
    [SOMETIMES_CRASHED_BY_RECORD] = "crashed_by_record",
    [SOMETIMES_OTHERS_WENT_ON] = "others_went_on",
    [SOMETIMES_SERVER_STOPPED] = "server_stopped",
    [SOMETIMES_SERVER_PAUSED] = "server_paused",
    [SOMETIMES_FAILOVER] = "failover",
    [SOMETIMES_TAIL_LOST] = "tail_lost",
    [SOMETIMES_SPLIT_BRAIN] = "split_brain",
    [SOMETIMES_HANDED_OVER] = "handed_over",
    [SOMETIMES_JOB_TOLD] = "job_told",
    [SOMETIMES_SERVER_TOLD] = "server_told",
    [SOMETIMES_READ_ONLY] = "read_only",
    [SOMETIMES_SLOW] = "slow",
    [SOMETIMES_REFUSED_ALL] = "refused_all",
    [SOMETIMES_LEFT_OUT] = "left_out",
    [SOMETIMES_KEPT_LEFT_OUT] = "kept_left_out",
    [SOMETIMES_HELD_BY_CONTROL] = "held_by_control",
    [SOMETIMES_SHARED_OUT] = "shared_out",
    [SOMETIMES_KEY_HELD] = "key_held",
    [SOMETIMES_KEPT] = "kept",
    [SOMETIMES_CLAIMED_HELD] = "claimed_held",
    [SOMETIMES_KEPT_FULL] = "kept_full",
    [SOMETIMES_KEYS_FULL] = "keys_full",
    [SOMETIMES_KEYS_FULL_OF_ONE] = "keys_full_of_one",
    [SOMETIMES_KEY_TURNED] = "key_turned",
    [SOMETIMES_OWNER_RETRIED] = "owner_retried",
    [SOMETIMES_OWNER_LET_GO] = "owner_let_go",
    [SOMETIMES_PERSON_RETRIED] = "person_retried",
    [SOMETIMES_PERSON_DISCARDED] = "person_discarded",
    [SOMETIMES_PERSON_LET_GO] = "person_let_go",
    [SOMETIMES_DRIFT] = "drift",
    [SOMETIMES_CRASH] = "crash",
    [SOMETIMES_DRAINED] = "drained",
    [SOMETIMES_FROZEN] = "frozen",
    [SOMETIMES_EXPELLED] = "expelled",
    [SOMETIMES_REVOKED] = "revoked",
    [SOMETIMES_LOST] = "lost",
    [SOMETIMES_STOPPED] = "stopped",
    [SOMETIMES_TRANSACTION] = "transaction",
    [SOMETIMES_CUT_OFF_NOTICED] = "cut_off_noticed",
    [SOMETIMES_TRIMMED] = "trimmed",
    [SOMETIMES_TRUNCATED] = "truncated",
    [SOMETIMES_RECREATED] = "recreated",
    [SOMETIMES_WRITTEN_ELSEWHERE] = "written_elsewhere",
    [SOMETIMES_GROWN] = "grown",
    [SOMETIMES_COMMIT_REFUSED] = "commit_refused",
    [SOMETIMES_ACK_LOST] = "ack_lost",
    [SOMETIMES_NOT_APPENDED] = "not_appended",
    [SOMETIMES_REFUSED_REQUEST] = "refused_request",
    [SOMETIMES_MISPLACED] = "misplaced",
    [SOMETIMES_PARKED] = "parked",
    [SOMETIMES_UNPARKED] = "unparked",
    [SOMETIMES_LOADED] = "loaded",
    [SOMETIMES_PARKED_DEEP] = "parked_deep",
    [SOMETIMES_CLAIMED_PARKED] = "claimed_parked",
    [SOMETIMES_PARKED_FULL] = "parked_full",
    [SOMETIMES_PARKED_SWOLLEN] = "parked_swollen",
    [SOMETIMES_SWOLLEN] = "swollen",
    [SOMETIMES_REFUSED_LATE] = "refused_late",
    [SOMETIMES_REFUSED_PARKED] = "refused_parked",
    [SOMETIMES_REPEATED] = "repeated",
    [SOMETIMES_CONFLICTING] = "conflicting",
    [SOMETIMES_TOLD_REPEATS] = "told_repeats",
    [SOMETIMES_PERSON_REPEATED] = "person_repeated",
    [SOMETIMES_TOLD] = "told",
    [SOMETIMES_UNFLUSHED_LOST] = "unflushed_lost",
    [SOMETIMES_DOUBTED] = "doubted",
    [SOMETIMES_MADE_DURABLE] = "made_durable",
    [SOMETIMES_WRITTEN_DIRECTLY] = "written_directly",
    [SOMETIMES_MODE_MOVED] = "mode_moved",
    [SOMETIMES_EDGE_CRASHED] = "edge_crashed",
    [SOMETIMES_DIRECT_REPEATED] = "direct_repeated",
    [SOMETIMES_DIRECT_CONFLICTING] = "direct_conflicting",
    [SOMETIMES_REPEATS_OTHER_WAY] = "repeats_other_way",
    [SOMETIMES_KEY_WAITED] = "key_waited",
};

const char *sim_sometimes_name(sim_sometimes_kind kind)
{
    return names[kind];
}

void sim_sometimes_add(sim_sometimes *to, const sim_sometimes *more)
{
    for (uint32_t i = 0; i < SOMETIMES_COUNT; i++)
        to->count[i] += more->count[i];
}

void sim_sometimes_write(const sim_sometimes *sometimes, leat_buf *out)
{
    for (uint32_t i = 0; i < SOMETIMES_COUNT; i++)
        leat_buf_printf(out, "%s%s=%llu", i ? " " : "", names[i],
                        (unsigned long long)sometimes->count[i]);
}

sim_sometimes_kind sim_sometimes_never(const sim_sometimes *sometimes)
{
    uint32_t kind = 0;
    /* Of usual worlds one in thousands has it; of the campaign both ways, most. */
    while (kind < SOMETIMES_COUNT && (sometimes->count[kind] > 0 || kind == SOMETIMES_KEY_WAITED))
        kind++;
    return (sim_sometimes_kind)kind;
}
