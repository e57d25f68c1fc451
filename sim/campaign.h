/*
 * campaign.h - many worlds: one seed after another, shared among processes, until one fails; and
 * making that one smaller.
 */
#ifndef SIM_CAMPAIGN_H
#define SIM_CAMPAIGN_H

#include "options.h"
#include "sometimes.h"

enum { SIM_SETTINGS_MAX = 64 };

typedef struct sim_campaign_config {
    uint64_t first;
    uint64_t seeds;
    uint32_t jobs;
    uint32_t setting_count;
    const char *settings[SIM_SETTINGS_MAX]; /* name=value; win over what is drawn */
} sim_campaign_config;

/* A world that failed. */
typedef struct sim_failure {
    bool failed;
    uint64_t seed;
    char checker[32];
    char message[512];
} sim_failure;

typedef struct sim_campaign_result {
    uint64_t seeds; /* run to their end */
    uint64_t virtual_us;
    uint64_t events;
    uint64_t records;
    int64_t healed_us; /* the longest virtual time until all was applied once nothing went wrong any
                          longer */
    int64_t took_us;   /* real time */
    sim_sometimes sometimes;
    sim_failure failure; /* the one of the lowest seed */
} sim_campaign_result;

/* The options of one seed. Returns -1 and a message for a bad setting. */
int sim_campaign_options(const sim_campaign_config *config, uint64_t seed, sim_options *ret,
                         leat_error *error) LEAT_MUST_CHECK;
/* Runs all seeds, or until one has failed. Prints progress to standard error when that is a
 * terminal or `config->seeds` is large. */
void sim_campaign_run(const sim_campaign_config *config, sim_campaign_result *ret);
/* Runs one world. */
void sim_campaign_one(uint64_t seed, const sim_options *options, bool trace,
                      sim_campaign_result *result);
/* Makes the options of a failing world smaller for as long as the same checker fails: first faults
 * that are not needed are left out, then sizes are halved while that makes fewer events. Returns
 * how many worlds it ran. */
uint32_t sim_campaign_shrink(uint64_t seed, sim_options *options, const sim_failure *failure);

#endif
