/*
 * send_lane.c - batches on their way, by libcurl's multi interface.
 *
 * What may be sent again is what certainly was not taken: it was refused for now (429, 503), it has
 * no answer in an answer that came to its end, or no connection was made. Everything else that has
 * no answer is unknown.
 */
#include "cli/send_lane.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <yyjson.h>

#include "base/diag.h"
#include "cli/send_patience.h"
#include "http/status.h"

enum {
    BATCH_BYTES = 1024 * 1024,
    LANE_BATCHES = 2,
    LANE_BYTES = LANE_BATCHES * BATCH_BYTES,
    ANSWER_MAX = 1024 * 1024, /* of one line */
    FIRST_S = 10,             /* until the first connection: is the address right? */
    LOST_MAX = 3,             /* batches of a lane, one after the other */
};

typedef struct send_item {
    TAILQ_ENTRY(send_item) link;
    leat_send_item is;
} send_item;

typedef struct lane {
    leat_send_lanes *lanes;
    CURL *curl;
    TAILQ_HEAD(items, send_item) waiting;
    uint32_t count; /* waiting or in the batch */
    size_t bytes;
    bool is_busy;
    send_item *batch[LEAT_SEND_BATCH_MAX]; /* NULL: decided */
    uint32_t batch_size;
    uint32_t answered;
    uint32_t known, unknown; /* decided in this batch: accepted or refused; not known */
    uint32_t lost; /* batches up to here of which nothing is known but that they were sent */
    leat_buf body, answer;
    char problem[CURL_ERROR_SIZE]; /* of the last transfer */
    int64_t not_before_us;
    int64_t delay_ms; /* what the answers of this batch ask for */
} lane;

struct leat_send_lanes {
    leat_send_config config;
    CURLM *multi;
    lane lanes[LEAT_SEND_LANES_MAX];
    leat_send_counts counts;
    uint64_t left;
    uint32_t busy;
    bool has_answered; /* something did, over HTTP */
    bool has_connected;
    bool is_stopped;
    bool is_broken; /* with `why` */
    leat_error why;
    bool is_troubled;
    char trouble[256];
    leat_send_patience patience;
};

/* Ends the run once no batch is on its way; the first reason stands. */
static void break_lanes(leat_send_lanes *lanes, const char *why)
{
    if (!lanes->is_broken)
        leat_fail(&lanes->why, "%s", why);
    lanes->is_broken = true;
}

/* ---- what becomes of an item ---- */

static void settle(lane *at, send_item *item, uint64_t *count)
{
    leat_send_lanes *lanes = at->lanes;
    LEAT_ASSERT(at->count > 0 && lanes->left > 0);
    (*count)++;
    if (count == &lanes->counts.unknown) {
        at->unknown++;
    } else {
        at->known++;
        leat_send_patience_moved(&lanes->patience, leat_mono_us());
    }
    lanes->left--;
    at->count--;
    at->bytes -= item->is.size;
    free(item->is.text);
    free(item);
}

static void note_trouble(leat_send_lanes *lanes, const char *text)
{
    lanes->is_troubled = true;
    snprintf(lanes->trouble, sizeof lanes->trouble, "%s", text);
}

/* False: it is not kept, so it counts as not decided, and nothing goes on. */
static bool keep(leat_send_lanes *lanes, const send_item *item, leat_slice answer)
{
    leat_error error = {0};
    if (leat_send_kept_add(lanes->config.kept, &item->is, answer, &error) == 0)
        return true;
    break_lanes(lanes, error.text);
    return false;
}

static bool refuse(lane *at, send_item *item, leat_slice answer)
{
    if (!keep(at->lanes, item, answer))
        return false;
    settle(at, item, &at->lanes->counts.refused);
    return true;
}

/* False: it is to be sent again. */
static bool leave_unknown(lane *at, send_item *item, const char *why)
{
    if (at->lanes->config.repeats_unknown)
        return false;
    leat_buf answer = {0};
    leat_http_error_item(&answer, LEAT_HTTP_UNKNOWN, NULL, why, 0);
    bool is_kept = keep(at->lanes, item, (leat_slice){answer.data, answer.size});
    leat_buf_free(&answer);
    if (is_kept)
        settle(at, item, &at->lanes->counts.unknown);
    return is_kept;
}

static void break_by_answer(lane *at, int64_t status, leat_slice text)
{
    leat_error why;
    leat_fail(&why, "%s answers %d: %.*s", at->lanes->config.target.batch_url, (int)status,
              text.size < 500 ? (int)text.size : 500, text.data);
    break_lanes(at->lanes, why.text);
}

/* ---- the answer of an item ---- */

