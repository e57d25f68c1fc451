/*
 * main.c - the command line. Commands, options and help are in one table, and leat(1) is made from
 * it too. An option that a command does not take is an error: if it were ignored, the user would
 * rely on something, such as a limit, that is not applied.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "cli/commands.h"

enum { NUMBER_MAX = 1000000 };

static const leat_command commands[] = {
    {"run", "c", "[--config FILE]", 0, "edge and apply in one process",
     "Accepts writes over HTTP and applies them, in one process. SIGTERM or SIGINT drains and ends; a second one quits at once.\n",
     leat_command_run},
    {"edge", "c", "[--config FILE]", 0, "accept writes over HTTP into the log",
     "Takes PUT, PATCH and DELETE on the configured routes and answers 202 once the log has the write. Starts while a\n"
     "database is down if data_dir has a catalog (written by init, apply, run or an earlier edge). SIGTERM drains and ends;\n"
     "a second one quits at once.\n",
     leat_command_edge},
    {"apply", "c", "[--config FILE]", 0, "apply the log to the shards",
     "Applies the records of the log to the shards. Any number of processes may run; together they are one consumer group.\n"
     "SIGTERM finishes the batches in flight, commits and leaves the group; a second one quits at once.\n",
     leat_command_apply},
    {"init", "c", "[--config FILE]", 0, "create the topic and schema leat in every shard",
     "Creates the topic if it is missing and, in every shard, schema leat with the source, the layout and the tenant slots.\n"
     "Upgrades the schema of an older leat. May be run again at any time. A topic, layout or source that contradicts the\n"
     "configuration is an error that says what to do.\n",
     leat_command_init},
    {"check", "cj", "[--json] [--config FILE]", 0, "find problems before they cause trouble",
     "Checks the configuration, this machine, the topic and every shard, and changes nothing in the log or a shard. Each\n"
     "check is ok, a warning, FAILED or skipped (an earlier check that it needs has failed). A fault is printed with why it\n"
     "matters and what to do.\n\n"
     "  --json         one JSON object\n\n"
     "Exit status: 0 nothing failed (warnings are allowed), 3 something failed, 2 the configuration cannot be read.\n",
     leat_command_check},
    {"lag", "cjm", "[--max-seconds N] [--json] [--config FILE]", 0,
     "how far the shards are behind the log",
     "Compares the ends of the log with the progress in the shards. No worker has to run.\n\n"
     "  --max-seconds N  exit status 3 if the oldest record that is not applied is older\n"
     "  --json           one JSON object\n\n"
     "The records of a partition are those above its low water. That is an upper bound: some of them may be applied already,\n"
     "and the low water is recorded only every apply.compact_every. Exit status 1: not everything could be read.\n",
     leat_command_lag},
    {"status", "cjm", "[--max-seconds N] [--json] [--config FILE]", 0,
     "is all well: log, shards, lag, dead letters, processes, standstills",
     "A summary of the log and of each shard, with the processes that apply to it and their own reports.\n\n"
     "  --max-seconds N  not well if the oldest record that is not applied is older, even while records move\n"
     "  --json           one JSON object\n\n"
     "All is well only if records move or there are none. Exit status: 0 all is well; 3 something is not, and the output names\n"
     "its cause: a record, a lock and its holder, a standby, a partition, a shard, the log; 1 neither the log nor any shard\n"
     "answers.\n",
     leat_command_status},
    {"top", "cwoK", "[--admin URL]... [--token T] [--once] [--config FILE]", 0,
     "show live what processes do",
     "Shows, every two seconds, what the processes say of themselves: lag, throughput, connections and parked records of each\n"
     "shard, which record holds a partition up, the heaviest tenants and keys. Keys: q ends, p pauses, l m r n sort the shards.\n\n"
     "  --admin URL    the admin listener of a process, http://host:9464; may be given up to 16 times, and the numbers of one\n"
     "                 shard are added up. Without it, the configuration's `admin` on this machine\n"
     "  --token T      the token of these listeners; without it, $LEAT_ADMIN_TOKEN, or the configuration's `admin_token`\n"
     "  --once         print it once, for scripts; exit status 1 if a process has not answered\n",
     leat_command_top},
    {"dead list", "cstrljH",
     "[--held] [--shard NAME] [--table NAME | --route NAME] [--limit N] [--json] [--config FILE]",
     0, "list the records that were refused permanently",
     "Lists the dead letters of the topic, read from the shards, the newest first.\n\n"
     "  --held         instead, the keys that are held, the oldest first, with what their first record was refused with\n"
     "  --shard NAME   of this shard only\n"
     "  --table NAME   of the routes on this table, named as in the configuration\n"
     "  --route NAME   of this route\n"
     "  --limit N      at most this many; default 100\n"
     "  --json         one JSON object a line, with all that is stored\n\n"
     "If a shard does not answer, an error names it, the others are listed, and the exit status is 1.\n",
     leat_command_dead_list},
    {"dead show", "csj", "PARTITION OFFSET [--shard NAME] [--json] [--config FILE]", 2,
     "show one of them in full",
     "Shows the dead letter of this record.\n\n"
     "  --shard NAME   read this shard only\n"
     "  --json         as one JSON object\n",
     leat_command_dead_show},
    {"dead retry", "cstrk",
     "[--key K [--table NAME | --route NAME]] [--shard NAME] [--config FILE]", 0,
     "apply the records of held keys, in order",
     "Applies what is kept of each held key, or of one, from the first record on, as far as the database takes it. A key of\n"
     "which all is applied is held no longer. Workers may run meanwhile, or not; only the shards must answer.\n\n"
     "  --key K        all parts of the key in primary-key order, between them '/': 7/1\n"
     "  --table NAME   the table of that key, named as in the configuration; not needed where there is one table\n"
     "  --route NAME   or a route on it\n"
     "  --shard NAME   in this shard only\n\n"
     "Exit status: 0 none of them is held any more, 3 a record is still refused, 1 not all could be tried.\n",
     leat_command_dead_retry},
    {"dead discard", "cstrkl",
     "--key K [--table NAME | --route NAME] [--limit N] [--shard NAME] [--config FILE]", 0,
     "give up the records of a held key",
     "Keeps them as dead letters instead, and lets the key go: its later writes are applied as if these had not existed.\n\n"
     "  --key K        all parts of the key in primary-key order, between them '/': 7/1\n"
     "  --table NAME   the table of that key, named as in the configuration; not needed where there is one table\n"
     "  --route NAME   or a route on it\n"
     "  --limit N      only the first N; `leat dead retry` then applies the rest\n"
     "  --shard NAME   in this shard only\n",
     leat_command_dead_discard},
    {"control block", "ctrTkfnRO",
     "(--tenant T | --key K [--table NAME | --route NAME]) --for TIME [--hold | --keep N] [--reason TEXT] [--config FILE]",
     0, "skip or hold the records of a tenant or of one row for a time",
     "Every process that applies skips these records: their progress moves on as if they were applied, and their rows stay\n"
     "as they are. That includes the ones that wait: in memory, behind a lock, parked, or because they are refused. It takes\n"
     "effect within two seconds, ends by itself, and is kept in the shard of the tenant or row, which must answer; the log\n"
     "and other shards need not. Given again, it has another end. What was skipped does not come back.\n\n"
     "  --tenant T     as in the path of a request (percent-encoded)\n"
     "  --key K        all parts of the key in primary-key order, between them '/': 7/1\n"
     "  --table NAME   the table of that key, named as in the configuration; not needed where there is one table\n"
     "  --route NAME   or a route on it\n"
     "  --for TIME     30m, 24h; at most 31 days\n"
     "  --hold         do not skip them: each row is held, and its records are kept in the shard, in order, until `leat dead\n"
     "                 retry` applies them; that does not end with the control\n"
     "  --keep N       keep the newest N skipped records of each partition as dead letters, 0 to 10000; default 100. Of one\n"
     "                 batch at most 10 are kept\n"
     "  --reason TEXT  for people: it is shown with the control and its dead letters\n",
     leat_command_control_block},
    {"control unblock", "ctrTk",
     "(--tenant T | --key K [--table NAME | --route NAME]) [--config FILE]", 0,
     "end such a control",
     "Records that come after it are applied again, from those on that a process has not tried yet.\n",
     leat_command_control_unblock},
    {"control list", "csj", "[--shard NAME] [--json] [--config FILE]", 0,
     "list the controls in effect",
     "Lists the controls that have not ended, shard by shard.\n\n"
     "  --shard NAME   of this shard only\n"
     "  --json         one JSON object a line\n\n"
     "If a shard does not answer, an error names it, the others are listed, and the exit status is 1.\n",
     leat_command_control_list},
    {"mode set", "cD", "ROUTE async|sync|shadow [--share PERCENT] [--config FILE]", 2,
     "which way the writes of a live route go",
     "Moves keys of a route with `mode: live` into the log (async), into the database (sync), or into the database and through\n"
     "the log to the shadow table (shadow), while it is written. A share is of the keys, by a hash, and a larger one\n"
     "has those of a smaller one. Keys that move are answered 503 until nothing of them is under way on the side that they\n"
     "leave: sync to async a moment, async to sync as long as the log needs. Others notice nothing.\n\n"
     "  --share PERCENT  async: so many of the keys, the others stay in the database. shadow: so many of those that\n"
     "                   are in the database. Default 100%\n\n"
     "All shards must answer. A command that was interrupted is given again.\n",
     leat_command_mode_set},
    {"mode show", "cj", "[--json] [--config FILE]", 0, "which way the writes of live routes go now",
     "Shows the shares of each live route in each shard, and changes that are under way.\n\n"
     "  --json  one JSON object a line\n",
     leat_command_mode_show},
    {"mode compare", "cjlE", "ROUTE [--sample PERCENT] [--limit N] [--json] [--config FILE]", 1,
     "is a route's shadow table like its table?",
     "Waits until what is in the log is applied, and compares the table with its shadow in every shard, each in one statement\n"
     "that reads them whole. Rows that differ are looked at again after what was in the log by then is applied; one\n"
     "that somebody has written meanwhile does not count. Writes may go on.\n\n"
     "  --sample PERCENT  only so many of the rows, always the same ones: 1%, 0.1%\n"
     "  --limit N         print at most N rows; default 20\n"
     "  --json            one JSON object a line\n\n"
     "Exit status: 0 they are alike, 3 rows differ.\n",
     leat_command_mode_compare},
    {"token new", "TS", "NAME [--scopes S] [--tenant T]", 1, "make a bearer token for a client",
     "Prints a random token and the line for the file of auth.tokens, with its digest. The token is stored nowhere.\n\n"
     "  NAME        for logs and for you: letters, digits, '_', '-' and '.'\n"
     "  --scopes S  what it may do: ROUTE:OPERATION, several with commas between them; OPERATION is put, patch or delete,\n"
     "              and * stands for all. Default *:*\n"
     "  --tenant T  it writes rows of this tenant only; as in the path of a request (percent-encoded)\n",
     leat_command_token_new},
    {"send", "cruKACpMyxFbUI",
     "FILE|- [--path PATH | --route NAME] [--method M] [--types LIST] [--url URL] [--token T] [--ca FILE] [--cert FILE] [--refused FILE] [--from LINE] [--batch N] [--idempotency KEY] [--repeat-unknown] [--config FILE]",
     1, "send the writes of a file to an edge",
     "Sends the lines of a file or of standard input (-) in batches, several at once, and shows how far it is. The writes of a row\n"
     "keep the order of the file as long as their paths are spelled alike. What is refused for now (429, 503), or was not sent\n"
     "because there is no connection, is sent again; a write that may have been applied (504, a lost connection) is not, and after\n"
     "some batches in a row of which nothing else is known it ends.\n\n"
     "A line is {\"method\":\"PUT\",\"path\":\"/apps/7/subscriptions/1\",\"body\":{...}}. With --path or --route the file is CSV, and its\n"
     "first line has the names of the columns: those that the path names fill it, the others are members of the body. An\n"
     "empty field is null, and \"\" is an empty text, as in PostgreSQL's COPY ... CSV HEADER.\n\n"
     "  --path PATH       '/apps/{app_id}/subscriptions/{subscription_id}'\n"
     "  --route NAME      the path of this route of the configuration\n"
     "  --method M        PUT (the default), PATCH or DELETE, for every row\n"
     "  --types LIST      NAME:KIND,... of columns that are not text: number, bool, json. Integers, times and so on may be text\n"
     "  --url URL         of the edge; without it, the configuration's `listen` on this machine, by TLS where http.tls is set\n"
     "  --token T         the bearer token; without it, $LEAT_TOKEN. Other users of this machine can see options\n"
     "  --ca FILE         for https: the certificates (PEM) of the authorities to trust; without it, those of this machine\n"
     "  --cert FILE       for https: the certificate to show, and its key, where http.tls.client_certificate asks for one (PEM)\n"
     "  --refused FILE    gets what was not accepted, with the reason and the line; it can be sent again. What it\n"
     "                    has already stays with --from\n"
     "  --from LINE       leave out what is before this line\n"
     "  --batch N         items in one batch; default 500\n"
     "  --idempotency KEY  send again what may have been applied, safely: each item gets the idempotency key KEY-LINE, unless it\n"
     "                    has one, so a file that is sent again with the same KEY has no further effect\n"
     "  --repeat-unknown  send again what may have been applied: for writes that may be applied twice\n\n"
     "Exit status: 0 all were accepted, 3 some were not, 1 it could not go on, 130 interrupted. The output then says from which\n"
     "line to go on.\n",
     leat_command_send},
    {"compare", "QP", "[--quick] [--report FILE]", 0,
     "the same load with the write in the request, and through the log",
     "Runs the same load into PostgreSQL twice, once with the write in the request and once through Kafka and leat: steady,\n"
     "with a spike, while the database stands still, with one hot row, and while the writer is killed. Says what it means for\n"
     "clients, for the data and for the database, and writes that as one HTML file. Needs a checkout of leat, whose scripts\n"
     "start a Kafka and a PostgreSQL of its own; no configuration.\n\n"
     "  --quick        shorter runs: two minutes instead of six\n"
     "  --report FILE  where the report goes; default compare.html\n",
     leat_command_compare},
    {"verify", "cjlTFgNdiELGqBz",
     "[--partition N [--from OFFSET] [--to OFFSET]] [--since TIME] [--until TIME] [--tenant T] [--sample P] [--leave-out LIST] [--adopted] [--accept-removed] [--memory SIZE] [--pace N] [--limit N] [--json] [--config FILE]",
     0, "prove that the shards have what was accepted", leat_verify_help, leat_command_verify},
    {"config", "", "", 0, "print the reference of all settings",
     "Prints every setting with its type, default, range and meaning.\n", leat_command_config},
    {"metrics", "", "", 0, "print the reference of all metrics",
     "Prints every metric of /metrics with its type, labels and meaning.\n", leat_command_metrics},
    {"version", "", "", 0, "print the versions of leat and its libraries", "",
     leat_command_version},
};

enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

static const struct option options_known[] = {
    {"config", required_argument, NULL, 'c'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {"shard", required_argument, NULL, 's'},
    {"table", required_argument, NULL, 't'},
    {"route", required_argument, NULL, 'r'},
    {"limit", required_argument, NULL, 'l'},
    {"json", no_argument, NULL, 'j'},
    {"max-seconds", required_argument, NULL, 'm'},
    {"tenant", required_argument, NULL, 'T'},
    {"key", required_argument, NULL, 'k'},
    {"for", required_argument, NULL, 'f'},
    {"keep", required_argument, NULL, 'n'},
    {"reason", required_argument, NULL, 'R'},
    {"scopes", required_argument, NULL, 'S'},
    {"held", no_argument, NULL, 'H'},
    {"hold", no_argument, NULL, 'O'},
    {"url", required_argument, NULL, 'u'},
    {"token", required_argument, NULL, 'K'},
    {"ca", required_argument, NULL, 'A'},
    {"cert", required_argument, NULL, 'C'},
    {"path", required_argument, NULL, 'p'},
    {"method", required_argument, NULL, 'M'},
    {"types", required_argument, NULL, 'y'},
    {"refused", required_argument, NULL, 'x'},
    {"from", required_argument, NULL, 'F'},
    {"batch", required_argument, NULL, 'b'},
    {"repeat-unknown", no_argument, NULL, 'U'},
    {"idempotency", required_argument, NULL, 'I'},
    {"admin", required_argument, NULL, 'w'},
    {"once", no_argument, NULL, 'o'},
    {"share", required_argument, NULL, 'D'},
    {"sample", required_argument, NULL, 'E'},
    {"quick", no_argument, NULL, 'Q'},
    {"report", required_argument, NULL, 'P'},
    {"to", required_argument, NULL, 'g'},
    {"partition", required_argument, NULL, 'N'},
    {"since", required_argument, NULL, 'd'},
    {"until", required_argument, NULL, 'i'},
    {"leave-out", required_argument, NULL, 'L'},
    {"memory", required_argument, NULL, 'G'},
    {"pace", required_argument, NULL, 'q'},
    {"adopted", no_argument, NULL, 'B'},
    {"accept-removed", no_argument, NULL, 'z'},
    {0},
};

/* ---- help ---- */

