/*
 * signals.c - signals as a thread's sigwait, not as handlers: leat's actions (log a line, wake a
 * loop, end the process) are not allowed in a handler. The phase that decides is under a mutex,
 * which the thread holds until the signal is dealt with; so main cannot go on to the next phase in
 * the middle of it, and `drain` is never used after it is closed.
 */
#include "daemon/signals.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/diag.h"
#include "base/exit_code.h"
#include "base/states.h"

typedef enum phase { STARTING, SERVING, LEAVING, DRAINING, TEARING_DOWN, PHASE_COUNT } phase;

static const unsigned may_follow[PHASE_COUNT] = {
    [STARTING] = LEAT_TO(SERVING) | LEAT_TO(TEARING_DOWN),
    [SERVING] = LEAT_TO(LEAVING) | LEAT_TO(DRAINING) | LEAT_TO(TEARING_DOWN),
    [LEAVING] = LEAT_TO(DRAINING) | LEAT_TO(TEARING_DOWN),
    [DRAINING] = LEAT_TO(TEARING_DOWN),
};

/* What SIGHUP is for. */
typedef enum hangup { NOT_KNOWN, ENDS, READS_AGAIN } hangup;

/* Process-wide, as signals are. */
static struct {
    pthread_mutex_t mutex;
    phase phase;
    bool leaves; /* before it drains */
    uv_async_t *drain;
    uv_async_t *reload;
    hangup hangup;
    bool hangup_waits; /* it came before anything could be done for it */
    int exit_code;
} state = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void enter(phase to)
{
    LEAT_ASSERT(leat_may_follow(may_follow, state.phase, to));
    state.phase = to;
}

/* Every signal that kills by default and does not mean a fault of the program itself. SIGHUP means
 * that the terminal was closed, and to a process with files to read again that it should; many
 * container images stop their program with SIGQUIT; LXC stops a
 * container with SIGPWR. Programs use the last kind for purposes of their own, such as reopening a
 * log file: leat has no such purpose, and such a signal does not ask it to end. */
typedef enum meaning { DRAIN, DRAIN_BY_DEFAULT, HANGUP, NOTHING } meaning;

typedef struct named_signal {
    int number;
    const char *name;
    meaning meaning;
} named_signal;

static const named_signal signals[] = {
    {SIGTERM, "SIGTERM", DRAIN},          {SIGINT, "SIGINT", DRAIN},
    {SIGHUP, "SIGHUP", HANGUP},           {SIGQUIT, "SIGQUIT", DRAIN_BY_DEFAULT},
#ifdef SIGPWR
    {SIGPWR, "SIGPWR", DRAIN_BY_DEFAULT},
#endif
    {SIGUSR1, "SIGUSR1", NOTHING},        {SIGUSR2, "SIGUSR2", NOTHING},
    {SIGALRM, "SIGALRM", NOTHING},        {SIGVTALRM, "SIGVTALRM", NOTHING},
    {SIGPROF, "SIGPROF", NOTHING},        {SIGIO, "SIGIO", NOTHING},
#ifdef SIGSTKFLT
    {SIGSTKFLT, "SIGSTKFLT", NOTHING},
#endif
};

enum { SIGNAL_COUNT = sizeof signals / sizeof *signals };

static const named_signal *signal_of(int number)
{
    static const named_signal real_time = {0, "real-time", NOTHING};
    for (size_t i = 0; i < SIGNAL_COUNT; i++)
        if (signals[i].number == number)
            return &signals[i];
    return &real_time;
}

/* Logged once each: a program that sends one every second must not fill the log. */
static void log_ignored(const named_signal *signal)
{
    static bool was_logged[SIGNAL_COUNT + 1];
    bool *logged = &was_logged[signal->number ? signal - signals : SIGNAL_COUNT];
    if (!*logged && state.phase != TEARING_DOWN)
        leat_info("signal ignored; further ones are not logged signal=%s", signal->name);
    *logged = true;
}

static const char draining[] = "draining; another signal ends at once";

static void ask(phase to, const char *message, const char *name)
{
    leat_info("%s signal=%s", message, name);
    LEAT_ASSERT(state.drain != NULL);
    enter(to);
    uv_async_send(state.drain);
}

