/*
 * state.c - what a process says of itself in /state: who it is, and how full the subpartitions of
 * its workers are. The numbers beside it come from its metrics (page/history.h).
 */
#include <stdio.h>
#include <unistd.h>

#include "daemon/daemon_state.h"

static void put_text(leat_buf *out, const char *name, const char *text)
{
    leat_buf_printf(out, "\"%s\":", name);
    leat_buf_json_string(out, leat_slice_of(text));
    leat_buf_byte(out, ',');
}

void leat_daemon_write_state(void *context, leat_buf *out)
{
    const leat_daemon *daemon = context;
    char host[256] = "";
    leat_buf heat = {0};
    gethostname(host, sizeof host - 1);
    put_text(out, "command", daemon->command);
    put_text(out, "version", LEAT_VERSION);
    put_text(out, "host", host);
    put_text(out, "topic", daemon->assembly.log.topic);
    leat_buf_printf(out, "\"pid\":%lld,\"started_ms\":%lld,\"edge\":%s,\"apply\":%s,",
                    (long long)getpid(), (long long)daemon->started_ms,
                    daemon->with_edge ? "true" : "false", daemon->with_apply ? "true" : "false");
    for (uint32_t i = 0; i < daemon->worker_count; i++)
        leat_worker_append_heat(daemon->workers[i], &heat);
    leat_buf_text(out, "\"heat\":[");
    leat_buf_append(out, heat.data, heat.size);
    leat_buf_text(out, "],");
    leat_buf_free(&heat);
}
