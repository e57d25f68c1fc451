/*
 * command_table.c - the commands, with the texts of their help. The order is that of `leat --help`.
 */
#include "cli/commands.h"

const leat_command leat_commands[] = {
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
    {"dead list", "cstrljHT#",
     "[--held | --lines [--tenant T]] [--shard NAME] [--table NAME | --route NAME] [--limit N] [--json] [--config FILE]",
     0, "list the records that were refused permanently",
     "Lists the dead letters of the topic, read from the shards, the newest first.\n\n"
     "  --held         instead, the keys that are held, the oldest first, with what their first record was refused with\n"
     "  --lines        instead, one line for `leat send` of each, in the order of the log, so that they can be sent again. One\n"
     "                 that cannot be, and why, is named on standard error, and the exit status is 1; so it is if there are\n"
     "                 more than the newest 1000 (--limit N)\n"
     "  --tenant T     of --lines, only those of this tenant; as in the path of a request (percent-encoded). Needed where the\n"
     "                 tenant of a route is in a header or the token, which are the same for all lines that are sent at once\n"
     "  --shard NAME   of this shard only\n"
     "  --table NAME   of the routes on this table, named as in the configuration\n"
     "  --route NAME   of this route\n"
     "  --limit N      at most this many, the newest; default 100, of --lines 1000\n"
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
     "Records that come after it are applied again, from those on that a process has not tried yet. A row's own control ends\n"
     "alone: where its tenant has one, the row comes under that.\n",
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
     "A shard that fails is named, and the others are settled. A command that was interrupted is given again, or the\n"
     "one before it, to go back.\n",
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
    {"send", "cruKACpMyxFbUI@",
     "FILE|- [--path PATH | --route NAME] [--method M] [--types LIST] [--url URL] [--token T] [--header LINE]... [--ca FILE] [--cert FILE] [--refused FILE] [--from LINE] [--batch N] [--idempotency KEY] [--repeat-unknown] [--config FILE]",
     1, "send the writes of a file to an edge",
     "Sends the lines of a file or of standard input (-) in batches, several at once, and shows how far it is. The writes of a row\n"
     "keep the order of the file as long as their paths are spelled alike. What is refused for now (429, 503), or was not sent\n"
     "because there is no connection, is sent again; a write that may have been applied (504, a lost connection) is not, and after\n"
     "some batches in a row of which nothing else is known it ends, as it does when nothing was taken for ten minutes, or for 10 s if\n"
     "there never was a connection. While the edge asks for longer waits (Retry-After of more than a second) it goes on.\n\n"
     "A line is {\"method\":\"PUT\",\"path\":\"/apps/7/subscriptions/1\",\"body\":{...}}. With --path or --route the file is CSV, and its\n"
     "first line has the names of the columns: those that the path names fill it, the others are members of the body. An\n"
     "empty field is null, and \"\" is an empty text, as in PostgreSQL's COPY ... CSV HEADER.\n\n"
     "  --path PATH       '/apps/{app_id}/subscriptions/{subscription_id}'\n"
     "  --route NAME      the path of this route of the configuration\n"
     "  --method M        PUT (the default), PATCH or DELETE, for every row\n"
     "  --types LIST      NAME:KIND,...: text, number, bool, json or timestamp, where the edge's /openapi.json does not say it\n"
     "                    or something else is meant. Integers, dates and so on may be text. A row with a cell that is not of\n"
     "                    its kind (number, bool, json) is refused, and not sent\n"
     "  --url URL         of the edge; without it, the configuration's `listen` on this machine, by TLS where http.tls is set\n"
     "  --token T         the bearer token; without it, $LEAT_TOKEN. Other users of this machine can see options\n"
     "  --header LINE     'NAME: VALUE', sent with every batch and the question for /openapi.json: a tenant that is in a header;\n"
     "                    may be given up to 16 times\n"
     "  --ca FILE         for https: the certificates (PEM) of the authorities to trust; without it, those of this machine\n"
     "  --cert FILE       for https: the certificate to show, and its key, where http.tls.client_certificate asks for one (PEM)\n"
     "  --refused FILE    gets what was not accepted, with the reason and the line; it can be sent again, once what was\n"
     "                    refused is mended. Lines with \"status\":504 may have been applied: without an idempotency key of\n"
     "                    their own they are left out then, unless --repeat-unknown is given. What it has already stays\n"
     "                    with --from\n"
     "  --from LINE       leave out what is before this line\n"
     "  --batch N         items in one batch; default 500\n"
     "  --idempotency KEY  send again what may have been applied, safely: each item gets the idempotency key KEY-LINE, unless it\n"
     "                    has one, so a file that is sent again with the same KEY has no further effect\n"
     "  --repeat-unknown  send again what may have been applied: for writes that may be applied twice\n\n"
     "Exit status: 0 all were accepted, 3 some were not, 2 the file cannot be sent as it was asked for and nothing was, 1 it could\n"
     "not go on, 130 interrupted. The output then says from which line to go on.\n",
     leat_command_send},
    {"compare", "QP", "[--quick] [--report FILE]", 0,
     "the same load with the write in the request, and through the log",
     "Runs the same load into PostgreSQL twice, once with the write in the request and once through Kafka and leat: steady,\n"
     "with a spike, while the database stands still, with one hot row, and while the writer is killed. Says what it means for\n"
     "clients, for the data and for the database, and writes that as one HTML file. Needs a checkout of leat, whose scripts\n"
     "start a Kafka and a PostgreSQL of its own; no configuration.\n\n"
     "  --quick        shorter runs: three minutes instead of six. The database stands still for 6 s all the same, longer than\n"
     "                 a write may wait\n"
     "  --report FILE  where the report goes; default compare.html\n",
     leat_command_compare},
    {"verify", "cjlTFgNdiELGqBz",
     "[--partition N [--from OFFSET] [--to OFFSET]] [--since TIME] [--until TIME] [--tenant T] [--sample P] [--leave-out LIST] [--adopted] [--accept-removed] [--memory SIZE] [--pace N] [--limit N] [--json] [--config FILE]",
     0, "prove that the shards have what was accepted", leat_verify_help, leat_command_verify},
    {"plan", "csrjWXYaeZJv0123456789", leat_plan_usage, 0,
     "how large leat has to be, and the lag to expect", leat_plan_help, leat_command_plan},
    {"config", "", "", 0, "print the reference of all settings",
     "Prints every setting with its type, default, range and meaning.\n", leat_command_config},
    {"metrics", "", "", 0, "print the reference of all metrics",
     "Prints every metric of /metrics with its type, labels and meaning.\n", leat_command_metrics},
    {"version", "", "", 0, "print the versions of leat and its libraries", "",
     leat_command_version},
};

const uint32_t leat_command_count = sizeof leat_commands / sizeof *leat_commands;