static void print_usage(FILE *out)
{
    fputs(
        "usage: leat COMMAND [--config FILE]\n\n"
        "leat takes writes over HTTP, keeps them in Kafka and applies them to PostgreSQL, each once and in order.\n\n"
        "commands:\n",
        out);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  %-16s %s\n", commands[i].name, commands[i].summary);
    fputs(
        "\noptions:\n"
        "  -c, --config FILE  the configuration; default leat.yaml\n"
        "  -h, --help         this text, or a command's\n"
        "      --version      as the command\n\n"
        "exit status: 0 done, 1 failed while running, 2 usage or configuration, 3 a check failed\n",
        out);
}

static void print_command_help(const leat_command *command)
{
    printf("usage: leat %s%s%s\n\n%s", command->name, *command->usage ? " " : "", command->usage,
           command->help);
}

/* Is this the first word of commands of two words? */
static bool is_in_group(const leat_command *command, const char *word)
{
    size_t size = strlen(word);
    return strncmp(command->name, word, size) == 0 && command->name[size] == ' ';
}

static bool is_group(const char *word)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (is_in_group(&commands[i], word))
            return true;
    return false;
}

static void print_group(FILE *out, const char *word)
{
    fprintf(out, "usage: leat %s COMMAND\n\n", word);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (is_in_group(&commands[i], word))
            fprintf(out, "  %-10s %s\n", commands[i].name + strlen(word) + 1, commands[i].summary);
    fprintf(out, "\n`leat %s COMMAND --help` has more\n", word);
}

