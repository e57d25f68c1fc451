/*
 * top_fetch.c - one round of questions with libcurl, which asks all processes at once: one that
 * hangs must not make the others look old. The history of a process is not needed here, so each is
 * asked for the rows after the last one that it has told of.
 */
#include "cli/top_fetch.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"

enum { ANSWER_WITHIN_MS = 3000, ANSWER_MAX = 16 * 1024 * 1024, POLL_MS = 200 };

typedef struct question {
    leat_top_source *source;
    CURL *curl;
    leat_buf answer;
    char problem[CURL_ERROR_SIZE];
} question;

static size_t on_answer(char *data, size_t one, size_t size, void *context)
{
    question *of = context;
    size *= one;
    if (of->answer.size + size > ANSWER_MAX)
        return 0;
    leat_buf_append(&of->answer, data, size);
    return of->answer.failed ? 0 : size;
}

static void begin(question *of, CURLM *multi, const char *path, struct curl_slist *headers)
{
    leat_buf url = {0};
    size_t size = strlen(of->source->url);
    while (size > 0 && of->source->url[size - 1] == '/')
        size--;
    leat_buf_printf(&url, "%.*s%s", (int)size, of->source->url, path);
    of->curl = curl_easy_init();
    LEAT_ASSERT(of->curl);
    curl_easy_setopt(of->curl, CURLOPT_URL, leat_buf_cstr(&url));
    curl_easy_setopt(of->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(of->curl, CURLOPT_ERRORBUFFER, of->problem);
    curl_easy_setopt(of->curl, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(of->curl, CURLOPT_WRITEDATA, of);
    curl_easy_setopt(of->curl, CURLOPT_PRIVATE, of);
    curl_easy_setopt(of->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(of->curl, CURLOPT_TIMEOUT_MS, (long)ANSWER_WITHIN_MS);
    curl_easy_setopt(of->curl, CURLOPT_USERAGENT, "leat/" LEAT_VERSION);
    CURLMcode code = curl_multi_add_handle(multi, of->curl);
    LEAT_ASSERT(code == CURLM_OK);
    leat_buf_free(&url);
}

/* The answer as JSON; NULL, and the error of the source. */
static yyjson_doc *take(question *of, CURLcode code)
{
    long status = 0;
    leat_error *error = &of->source->error;
    error->text[0] = '\0';
    curl_easy_getinfo(of->curl, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK)
        leat_fail(error, "%s", *of->problem ? of->problem : curl_easy_strerror(code));
    else if (status == 401)
        leat_fail(error, "the token is missing or wrong: --token, or $LEAT_ADMIN_TOKEN");
    else if (status != 200)
        leat_fail(error, "it answers with status %ld", status);
    if (*error->text)
        return NULL;
    yyjson_doc *doc = yyjson_read(of->answer.data, of->answer.size, 0);
    if (yyjson_is_obj(yyjson_doc_get_root(doc)))
        return doc;
    yyjson_doc_free(doc);
    leat_fail(error, "it does not answer with JSON: is it the admin listener of leat?");
    return NULL;
}

static void finish(question *of, CURLM *multi, CURLcode code, yyjson_doc **kept)
{
    yyjson_doc *doc = take(of, code);
    if (doc) {
        yyjson_doc_free(*kept);
        *kept = doc;
    }
    curl_multi_remove_handle(multi, of->curl);
    curl_easy_cleanup(of->curl);
    of->curl = NULL;
    leat_buf_free(&of->answer);
}

static void give_up(question *questions, CURLM *multi)
{
    for (uint32_t i = 0; i < LEAT_TOP_SOURCES_MAX; i++) {
        if (!questions[i].curl)
            continue;
        curl_multi_remove_handle(multi, questions[i].curl);
        curl_easy_cleanup(questions[i].curl);
        leat_buf_free(&questions[i].answer);
    }
}

/* `culprits`: the answers are those of /culprits, else of /state. */
static void run(question *questions, CURLM *multi, bool culprits, const leat_top_meanwhile *also)
{
    int running = 1, left;
    const CURLMsg *message;
    struct curl_waitfd input = {.fd = STDIN_FILENO, .events = CURL_WAIT_POLLIN};
    while (running > 0) {
        curl_multi_perform(multi, &running);
        while ((message = curl_multi_info_read(multi, &left))) {
            question *of;
            if (message->msg != CURLMSG_DONE)
                continue;
            CURLcode code = message->data.result;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&of);
            finish(of, multi, code, culprits ? &of->source->culprits : &of->source->state);
        }
        if (running > 0)
            curl_multi_poll(multi, &input, also ? 1 : 0, POLL_MS, NULL);
        if (running > 0 && also && !also->go_on(also->context))
            break;
    }
    give_up(questions, multi);
}

static void ask_state(leat_top_sources *all, CURLM *multi, struct curl_slist *headers,
                      const leat_top_meanwhile *also)
{
    question questions[LEAT_TOP_SOURCES_MAX] = {0};
    for (uint32_t i = 0; i < all->count; i++) {
        leat_top_source *source = &all->sources[i];
        char path[64];
        yyjson_val *next = yyjson_ptr_get(yyjson_doc_get_root(source->state), "/history/next");
        snprintf(path, sizeof path, "/state?from=%" PRIu64, yyjson_get_uint(next));
        questions[i].source = source;
        begin(&questions[i], multi, path, headers);
    }
    run(questions, multi, false, also);
}

static void ask_culprits(leat_top_sources *all, CURLM *multi, struct curl_slist *headers,
                         const leat_top_meanwhile *also)
{
    question questions[LEAT_TOP_SOURCES_MAX] = {0};
    for (uint32_t i = 0; i < all->count; i++) {
        leat_top_source *source = &all->sources[i];
        yyjson_val *root = yyjson_doc_get_root(source->state);
        if (*source->error.text || !yyjson_get_bool(yyjson_obj_get(root, "apply")))
            continue;
        questions[i].source = source;
        begin(&questions[i], multi, "/culprits", headers);
    }
    run(questions, multi, true, also);
}

void leat_top_fetch(leat_top_sources *all, const leat_top_meanwhile *also)
{
    leat_buf token = {0};
    CURLM *multi = curl_multi_init();
    LEAT_ASSERT(multi);
    leat_buf_printf(&token, "Authorization: Bearer %s", all->token ? all->token : "");
    struct curl_slist *headers = all->token ? curl_slist_append(NULL, leat_buf_cstr(&token)) : NULL;
    ask_state(all, multi, headers, also);
    ask_culprits(all, multi, headers, also);
    curl_slist_free_all(headers);
    curl_multi_cleanup(multi);
    leat_buf_free(&token);
}

void leat_top_sources_fini(leat_top_sources *all)
{
    for (uint32_t i = 0; i < all->count; i++) {
        yyjson_doc_free(all->sources[i].state);
        yyjson_doc_free(all->sources[i].culprits);
    }
}
