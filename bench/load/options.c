/* The command line, from one table of options with their type, place and range. Whatever makes no
 * sense together is refused before anything is sent: a load runs for minutes, and a figure taken
 * with an option that was silently ignored is worse than none. Addresses of other machines need an
 * option of their own, because a typing error must not put load on a production host. */
#include "load/options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load/help.h"
#include "load/workload.h"

enum {
    FIRST_LONG = 256,
    CONNECTIONS_MAX = 10000,
    DEPTH_MAX = 64,
    OUTSTANDING_MAX = 1000000,
    COLUMNS_MAX = 1000,
    BYTES_MAX = 1 << 20,
};

typedef struct option_spec option_spec;

/* Reads `text` into the field at `offset`; false: not a value of the option. */
typedef bool (*option_reader)(const option_spec *spec, const char *text, load_options *options);

struct option_spec {
    const char *name;
    option_reader read; /* NULL: a flag */
    size_t offset;
    double min, max;
    const char *takes; /* in words, for the message */
};

/* ---- readers ---- */

static bool number_in(const option_spec *spec, const char *text, double *ret)
{
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (errno || end == text || *end || isnan(value) || value < spec->min || value > spec->max)
        return false;
    *ret = value;
    return true;
}

static void *field(const option_spec *spec, load_options *options)
{
    return (char *)options + spec->offset;
}

static bool read_text(const option_spec *spec, const char *text, load_options *options)
{
    *(const char **)field(spec, options) = text;
    return *text != '\0';
}

static bool read_double(const option_spec *spec, const char *text, load_options *options)
{
    return number_in(spec, text, field(spec, options));
}

static bool read_u64(const option_spec *spec, const char *text, load_options *options)
{
    double value;
    if (!number_in(spec, text, &value) || strspn(text, "0123456789") != strlen(text))
        return false;
    *(uint64_t *)field(spec, options) = strtoull(text, NULL, 10);
    return true;
}

static bool read_u32(const option_spec *spec, const char *text, load_options *options)
{
    double value;
    if (!number_in(spec, text, &value) || value != floor(value))
        return false;
    *(uint32_t *)field(spec, options) = (uint32_t)value;
    return true;
}

/* Seconds, kept as microseconds. */
static bool read_seconds(const option_spec *spec, const char *text, load_options *options)
{
    double value;
    if (!number_in(spec, text, &value))
        return false;
    *(int64_t *)field(spec, options) = (int64_t)(value * 1e6);
    return true;
}

static bool read_yes_no(const option_spec *spec, const char *text, load_options *options)
{
    *(bool *)field(spec, options) = strcmp(text, "yes") == 0;
    return strcmp(text, "yes") == 0 || strcmp(text, "no") == 0;
}

static bool read_profile(const option_spec *spec, const char *text, load_options *options)
{
    (void)spec;
    options->profile = load_profile_by_name(text);
    return options->profile != NULL;
}

static bool read_dist(const option_spec *spec, const char *text, load_options *options)
{
    options->zipf = 0;
    if (strcmp(text, "uniform") == 0)
        return true;
    return strncmp(text, "zipf:", 5) == 0 && number_in(spec, text + 5, &options->zipf);
}

/* "patch=90,put=10": shares that are not named are 0. */
static bool read_mix(const option_spec *spec, const char *text, load_options *options)
{
    memset(options->mix, 0, sizeof options->mix);
    uint64_t total = 0;
    for (const char *at = text;;) {
        leat_route_op op;
        size_t name_size = strcspn(at, "="),
               digits = at[name_size] ? strspn(at + name_size + 1, "0123456789") : 0;
        if (digits == 0 || digits > 6 || !leat_route_op_by_name((leat_slice){at, name_size}, &op))
            return false;
        options->mix[op] = (uint32_t)strtoul(at + name_size + 1, NULL, 10);
        total += options->mix[op];
        at += name_size + 1 + digits;
        if (*at == '\0')
            return total > 0 && (double)total <= spec->max;
        if (*at++ != ',')
            return false;
    }
}

