/* leat: the command line. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"

static const leat_command commands[] = {
    {"run", "edge and apply in one process",
     "Accepts writes over HTTP and applies them, in one process. SIGTERM or SIGINT drains and ends; a second one quits.\n",
     leat_command_run, true},
    {"edge", "accept writes over HTTP into the log",
     "PUT, PATCH and DELETE on the configured routes; 202 once the log has the write. Starts while a database is down, as\n"
     "soon as data_dir has a catalog (written by init, apply, run or an earlier edge). SIGTERM drains, a second one quits.\n",
     leat_command_edge, true},
    {"apply", "apply the log to the shards",
     "Drains the log into the shards. Any number of processes may run; together they are one consumer group.\n"
     "SIGTERM finishes the batches in flight, commits and leaves the group; a second one quits.\n",
     leat_command_apply, true},
    {"init", "create the topic and schema leat in every shard",
     "Creates the topic if it is not there and, in every shard, schema leat with the source, the layout and the tenant\n"
     "slots. Idempotent. A topic, layout or source that contradicts the configuration is an error that says what to do.\n",
     leat_command_init, true},
    {"config", "print the reference of all settings", "Every setting with its type, default, range and meaning.\n",
     leat_command_config, false},
    {"version", "print the versions of leat and its libraries", "", leat_command_version, false},
};

static void print_usage(FILE *out)
{
    fputs("usage: leat COMMAND [--config FILE]\n\n"
          "leat takes writes over HTTP, keeps them in Kafka and applies them to PostgreSQL, each once and in order.\n\n"
          "commands:\n",
          out);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fputs("\noptions:\n"
          "  -c, --config FILE  the configuration; default leat.yaml\n"
          "  -h, --help         this text, or a command's\n"
          "      --version      as the command\n\n"
          "exit status: 0 done, 1 failed while running, 2 usage or configuration, 3 a check failed\n",
          out);
}

static const leat_command *find_command(const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static void print_command_help(const leat_command *command)
{
    printf("usage: leat %s%s\n\n%s", command->name, command->needs_config ? " [--config FILE]" : "", command->help);
}

static int usage_error(const char *words, const char *argument)
{
    fprintf(stderr, "leat: %s%s\n", words, argument);
    fputs("try `leat --help`\n", stderr);
    return LEAT_EXIT_USAGE;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {0},
    };
    const char *config_file = "leat.yaml";
    bool help = false;
    int option;
    while ((option = getopt_long(argc, argv, "c:hV", options, NULL)) != -1) {
        if (option == 'c')
            config_file = optarg;
        else if (option == 'h')
            help = true;
        else if (option == 'V')
            return leat_command_version(NULL);
        else
            return usage_error("unknown option", "");
    }
    if (optind == argc) {
        print_usage(help ? stdout : stderr);
        return help ? LEAT_EXIT_OK : LEAT_EXIT_USAGE;
    }
    const leat_command *command = find_command(argv[optind]);
    if (!command)
        return usage_error("there is no command ", argv[optind]);
    if (optind + 1 < argc)
        return usage_error("too many arguments: ", argv[optind + 1]);
    if (help) {
        print_command_help(command);
        return LEAT_EXIT_OK;
    }
    return command->run(config_file);
}
