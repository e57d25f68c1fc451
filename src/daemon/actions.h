/*
 * actions.h - what waits for a person, and what a person does about it on the page, as work of the
 * admin listener (admin_jobs.h): the same as `leat dead` and `leat control`, by the same functions.
 *
 * An action takes a JSON object of texts, its wish (daemon/ground.h), and answers
 * {"ok":true,"text":["key 7 of public.things: 2 records applied, no longer held"]}; `ok` is false
 * when not all was done. An object that cannot be understood is an error and changes nothing.
 */
#ifndef LEAT_DAEMON_ACTIONS_H
#define LEAT_DAEMON_ACTIONS_H

#include "daemon/admin_jobs.h"

/* {"held":[...],"dead":[...],"controls":[...],"failures":[{"shard":"a","error":"..."}]}: of all
 * shards, as `leat dead list [--held] --json` and `leat control list --json` have them, without
 * bodies; a bounded number of each. */
leat_admin_work leat_action_waiting;
/* {"shard","key","table" or "route"}, each optional; without a key all rows that are held. */
leat_admin_work leat_action_retry;
/* {"shard","key","table" or "route","limit"}; the key is needed. */
leat_admin_work leat_action_discard;
/* {"tenant" or "key","table" or "route","for","action":"hold" or "skip","keep","reason"} */
leat_admin_work leat_action_block;
/* {"tenant" or "key","table" or "route"} */
leat_admin_work leat_action_unblock;

#endif