/* http://HOST:PORT, and nothing after it but a slash. */
static bool read_url(const option_spec *spec, const char *text, load_options *options)
{
    (void)spec;
    if (strncmp(text, "http://", 7) != 0)
        return false;
    const char *host = text + 7;
    bool v6 = *host == '[';
    host += v6;
    size_t size = strcspn(host, v6 ? "]" : ":/");
    const char *rest = host + size;
    if (size == 0 || size >= sizeof options->host || (v6 && *rest++ != ']') || *rest++ != ':')
        return false;
    char *end;
    unsigned long port = strtoul(rest, &end, 10);
    if (port == 0 || port > 65535 || end == rest || (*end && strcmp(end, "/") != 0))
        return false;
    memcpy(options->host, host, size);
    options->host[size] = '\0';
    options->port = (int)port;
    return true;
}

/* ---- the table ---- */

#define AT(member) offsetof(load_options, member)
#define WHOLE      9007199254740992.0 /* 2^53: beyond, a double skips numbers */

static const option_spec specs[] = {
    {"url", read_url, 0, 0, 0, "http://HOST:PORT"},
    {"brokers", read_text, AT(brokers), 0, 0, "HOST:PORT, several with commas"},
    {"topic", read_text, AT(topic), 0, 0, "a topic"},
    {"catalog", read_text, AT(catalog), 0, 0, "a file"},
    {"route", read_text, AT(route), 0, 0, "the name of a route"},
    {"allow-remote", NULL, AT(allow_remote), 0, 0, NULL},
    {"records", read_u64, AT(records), 1, WHOLE, "a number from 1"},
    {"seconds", read_double, AT(seconds), 0.001, 86400, "seconds, at most a day"},
    {"rate", read_double, AT(rate), 0, 1e8, "writes a second; 0: as fast as it goes"},
    {"connections", read_u32, AT(connections), 1, CONNECTIONS_MAX, "1 to 10000"},
    {"depth", read_u32, AT(depth), 1, DEPTH_MAX, "1 to 64"},
    {"in-flight", read_u32, AT(in_flight), 1, OUTSTANDING_MAX, "1 to 1000000"},
    {"profile", read_profile, 0, 0, 0, "subscription, check or columns"},
    {"path", read_text, AT(path), 0, 0, "a path with one or two {parameters}"},
    {"table", read_text, AT(table), 0, 0, "a table"},
    {"tenant", read_text, AT(tenant), 0, 0, "a parameter of the path"},
    {"body", read_text, AT(body), 0, 0, "a JSON object"},
    {"columns", read_u32, AT(columns), 1, COLUMNS_MAX, "1 to 1000"},
    {"bytes", read_u32, AT(bytes), 1, BYTES_MAX, "1 to 1048576"},
    {"keys", read_u64, AT(keys), 1, 1e12, "1 to 10^12"},
    {"apps", read_u64, AT(apps), 1, 1e12, "1 to 10^12"},
    {"dist", read_dist, 0, 0.01, 20, "uniform, or zipf:S with S from 0.01 to 20"},
    {"mix", read_mix, 0, 0, 1e6, "shares such as patch=90,put=9,delete=1, 1000000 in all at most"},
    {"seed", read_u64, AT(seed), 0, WHOLE, "a number"},
    {"first", read_u64, AT(first_seq), 0, WHOLE, "a number"},
    {"retry-unknown", read_yes_no, AT(retry_unknown), 0, 0, "yes or no"},
    {"retry-delay", read_seconds, AT(retry_delay_us), 0, 60, "seconds, at most 60"},
    {"timeout", read_seconds, AT(timeout_us), 0.001, 3600, "seconds, at most 3600"},
    {"give-up", read_seconds, AT(give_up_us), 0.001, 86400, "seconds, at most a day"},
    {"history", read_text, AT(history), 0, 0, "a file"},
    {"json", NULL, AT(json), 0, 0, NULL},
    {"quiet", NULL, AT(quiet), 0, 0, NULL},
};

enum { SPEC_COUNT = sizeof specs / sizeof *specs };

/* ---- checks ---- */

