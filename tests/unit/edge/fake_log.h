/* fake_log.h - the log's writer half, in memory: it keeps what is appended and answers when the
 * test says so. */
#ifndef TESTS_FAKE_LOG_H
#define TESTS_FAKE_LOG_H

#include "log/log.h"

enum { FAKE_LOG_MAX = 4096, FAKE_LOG_PARTITIONS = 64 };

typedef struct fake_record {
    void *tag; /* NULL: answered */
    uint32_t partition;
    int64_t accepted_ms;
    bool value_is_null;
    char key[256];
    char value[1024];
    char route[80];
    char op[16];
    char idempotency[300];
    char traceparent[64];
    char tracestate[520];
} fake_record;

struct leat_log_writer {
    leat_appended_cb on_appended;
    void *context;
    int append_result; /* the result of the next append */
    const char *append_error;
    bool broken; /* not ready */
    int64_t oldest_us[FAKE_LOG_PARTITIONS];
    const char *trouble[FAKE_LOG_PARTITIONS]; /* by partition; NULL: none */
    uint64_t refusals[LEAT_REFUSAL_COUNT];
    const char *refusal_reason[LEAT_REFUSAL_COUNT];
    uint32_t count;
    uint32_t waiting;
    bool freed;
    fake_record records[FAKE_LOG_MAX];
};

/* The one made last. It outlives leat_log_writer_free; fake_log_forget frees it. */
leat_log_writer *fake_log_last(void);
void fake_log_forget(void);
void fake_log_answer(leat_log_writer *writer, uint32_t at, leat_append_result result,
                     int64_t offset, const char *why);
/* The next leat_log_writer_new fails. */
void fake_log_fail_next(void);

#endif
