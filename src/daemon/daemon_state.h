/* daemon_state.h - the inside of a process that serves, for serve.c, parts.c, ways.c and state.c
 * only. */
#ifndef LEAT_DAEMON_STATE_H
#define LEAT_DAEMON_STATE_H

#include <stdatomic.h>

#include <uv.h>

#include "apply/reporter.h"
#include "base/limits.h"
#include "daemon/admin.h"
#include "daemon/assemble.h"
#include "daemon/edge_thread.h"
#include "daemon/reload.h"
#include "trace/tracer.h"
#include "watch/catalog_watch.h"
#include "watch/mode_watch.h"
#include "watch/write_watch.h"

typedef enum leat_daemon_phase {
    LEAT_DAEMON_STARTING, /* asks the log and the shards; a signal ends it at once (signals.h) */
    LEAT_DAEMON_UP,
    LEAT_DAEMON_LEAVING,  /* not ready, so that load balancers go elsewhere, but all goes on */
    LEAT_DAEMON_DRAINING, /* edge and workers finish their work in flight */
    LEAT_DAEMON_DOWN,     /* no thread of them runs */
} leat_daemon_phase;

enum { LEAT_DAEMON_HOST_SIZE = 256 };

typedef struct leat_daemon {
    const char *command;
    int64_t started_ms; /* since 1970 */
    bool with_edge;
    bool with_apply;
    leat_assembly assembly;
    leat_metrics *metrics;
    leat_schema_versions *schema_versions;
    leat_controls *controls;  /* read by a process that applies only */
    leat_controls *floods;    /* read by a process with an edge only: leat_shard_read_floods */
    leat_write_waits *writes; /* of a process with an edge; NULL: nobody may wait */
    leat_write_watch *write_watch;
    leat_modes *modes; /* of live routes, where there is an edge; NULL: there are none */
    leat_mode_watch *mode_watch;
    _Atomic int64_t noted_ms[LEAT_SHARDS_MAX]; /* as in leat_direct_config */
    leat_catalog_watch *watch;
    char listen_host[LEAT_DAEMON_HOST_SIZE];
    char admin_host[LEAT_DAEMON_HOST_SIZE];

    uv_loop_t loop; /* of the main thread: signals, the end of threads, the admin listener */
    uv_async_t drain_asked; /* by a signal */
    uv_timer_t left;        /* ends LEAVING */
    uv_async_t thread_ended;
    _Atomic uint32_t running; /* threads of edge and workers */
    leat_daemon_phase phase;
    int code; /* the process ends with it */

    leat_auth *auth;     /* who may write; NULL: everybody */
    leat_tracer *tracer; /* NULL: there are no spans */
    leat_reload *reload; /* the files that are read again: each part adds its own as it is made */
    leat_admin *admin;
    leat_culprits culprits;          /* while they are put together: large for a stack frame */
    leat_gauge *certificate_expires; /* NULL: the edge speaks in cleartext */
    leat_edge_thread *edge;
    leat_worker_shard *shards; /* in layout order */
    const char **shard_names;  /* theirs */
    char owner[LEAT_OWNER_SIZE];
    leat_worker *workers[LEAT_WORKERS_MAX];
    uint32_t worker_count;
    leat_reporter *reporter;
} leat_daemon;

/* parts.c, in the order of dependence: each makes its part from the assembly and those before.
 * 0, or -1 with a message; what was made stays in the daemon. Main thread. */

/* Versions of the tables and the watch over them. */
int leat_daemon_make_versions(leat_daemon *daemon, leat_error *error) LEAT_MUST_CHECK;
/* Who waits for writes; before edge and workers. None where limits.waiting is 0. */
void leat_daemon_make_writes(leat_daemon *daemon);
/* Where spans are sent; before edge and workers. None without an endpoint. */
int leat_daemon_make_tracer(leat_daemon *daemon, leat_error *error) LEAT_MUST_CHECK;
/* The configuration names files that an edge reads again (reload.h); needs nothing else. */
bool leat_daemon_reads_again(const leat_config *config);
/* Listens, but serves nobody yet. */
int leat_daemon_make_edge(leat_daemon *daemon, leat_error *error) LEAT_MUST_CHECK;
int leat_daemon_make_workers(leat_daemon *daemon, leat_error *error) LEAT_MUST_CHECK;
/* state.c: members of /state (leat_admin_config). `context` is the daemon. */
void leat_daemon_write_state(void *context, leat_buf *out);
/* None when admin is off. */
int leat_daemon_make_admin(leat_daemon *daemon, leat_error *error) LEAT_MUST_CHECK;
/* culprits.c: who is to blame for the shards' lags (apply/culprits.h), as JSON. Main thread. */
void leat_daemon_write_culprits(leat_daemon *daemon, leat_buf *out);
/* Asks the shards for those who wait, once the edge runs; else there is none. */
int leat_daemon_start_write_watch(leat_daemon *daemon, leat_error *error) LEAT_MUST_CHECK;
/* ways.c: for routes whose writes may go to the database, before the edge runs; else there is none.
 */
leat_direct_source leat_daemon_direct_source(leat_daemon *daemon);
int leat_daemon_start_mode_watch(leat_daemon *daemon, leat_error *error) LEAT_MUST_CHECK;
/* Of the workers, once they run; without workers there is none. */
int leat_daemon_start_reporter(leat_daemon *daemon, leat_error *error) LEAT_MUST_CHECK;

#endif
