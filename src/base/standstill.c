/*
 * standstill.c - two handles of libuv cut each turn of a loop in two phases: uv_prepare runs before
 * the poll, uv_check after it. At these points the intended length of a phase is known: a poll
 * takes as long as its timeout, everything else no time at all. In any time beyond that the process
 * was stopped, had no processor, or ran a slow callback; these cannot be told apart and need not
 * be.
 */
#include "base/standstill.h"

#include "base/diag.h"

enum { ALLOWED_US = LEAT_STANDSTILL_MS * 1000, WARN_FROM_US = 1000000, WARN_EVERY_US = 10000000 };

static void report(leat_standstill *s, int64_t now_us, int64_t beyond_us)
{
    if (beyond_us < WARN_FROM_US || now_us - s->warned_us < WARN_EVERY_US)
        return;
    s->warned_us = now_us;
    leat_warn("a loop stood still, the time counts for no limit loop=\"%s\" stood_s=%.1f "
              "reason=\"the process was stopped or had no processor, or a call took that long\"",
              s->name, (double)beyond_us / 1e6);
}

static int64_t counted_of(const leat_standstill *s, int64_t now_us)
{
    int64_t span_us = now_us > s->phase_us ? now_us - s->phase_us : 0;
    return span_us < s->budget_us ? span_us : s->budget_us;
}

/* Returns whether it took longer than counts. */
static bool end_phase(leat_standstill *s, int64_t next_budget_us)
{
    int64_t now_us = leat_mono_us(), counted_us = counted_of(s, now_us);
    int64_t beyond_us = now_us - s->phase_us - counted_us;
    LEAT_ASSERT(counted_us >= 0 && beyond_us >= 0);
    s->counted_us += counted_us;
    s->phase_us = now_us;
    s->budget_us = next_budget_us;
    report(s, now_us, beyond_us);
    return beyond_us > 0;
}

static void on_before_poll(uv_prepare_t *prepare)
{
    leat_standstill *s = prepare->data;
    int timeout_ms = uv_backend_timeout(prepare->loop);
    end_phase(s, timeout_ms < 0 ? INT64_MAX : (int64_t)timeout_ms * 1000 + ALLOWED_US);
}

/* Never twice in a row, or the clock of a loop that is always slow would stop. */
static void on_after_poll(uv_check_t *check)
{
    leat_standstill *s = check->data;
    bool stood_still = end_phase(s, ALLOWED_US);
    if (s->waits_for_poll)
        s->counted_us += ALLOWED_US;
    else if (stood_still)
        s->counted_us -= ALLOWED_US;
    s->waits_for_poll = stood_still && !s->waits_for_poll;
}

void leat_standstill_watch(leat_standstill *s, uv_loop_t *loop, const char *name)
{
    int64_t now_us = leat_mono_us();
    *s = (leat_standstill){.name = name,
                           .counted_us = now_us,
                           .phase_us = now_us,
                           .budget_us = INT64_MAX,
                           .warned_us = now_us - WARN_EVERY_US};
    uv_prepare_init(loop, &s->before_poll);
    uv_check_init(loop, &s->after_poll);
    s->before_poll.data = s;
    s->after_poll.data = s;
    uv_prepare_start(&s->before_poll, on_before_poll);
    uv_check_start(&s->after_poll, on_after_poll);
    uv_unref((uv_handle_t *)&s->before_poll);
    uv_unref((uv_handle_t *)&s->after_poll);
}

void leat_standstill_close(leat_standstill *s)
{
    uv_close((uv_handle_t *)&s->before_poll, NULL);
    uv_close((uv_handle_t *)&s->after_poll, NULL);
}

static int64_t at(leat_standstill *s, int64_t clock_us)
{
    int64_t now_us = s->counted_us + counted_of(s, clock_us);
    if (now_us > s->last_us)
        s->last_us = now_us;
    return s->last_us;
}

int64_t leat_standstill_now_us(leat_standstill *s)
{
    return at(s, leat_mono_us());
}

/* libuv's clock is the same one, in milliseconds. */
int64_t leat_standstill_turn_us(leat_standstill *s)
{
    return at(s, (int64_t)uv_now(s->before_poll.loop) * 1000);
}

int64_t leat_standstill_lost_us(leat_standstill *s)
{
    return leat_mono_us() - leat_standstill_now_us(s);
}
