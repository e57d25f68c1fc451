/* leat-sim: runs worlds from seeds, and reports violations. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "campaign.h"

static const char help[] =
    "leat-sim: a whole leat pipeline in one thread, on virtual time, from a seed\n"
    "\n"
    "usage: leat-sim [--seeds N] [--first S] [--jobs J] [--set NAME=VALUE]...\n"
    "       leat-sim --seed S [--trace] [--shrink] [--options] [--set NAME=VALUE]...\n"
    "\n"
    "Edge, worker, engine, fold and progress are the production code; log, consumer group, databases, clients and time\n"
    "are simulated, and everything that can go wrong there does. A seed decides all of it.\n"
    "\n"
    "  --seeds N         run N worlds (default 1000), stop at the first that breaks a promise\n"
    "  --first S         the first seed (default 1)\n"
    "  --jobs J          in J processes (default: one a processor)\n"
    "  --seed S          run one world\n"
    "  --trace           write its trace\n"
    "  --shrink          when it fails, leave out what it does not need to fail\n"
    "  --options         print its options and end\n"
    "  --set NAME=VALUE  instead of what the seed would draw\n"
    "  --expect CHECKER  succeed only if this checker finds a violation (for builds with a planted fault)\n"
    "  --help\n"
    "\n"
    "The last line of a campaign counts. A campaign of 5000 seeds or more in which something never happened that must\n"
    "happen sometimes (\"sometimes: never ...\") is invalid.\n"
    "\n"
    "Exit codes: 0 no promise was broken; 1 one was, or the campaign is invalid; 2 usage.\n";

typedef struct command_line {
    sim_campaign_config campaign;
    bool one;
    bool trace;
    bool shrink;
    bool options;
    const char *expect;
} command_line;

enum { ENOUGH_SEEDS = 5000 };

static int usage(const char *what)
{
    fprintf(stderr, "leat-sim: %s (leat-sim --help)\n", what);
    return 2;
}

static bool take_number(const char *text, uint64_t *ret)
{
    char *end;
    errno = 0;
    *ret = strtoull(text, &end, 10);
    return !errno && end != text && !*end && *text != '-';
}

/* ---- output ---- */

static void print_options(const sim_options *options)
{
    leat_buf text = {0};
    sim_options_write(options, &text);
    printf("options: %s\n", leat_buf_cstr(&text));
    leat_buf_free(&text);
}

static void print_sometimes(const sim_sometimes *sometimes)
{
    leat_buf text = {0};
    sim_sometimes_write(sometimes, &text);
    printf("sometimes: %s\n", leat_buf_cstr(&text));
    leat_buf_free(&text);
}

static void print_settings(const sim_campaign_config *campaign)
{
    for (uint32_t i = 0; i < campaign->setting_count; i++)
        printf(" --set %s", campaign->settings[i]);
}

static void print_failure(const command_line *line, const sim_failure *failure)
{
    printf("seed %llu breaks %s: %s\n", (unsigned long long)failure->seed, failure->checker,
           failure->message);
    printf("again: leat-sim --seed %llu --trace", (unsigned long long)failure->seed);
    print_settings(&line->campaign);
    putchar('\n');
}

/* ---- one world ---- */

static void print_small(uint64_t seed, const sim_options *before, const sim_options *options,
                        uint32_t ran)
{
    printf("smaller (%u worlds tried): leat-sim --seed %llu --trace", ran,
           (unsigned long long)seed);
    for (sim_option i = 0; i < OPTION_COUNT; i++)
        if (options->values[i] != before->values[i])
            printf(" --set %s=%lld", sim_option_name(i), (long long)options->values[i]);
    putchar('\n');
}

static int verdict(const command_line *line, const sim_failure *failure)
{
    if (!line->expect)
        return failure->failed;
    bool found = failure->failed && strcmp(failure->checker, line->expect) == 0;
    if (!found)
        printf("expected %s to find a violation; %s did\n", line->expect,
               failure->failed ? failure->checker : "nobody");
    return !found;
}

