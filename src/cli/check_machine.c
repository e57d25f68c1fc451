/*
 * check_machine.c - checks of this machine and of the configuration file. They need no answer from
 * a server, so they come first in the list and are there even when nothing answers. The limit on
 * open files is checked because an edge that must lower limits.connections for it only logs that.
 */
#include "cli/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "daemon/certificate.h"
#include "daemon/descriptors.h"

static void check_configuration(leat_examination *about, uint32_t shard, leat_finding *ret)
{
    (void)shard;
    const leat_config *config = &about->assembly->config;
    leat_finding_set(ret, LEAT_CHECK_OK, "%s, %" PRIu32 " shard%s, %" PRIu32 " route%s",
                     config->file, config->shard_count, config->shard_count == 1 ? "" : "s",
                     config->route_count, config->route_count == 1 ? "" : "s");
}

/* The same rule as when a process starts, but with the limit of this command's environment: a
 * service manager may set another one. */
static void check_open_files(leat_examination *about, uint32_t shard, leat_finding *ret)
{
    (void)shard;
    const leat_config *config = &about->assembly->config;
    uint64_t limit = leat_descriptors_raise_limit(), kept = leat_descriptors_kept(config),
             wanted = (uint64_t)config->edge_connections,
             clients = leat_descriptors_for_clients(limit, kept, wanted);
    if (limit == UINT64_MAX)
        leat_finding_set(ret, LEAT_CHECK_OK, "a process may open any number of files");
    else if (clients == 0)
        leat_finding_set(ret, LEAT_CHECK_FAILED,
                         "a process may open %" PRIu64 " files, and leat itself may need %" PRIu64,
                         limit, kept);
    else if (clients < wanted)
        leat_finding_set(ret, LEAT_CHECK_WARNING,
                         "a process may open %" PRIu64 " files, which leaves %" PRIu64
                         " for clients; limits.connections is %" PRIu64,
                         limit, clients, wanted);
    else
        leat_finding_set(ret, LEAT_CHECK_OK,
                         "a process may open %" PRIu64 " files, leat needs at most %" PRIu64, limit,
                         kept + wanted);
}

/* True: some scope is of no route, and `ret` is set. */
static bool find_scope_without_route(const leat_config *config, const leat_tokens *tokens,
                                     leat_finding *ret)
{
    const char *routes[LEAT_ROUTES_MAX];
    leat_slice name, scope;
    LEAT_ASSERT(config->route_count <= LEAT_ROUTES_MAX);
    for (uint32_t i = 0; i < config->route_count; i++)
        routes[i] = config->routes[i].name;
    uint32_t count =
        tokens ? leat_tokens_without_route(tokens, routes, config->route_count, &name, &scope) : 0;
    if (count == 0)
        return false;
    char all[48] = "";
    if (count > 1)
        snprintf(all, sizeof all, " (tokens with such a scope: %" PRIu32 ")", count);
    leat_finding_set(ret, LEAT_CHECK_WARNING,
                     "%s: token %.*s has the scope %.*s, and there is no route of that name%s",
                     config->auth_tokens, (int)name.size, name.data, (int)scope.size, scope.data,
                     all);
    ret->why =
        "a scope of a route that does not exist allows nothing: writes that it was meant for are "
        "answered 403";
    ret->remedy = "correct the scope, or take it out: a route has the name of its table unless "
                  "routes[].name says another";
    return true;
}

static void check_tokens(leat_examination *about, uint32_t shard, leat_finding *ret)
{
    (void)shard;
    leat_auth_config config;
    leat_error error = {""};
    leat_assembly_auth(&about->assembly->config, &config);
    leat_auth *auth = leat_auth_new(&config, &error);
    if (!auth)
        leat_finding_set(ret, LEAT_CHECK_FAILED, "%s", error.text);
    else if (!find_scope_without_route(&about->assembly->config, leat_auth_tokens(auth), ret))
        leat_finding_set(ret, LEAT_CHECK_OK, "%s%s%s can be read",
                         config.tokens_file ? config.tokens_file : "",
                         config.tokens_file && config.jwt_keys_file ? " and " : "",
                         config.jwt_keys_file ? config.jwt_keys_file : "");
    leat_auth_free(auth);
}

static void check_certificate(leat_examination *about, uint32_t shard, leat_finding *ret)
{
    (void)shard;
    leat_http_tls_config config;
    int64_t expires_s;
    leat_error error = {""};
    if (leat_assembly_tls(&about->assembly->config, &config, &expires_s, &error) != 0) {
        leat_finding_set(ret, LEAT_CHECK_FAILED, "%s", error.text);
        return;
    }
    char day[16] = "";
    struct tm utc;
    time_t end = (time_t)expires_s;
    strftime(day, sizeof day, "%Y-%m-%d", gmtime_r(&end, &utc));
    static const leat_check_verdict verdicts[] = {
        [LEAT_CERTIFICATE_LASTS] = LEAT_CHECK_OK,
        [LEAT_CERTIFICATE_ENDS_SOON] = LEAT_CHECK_WARNING,
        [LEAT_CERTIFICATE_HAS_ENDED] = LEAT_CHECK_FAILED,
    };
    leat_certificate_state state = leat_certificate_judge(expires_s, leat_wall_ms() / 1000);
    leat_finding_set(ret, verdicts[state], "the certificate in %s %s on %s", config.certificate,
                     state == LEAT_CERTIFICATE_HAS_ENDED ? "has expired" : "expires", day);
}

static const leat_check rows[] = {
    {"configuration", LEAT_ABOUT_PROCESS, LEAT_NEEDS_NOTHING, check_configuration, "", ""},
    {"open files", LEAT_ABOUT_PROCESS, LEAT_NEEDS_NOTHING, check_open_files,
     "the edge admits fewer clients at once than limits.connections, and with too few files left it does not start",
     "raise the limit (ulimit -n, LimitNOFILE= of the service), or lower limits.connections"},
    {"tokens", LEAT_ABOUT_AUTH, LEAT_NEEDS_NOTHING, check_tokens,
     "an edge does not start, and one that runs keeps the tokens and keys that it has",
     "correct the file (`leat token new NAME` prints a whole line of auth.tokens)"},
    {"certificate", LEAT_ABOUT_TLS, LEAT_NEEDS_NOTHING, check_certificate,
     "clients refuse to connect once it has expired; with a file that is bad an edge does not start, and one that runs keeps the certificate that it has",
     "renew the certificate: an edge that runs takes the new files by itself"},
};

const leat_check_list leat_checks_of_machine = {rows, sizeof rows / sizeof *rows};