static void wait_for(lane *at, int64_t ms)
{
    at->delay_ms = ms > at->delay_ms ? ms : at->delay_ms;
}

/* 0: it asks for none. */
static void ask_for_delay(lane *at, int64_t seconds)
{
    wait_for(at, leat_send_patience_asked(&at->lanes->patience, leat_mono_us(), seconds));
}

/* True: it is decided. */
static bool decide(lane *at, send_item *item, leat_slice line, yyjson_val *answer)
{
    int64_t status = yyjson_get_sint(yyjson_obj_get(answer, "status"));
    const char *message = yyjson_get_str(yyjson_obj_get(answer, "message"));
    if (status == 202 || status == 200) { /* in the log, or in the table already */
        at->lanes->is_troubled = false;
        settle(at, item, &at->lanes->counts.accepted);
        return true;
    }
    if (status == 429 || status == 503) {
        ask_for_delay(at, yyjson_get_sint(yyjson_obj_get(answer, "retry_after")));
        note_trouble(at->lanes, message ? message : "items are refused for now");
        return false;
    }
    if (status == 401) { /* a token that ends meanwhile is not the items' fault */
        break_by_answer(at, status, line);
        return false;
    }
    if (status == 504)
        return leave_unknown(at, item, message ? message : "the log did not answer");
    return refuse(at, item, line);
}

/* One line of the answer. Those after the last item say why a batch ended. */
static void take_line(lane *at, leat_slice line)
{
    if (at->answered == at->batch_size)
        return;
    yyjson_doc *doc = yyjson_read(line.data, line.size, 0);
    if (yyjson_is_obj(yyjson_doc_get_root(doc))) {
        send_item **item = &at->batch[at->answered++];
        if (decide(at, *item, line, yyjson_doc_get_root(doc)))
            *item = NULL;
    }
    yyjson_doc_free(doc);
}

static size_t on_answer(char *data, size_t size, size_t count, void *context)
{
    lane *at = context;
    long status = 0;
    leat_buf_append(&at->answer, data, size * count);
    curl_easy_getinfo(at->curl, CURLINFO_RESPONSE_CODE, &status);
    if (at->answer.failed || at->answer.size > ANSWER_MAX + size * count)
        return 0;
    if (status != 207)
        return size * count;
    size_t used = 0;
    const char *end;
    while (used < at->answer.size &&
           (end = memchr(at->answer.data + used, '\n', at->answer.size - used))) {
        size_t length = (size_t)(end - at->answer.data) - used;
        take_line(at, (leat_slice){at->answer.data + used, length});
        used += length + 1;
    }
    at->answer.size -= used;
    memmove(at->answer.data, at->answer.data + used, at->answer.size);
    return size * count;
}

/* ---- a batch ---- */

static void begin_batch(lane *at)
{
    leat_buf_clear(&at->body);
    leat_buf_clear(&at->answer);
    at->batch_size = at->answered = at->known = at->unknown = 0;
    at->delay_ms = 0;
    send_item *item;
    uint32_t most = at->lost > 0 ? 1 : at->lanes->config.batch;
    while (at->batch_size < most && (item = TAILQ_FIRST(&at->waiting)) &&
           (at->batch_size == 0 || at->body.size + item->is.size < BATCH_BYTES)) {
        TAILQ_REMOVE(&at->waiting, item, link);
        at->batch[at->batch_size++] = item;
        leat_buf_append(&at->body, item->is.text, item->is.size);
        leat_buf_byte(&at->body, '\n');
    }
    LEAT_ASSERT(!at->body.failed && at->batch_size > 0);
    curl_easy_setopt(at->curl, CURLOPT_POSTFIELDS, at->body.data);
    curl_easy_setopt(at->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)at->body.size);
    at->is_busy = true;
    at->lanes->busy++;
    CURLMcode code = curl_multi_add_handle(at->lanes->multi, at->curl);
    LEAT_ASSERT(code == CURLM_OK);
}

/* How an item without an answer is to be seen. */
typedef enum rest { AGAIN, UNKNOWN } rest;

/* An answer to the whole batch instead of to its items. */
static rest whole_answer(lane *at, long status)
{
    char text[64];
    snprintf(text, sizeof text, "the edge answers %ld", status);
    if (status == 429 || status == 503) {
        curl_off_t seconds = 0;
        curl_easy_getinfo(at->curl, CURLINFO_RETRY_AFTER, &seconds);
        ask_for_delay(at, seconds);
        note_trouble(at->lanes, text);
        return AGAIN;
    }
    if (status == 500 || status == 502 || status == 504 || status == 408) {
        ask_for_delay(at, 0);
        note_trouble(at->lanes, text);
        return UNKNOWN;
    }
    break_by_answer(at, status,
                    (leat_slice){at->answer.data ? at->answer.data : "", at->answer.size});
    return AGAIN;
}

