/*
 * internal.h - what the edge's files share:
 *
 *   edge.c            decides what a request is
 *   write.c           takes a write from its bytes to where it goes
 *   append.c          through the log to its answer
 *   direct.c          what goes to the database while its client waits
 *   way.c             which way a write goes
 *   batch.c           many writes in one request
 *   content.c         what a body is
 *   tenant.c          whose write it is where the path does not say it
 *   auth.c            who may write
 *   admission.c       who writes too often
 *   idempotency.c     the idempotency key of a write
 *   answer.c          the answers
 *   metrics.c         counts them
 *   health.c          whether writes are taken
 *   docs.c            describes the API to whoever asks
 *
 * Parts with their own headers:
 *
 *   batch_split.c     where an item of a batch begins and ends
 *   batch_item.c      what an item says
 *   batch_rows.c      the rows of which a batch takes no further item
 *   buckets.c         token buckets by name
 *   waiting.c         who waits for a write
 *   prefer.c          the header Prefer
 *   trace.c           a request's trace
 *   openapi.c         the OpenAPI document
 *   openapi_schema.c  the columns of a table in it
 */
#ifndef LEAT_EDGE_INTERNAL_H
#define LEAT_EDGE_INTERNAL_H

#include <sys/queue.h>

#include "base/shares.h"
#include "edge/buckets.h"
#include "edge/edge.h"
#include "ops/health.h"
#include "record/body.h"

/* What is limited for itself. */
typedef enum edge_limit {
    EDGE_LIMIT_TENANT,
    EDGE_LIMIT_KEY,
    EDGE_LIMIT_TOKEN,
    EDGE_LIMIT_COUNT
} edge_limit;

typedef struct edge_metrics {
    leat_counter *answers[LEAT_HTTP_CODE_COUNT]; /* NULL: not an answer to a write */
    leat_histogram *durable[LEAT_ROUTES_MAX];
    leat_gauge *oldest_ms;
    leat_gauge *in_flight;
    leat_gauge *connections;
    leat_gauge *log_silent_ms;
    leat_counter *log_renewals;
    leat_counter *accepted;
    leat_counter *refused;
    leat_counter *malformed;
    leat_counter *timeouts;
    leat_counter *http_1, *http_2; /* connections */
    leat_counter *streams;
    leat_counter *tls_handshakes, *tls_resumed, *tls_failures;
    leat_counter *refusals[LEAT_REFUSAL_COUNT];
    leat_counter *limited[EDGE_LIMIT_COUNT];
    leat_counter *limited_parked, *limited_lag;
    leat_counter *tokens_verified;
    leat_counter *batches;
    leat_gauge *batches_open;
    leat_gauge *waiting;
    leat_counter *waits[LEAT_WRITE_STATE_COUNT];
    leat_counter *waits_refused;
    leat_counter *questions;
    leat_histogram *waited;
    leat_counter *sync_writes[LEAT_DIRECT_OUTCOME_COUNT];
    leat_gauge *sync_waiting;
    leat_histogram *sync_took;
    leat_counter *shadow_appended, *shadow_lost;
} edge_metrics;

/* Texts of names that were refused; a later one may take the place of an earlier one. */
enum { EDGE_REFUSED_NAMES = 16 };
typedef struct edge_refused_name {
    uint64_t name;
    uint32_t size;
    char text[128]; /* cut */
} edge_refused_name;
typedef struct edge_refused {
    edge_refused_name names[EDGE_REFUSED_NAMES];
} edge_refused;

/* The tenants of a shard that are refused for now. */
typedef struct edge_floods {
    leat_control_set *set; /* held; NULL: none yet */
    uint32_t version;
} edge_floods;

typedef struct edge_admission {
    edge_floods floods[LEAT_SHARDS_MAX];
    leat_buckets buckets[EDGE_LIMIT_COUNT];
    edge_refused refused[EDGE_LIMIT_COUNT];
    int64_t reported_us;
} edge_admission;

typedef struct edge_batch edge_batch;
typedef struct edge_ticket edge_ticket;

/* What the edge keeps with a request (leat_http_request_keep). */
enum { EDGE_SLOT_BATCH, EDGE_SLOT_TOKEN, EDGE_SLOT_TRACE, EDGE_SLOT_WAITER };

