/* Identifiers depend on the number of a row alone, and everything else on the seed: two runs with
 * different seeds meet the same rows with other writes, and the same seed gives the same writes
 * again. The body of the profile `check` has the write's own number, so that any loss, repetition
 * or swap shows in the row; tests compare that with the log. */
#include "load/workload.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- identifiers: the same for every seed, so that runs meet the same rows ---- */

static void put_uuid(leat_buf *out, char kind, uint64_t index)
{
    leat_prng prng = {index * 2654435761u + (uint64_t)(unsigned char)kind};
    uint64_t high = (leat_prng_next(&prng) & ~(uint64_t)0xf000) | 0x4000;
    uint64_t low = (leat_prng_next(&prng) & 0x3fffffffffffffff) | 0x8000000000000000;
    leat_buf_printf(out, "%08x-%04x-%04x-%04x-%012llx", (unsigned)(high >> 32),
                    (unsigned)(high >> 16) & 0xffff, (unsigned)high & 0xffff, (unsigned)(low >> 48),
                    (unsigned long long)low & 0xffffffffffff);
}

static void put_integer(leat_buf *out, char kind, uint64_t index)
{
    (void)kind;
    leat_buf_printf(out, "%llu", (unsigned long long)index);
}

/* ---- bodies ---- */

static const char *pick(const char *const *words, size_t count, leat_prng *prng)
{
    return words[leat_prng_below(prng, count)];
}

#define PICK(words, prng) pick(words, sizeof(words) / sizeof *(words), prng)

static void put_time(leat_buf *out, int64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm utc;
    char text[32];
    gmtime_r(&seconds, &utc);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    leat_buf_printf(out, "%s.%03dZ", text, (int)(wall_ms % 1000));
}

/* An app's data about a device at the start of a session: 170 to 250 bytes. */
static void put_subscription(leat_buf *out, const load_options *options, const load_write *write,
                             leat_prng *prng)
{
    static const char *const platforms[] = {"ios", "android", "web"};
    static const char *const devices[] = {"iPhone15,2", "iPhone12,8", "Pixel 7", "SM-S911B",
                                          "Chrome"};
    static const char *const languages[] = {"en", "de", "pt-BR", "ja", "ar"};
    static const char *const countries[] = {"US", "DE", "BR", "JP", "EG"};
    (void)options;
    (void)write;
    leat_buf_text(out, "{\"session_count\":1,\"last_active\":\"");
    put_time(out, leat_wall_ms());
    leat_buf_printf(out, "\",\"properties\":{\"platform\":\"%s\",\"device\":\"%s\"",
                    PICK(platforms, prng), PICK(devices, prng));
    leat_buf_printf(out, ",\"app_version\":\"%u.%u.%u\"", (unsigned)leat_prng_below(prng, 10),
                    (unsigned)leat_prng_below(prng, 40), (unsigned)leat_prng_below(prng, 10));
    leat_buf_printf(out, ",\"language\":\"%s\",\"country\":\"%s\"", PICK(languages, prng),
                    PICK(countries, prng));
    leat_buf_printf(out, ",\"level\":%u,\"coins\":%u", (unsigned)leat_prng_below(prng, 100),
                    (unsigned)leat_prng_below(prng, 100000));
    if (leat_prng_below(prng, 2) == 0)
        leat_buf_printf(out, ",\"experiment\":\"onboarding-%02u\"",
                        (unsigned)leat_prng_below(prng, 20));
    leat_buf_text(out, "}}");
}

/* A counter and a list of numbers that no other write has: any loss, repetition or swap shows in
 * the row. */
static void put_check(leat_buf *out, const load_options *options, const load_write *write,
                      leat_prng *prng)
{
    bool whole = write->op == LEAT_PUT; /* a PATCH appends one element, a PUT sets the list */
    (void)options;
    (void)prng;
    leat_buf_printf(out, "{\"n\":1,\"list\":%s%llu%s}", whole ? "[" : "",
                    (unsigned long long)write->seq, whole ? "]" : "");
}