static int usage_error(const char *message, const char *argument)
{
    leat_print_error("leat: %s%s", message, argument);
    fputs("try `leat --help`, or --help after the command\n", stderr);
    return LEAT_EXIT_USAGE;
}

/* ---- options ---- */

static int take_number(const char *text, uint32_t *ret)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || value < 1 || value > NUMBER_MAX)
        return -1;
    *ret = (uint32_t)value;
    return 0;
}

/* Where an option's text goes; NULL: it is not one of those. */
static const char **text_of(leat_options *options, int letter)
{
    const struct {
        char letter;
        const char **text;
    } texts[] = {
        {'c', &options->config_file}, {'s', &options->shard},       {'t', &options->table},
        {'r', &options->route},       {'T', &options->tenant},      {'k', &options->key},
        {'f', &options->duration},    {'n', &options->keep},        {'R', &options->reason},
        {'u', &options->url},         {'K', &options->token},       {'p', &options->path},
        {'M', &options->method},      {'y', &options->types},       {'x', &options->refused},
        {'F', &options->from},        {'S', &options->scopes},      {'b', &options->batch},
        {'A', &options->ca},          {'C', &options->cert},        {'D', &options->share},
        {'E', &options->sample},      {'I', &options->idempotency}, {'P', &options->report},
        {'g', &options->to},          {'N', &options->partition},   {'d', &options->since},
        {'i', &options->until},       {'L', &options->leave_out},   {'G', &options->memory},
        {'q', &options->pace},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].letter == letter)
            return texts[i].text;
    return NULL;
}

