#include "daemon/signals.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/diag.h"
#include "base/exit_code.h"

typedef enum phase { STARTS, SERVES, DRAINS, TEARS_DOWN } phase;

/* Process-wide, as signals are. */
static struct {
    pthread_mutex_t mutex;
    phase phase;
    uv_async_t *drain;
    int exit_code;
} state = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* Every signal that by default kills and tells of no fault of the program's own. SIGHUP means that
 * the terminal is gone, SIGQUIT is what many a container image stops its program with, SIGPWR what
 * a container of LXC is told. The last kind is what programs use for purposes of their own, such as
 * to open their log file again: leat has none, and ending is not what was asked for. */
typedef enum meaning { DRAIN, DRAIN_BY_DEFAULT, NOTHING } meaning;

typedef struct named_signal {
    int number;
    const char *name;
    meaning meaning;
} named_signal;

static const named_signal signals[] = {
    {SIGTERM, "SIGTERM", DRAIN},          {SIGINT, "SIGINT", DRAIN},
    {SIGHUP, "SIGHUP", DRAIN_BY_DEFAULT}, {SIGQUIT, "SIGQUIT", DRAIN_BY_DEFAULT},
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
    static const named_signal real_time = {0, "a real-time signal", NOTHING};
    for (size_t i = 0; i < SIGNAL_COUNT; i++)
        if (signals[i].number == number)
            return &signals[i];
    return &real_time;
}

/* Once: whoever sends one by the second must not fill the log. */
static void tell_of_nothing(const named_signal *signal)
{
    static bool was_told[SIGNAL_COUNT + 1];
    bool *told = &was_told[signal->number ? signal - signals : SIGNAL_COUNT];
    if (!*told && state.phase != TEARS_DOWN)
        leat_info("%s means nothing to leat: it goes on (said once)", signal->name);
    *told = true;
}

/* With the mutex: whoever moves on to the next phase waits until this is done. */
static void on_drain(const char *name)
{
    switch (state.phase) {
    case STARTS:
        leat_info("%s while starting: ends; nothing was accepted", name);
        _exit(LEAT_EXIT_OK);
    case SERVES:
        leat_info("%s: draining (once more quits at once)", name);
        state.phase = DRAINS;
        uv_async_send(state.drain);
        return;
    case DRAINS:
        leat_warn(
            "second signal (%s): quitting at once; what was accepted is in the log, what was applied is recorded",
            name);
        _exit(LEAT_EXIT_FAILED);
    case TEARS_DOWN:
        _exit(state.exit_code);
    }
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
            tell_of_nothing(signal);
        else
            on_drain(signal->name);
        pthread_mutex_unlock(&state.mutex);
    }
    return NULL;
}

/* Neither ignored, as SIGHUP is by nohup, nor caught by a library that was loaded before, as a
 * profiler catches SIGPROF. */
static bool is_by_default(int number)
{
    struct sigaction now;
    return sigaction(number, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) &&
           now.sa_handler == SIG_DFL;
}

static void choose(sigset_t *ret)
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
    choose(&mine);
    pthread_sigmask(SIG_BLOCK, &mine, NULL);
    int code = pthread_create(&thread, NULL, wait_for_signals, &mine);
    if (code != 0)
        return leat_fail(error, "cannot start the thread that waits for signals: %s",
                         strerror(code));
    pthread_detach(thread);
    return 0;
}

static void move_on(phase to, uv_async_t *drain, int exit_code)
{
    pthread_mutex_lock(&state.mutex);
    state.phase = to;
    state.drain = drain;
    state.exit_code = exit_code;
    pthread_mutex_unlock(&state.mutex);
}

void leat_signals_serve(uv_async_t *drain)
{
    move_on(SERVES, drain, 0);
}

void leat_signals_over(int exit_code)
{
    move_on(TEARS_DOWN, NULL, exit_code);
}
