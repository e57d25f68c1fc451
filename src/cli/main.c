/*
 * main.c - the command line. Commands, options and help are in tables (command_table.c), and
 * leat(1) is made from them too. An option that a command does not take is an error: if it were
 * ignored, the user would rely on something, such as a limit, that is not applied.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "cli/commands.h"
#include "config/text.h"

enum { NUMBER_MAX = 1000000 };

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
    {"header", required_argument, NULL, '@'},
    {"once", no_argument, NULL, 'o'},
    {"lines", no_argument, NULL, '#'},
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
    {"writes", required_argument, NULL, 'W'},
    {"spike", required_argument, NULL, 'X'},
    {"spike-for", required_argument, NULL, 'Y'},
    {"lag", required_argument, NULL, 'a'},
    {"outage", required_argument, NULL, 'e'},
    {"shards", required_argument, NULL, 'Z'},
    {"partitions", required_argument, NULL, 'J'},
    {"tenants", required_argument, NULL, 'v'},
    {"tenant-skew", required_argument, NULL, '0'},
    {"keys", required_argument, NULL, '1'},
    {"key-skew", required_argument, NULL, '2'},
    {"fixed-us", required_argument, NULL, '3'},
    {"row-us", required_argument, NULL, '4'},
    {"serial", required_argument, NULL, '5'},
    {"reader-us", required_argument, NULL, '6'},
    {"record-bytes", required_argument, NULL, '7'},
    {"measure", no_argument, NULL, '8'},
    {"connections", required_argument, NULL, '9'},
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
    for (size_t i = 0; i < leat_command_count; i++)
        fprintf(out, "  %-16s %s\n", leat_commands[i].name, leat_commands[i].summary);
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
    for (size_t i = 0; i < leat_command_count; i++)
        if (is_in_group(&leat_commands[i], word))
            return true;
    return false;
}

static void print_group(FILE *out, const char *word)
{
    fprintf(out, "usage: leat %s COMMAND\n\n", word);
    for (size_t i = 0; i < leat_command_count; i++)
        if (is_in_group(&leat_commands[i], word))
            fprintf(out, "  %-10s %s\n", leat_commands[i].name + strlen(word) + 1,
                    leat_commands[i].summary);
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
        {'c', &options->config_file}, {'s', &options->shard},        {'t', &options->table},
        {'r', &options->route},       {'T', &options->tenant},       {'k', &options->key},
        {'f', &options->duration},    {'n', &options->keep},         {'R', &options->reason},
        {'u', &options->url},         {'K', &options->token},        {'p', &options->path},
        {'M', &options->method},      {'y', &options->types},        {'x', &options->refused},
        {'F', &options->from},        {'S', &options->scopes},       {'b', &options->batch},
        {'A', &options->ca},          {'C', &options->cert},         {'D', &options->share},
        {'E', &options->sample},      {'I', &options->idempotency},  {'P', &options->report},
        {'g', &options->to},          {'N', &options->partition},    {'d', &options->since},
        {'i', &options->until},       {'L', &options->leave_out},    {'G', &options->memory},
        {'q', &options->pace},        {'W', &options->writes},       {'X', &options->spike},
        {'Y', &options->spike_for},   {'a', &options->lag},          {'e', &options->outage},
        {'Z', &options->shards},      {'J', &options->partitions},   {'v', &options->tenants},
        {'0', &options->tenant_skew}, {'1', &options->keys},         {'2', &options->key_skew},
        {'3', &options->fixed_us},    {'4', &options->row_us},       {'5', &options->serial},
        {'6', &options->reader_us},   {'7', &options->record_bytes}, {'9', &options->connections},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].letter == letter)
            return texts[i].text;
    return NULL;
}

/* One more of an option that may be given several times. -1: that was often enough. */
static int take_one_more(const char **list, uint32_t *count, uint32_t most, const char *value)
{
    if (*count == most)
        return -1;
    list[(*count)++] = value;
    return 0;
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
    case '#':
        options->lines = true;
        break;
    case 'w':
        return take_one_more(options->admin, &options->admin_count, LEAT_ADMINS_MAX, value);
    case '@':
        return take_one_more(options->header, &options->header_count, LEAT_HEADERS_MAX, value);
    case 'B':
        options->adopted = true;
        break;
    case 'z':
        options->accept_removed = true;
        break;
    case '8':
        options->measure = true;
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

/* What take_option has against a value. */
static const char *value_fault(int letter)
{
    switch (letter) {
    case 'w':
        return "--admin can be given 16 times, not more: ";
    case '@':
        return "--header can be given 16 times, not more: ";
    case 'l':
        return "--limit takes a number from 1 to 1000000, not ";
    default:
        return "--max-seconds takes a number from 1 to 1000000, not ";
    }
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
    char given[96]; /* letters of the options, each once */
} command_line;

static int read_options(int argc, char **argv, command_line *line)
{
    int letter;
    opterr = 0;
    while ((letter = getopt_long(argc, argv, ":c:hV", options_known, NULL)) != -1) {
        if (letter == '?' || letter == ':')
            return option_error(letter, argv[optind - 1]);
        if (take_option(&line->options, letter, optarg) != 0)
            return usage_error(value_fault(letter), optarg);
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
    for (size_t i = 0; i < leat_command_count; i++)
        if ((*ret_used = name_words(&leat_commands[i], count, words)) > 0)
            return &leat_commands[i];
    return NULL;
}

/* The command that a word most likely means, or "". Groups are meant by their first word. */
static void guess_command(const char *word, char *ret, size_t size)
{
    enum { FAR = 3 }; /* and fewer than half of its letters may be wrong */
    size_t best = FAR;
    *ret = '\0';
    for (size_t i = 0; i < leat_command_count; i++) {
        char first[32];
        snprintf(first, sizeof first, "%.*s", (int)strcspn(leat_commands[i].name, " "),
                 leat_commands[i].name);
        size_t distance = leat_text_distance(word, first);
        if (distance >= best || 2 * distance >= strlen(first))
            continue;
        best = distance;
        snprintf(ret, size, "; did you mean leat %s?", first);
    }
}

static int no_command(int count, char **words, bool help)
{
    if (!is_group(words[0])) {
        char text[256], meant[64];
        guess_command(words[0], meant, sizeof meant);
        snprintf(text, sizeof text, "%.128s%s", words[0], meant);
        return usage_error("there is no command ", text);
    }
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
    if (optind < argc && strcmp(argv[optind], "help") == 0) { /* leat help, leat help send */
        line.help = true;
        optind++;
    }
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
