/*
 * workload.h - which write comes next: key, operation and body, decided by the seed alone.
 */
#ifndef LOAD_WORKLOAD_H
#define LOAD_WORKLOAD_H

#include "load/options.h"
#include "load/zipf.h"

/* One write, from its making to its last answer. */
typedef struct load_write {
    uint64_t seq;
    leat_route_op op;
    leat_buf path;
    leat_buf body;
    int64_t due_us;   /* when the rate wanted it sent */
    int64_t first_us; /* first sent */
    int64_t sent_us;  /* last sent */
    int64_t retry_us; /* when it may be sent again */
    bool maybe;       /* an earlier sending may have been stored */
    struct load_write *next;
} load_write;

/* A built-in kind of writes. In `path` the first parameter is the tenant, the second the key. */
typedef struct load_profile {
    const char *name;
    const char *path;
    const char *table;
    const char *tenant;
    void (*put_id)(leat_buf *out, char kind, uint64_t index); /* kind: 'a' tenant, 'k' key */
    void (*put_body)(leat_buf *out, const load_options *options, const load_write *write,
                     leat_prng *prng);
} load_profile;

const load_profile *load_profile_by_name(const char *name);

typedef struct workload {
    const load_options *options;
    leat_prng prng;
    zipf zipf;
    uint32_t mix_total;
    uint64_t next_seq;
} workload;

void workload_init(workload *w, const load_options *options);
/* Fills seq, op, path and body. */
void workload_next(workload *w, load_write *ret_write);

#endif
