/*
 * campaign.c - seeds shared among forked processes, because a process has one running world
 * (story.c); they count in memory that they share. A process that dies has found something that
 * even the simulator did not expect. A failing world is made smaller by giving one option after the
 * other a smaller value, and keeping those with which the same checker still fails.
 */
#include "campaign.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "world.h"

enum { PROGRESS_EVERY_S = 10 };

static int64_t real_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int sim_campaign_options(const sim_campaign_config *config, uint64_t seed, sim_options *ret,
                         leat_error *error)
{
    leat_prng prng = {seed ^ 0x6f7074696f6e73}; /* of its own: a setting must not change what is
                                                   drawn later */
    sim_options_draw(ret, &prng);
    for (uint32_t i = 0; i < config->setting_count; i++)
        if (sim_options_set(ret, config->settings[i], error) != 0)
            return -1;
    if (ret->values[OPT_SHARDS] < 1 || ret->values[OPT_SHARDS] > SIM_SHARDS_MAX ||
        ret->values[OPT_PARTITIONS] < ret->values[OPT_SHARDS] ||
        ret->values[OPT_PARTITIONS] > SIM_PARTITIONS_MAX || ret->values[OPT_PROCESSES] < 1 ||
        ret->values[OPT_PROCESSES] > SIM_PROCESSES_MAX)
        return leat_fail(error, "processes, shards or partitions out of range");
    return 0;
}

/* The memory of a failed world is not freed: it left production code in the middle of something. */
void sim_campaign_one(uint64_t seed, const sim_options *options, bool trace,
                      sim_campaign_result *result)
{
    sim_world *world = leat_must_calloc(1, sizeof *world);
    bool good = sim_world_run(world, seed, options, &result->sometimes, trace);
    result->virtual_us += (uint64_t)world->clock.now_us;
    result->events += world->events;
    result->records += world->broker.record_count;
    result->healed_us = world->healed_us > result->healed_us ? world->healed_us : result->healed_us;
    if (!good) {
        result->failure = (sim_failure){.failed = true, .seed = seed};
        memcpy(result->failure.checker, world->story.checker, sizeof result->failure.checker);
        memcpy(result->failure.message, world->story.message, sizeof result->failure.message);
        sim_world_enter(NULL);
        return;
    }
    result->seeds++;
    sim_world_end(world);
    free(world);
}

/* ---- many ---- */

/* Shared by the processes of a campaign. */
typedef struct common {
    volatile bool stop;
    sim_campaign_result results[]; /* by job */
} common;

static void run_share(const sim_campaign_config *config, common *shared, uint32_t job)
{
    sim_campaign_result *result = &shared->results[job];
    for (uint64_t i = job; i < config->seeds && !shared->stop; i += config->jobs) {
        sim_options options;
        leat_error error;
        LEAT_ASSERT(sim_campaign_options(config, config->first + i, &options, &error) == 0);
        sim_campaign_one(config->first + i, &options, false, result);
        if (result->failure.failed)
            shared->stop = true;
    }
}

static uint64_t seeds_done(const sim_campaign_config *config, const common *shared)
{
    uint64_t done = 0;
    for (uint32_t job = 0; job < config->jobs; job++)
        done += shared->results[job].seeds;
    return done;
}

/* A process that dies has found something that even the simulator did not expect. */
static void await(const sim_campaign_config *config, common *shared, pid_t *children)
{
    uint32_t left = config->jobs;
    int64_t said_us = real_us();
    while (left > 0) {
        int status;
        pid_t ended = waitpid(-1, &status, WNOHANG);
        if (ended <= 0) {
            usleep(20000);
            if (real_us() - said_us > PROGRESS_EVERY_S * 1000000) {
                said_us = real_us();
                fprintf(stderr, "%llu of %llu seeds\n",
                        (unsigned long long)seeds_done(config, shared),
                        (unsigned long long)config->seeds);
            }
            continue;
        }
        left--;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            continue;
        for (uint32_t job = 0; job < config->jobs; job++) {
            if (children[job] != ended)
                continue;
            sim_failure *failure = &shared->results[job].failure;
            *failure = (sim_failure){.failed = true,
                                     .seed = config->first + job +
                                             shared->results[job].seeds * config->jobs};
            snprintf(failure->checker, sizeof failure->checker, "crash");
            snprintf(failure->message, sizeof failure->message, "the simulator died with status %d",
                     status);
        }
        shared->stop = true;
    }
}