static int run_one(const command_line *line)
{
    static sim_campaign_result result;
    uint64_t seed = line->campaign.first;
    sim_options options;
    leat_error error;
    if (sim_campaign_options(&line->campaign, seed, &options, &error) != 0)
        return usage(error.text);
    print_options(&options);
    if (line->options)
        return 0;
    sim_campaign_one(seed, &options, line->trace, &result);
    print_sometimes(&result.sometimes);
    if (result.failure.failed)
        print_failure(line, &result.failure);
    if (result.failure.failed && line->shrink) {
        sim_options before = options;
        uint32_t ran = sim_campaign_shrink(seed, &options, &result.failure);
        print_small(seed, &before, &options, ran);
    }
    printf("%llu records, %llu events, %.1f s of virtual time\n",
           (unsigned long long)result.records, (unsigned long long)result.events,
           (double)result.virtual_us / 1e6);
    return verdict(line, &result.failure);
}

/* ---- many ---- */

static int judge(const command_line *line, const sim_campaign_result *result)
{
    sim_sometimes_kind never = sim_sometimes_never(&result->sometimes);
    if (result->failure.failed) {
        print_failure(line, &result->failure);
        return verdict(line, &result->failure);
    }
    if (line->expect)
        return verdict(line, &result->failure);
    if (line->campaign.seeds < ENOUGH_SEEDS || line->campaign.setting_count > 0 ||
        never == SOMETIMES_COUNT)
        return 0;
    printf("invalid: never %s\n", sim_sometimes_name(never));
    return 1;
}

static int run_many(const command_line *line)
{
    static sim_campaign_result result;
    sim_options options;
    leat_error error;
    if (sim_campaign_options(&line->campaign, line->campaign.first, &options, &error) != 0)
        return usage(error.text);
    sim_campaign_run(&line->campaign, &result);
    print_sometimes(&result.sometimes);
    int code = judge(line, &result);
    double seconds = (double)result.took_us / 1e6;
    printf(
        "%llu seeds, %llu records, %llu events in %.1f s: %.0f seeds/s, %.0f s of virtual time a second; "
        "longest healing %.1f s; %s\n",
        (unsigned long long)result.seeds, (unsigned long long)result.records,
        (unsigned long long)result.events, seconds, (double)result.seeds / seconds,
        (double)result.virtual_us / 1e6 / seconds, (double)result.healed_us / 1e6,
        result.failure.failed ? "VIOLATION" : "no violation");
    return code;
}

/* ---- the command line ---- */

static const struct option long_options[] = {
    {"seeds", required_argument, NULL, 'n'},
    {"first", required_argument, NULL, 'f'},
    {"jobs", required_argument, NULL, 'j'},
    {"seed", required_argument, NULL, 's'},
    {"trace", no_argument, NULL, 't'},
    {"shrink", no_argument, NULL, 'k'},
    {"options", no_argument, NULL, 'o'},
    {"set", required_argument, NULL, '='},
    {"expect", required_argument, NULL, 'e'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

/* -1: go on; else the exit code. */
static int take_option(command_line *line, int option, const char *value)
{
    sim_campaign_config *campaign = &line->campaign;
    uint64_t number = 0;
    if (strchr("nfjs", option) && !take_number(value, &number))
        return usage("a whole number is wanted");
    switch (option) {
    case 'n':
        campaign->seeds = number;
        return -1;
    case 'f':
        campaign->first = number;
        return -1;
    case 'j':
        campaign->jobs = (uint32_t)number;
        return number > 0 && number <= 256 ? -1 : usage("--jobs: 1 to 256");
    case 's':
        campaign->first = number;
        line->one = true;
        return -1;
    case 't':
        line->trace = true;
        return -1;
    case 'k':
        line->shrink = true;
        return -1;
    case 'o':
        line->options = true;
        return -1;
    case 'e':
        line->expect = value;
        return -1;
    case 'h':
        fputs(help, stdout);
        return 0;
    case '=':
        if (campaign->setting_count == SIM_SETTINGS_MAX)
            return usage("too many --set");
        campaign->settings[campaign->setting_count++] = value;
        return -1;
    default:
        return usage("unknown option");
    }
}

int main(int argc, char **argv)
{
    static command_line line;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    line.campaign = (sim_campaign_config){
        .first = 1, .seeds = 1000, .jobs = processors > 0 ? (uint32_t)processors : 1};
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        int code = take_option(&line, option, optarg);
        if (code >= 0)
            return code;
    }
    if (optind < argc)
        return usage("no arguments are taken");
    int code = line.one ? run_one(&line) : run_many(&line);
    fflush(NULL);
    _exit(code); /* a failed world is not freed, so leaks are not checked */
}