static int take_option(leat_options *options, int letter, const char *value)
{
    const char **text = text_of(options, letter);
    if (text)
        *text = value;
    switch (letter) {
    case 'j':
        options->json = true;
        break;
    case 'H':
        options->held = true;
        break;
    case 'O':
        options->hold = true;
        break;
    case 'U':
        options->repeat_unknown = true;
        break;
    case 'Q':
        options->quick = true;
        break;
    case 'o':
        options->once = true;
        break;
    case 'w':
        if (options->admin_count == LEAT_ADMINS_MAX)
            return -1;
        options->admin[options->admin_count++] = value;
        break;
    case 'B':
        options->adopted = true;
        break;
    case 'z':
        options->accept_removed = true;
        break;
    case 'l':
        return take_number(value, &options->limit);
    case 'm':
        return take_number(value, &options->max_seconds);
    default:
        break;
    }
    return 0;
}

static int option_error(int letter, const char *word)
{
    char text[3] = {'-', (char)optopt, '\0'};
    if (strncmp(word, "--", 2) != 0 && optopt)
        word = text;
    return usage_error(letter == ':' ? "a value is missing after " : "unknown option ", word);
}

/* The options of the command line. */
typedef struct command_line {
    leat_options options;
    bool help;
    bool version;
    char given[64]; /* letters of the options, each once */
} command_line;