/* What the limit that is nearest has left for whoever has written, as a 202 tells it. */
typedef struct edge_left {
    bool is_limited;
    edge_limit limit;
    uint32_t count;  /* writes that it would let through at once */
    uint32_t full_s; /* until it has its whole burst again */
} edge_left;

/* Who gets the answer to a write: its own request, or the batch whose item it is. */
typedef struct edge_asker {
    leat_http_request *request; /* its headers count for every item of its batch */
    edge_batch *batch;          /* NULL: the request is the write */
    uint64_t item;              /* of the batch, counted from 0 */
    uint64_t row;               /* a hash of table and key, once they are known */
    edge_left left;             /* of a write that the limits have let through; not of an item */
} edge_asker;

/* An idempotency key and what its write says. */
typedef struct edge_seen_key {
    uint64_t id; /* of row and key; 0: there is none */
    uint64_t says;
    int64_t taken_us; /* leat_mono_us: when the log had its write */
} edge_seen_key;

/* A write on its way from its bytes to the log. The key is in the edge: it is large. */
typedef struct edge_write {
    edge_asker asker;
    leat_http_method method;
    leat_slice path, query, body; /* valid until it is taken */
    leat_slice idempotency;       /* likewise: the key as it was sent; without data: none */
    struct yyjson_val *read_body; /* as leat_body_parser_offer wants it; NULL: it was not read */
    int64_t arrived_us;
    /* found on the way */
    const leat_route *route; /* of shard 0 */
    leat_route_op op;
    uint32_t partition;
    leat_way way;
    int64_t way_until_us; /* of a live route: it holds so long, */
    uint32_t way_version; /* by this version of the setting */
    bool names_route;     /* there are several: its record says which one */
    edge_seen_key seen;
} edge_write;

/* Requests that wait for a write: waiting.h. */
typedef struct edge_waiter edge_waiter;
typedef struct edge_waiting {
    LIST_HEAD(edge_waiters, edge_waiter) all;
    uint32_t count;
    uv_timer_t look; /* at the deadlines, while anybody waits */
    uv_async_t wake; /* some are decided */
    void (*on_closed)(leat_edge *edge);
} edge_waiting;

/* Writes that go to the database while their client waits. */
typedef struct edge_direct_ticket edge_direct_ticket;
typedef struct edge_direct {
    leat_direct *source; /* NULL: there are no routes for it */
    LIST_HEAD(edge_direct_tickets, edge_direct_ticket) tickets;
    uint32_t count;
    uint32_t live_count;              /* of them, of live routes */
    uint32_t counts[LEAT_SHARDS_MAX]; /* of them, by shard */
} edge_direct;

/* Whose the request is that was asked about last. */
typedef struct edge_auth {
    leat_auth_checker *checker; /* NULL: everybody may write */
    uintptr_t asked;            /* so many times; the request keeps it (EDGE_SLOT_TOKEN) */
    const leat_principal *who;  /* NULL: nobody's */
    const char *why;            /* then; NULL: it shows no token */
    leat_buf text;
    leat_key tenant; /* the token's own, as this route spells it */
} edge_auth;

/* A limit as clients are told of it: so many writes within so many seconds. */
typedef struct edge_policy {
    const char *name;
    uint64_t quota, window_s;
} edge_policy;

/* Why a write may not be, to be answered, or to be told of an item among several. */
typedef struct edge_refusal {
    leat_http_code code;
    char message[160];
    char headers[320]; /* whole lines, for an answer of its own */
} edge_refusal;
/* The description of the API, as it was last asked for. */
typedef struct edge_docs {
    const leat_schema_version *version; /* that it is made of; NULL: none is made */
    leat_buf description;
    char etag[24];
    size_t unsent;     /* bytes of answers that no client has taken, at `looked_us`, and what was
                          given since */
    int64_t looked_us; /* 0: never */
} edge_docs;

/* Its life; edge.c has the legal edges. */
typedef enum edge_state {
    EDGE_OPEN,
    EDGE_LEAVING,   /* not ready, but it serves whoever comes */
    EDGE_DRAINING,  /* no new connections */
    EDGE_ANSWERING, /* no connections, but records of clients that went away still wait */
    EDGE_DRAINED,   /* and the owner knows */
    EDGE_FREED,     /* its handles are being closed */
} edge_state;

