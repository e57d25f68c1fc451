/* The figures of a run, for a person or as JSON. The rate counts acknowledged writes up to the last
 * acknowledgement: writes that were refused or are unknown are not throughput, and neither is the
 * time after it. JSON is written by hand because all its texts are constants of this program. */
#include "load/run.h"

static void json_latency(FILE *out, const char *name, const hist *h)
{
    fprintf(out, ",\"%s\":{\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"p999\":%.3f,\"max\":%.3f}",
            name, hist_ms(h, 0.5), hist_ms(h, 0.9), hist_ms(h, 0.99), hist_ms(h, 0.999),
            hist_max_ms(h));
}

static double seconds_of(const load_run *run)
{
    double seconds = (double)(run->last_answer_us - run->start_us) / 1e6;
    return seconds > 1e-6 ? seconds : 1e-6;
}

static void json_counts(const load_stats *stats, FILE *out)
{
    const char *between = "";
    fputs(",\"statuses\":{", out);
    for (int i = 0; i < LOAD_STATUS_MAX; i++) {
        if (stats->statuses[i] == 0)
            continue;
        fprintf(out, "%s\"%d\":%llu", between, i, (unsigned long long)stats->statuses[i]);
        between = ",";
    }
    fputs("},\"errors\":{", out);
    for (int i = 0; i < LOAD_ERRORS_MAX && stats->errors[i].error; i++)
        fprintf(out, "%s\"%s\":%llu", i ? "," : "", stats->errors[i].error,
                (unsigned long long)stats->errors[i].count);
    fputs("}", out);
}

static void print_json(const load_run *run, FILE *out)
{
    const load_stats *stats = &run->stats;
    double seconds = seconds_of(run);
    fprintf(out, "{\"target\":\"%s\",\"profile\":\"%s\",\"seed\":%llu",
            run->options->port ? "http" : "kafka", run->options->profile->name,
            (unsigned long long)run->options->seed);
    fprintf(
        out,
        ",\"seconds\":%.3f,\"sent\":%llu,\"acked\":%llu,\"refused\":%llu,\"unknown\":%llu,\"retries\":%llu",
        seconds, (unsigned long long)stats->sent, (unsigned long long)stats->acked,
        (unsigned long long)stats->refused, (unsigned long long)stats->unknown,
        (unsigned long long)stats->retries);
    fprintf(out, ",\"requests_s\":%.1f", (double)stats->acked / seconds);
    json_latency(out, "latency_ms", &stats->latency);
    json_latency(out, "scheduled_ms", &stats->scheduled);
    json_counts(stats, out);
    fprintf(out, ",\"complete\":%s}\n", run->failure ? "false" : "true");
}

static void print_words(const load_run *run, FILE *out)
{
    const load_stats *stats = &run->stats;
    double seconds = seconds_of(run);
    fprintf(out, "%llu sent, %llu acknowledged, %llu refused, %llu unknown in %.2f s: %.0f/s\n",
            (unsigned long long)stats->sent, (unsigned long long)stats->acked,
            (unsigned long long)stats->refused, (unsigned long long)stats->unknown, seconds,
            (double)stats->acked / seconds);
    fprintf(out, "latency ms: p50 %.2f  p99 %.2f  p99.9 %.2f  max %.2f\n",
            hist_ms(&stats->latency, 0.5), hist_ms(&stats->latency, 0.99),
            hist_ms(&stats->latency, 0.999), hist_max_ms(&stats->latency));
    for (int i = 0; i < LOAD_STATUS_MAX; i++)
        if (stats->statuses[i] && i != 202)
            fprintf(out, "status %d: %llu\n", i, (unsigned long long)stats->statuses[i]);
    for (int i = 0; i < LOAD_ERRORS_MAX && stats->errors[i].error; i++)
        fprintf(out, "%s: %llu\n", stats->errors[i].error,
                (unsigned long long)stats->errors[i].count);
}

void load_run_summary(const load_run *run, FILE *out)
{
    if (run->options->json)
        print_json(run, out);
    else
        print_words(run, out);
    fflush(out);
}
