#include "cli/signals.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/diag.h"
#include "cli/commands.h"

typedef enum phase { STARTS, SERVES, DRAINS, TEARS_DOWN } phase;

/* Process-wide, as signals are. */
static struct {
    pthread_mutex_t mutex;
    phase phase;
    uv_async_t *drain;
    int exit_code;
} state = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static const char *name_of(int number)
{
    return number == SIGTERM ? "SIGTERM" : number == SIGINT ? "SIGINT" : "SIGHUP";
}

/* With the mutex: whoever moves on to the next phase waits until this is done. */
static void on_signal(const char *name)
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
        leat_warn("second signal (%s): quitting at once; what was accepted is in the log, what was applied is recorded", name);
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
        pthread_mutex_lock(&state.mutex);
        on_signal(name_of(number));
        pthread_mutex_unlock(&state.mutex);
    }
    return NULL;
}

static bool is_ignored(int number)
{
    struct sigaction now;
    return sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

int leat_signals_take(leat_error *error)
{
    static sigset_t mine;
    pthread_t thread;
    sigemptyset(&mine);
    sigaddset(&mine, SIGTERM);
    sigaddset(&mine, SIGINT);
    if (!is_ignored(SIGHUP))
        sigaddset(&mine, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &mine, NULL);
    int code = pthread_create(&thread, NULL, wait_for_signals, &mine);
    if (code != 0)
        return leat_fail(error, "cannot start the thread that waits for signals: %s", strerror(code));
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