static int read_options(int argc, char **argv, command_line *line)
{
    int letter;
    opterr = 0;
    while ((letter = getopt_long(argc, argv, ":c:hV", options_known, NULL)) != -1) {
        if (letter == '?' || letter == ':')
            return option_error(letter, argv[optind - 1]);
        if (take_option(&line->options, letter, optarg) != 0)
            return usage_error(letter == 'w' ? "--admin can be given 16 times, not more: "
                               : letter == 'l'
                                   ? "--limit takes a number from 1 to 1000000, not "
                                   : "--max-seconds takes a number from 1 to 1000000, not ",
                               optarg);
        line->help = line->help || letter == 'h';
        line->version = line->version || letter == 'V';
        if (!strchr("hV", letter) && !strchr(line->given, letter))
            line->given[strlen(line->given)] = (char)letter;
    }
    return LEAT_EXIT_OK;
}

static int check_options(const leat_command *command, const command_line *line)
{
    for (const struct option *at = options_known; at->name; at++) {
        char text[64];
        if (!strchr(line->given, at->val) || strchr(command->takes, at->val))
            continue;
        if (at->val == 'c') /* every command accepts it, even one that does not read a configuration
                             */
            continue;
        snprintf(text, sizeof text, "leat %s takes no option --", command->name);
        return usage_error(text, at->name);
    }
    return LEAT_EXIT_OK;
}

