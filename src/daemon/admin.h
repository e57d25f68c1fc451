/* admin.h - metrics and health of a process, on a listener of its own: GET (and HEAD) /metrics,
 * /culprits, /healthz, /readyz. Everything on the loop's thread. */
#ifndef LEAT_DAEMON_ADMIN_H
#define LEAT_DAEMON_ADMIN_H

#include "http/http.h"
#include "ops/metrics.h"

enum { LEAT_ADMIN_CONNECTIONS = 32 }; /* at once, whatever `config` has */

typedef struct leat_admin leat_admin;

/* `token`: the bearer token without which /metrics and /culprits are answered 401; NULL: none is
 * needed. Health needs none: who asks for it (a balancer, a kubelet) often cannot send one.
 * `ready`, on the loop's thread: may this process be given work? If not, it appends the reason to
 * `why`. NULL: always. `culprits` appends who is to blame for the lags, as JSON; NULL: there is no
 * such page. */
leat_admin *leat_admin_new(uv_loop_t *loop, const leat_http_config *config, const char *token,
                           leat_metrics *metrics, bool (*ready)(void *context, leat_buf *why),
                           void (*culprits)(void *context, leat_buf *out), void *context,
                           leat_error *error);
int leat_admin_port(const leat_admin *admin);
/* Closes at once; its memory is freed when the loop has run the closes. */
void leat_admin_free(leat_admin *admin);

#endif
