/*
 * check.c - leat check: finds problems before they do harm. Every check is a row of a table (in
 * check_machine.c, check_log.c, check_server.c and check_schema.c) with its needs, why a fault
 * matters and what to do: a fault without a remedy cannot be written down. A check whose need is
 * not met is skipped, so one cause gives one fault. Nothing is changed in the log or a shard.
 */
#include "cli/check.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"

/* ---- findings ---- */

void leat_finding_set(leat_finding *ret, leat_check_verdict verdict, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    ret->verdict = verdict;
    vsnprintf(ret->what, sizeof ret->what, format, arguments);
    va_end(arguments);
    ret->what[leat_printable_line(ret->what, strlen(ret->what))] = '\0';
}

void leat_finding_set_error(leat_finding *ret, const leat_error *error)
{
    leat_finding_set(ret, LEAT_CHECK_FAILED, "%s", error->text);
}

const leat_config_shard *leat_examined_shard(const leat_examination *about, uint32_t shard)
{
    return &about->assembly->config.shards[shard];
}

leat_shard_address leat_examined_address(const leat_examination *about, uint32_t shard)
{
    return leat_assembly_address(leat_examined_shard(about, shard));
}

/* ---- all of them ---- */

static const char *unmet(const leat_examination *about, leat_check_need need, uint32_t shard)
{
    switch (need) {
    case LEAT_NEEDS_BROKERS:
        return about->has_brokers ? NULL : "Kafka does not answer";
    case LEAT_NEEDS_TOPIC:
        return about->has_topic ? NULL : "the topic is not known";
    case LEAT_NEEDS_SHARD:
        return about->answers[shard] ? NULL : "the shard does not answer";
    case LEAT_NEEDS_PRIMARY:
        return !about->answers[shard]       ? "the shard does not answer"
               : about->takes_writes[shard] ? NULL
                                            : "it is read-only";
    case LEAT_NEEDS_TABLES:
        return about->assembly->versions[shard] ? NULL : "the tables are not known";
    default:
        return NULL;
    }
}

static bool is_configured(const leat_examination *about, const leat_check *from, uint32_t shard)
{
    switch (from->subject) {
    case LEAT_ABOUT_AUTH:
        return about->assembly->config.auth_tokens || about->assembly->config.jwt_keys;
    case LEAT_ABOUT_TLS:
        return about->assembly->config.tls_certificate != NULL;
    case LEAT_ABOUT_KAFKA:
        return !about->assembly->log.file;
    case LEAT_ABOUT_LOCAL_LOG:
        return about->assembly->log.file != NULL;
    case LEAT_ABOUT_POSTGRES:
        return leat_examined_shard(about, shard)->dsn != NULL;
    case LEAT_ABOUT_LIVE_ROUTES:
        return leat_config_has_live_route(&about->assembly->config);
    default:
        return true;
    }
}

/* `is_of_shard`: else the number is 0 and means nothing. */
static void run_check(leat_examination *about, const leat_check *from, bool is_of_shard,
                      uint32_t shard)
{
    leat_finding *finding = &about->findings[about->count++];
    *finding = (leat_finding){.check = from->name,
                              .shard = is_of_shard ? leat_examined_shard(about, shard)->name : NULL,
                              .why = from->why,
                              .remedy = from->remedy};
    const char *reason = unmet(about, from->need, shard);
    if (reason)
        leat_finding_set(finding, LEAT_CHECK_SKIPPED, "%s", reason);
    else
        from->run(about, shard, finding);
    if (leat_finding_is_fault(finding) && is_of_shard && !finding->exact)
        finding->exact = leat_remedy_of(from->name, finding->what, about->servers[shard].role);
}

static void run_list(leat_examination *about, const leat_check_list *list, bool is_of_shard,
                     uint32_t shard)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (is_configured(about, &list->rows[i], shard))
            run_check(about, &list->rows[i], is_of_shard, shard);
}

static void run_checks(leat_examination *about)
{
    uint32_t shard_count = about->assembly->config.shard_count;
    size_t most = leat_checks_of_machine.count + leat_checks_of_log.count +
                  (size_t)shard_count * (leat_checks_of_server.count + leat_checks_of_schema.count);
    about->findings = leat_must_calloc(most, sizeof *about->findings);
    run_list(about, &leat_checks_of_machine, false, 0);
    run_list(about, &leat_checks_of_log, false, 0);
    for (uint32_t shard = 0; shard < shard_count; shard++) {
        run_list(about, &leat_checks_of_server, true, shard);
        run_list(about, &leat_checks_of_schema, true, shard);
    }
    LEAT_ASSERT(about->count <= most);
}

static int check_all(leat_assembly *assembly, const leat_options *options, leat_error *error)
{
    (void)error; /* a check that cannot be made is a finding */
    leat_examination *about = leat_must_calloc(1, sizeof *about);
    about->assembly = assembly;
    run_checks(about);
    (options->json ? leat_findings_print_json : leat_findings_print_text)(stdout, about->findings,
                                                                          about->count);
    bool failed = leat_findings_count(about->findings, about->count, LEAT_CHECK_FAILED) > 0;
    for (uint32_t i = 0; i < about->count; i++)
        free(about->findings[i].exact);
    free(about->findings);
    free(about);
    return failed ? LEAT_EXIT_CHECK : LEAT_EXIT_OK;
}

int leat_command_check(const leat_options *options)
{
    return leat_with_assembly("check", options, check_all);
}