struct leat_edge {
    leat_edge_config config;
    leat_http_server *http;
    leat_log_writer *writer;
    uv_timer_t tick;
    uint32_t in_flight;
    uint32_t partition_count;
    uint64_t *in_flight_of; /* by partition */
    int64_t *oldest_us;     /* likewise: none in flight arrived earlier */
    leat_shares shares;     /* of in_flight_max */
    edge_ticket *tickets;   /* [in_flight_max]; those from tickets_used on were never used */
    edge_ticket *free_tickets;
    uint32_t tickets_used;
    int64_t begun_us;
    int64_t taken_us; /* when the log last took a record; 0: never */
    edge_state state;
    bool is_failure_reported;
    void (*on_drained)(void *context);
    void *drained_context;
    leat_body_parser *parser;
    LIST_HEAD(edge_batches, edge_batch) batches;
    uint32_t batch_count;
    struct edge_item_reader *item_reader;
    edge_admission admission;
    edge_waiting waiting;
    edge_direct direct;
    edge_auth auth;
    edge_docs docs;
    edge_seen_key *seen; /* NULL: no write with a key was appended yet */
    edge_metrics metrics;
    leat_buf text;          /* of the answer being written */
    leat_buf accepted_head; /* of every write: "topic":"...","partition": */
    /* Of the request that is being handled; here because they are large for a stack frame. */
    leat_key key;
    leat_body body;
    leat_buf tenant; /* its text, where it has to be decoded */
};

/* Not draining: requests that take long may begin. While it leaves, clients come as ever. */
static inline bool edge_takes_long_ones(const leat_edge *edge)
{
    return edge->state == EDGE_OPEN || edge->state == EDGE_LEAVING;
}

/* ---- edge.c ---- */
/* A record was answered: the drain may be over. Acts in a later turn of the loop. */
void edge_drain_soon(leat_edge *edge);

/* ---- write.c ---- */
void edge_writes_init(leat_edge *edge);
/* No write is in flight. */
void edge_writes_fini(leat_edge *edge);
/* Answers it now, or appends it and answers it later. */
void edge_write_take(leat_edge *edge, edge_write *write);
/* The answer to a write that was not accepted, wherever it goes; `field` NULL or "": it is not
 * about one field. */
void edge_refuse(leat_edge *edge, const edge_asker *asker, leat_http_code code, const char *field,
                 const char *message);
/* 429; `after_s`: when it may come again. */
void edge_refuse_limited(leat_edge *edge, const edge_asker *asker, const char *message,
                         int64_t after_s, const edge_policy *policy);

/* ---- append.c ---- */
void edge_tickets_init(leat_edge *edge);
/* No write is in flight. */
void edge_tickets_fini(leat_edge *edge);
/* The write whose key is in the edge, which may be written: answers it now or later. */
void edge_append(leat_edge *edge, const edge_write *write);
/* When the oldest write that waits for the log arrived, or a little earlier; INT64_MAX: none
 * waits. */
int64_t edge_oldest_us(const leat_edge *edge);
/* Appends what was applied to a route's table for its shadow. */
void edge_shadow_append(leat_edge *edge, const leat_route *shadow, const leat_record *applied);
/* A leat_appended_cb. */
void edge_on_appended(void *context, void *tag, leat_append_result result, uint32_t partition,
                      int64_t offset, const char *why);

/* ---- content.c ---- */
/* A media type without its parameters. */
leat_slice edge_media_type(leat_slice value);
/* NULL, or why the request's Content-Encoding is not taken. */
const char *edge_coding_fault(const leat_http_request *request);
/* NULL: by its headers the body is plain JSON; else the reason why it is not. */
const char *edge_content_fault(const leat_http_request *request, leat_route_op op);

/* ---- way.c ---- */
/* Fills it in. Answers the write and returns false while its key is on its way from one side to the
 * other, or nobody knows. */
bool edge_way_find(leat_edge *edge, edge_write *write);
/* What the writes of all routes need. */
typedef struct edge_needs {
    bool log;       /* some go into it */
    bool databases; /* none goes on without them */
} edge_needs;
/* As live routes were read last. */
edge_needs edge_way_needs(const leat_edge *edge);