static rest broken_transfer(lane *at, CURLcode code)
{
    leat_send_lanes *lanes = at->lanes;
    curl_off_t before_us = 0;
    curl_easy_getinfo(at->curl, CURLINFO_PRETRANSFER_TIME_T, &before_us);
    leat_error why;
    lanes->has_connected |= before_us > 0;
    if (leat_send_target_is_hopeless(&lanes->config.target, code, at->problem, lanes->has_answered,
                                     &why)) {
        break_lanes(lanes, why.text);
        return AGAIN;
    }
    ask_for_delay(at, 0);
    note_trouble(lanes, *at->problem ? at->problem : curl_easy_strerror(code));
    return before_us == 0 ? AGAIN : UNKNOWN; /* 0: nothing was sent */
}

/* An edge that takes batches and answers none would make a whole file unknown. A lane that has lost
 * one asks with single items, and ends the run if that helps nothing. */
static void count_lost(lane *at)
{
    leat_send_lanes *lanes = at->lanes;
    const char *url = lanes->config.target.batch_url;
    if (at->known > 0)
        at->lost = 0;
    if (at->known > 0 || at->unknown == 0)
        return;
    at->lost++;
    wait_for(at, at->lost * INT64_C(1000));
    if (at->lost < LOST_MAX)
        return;
    leat_error why;
    leat_fail(&why, "%s: what became of the last %d batches is not known: %s%s", url, LOST_MAX,
              *lanes->trouble ? lanes->trouble : "the log did not answer",
              lanes->has_answered || strncmp(url, "http:", 5) != 0
                  ? ""
                  : "; where the edge has TLS, --url begins with https");
    break_lanes(lanes, why.text);
}

/* What is not decided goes to the front of the lane, in its order. */
static void end_batch(lane *at, CURLcode code)
{
    leat_send_lanes *lanes = at->lanes;
    long status = 0;
    curl_easy_getinfo(at->curl, CURLINFO_RESPONSE_CODE, &status);
    lanes->has_answered = lanes->has_answered || status > 0;
    rest unanswered = code != CURLE_OK ? broken_transfer(at, code)
                      : status == 207  ? AGAIN
                                       : whole_answer(at, status);
    for (uint32_t i = at->answered; i < at->batch_size && unanswered == UNKNOWN; i++)
        if (leave_unknown(at, at->batch[i], "the connection was lost before the answer came"))
            at->batch[i] = NULL;
    count_lost(at);
    if (code == CURLE_OK && at->answered == 0)
        ask_for_delay(at, 0);
    for (uint32_t i = at->batch_size; i > 0; i--)
        if (at->batch[i - 1])
            TAILQ_INSERT_HEAD(&at->waiting, at->batch[i - 1], link);
    curl_multi_remove_handle(lanes->multi, at->curl);
    at->not_before_us = at->delay_ms > 0 ? leat_mono_us() + at->delay_ms * 1000 : 0;
    at->is_busy = false;
    lanes->busy--;
}

static void begin_batches(leat_send_lanes *lanes)
{
    int64_t now_us = leat_mono_us();
    for (uint32_t i = 0; i < lanes->config.lanes && !lanes->is_stopped && !lanes->is_broken; i++) {
        lane *at = &lanes->lanes[i];
        if (!at->is_busy && !TAILQ_EMPTY(&at->waiting) && now_us >= at->not_before_us)
            begin_batch(at);
    }
}

static void end_batches(leat_send_lanes *lanes)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(lanes->multi, &left))) {
        lane *at = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&at);
        end_batch(at, message->data.result);
    }
}

int leat_send_lanes_turn(leat_send_lanes *lanes, int fd, int wait_ms, leat_error *error)
{
    int running;
    uint64_t left = lanes->left;
    begin_batches(lanes);
    curl_multi_perform(lanes->multi, &running);
    end_batches(lanes);
    if (lanes->is_broken && lanes->busy == 0) {
        *error = lanes->why;
        return -1;
    }
    bool is_first = !lanes->has_connected && !lanes->has_answered && lanes->busy == 0;
    uint32_t give_up_s = is_first ? FIRST_S : lanes->config.give_up_s;
    if (lanes->left > 0 && leat_send_patience_is_over(&lanes->patience, leat_mono_us(), give_up_s))
        return leat_fail(error, "nothing was taken for %u s: %s", give_up_s, lanes->trouble);
    if (left != lanes->left) /* there may be room again */
        return 0;
    struct curl_waitfd wish = {.fd = fd, .events = CURL_WAIT_POLLIN};
    curl_multi_poll(lanes->multi, fd >= 0 ? &wish : NULL, fd >= 0, wait_ms, NULL);
    return 0;
}

