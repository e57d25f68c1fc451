/*
 * admin.h - a process as people and programs look at it, on a listener of its own: GET (and HEAD)
 * of /metrics, /healthz and /readyz, the page at / and what it draws (/state, /culprits, /waiting),
 * and POST of what can be done on the page (actions.h; docs/dashboard.md). On the loop's thread.
 */
#ifndef LEAT_DAEMON_ADMIN_H
#define LEAT_DAEMON_ADMIN_H

#include "daemon/assemble.h"
#include "ops/metrics.h"

enum { LEAT_ADMIN_CONNECTIONS = 32 }; /* at once, whatever the configuration has */

typedef struct leat_admin leat_admin;

/* Everything pointed at outlives the admin. */
typedef struct leat_admin_config {
    leat_http_config http;
    /* The bearer token without which all but health and the page, which is empty without the rest,
     * is answered 401; NULL: none is needed. Who asks for health (a balancer, a kubelet) often
     * cannot send one. */
    const char *token;
    leat_metrics *metrics;
    const char *const *shards; /* their names, in the order in which they are shown */
    uint32_t shard_count;
    /* May this process be given work? If not, it appends the reason to `why`. NULL: always. */
    bool (*ready)(void *context, leat_buf *why);
    /* Appends members of /state, each with a comma after it: what the process is. NULL: none. */
    void (*state)(void *context, leat_buf *out);
    /* Appends who is to blame for the lags, as JSON; NULL: nobody knows. */
    void (*culprits)(void *context, leat_buf *out);
    void *context;
    const leat_assembly *assembly; /* with which the shards are asked; NULL: they are not */
} leat_admin_config;

leat_admin *leat_admin_new(uv_loop_t *loop, const leat_admin_config *config, leat_error *error);
int leat_admin_port(const leat_admin *admin);
/* Closes at once; its memory is freed when the loop has run the closes. */
void leat_admin_free(leat_admin *admin);

#endif