/* What let a write of a live route into the log. */
typedef struct edge_lease {
    int64_t until_us;
    uint32_t version; /* of the setting */
    uint32_t point;   /* of the write's key */
} edge_lease;

/* The log has acknowledged such a write: may its client be told so? */
bool edge_way_may_accept(const leat_edge *edge, const leat_route *route, uint32_t partition,
                         const edge_lease *lease);

/* ---- direct.c ---- */
int edge_direct_init(leat_edge *edge, uv_loop_t *loop, leat_error *error) LEAT_MUST_CHECK;
/* Answers all that wait. */
void edge_direct_free(leat_edge *edge);
/* The write of edge->key, which may be written: answers it now or later. */
void edge_direct_write(leat_edge *edge, const edge_write *write);
/* Has one of these shards, a bit for each, so many writes that a batch takes no further item? */
bool edge_direct_is_full(const leat_edge *edge, uint64_t shards);
/* Does an earlier write of a live route to this row still wait for the database? */
bool edge_direct_has_row(const leat_edge *edge, uint64_t row);

/* ---- idempotency.c ---- */
/* Each answers it and returns false when: its key is none; another write to its row has lately had
 * the key, which takes its body. */
bool edge_idempotency_check(leat_edge *edge, edge_write *write);
bool edge_idempotency_admit(leat_edge *edge, edge_write *write);
/* The header, or the member of an item, that has the key. */
const char *edge_idempotency_field(const edge_asker *asker);
/* The log has a write with this key, if it has one. */
void edge_idempotency_note(leat_edge *edge, const edge_seen_key *key);
void edge_idempotency_fini(leat_edge *edge);

/* ---- tenant.c ---- */
/* The tenant of a write whose route has it elsewhere than in the path: its text, valid until the
 * next write. Otherwise what to answer: LEAT_BODY_REFUSED (`ret_error` names the member or header)
 * or a fault of the body. The headers are those of the request, also for an item of a batch. */
leat_body_fault edge_tenant_find(leat_edge *edge, const edge_write *write, leat_slice *ret,
                                 leat_body_error *ret_error) LEAT_MUST_CHECK;

/* ---- batch.c ---- */
/* The stream_window that a batch needs at least: nothing of an item is taken before all of it has
 * come. */
size_t edge_batch_window(const leat_http_config *http);
#define EDGE_BATCH_PATH "/batch" /* by POST */
bool edge_batch_is_one(const leat_http_request *request);
/* Its headers are there: it is streamed, or answered at once. */
leat_http_body_mode edge_batch_begin(leat_edge *edge, leat_http_request *request);
/* The hooks of a request that is streamed. */
void edge_batch_bytes(void *context, leat_http_request *request, leat_slice piece, bool is_last);
void edge_batch_room(void *context, leat_http_request *request);
void edge_batch_gone(void *context, leat_http_request *request);
/* No further item is taken; each batch is told so, and ends when its items are answered. */
void edge_batches_drain(leat_edge *edge);
/* The outcome of an item, once. `after_s`: 0 where the code alone says it. */
void edge_batch_accepted(const edge_asker *asker, const leat_write_place *place);
void edge_batch_applied(const edge_asker *asker, const char *message);
void edge_batch_refused(const edge_asker *asker, leat_http_code code, const char *field,
                        const char *message, int64_t after_s);
void edge_batch_refused_by_database(const edge_asker *asker, const leat_direct_answer *why);
/* May an item of this row follow what became of earlier ones? Answers it and returns false when
 * not. True for a write that is no item. */
bool edge_batch_keeps_order(const edge_asker *asker);
/* An item waits for the databases of these shards, a bit for each. */
void edge_batch_goes_to(edge_batch *batch, uint64_t shards);

/* ---- metrics.c, answer.c ---- */
void edge_metrics_register(edge_metrics *metrics, const leat_edge_config *config,
                           const leat_routes *routes);
void edge_metrics_show(leat_edge *edge);

void edge_answer_prepare(leat_edge *edge);
/* Appends `,"message":"..."`, unless it is empty. */
void edge_write_message(leat_buf *text, const char *message);
/* Adds "sqlstate" to an object that is whole; null where the text is empty. */
void edge_add_sqlstate(leat_buf *object, const char *sqlstate);
/* Appends `,"token":"..."`, where tokens are given. */
void edge_write_token(const leat_edge *edge, leat_buf *text, const leat_write_place *place);
void edge_answer_accepted(leat_edge *edge, leat_http_request *request,
                          const leat_write_place *place, const edge_left *left);
