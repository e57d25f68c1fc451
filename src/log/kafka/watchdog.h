/*
 * watchdog.h - a trouble that should pass by itself, and the actions when it does not: it is
 * logged, then again once a minute; the client that has it is replaced, repeatedly; in the end it
 * is given up, once.
 *
 * Time in which nobody checked does not count: after a pause of the process (SIGSTOP, a machine
 * that is moved) the trouble is as old as it was before. No clock and no I/O.
 */
#ifndef LEAT_LOG_KAFKA_WATCHDOG_H
#define LEAT_LOG_KAFKA_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

enum { LEAT_WATCHDOG_PAUSE_US = 2 * 1000 * 1000 }; /* longer between two checks: nobody checked */

/* How long it lasts until it is a trouble, until it is acted on (each time), and until it is given
 * up (0: never). */
typedef struct leat_watchdog_limits {
    int64_t bad_us;
    int64_t renew_us;
    int64_t give_up_us;
} leat_watchdog_limits;

typedef struct leat_watchdog {
    leat_watchdog_limits limits;
    int64_t checked_us;
    int64_t good_us;    /* all was well; pauses move it */
    int64_t renewed_us; /* the last time since then that RENEW was returned, else good_us */
    int64_t logged_us;  /* 0: not since all was well */
    bool has_given_up;
} leat_watchdog;

/* The actions that leat_watchdog_check requests, combined. */
typedef enum leat_watchdog_action {
    LEAT_WATCHDOG_LOG = 1,
    LEAT_WATCHDOG_RENEW = 2,
    LEAT_WATCHDOG_GIVE_UP = 4,
} leat_watchdog_action;

void leat_watchdog_init(leat_watchdog *watchdog, const leat_watchdog_limits *limits,
                        int64_t now_us);
/* All is well now. How long the trouble had lasted, if it was logged; else 0. */
int64_t leat_watchdog_good(leat_watchdog *watchdog, int64_t now_us);
/* To be called more often than LEAT_WATCHDOG_PAUSE_US. Returns leat_watchdog_action. */
unsigned leat_watchdog_check(leat_watchdog *watchdog, int64_t now_us);
/* How long the trouble has lasted, as of the last check; 0: there is none (yet). */
int64_t leat_watchdog_bad_us(const leat_watchdog *watchdog);

#endif