/* With the mutex: the next phase waits until this is done. */
static void on_drain(const char *name, bool is_hasty)
{
    switch (state.phase) {
    case STARTING:
        leat_info("ending while starting: nothing was accepted signal=%s", name);
        _exit(LEAT_EXIT_OK);
    case SERVING:
        if (state.leaves && !is_hasty)
            ask(LEAVING, "not ready any more, still serving; another signal drains", name);
        else
            ask(DRAINING, draining, name);
        return;
    case LEAVING:
        ask(DRAINING, draining, name);
        return;
    case DRAINING:
        leat_warn(
            "second signal: ending at once; accepted writes are in the log, applied ones are recorded signal=%s",
            name);
        _exit(LEAT_EXIT_FAILED);
    case TEARING_DOWN:
    case PHASE_COUNT:
        _exit(state.exit_code);
    }
}

/* The same. A process that drains has no use for new files. */
static void on_hangup(void)
{
    if (state.hangup == ENDS)
        on_drain("SIGHUP", false);
    else if (state.phase == STARTING)
        state.hangup_waits = true;
    else if (state.phase == SERVING)
        uv_async_send(state.reload);
}

static void *wait_for_signals(void *context)
{
    const sigset_t *mine = context;
    for (;;) {
        int number;
        if (sigwait(mine, &number) != 0)
            continue;
        const named_signal *signal = signal_of(number);
        pthread_mutex_lock(&state.mutex);
        if (signal->meaning == NOTHING)
            log_ignored(signal);
        else if (signal->meaning == HANGUP)
            on_hangup();
        else
            on_drain(signal->name, signal->number == SIGINT);
        pthread_mutex_unlock(&state.mutex);
    }
    return NULL;
}

/* False: it is ignored, as nohup does with SIGHUP, or caught by a library that was loaded before,
 * as a profiler does with SIGPROF. */
static bool is_by_default(int number)
{
    struct sigaction now;
    return sigaction(number, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) &&
           now.sa_handler == SIG_DFL;
}

static void choose_signals(sigset_t *ret)
{
    sigemptyset(ret);
    for (size_t i = 0; i < SIGNAL_COUNT; i++)
        if (signals[i].meaning == DRAIN || is_by_default(signals[i].number))
            sigaddset(ret, signals[i].number);
    for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
        if (is_by_default(number))
            sigaddset(ret, number);
}

int leat_signals_take(leat_error *error)
{
    static sigset_t mine;
    pthread_t thread;
    choose_signals(&mine);
    pthread_sigmask(SIG_BLOCK, &mine, NULL);
    int code = pthread_create(&thread, NULL, wait_for_signals, &mine);
    if (code != 0)
        return leat_fail(error, "cannot start the thread that waits for signals: %s",
                         strerror(code));
    pthread_detach(thread);
    return 0;
}

static void enter_phase(phase to, uv_async_t *drain, uv_async_t *reload, int exit_code)
{
    pthread_mutex_lock(&state.mutex);
    enter(to);
    state.drain = drain;
    state.reload = reload;
    state.exit_code = exit_code;
    pthread_mutex_unlock(&state.mutex);
}

void leat_signals_configured(bool reads_again)
{
    pthread_mutex_lock(&state.mutex);
    LEAT_ASSERT(state.phase == STARTING && state.hangup == NOT_KNOWN);
    state.hangup = reads_again ? READS_AGAIN : ENDS;
    if (state.hangup_waits && !reads_again)
        on_hangup();
    pthread_mutex_unlock(&state.mutex);
}

void leat_signals_serve(uv_async_t *drain, uv_async_t *reload, bool leaves)
{
    LEAT_ASSERT(state.hangup != NOT_KNOWN);
    state.leaves = leaves; /* not read before it serves */
    enter_phase(SERVING, drain, reload, 0);
    if (state.hangup_waits) /* not written any more */
        uv_async_send(reload);
}

bool leat_signals_leaving(void)
{
    pthread_mutex_lock(&state.mutex);
    bool leaving = state.phase == LEAVING;
    pthread_mutex_unlock(&state.mutex);
    return leaving;
}

void leat_signals_left(void)
{
    pthread_mutex_lock(&state.mutex);
    state.leaves = false;
    if (state.phase == LEAVING) {
        leat_info("%s", draining);
        enter(DRAINING);
    }
    pthread_mutex_unlock(&state.mutex);
}

void leat_signals_over(int exit_code)
{
    enter_phase(TEARING_DOWN, NULL, NULL, exit_code);
}