/* The end of a write of direct.c: 200, with a message if it is a repeat, else ""; or 422 with the
 * database's reason. */
void edge_answer_applied(leat_edge *edge, leat_http_request *request, const edge_left *left,
                         const char *message);
void edge_answer_refused(leat_edge *edge, leat_http_request *request,
                         const leat_direct_answer *why);
/* The end of a wait, of `wait_s` at most: 200 when the write is applied, else 202 with what is
 * known of it; 422 for a dead letter; and to a question 200, whatever became of the write. */
void edge_answer_waited(leat_edge *edge, leat_http_request *request, const leat_write_place *place,
                        const leat_write_answer *state, uint32_t wait_s);
void edge_answer_dead_letter(leat_edge *edge, leat_http_request *request,
                             const leat_write_place *place, const leat_write_answer *state,
                             uint32_t wait_s);
void edge_answer_state(leat_edge *edge, leat_http_request *request, const leat_write_place *place,
                       const leat_write_answer *state, uint32_t wait_s);
/* `field` NULL or "": it is not about one field. */
void edge_answer_error(leat_edge *edge, leat_http_request *request, leat_http_code code,
                       const char *field, const char *message);
void edge_answer_refusal(leat_edge *edge, leat_http_request *request, const edge_refusal *refusal);
/* 429; `after_s`: when it may come again. `policy`: which limit of how many in how many seconds, as
 * the header field RateLimit-Policy names it; NULL: it is none that could be told. */
void edge_answer_limited(leat_edge *edge, leat_http_request *request, const char *message,
                         int64_t after_s, const edge_policy *policy);
void edge_answer_method(leat_edge *edge, leat_http_request *request, const char *allow);
#define EDGE_HEALTH_METHODS "GET, HEAD, OPTIONS"
/* /healthz and /readyz; not counted. */
void edge_answer_health(leat_edge *edge, leat_http_request *request, const leat_health *health);

void edge_auth_init(leat_edge *edge);
void edge_auth_fini(leat_edge *edge);
/* Does the request show a token that is good? Answers it and returns false when not. Early: its
 * body need not be there. */
bool edge_auth_check(leat_edge *edge, leat_http_request *request);
/* May whoever sends the request do this? Answers nothing: false, and `ret` says why not. `tenant`
 * as in a canonical key; empty: the write has none. */
bool edge_auth_allows(leat_edge *edge, leat_http_request *request, const leat_route *route,
                      leat_route_op op, leat_slice tenant, edge_refusal *ret);
/* Whose the request is, valid until another one is asked about; NULL: nobody's, or nobody is
 * asked. */
const leat_principal *edge_auth_who(leat_edge *edge, leat_http_request *request);
/* The tenant that the request's token is for, not percent-encoded, valid as long; empty: none. */
leat_slice edge_auth_tenant(leat_edge *edge, leat_http_request *request);

void edge_admission_init(leat_edge *edge);
void edge_admission_fini(leat_edge *edge);
/* May the write of edge->key, whose way is known, be taken by the limits of its key, its token and
 * its tenant, and into the log by what waits there of its tenant? Answers it and returns false when
 * not. */
bool edge_admission_admit(leat_edge *edge, edge_write *write);
/* May what was applied go into the log for its shadow, by what waits there of its tenant? */
bool edge_admission_takes_shadow(leat_edge *edge, const leat_route *shadow,
                                 const leat_record *record);
/* The limit as clients are told of it. */
edge_policy edge_admission_policy(const leat_edge *edge, edge_limit limit);
/* Logs who was refused most often, once a minute. */
void edge_admission_report(leat_edge *edge);

/* Does it ask for the description of the API or for the page that shows it? Then anybody may. */
bool edge_docs_is_asked(const leat_edge *edge, const leat_http_request *request);
/* Not counted. */
void edge_docs_answer(leat_edge *edge, leat_http_request *request);
void edge_docs_fini(leat_edge *edge);

/* Fills it in: is the edge ready, and which partitions and shards are in trouble all the same? */
void edge_health_check(const leat_edge *edge, leat_health *health);

#endif