static lane *lane_of(const leat_send_lanes *lanes, uint64_t row)
{
    return (lane *)(uintptr_t)&lanes->lanes[row % lanes->config.lanes];
}

bool leat_send_lanes_have_room(const leat_send_lanes *lanes, uint64_t row)
{
    const lane *at = lane_of(lanes, row);
    return at->count < LANE_BATCHES * lanes->config.batch && at->bytes < LANE_BYTES;
}

void leat_send_lanes_add(leat_send_lanes *lanes, const leat_send_item *item)
{
    lane *at = lane_of(lanes, item->row);
    send_item *own = leat_must_calloc(1, sizeof *own);
    own->is = *item;
    if (lanes->left == 0)
        leat_send_patience_moved(&lanes->patience, leat_mono_us());
    TAILQ_INSERT_TAIL(&at->waiting, own, link);
    at->count++;
    at->bytes += item->size;
    lanes->left++;
}

void leat_send_lanes_stop(leat_send_lanes *lanes)
{
    lanes->is_stopped = true;
}

uint64_t leat_send_lanes_left(const leat_send_lanes *lanes)
{
    return lanes->left;
}

uint32_t leat_send_lanes_busy(const leat_send_lanes *lanes)
{
    return lanes->busy;
}

static void take_smaller(uint64_t *least, const send_item *item)
{
    if (item && (*least == 0 || item->is.line < *least))
        *least = item->is.line;
}

uint64_t leat_send_lanes_first_line(const leat_send_lanes *lanes)
{
    uint64_t least = 0;
    for (uint32_t i = 0; i < lanes->config.lanes; i++) {
        const lane *at = &lanes->lanes[i];
        take_smaller(&least, TAILQ_FIRST(&at->waiting)); /* in the file's order */
        for (uint32_t k = 0; at->is_busy && k < at->batch_size; k++)
            take_smaller(&least, at->batch[k]);
    }
    return least;
}

const leat_send_counts *leat_send_lanes_counts(const leat_send_lanes *lanes)
{
    return &lanes->counts;
}

const char *leat_send_lanes_trouble(const leat_send_lanes *lanes)
{
    return lanes->is_troubled ? lanes->trouble : NULL;
}

static void make_handle(leat_send_lanes *lanes, lane *at)
{
    at->lanes = lanes;
    TAILQ_INIT(&at->waiting);
    at->curl = leat_send_target_handle(&lanes->config.target, at->problem);
    curl_easy_setopt(at->curl, CURLOPT_PRIVATE, at);
    curl_easy_setopt(at->curl, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(at->curl, CURLOPT_WRITEDATA, at);
}

leat_send_lanes *leat_send_lanes_new(const leat_send_config *config, leat_error *error)
{
    LEAT_ASSERT(config->lanes > 0 && config->lanes <= LEAT_SEND_LANES_MAX);
    LEAT_ASSERT(config->batch > 0 && config->batch <= LEAT_SEND_BATCH_MAX);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        leat_fail(error, "libcurl cannot be used");
        return NULL;
    }
    leat_send_lanes *lanes = leat_must_calloc(1, sizeof *lanes);
    lanes->config = *config;
    lanes->multi = curl_multi_init();
    LEAT_ASSERT(lanes->multi);
    leat_send_target_init(&lanes->config.target);
    for (uint32_t i = 0; i < config->lanes; i++)
        make_handle(lanes, &lanes->lanes[i]);
    return lanes;
}

static void free_lane(lane *at)
{
    if (at->is_busy)
        curl_multi_remove_handle(at->lanes->multi, at->curl);
    for (uint32_t i = 0; at->is_busy && i < at->batch_size; i++)
        if (at->batch[i])
            TAILQ_INSERT_HEAD(&at->waiting, at->batch[i], link);
    send_item *item;
    while ((item = TAILQ_FIRST(&at->waiting))) {
        TAILQ_REMOVE(&at->waiting, item, link);
        free(item->is.text);
        free(item);
    }
    leat_buf_free(&at->body);
    leat_buf_free(&at->answer);
    curl_easy_cleanup(at->curl);
}

void leat_send_lanes_free(leat_send_lanes *lanes)
{
    if (!lanes)
        return;
    for (uint32_t i = 0; i < lanes->config.lanes; i++)
        free_lane(&lanes->lanes[i]);
    leat_send_target_fini(&lanes->config.target);
    curl_multi_cleanup(lanes->multi);
    free(lanes);
    curl_global_cleanup();
}