static void add_up(const sim_campaign_config *config, const common *shared,
                   sim_campaign_result *ret)
{
    for (uint32_t job = 0; job < config->jobs; job++) {
        const sim_campaign_result *one = &shared->results[job];
        ret->seeds += one->seeds;
        ret->virtual_us += one->virtual_us;
        ret->events += one->events;
        ret->records += one->records;
        ret->healed_us = one->healed_us > ret->healed_us ? one->healed_us : ret->healed_us;
        sim_sometimes_add(&ret->sometimes, &one->sometimes);
        if (one->failure.failed && (!ret->failure.failed || one->failure.seed < ret->failure.seed))
            ret->failure = one->failure;
    }
}

void sim_campaign_run(const sim_campaign_config *config, sim_campaign_result *ret)
{
    size_t size = sizeof(common) + config->jobs * sizeof(sim_campaign_result);
    common *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    LEAT_ASSERT(shared != MAP_FAILED);
    pid_t *children = leat_must_calloc(config->jobs, sizeof *children);
    int64_t began_us = real_us();
    fflush(stdout);
    for (uint32_t job = 0; job < config->jobs; job++) {
        children[job] = fork();
        LEAT_ASSERT(children[job] >= 0);
        if (children[job] == 0) {
            run_share(config, shared, job);
            _exit(0);
        }
    }
    await(config, shared, children);
    *ret = (sim_campaign_result){0};
    add_up(config, shared, ret);
    ret->took_us = real_us() - began_us;
    free(children);
    munmap(shared, size);
}

/* ---- smaller ---- */

/* A failing world that is being made smaller. */
typedef struct shrinking {
    uint64_t seed;
    sim_options *options;
    const sim_failure *failure;
    uint64_t events; /* of the smallest so far */
    uint32_t ran;
} shrinking;

/* How many events the world has until the same checker fails; UINT64_MAX: it does not. */
static uint64_t events_to_failure(shrinking *world)
{
    sim_campaign_result *result = leat_must_calloc(1, sizeof *result);
    world->ran++;
    sim_campaign_one(world->seed, world->options, false, result);
    bool same = result->failure.failed &&
                strcmp(result->failure.checker, world->failure->checker) == 0;
    uint64_t events = same ? result->events : UINT64_MAX;
    free(result);
    return events;
}

static bool shrink_option(shrinking *world, sim_option option)
{
    int64_t value = world->options->values[option];
    world->options->values[option] = sim_option_smaller(world->options, option);
    if (world->options->values[option] == value)
        return false;
    uint64_t events = events_to_failure(world);
    bool good = sim_option_is_fault(option) ? events < UINT64_MAX : events < world->events;
    if (good)
        world->events = events;
    else
        world->options->values[option] = value;
    return good;
}

static bool shrink_all(shrinking *world, bool faults)
{
    bool smaller = false;
    for (sim_option option = 0; option < OPTION_COUNT; option++)
        if (sim_option_is_fault(option) == faults)
            smaller = shrink_option(world, option) || smaller;
    return smaller;
}

uint32_t sim_campaign_shrink(uint64_t seed, sim_options *options, const sim_failure *failure)
{
    shrinking world = {seed, options, failure, UINT64_MAX, 0};
    shrink_all(&world, true);
    world.events = events_to_failure(&world);
    while (shrink_all(&world, false) || shrink_all(&world, true))
        continue;
    return world.ran;
}