/* ---- commands ---- */

/* How many of the words are its name; 0: it is another command. */
static int name_words(const leat_command *command, int count, char **words)
{
    if (strcmp(command->name, words[0]) == 0)
        return 1;
    if (count > 1 && is_in_group(command, words[0]) &&
        strcmp(command->name + strlen(words[0]) + 1, words[1]) == 0)
        return 2;
    return 0;
}

static const leat_command *find_command(int count, char **words, int *ret_used)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if ((*ret_used = name_words(&commands[i], count, words)) > 0)
            return &commands[i];
    return NULL;
}

static int no_command(int count, char **words, bool help)
{
    if (!is_group(words[0]))
        return usage_error("there is no command ", words[0]);
    if (count == 1) {
        print_group(help ? stdout : stderr, words[0]);
        return help ? LEAT_EXIT_OK : LEAT_EXIT_USAGE;
    }
    char text[64];
    snprintf(text, sizeof text, "there is no command %s ", words[0]);
    return usage_error(text, words[1]);
}

static int run_command(int count, char **words, command_line *line)
{
    int used;
    const leat_command *command = find_command(count, words, &used);
    if (!command)
        return no_command(count, words, line->help);
    int code = check_options(command, line);
    if (code != LEAT_EXIT_OK)
        return code;
    if (line->help) {
        print_command_help(command);
        return LEAT_EXIT_OK;
    }
    int wanted = used + (int)command->operand_count;
    if (count > wanted)
        return usage_error("too many arguments: ", words[wanted]);
    if (count < wanted)
        return usage_error("arguments are missing: ", command->usage);
    line->options.operands = words + used;
    return command->run(&line->options);
}

static int run_line(int argc, char **argv)
{
    command_line line = {.options.config_file = "leat.yaml"};
    int code = read_options(argc, argv, &line);
    if (code != LEAT_EXIT_OK)
        return code;
    if (line.version)
        return leat_command_version(&line.options);
    if (optind < argc)
        return run_command(argc - optind, argv + optind, &line);
    print_usage(line.help ? stdout : stderr);
    return line.help ? LEAT_EXIT_OK : LEAT_EXIT_USAGE;
}

/* When a peer (also behind TLS) or a reader of the output goes away, write() fails and the process
 * lives on. The same holds for a file of the built-in log or a SQLite shard that may not grow any
 * further (ulimit -f). */
int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    int code = run_line(argc, argv);
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    leat_print_error("leat: not all of the output could be written");
    return code == LEAT_EXIT_OK ? LEAT_EXIT_FAILED : code;
}