static bool is_loopback(const char *host, size_t size)
{
    leat_slice name = {host, size};
    return leat_slice_is(name, "localhost") || leat_slice_is(name, "::1") ||
           leat_slice_is(name, "[::1]") ||
           (size > 4 && memcmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") >= size);
}

/* Each of the brokers, without its port. */
static bool all_loopback(const char *brokers)
{
    for (const char *at = brokers;; at++) {
        size_t size = strcspn(at, ",");
        const char *colon = memrchr(at, ':', size);
        if (!is_loopback(at, colon ? (size_t)(colon - at) : size))
            return false;
        at += size;
        if (!*at)
            return true;
    }
}

static int check_target(const load_options *options, leat_error *error)
{
    if ((options->port != 0) == (options->brokers != NULL))
        return leat_fail(error, "give --url or --brokers");
    if (options->brokers && (!options->topic || !options->catalog))
        return leat_fail(error, "--brokers needs --topic and --catalog");
    bool near = options->brokers ? all_loopback(options->brokers)
                                 : is_loopback(options->host, strlen(options->host));
    if (!near && !options->allow_remote)
        return leat_fail(error,
                         "the target is not this machine: --allow-remote says that this is meant");
    return 0;
}

static int check_path(const char *path, leat_error *error)
{
    size_t count = 0;
    const char *at = path;
    if (*path != '/' || strpbrk(path, " \r\n\t?#"))
        return leat_fail(error, "--path takes a path with one or two {parameters}");
    for (; (at = strchr(at, '{')) != NULL; count++) {
        at = strpbrk(at + 1, "{}/");
        if (!at || *at != '}')
            return leat_fail(error, "--path has a { without its }");
    }
    return count == 1 || count == 2
               ? 0
               : leat_fail(error, "--path takes a path with one or two {parameters}");
}

static int finish(load_options *options, leat_error *error)
{
    if (options->records == 0 && options->seconds <= 0)
        return leat_fail(error, "give --records or --seconds: a load has an end");
    if (options->records == 0)
        options->records = UINT64_MAX;
    if ((uint64_t)options->connections * options->depth > OUTSTANDING_MAX)
        return leat_fail(error, "--connections times --depth is more than %d", OUTSTANDING_MAX);
    if (!options->tenant && !options->path)
        options->tenant = options->profile->tenant;
    if (!options->path)
        options->path = options->profile->path;
    if (!options->table)
        options->table = options->profile->table;
    return check_path(options->path, error) < 0 ? -1 : check_target(options, error);
}

static void set_defaults(load_options *options)
{
    *options = (load_options){
        .connections = 64,
        .depth = 1,
        .in_flight = 20000,
        .columns = 1,
        .bytes = 200,
        .keys = 10000,
        .apps = 100,
        .mix = {[LEAT_PATCH] = 100},
        .seed = 1,
        .first_seq = 1,
        .retry_delay_us = 250000,
        .timeout_us = 60000000,
        .give_up_us = 60000000,
        .profile = load_profile_by_name("subscription"),
    };
}

static int read_option(const option_spec *spec, const char *text, load_options *options,
                       leat_error *error)
{
    if (!spec->read)
        *(bool *)field(spec, options) = true;
    else if (!spec->read(spec, text, options))
        return leat_fail(error, "--%s takes %s", spec->name, spec->takes);
    return 0;
}

load_parsed load_options_parse(load_options *options, int argc, char **argv, leat_error *error)
{
    struct option longs[SPEC_COUNT + 2] = {[SPEC_COUNT] = {"help", no_argument, NULL, 'h'}};
    for (int i = 0; i < SPEC_COUNT; i++)
        longs[i] = (struct option){specs[i].name, specs[i].read ? required_argument : no_argument,
                                   NULL, FIRST_LONG + i};
    set_defaults(options);
    opterr = 0;
    for (int found; (found = getopt_long(argc, argv, ":h", longs, NULL)) != -1;) {
        if (found == 'h') {
            fputs(load_help, stdout);
            return LOAD_HELPED;
        }
        if (found < FIRST_LONG) {
            leat_fail(error, "%s: %s", argv[optind - 1],
                      found == ':' ? "needs a value" : "no such option");
            return LOAD_WRONG;
        }
        if (read_option(&specs[found - FIRST_LONG], optarg, options, error) < 0)
            return LOAD_WRONG;
    }
    if (optind < argc) {
        leat_fail(error, "%s: no argument is expected here", argv[optind]);
        return LOAD_WRONG;
    }
    return finish(options, error) < 0 ? LOAD_WRONG : LOAD_RUN;
}