/* As many columns and bytes as are wanted. The text is of words, so that it compresses about as
 * documents do. */
static void put_columns(leat_buf *out, const load_options *options, const load_write *write,
                        leat_prng *prng)
{
    static const char *const words[] = {"account", "button",  "campaign", "delivered", "email",
                                        "first",   "german",  "home",     "install",   "journey",
                                        "known",   "level",   "message",  "new",       "opened",
                                        "player",  "quarter", "reached",  "segment",   "template"};
    (void)write;
    leat_buf_byte(out, '{');
    for (uint32_t i = 2; i <= options->columns; i++)
        leat_buf_printf(out, "\"c%u\":%u,", i, (unsigned)leat_prng_below(prng, 1000));
    leat_buf_text(out, "\"c1\":\"");
    do
        leat_buf_printf(out, "%s %u ", PICK(words, prng), (unsigned)leat_prng_below(prng, 100));
    while (out->size + 2 < options->bytes);
    leat_buf_text(out, "\"}");
}

static const load_profile profiles[] = {
    {"subscription", "/apps/{app_id}/subscriptions/{subscription_id}", "subscriptions", "app_id",
     put_uuid, put_subscription},
    {"check", "/apps/{app}/checks/{id}", "checks", "app", put_integer, put_check},
    {"columns", "/apps/{app}/items/{id}", "items", "app", put_integer, put_columns},
};

const load_profile *load_profile_by_name(const char *name)
{
    for (size_t i = 0; i < sizeof profiles / sizeof *profiles; i++)
        if (strcmp(profiles[i].name, name) == 0)
            return &profiles[i];
    return NULL;
}

/* ---- the sequence ---- */

void workload_init(workload *w, const load_options *options)
{
    *w = (workload){.options = options, .prng = {options->seed}, .next_seq = options->first_seq};
    for (size_t i = 0; i < LEAT_ROUTE_OP_COUNT; i++)
        w->mix_total += options->mix[i];
    LEAT_ASSERT(w->mix_total > 0 && options->keys > 0 && options->apps > 0);
    if (options->zipf > 0)
        zipf_init(&w->zipf, options->keys, options->zipf);
}

static leat_route_op next_op(workload *w)
{
    uint64_t at = leat_prng_below(&w->prng, w->mix_total);
    size_t op = 0;
    while (at >= w->options->mix[op])
        at -= w->options->mix[op++];
    return (leat_route_op)op;
}

static uint64_t next_key(workload *w)
{
    return w->options->zipf > 0 ? zipf_next(&w->zipf, &w->prng) - 1
                                : leat_prng_below(&w->prng, w->options->keys);
}

/* The last parameter is the key, one before it the tenant. */
static void put_path(const workload *w, uint64_t key, leat_buf *out)
{
    const char *at = w->options->path;
    for (const char *open; (open = strchr(at, '{')) != NULL;) {
        const char *close = strchr(open, '}');
        LEAT_ASSERT(close);
        bool last = !strchr(close, '{');
        leat_buf_append(out, at, (size_t)(open - at));
        w->options->profile->put_id(out, last ? 'k' : 'a', last ? key : key % w->options->apps);
        at = close + 1;
    }
    leat_buf_text(out, at);
}

void workload_next(workload *w, load_write *ret_write)
{
    ret_write->seq = w->next_seq++;
    ret_write->op = next_op(w);
    leat_buf_clear(&ret_write->path);
    leat_buf_clear(&ret_write->body);
    put_path(w, next_key(w), &ret_write->path);
    if (ret_write->op == LEAT_DELETE)
        return;
    if (w->options->body)
        leat_buf_text(&ret_write->body, w->options->body);
    else
        w->options->profile->put_body(&ret_write->body, w->options, ret_write, &w->prng);
}
