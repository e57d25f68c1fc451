/* leat-load: an option decides whether the writes go through an edge or straight into its topic.
 * Both targets draw the same writes from the same run, so that their figures compare: what HTTP and
 * the edge cost is the difference. A run that fails still prints its summary, with "complete":
 * false. */
#include <signal.h>
#include <stdlib.h>

#include "load/target.h"

static int run_load(const load_options *options, leat_error *error)
{
    load_run run;
    bool http = options->port != 0;
    uint32_t outstanding = http ? load_http_outstanding(options) : load_kafka_outstanding(options);
    if (load_run_init(&run, options, outstanding, error) < 0)
        return -1;
    int result = http ? load_http_run(&run, error) : load_kafka_run(&run, error);
    if (result == 0) {
        if (run.failure)
            load_run_abandon(&run);
        load_run_summary(&run, stdout);
        if (run.failure)
            result = leat_fail(error, "%s", run.failure);
    }
    load_run_fini(&run);
    return result;
}

int main(int argc, char **argv)
{
    leat_error error = {""};
    load_options options;
    signal(SIGPIPE, SIG_IGN);
    load_parsed parsed = load_options_parse(&options, argc, argv, &error);
    if (parsed == LOAD_HELPED)
        return 0;
    if (parsed == LOAD_WRONG) {
        fprintf(stderr, "leat-load: %s (see --help)\n", error.text);
        return 2;
    }
    if (run_load(&options, &error) < 0) {
        fprintf(stderr, "leat-load: %s\n", error.text);
        return 1;
    }
    return 0;
}
