/*
 * leat-ceiling - the throughput of a database alone: leat's own row statements, built in memory
 * beforehand, over two connections; no log, no progress. The figure that `leat apply` is measured
 * against. Other statements may be measured in turn with leat's.
 *
 *   leat-ceiling --dsn DSN --catalog FILE [--connections 2] [--batch 1000] [--batches 200]
 *                [--seconds 5] [--keys 200000] [--apps 1000] [--fill] [--settings SQL]
 *                [--form NAME=FILE ...] [--part NAME=FILE ...] [--parameters NAME=FILE ...]
 *                [--print]
 *
 * --fill writes every key once and ends. --form adds a statement, read from a file, that takes the
 * parameters of leat's own (form `leat`); --part likewise, one that is leat's but for a part of it.
 * --parameters is for the form that was named last, if it takes others: a query that leat's are
 * given to, and whose one row has them; it is asked beforehand, once a batch. The forms take turns,
 * batch by batch. leat's own and its parts come after leat.plan_rows, whose time is theirs; the
 * others are planned by the settings that the session has. --settings sets some for all of them.
 * --print prints leat's statement and ends.
 *
 * Prints one JSON object: rows, rows_s, and a row's processor time: cpu_us, server_cpu_us, which is
 * that of the session in the server (0: the server is not on this host). With --form also forms:
 * {NAME: {rows_s, server_us}}, both lists, the nth of each from about the same time.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ceiling/ceiling.h"

_Noreturn void ceiling_die(const char *what, const char *why)
{
    fprintf(stderr, "leat-ceiling: %s: %s\n", what, why);
    exit(1);
}

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "r");
    leat_buf text = {0};
    char piece[4096];
    size_t size;
    if (!file)
        ceiling_die(path, "cannot be read");
    while ((size = fread(piece, 1, sizeof piece, file)) > 0)
        leat_buf_append(&text, piece, size);
    fclose(file);
    if (!leat_buf_cstr(&text))
        ceiling_die(path, "out of memory");
    return text.data;
}

/* Cuts the argument behind NAME; returns FILE. */
static char *cut_name(char *argument)
{
    char *path = strchr(argument, '=');
    if (!path)
        ceiling_die(argument, "NAME=FILE is needed");
    *path++ = '\0';
    return path;
}

static void add_form(ceiling *c, char *argument, bool is_leats)
{
    char *path = cut_name(argument);
    if (c->form_count == FORMS_MAX)
        ceiling_die("--form, --part", "at most seven");
    c->forms[c->form_count++] =
        (statement_form){.name = argument, .sql = read_file(path), .is_leats = is_leats};
}

static void add_parameters(ceiling *c, char *argument)
{
    char *path = cut_name(argument);
    statement_form *form = &c->forms[c->form_count - 1];
    if (!form->sql || strcmp(form->name, argument) != 0)
        ceiling_die("--parameters", "not behind the form of this name");
    form->parameters = read_file(path);
}

static const struct option options[] = {
    {"dsn", required_argument, NULL, 'd'},
    {"catalog", required_argument, NULL, 'f'},
    {"connections", required_argument, NULL, 'c'},
    {"batch", required_argument, NULL, 'b'},
    {"batches", required_argument, NULL, 'n'},
    {"seconds", required_argument, NULL, 's'},
    {"keys", required_argument, NULL, 'k'},
    {"apps", required_argument, NULL, 'a'},
    {"fill", no_argument, NULL, 'i'},
    {"settings", required_argument, NULL, 'x'},
    {"form", required_argument, NULL, 'o'},
    {"part", required_argument, NULL, 'r'},
    {"parameters", required_argument, NULL, 'q'},
    {"print", no_argument, NULL, 'p'},
    {0},
};

static void take_option(ceiling *c, int option, char *argument, bool *ret_print)
{
    unsigned long number = argument ? strtoul(argument, NULL, 10) : 0;
    switch (option) {
    case 'd':
        c->dsn = argument;
        break;
    case 'f':
        c->load.catalog = argument;
        break;
    case 'c':
        c->connections = (uint32_t)number;
        break;
    case 'b':
        c->batch = (uint32_t)number;
        break;
    case 'n':
        c->batches = (uint32_t)number;
        break;
    case 's':
        c->seconds = strtod(argument, NULL);
        break;
    case 'k':
        c->load.keys = number;
        break;
    case 'a':
        c->load.apps = number;
        break;
    case 'i':
        c->fill = true;
        break;
    case 'x':
        c->settings = argument;
        break;
    case 'o':
    case 'r':
        add_form(c, argument, option == 'r');
        break;
    case 'q':
        add_parameters(c, argument);
        break;
    case 'p':
        *ret_print = true;
        break;
    default:
        exit(2);
    }
}

static void parse(ceiling *c, int argc, char **argv, bool *ret_print)
{
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        take_option(c, option, optarg, ret_print);
    if (c->dsn && c->load.catalog && c->connections > 0 && c->connections <= CONNECTIONS_MAX &&
        c->batch > 0 && c->batches >= c->connections && c->seconds > 0)
        return;
    fprintf(stderr,
            "leat-ceiling: --dsn and --catalog are needed, --connections 1 to %d, --batch from 1,"
            " --seconds above 0\n",
            CONNECTIONS_MAX);
    exit(2);
}

int main(int argc, char **argv)
{
    bool is_printed = false;
    ceiling *c = leat_must_calloc(1, sizeof *c);
    *c = (ceiling){.connections = 2,
                   .batch = 1000,
                   .batches = 200,
                   .seconds = 5,
                   .form_count = 1,
                   .forms = {{.name = "leat", .is_leats = true}}};
    c->load = (load_options){.profile = load_profile_by_name("subscription"),
                             .records = UINT64_MAX,
                             .keys = 200000,
                             .apps = 1000,
                             .seed = 11,
                             .first_seq = 1,
                             .mix = {[LEAT_PATCH] = 100}};
    c->load.path = c->load.profile->path;
    parse(c, argc, argv, &is_printed);
    ceiling_freeze(c);
    if (is_printed)
        puts(leat_shapes_sql(c->shapes, 0));
    else
        ceiling_run(c);
    return 0;
}
