# Helpers that every script in this folder sources. Not a program: it only sets
# variables and defines functions.
#
#   ROOT   the checkout
#   DEV    where everything fetched, built or started for development lives
#   VIEWER the files of the page /docs
#   CHARTS the charts of the admin listener's page
#
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
DEV=$ROOT/.dev
VIEWER=$DEV/viewer
CHARTS=$DEV/charts
SELF=${0##*/}

# One line of progress.
say() { printf '%s: %s\n' "$SELF" "$*"; }

warn() { printf '%s: %s\n' "$SELF" "$*" >&2; }

# Something failed while running: exit 1.
die() { warn "error: $*"; exit 1; }

# The command line is wrong: exit 2.
usage_error() { warn "$* (see --help)"; exit 2; }

# Prints the comment block at the top of the running script.
help_text() { awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else die "needs root, and there is no sudo: $*"
    fi
}

# A command that fails unexpectedly ends the script: print which one it was.
on_error() { warn "${BASH_SOURCE[1]##*/}:${BASH_LINENO[0]}: failed: ${BASH_COMMAND%%$'\n'*}"; }
set -E
trap on_error ERR

# retry N command...: runs it up to N times, a little later each time.
retry() {
    local tries=$1 i; shift
    for ((i = 1; i <= tries; i++)); do
        "$@" && return 0
        if ((i < tries)); then
            warn "try $i of $tries failed: $1"
            sleep $((i * 3))
        fi
    done
    return 1
}

# sha256_check SUM FILE
sha256_check() {
    printf '%s  %s\n' "$1" "$2" | sha256sum --check --quiet - >&2 || die "wrong SHA-256: $2"
}

is_number() { [[ $1 =~ ^[1-9][0-9]*$ ]]; }

# port_answers PORT: something listens on 127.0.0.1:PORT.
port_answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# wait_until SECONDS command...: polls until the command succeeds.
wait_until() {
    local deadline=$((SECONDS + $1)); shift
    until "$@"; do
        ((SECONDS < deadline)) || return 1
        sleep 0.1
    done
}

port_free() { ! port_answers "$1"; }

# pid_in FILE: prints the pid it holds, if that process is alive.
pid_in() {
    local pid
    [ -s "$1" ] || return 1
    read -r pid <"$1"
    alive "$pid" && printf '%s\n' "$pid"
}

# alive PID: it runs (a zombie does not).
alive() {
    local state
    state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null || true)
    [ -n "$state" ] && [ "$state" != Z ] && [ "$state" != X ]
}

gone() { ! alive "$1"; }

# only_one NAME: waits for, then holds, the lock NAME until this script ends.
# Processes that outlive the script must be started with 9>&-.
only_one() {
    mkdir -p "$DEV"
    exec 9>"$DEV/$1.lock"
    flock -n 9 || { say "waiting for another $1 to finish"; flock 9; }
}

# --- Versions of the servers ---
#
# docs/compatibility.md says what was run with these; a test compares both.

# PostgreSQL's, beside the system's own: major version, artifact of io.zonky.test.postgres (PostgreSQL MAJOR.MINOR and a 0),
# SHA-256 of its jar.
POSTGRES_PINS='
15 15.19.0 95f0b66fe72d4ca66c815773c44cb1196ea38552463e89a35f18114b3ed1565f
16 16.15.0 653abc065c682b85d3da50168fb95dc524bd85426cdec9ce3695a550ef431df2
17 17.11.0 0dd7b72b6f335b8ecfb355fa24c5781e8a93edd09880bb77eb52ebbf29b3e96d
18 18.6.0 008ee189eaa7ca2b58bd01dd950291e638b998392cf982297acd4779ec898ac1
'
POSTGRES_NEWEST=18

# Apache Kafka's: name, version, how much higher than usual its ports are.
KAFKA_PINS='
3.9 3.9.2 200
4.1 4.1.0 0
4.4 4.4.0 400
'
KAFKA_DEFAULT=4.1

# pin PINS NAME FIELD: that field of the line that begins with NAME, or nothing.
pin() { awk -v name="$2" -v field="$3" '$1 == name { print $field }' <<<"$1"; }

# pin_names PINS
pin_names() { awk 'NF { print $1 }' <<<"$1"; }

# kafka_home NAME: where that version's jars, state and data are.
kafka_home() {
    if [ "$1" = "$KAFKA_DEFAULT" ]; then printf '%s\n' "$DEV/kafka"; else printf '%s\n' "$DEV/kafka-$1"; fi
}

# postgres_archive MAJOR: where scripts/setup puts that version's programs.
postgres_archive() { printf '%s/postgresql/%s.jar\n' "$DEV" "$(pin "$POSTGRES_PINS" "$1" 2)"; }

# postgres_system_major: of the one that postgres_bin_dir finds.
postgres_system_major() { postgres_bin_dir | sed -n 's|.*/\([0-9]*\)/bin$|\1|p'; }

# postgres_ports_above MAJOR: how much higher than those of the system's own version its ports are.
postgres_ports_above() {
    if [ "$1" = "$(postgres_system_major)" ]; then printf '0\n'; else printf '%s\n' $((100 * ($1 - 14))); fi
}

# take_version ARGUMENT...: sets ARGS to them without --version V, and VERSION to V if it is there.
take_version() {
    ARGS=()
    while (($#)); do
        case $1 in
            --version) [ $# -ge 2 ] || usage_error "--version wants a version"; VERSION=$2; shift ;;
            --version=*) VERSION=${1#--version=} ;;
            *) ARGS+=("$1") ;;
        esac
        shift
    done
}

# postgres_bin_dir: the newest installed PostgreSQL >= 15, or nothing.
postgres_bin_dir() {
    local dir version best=0 found=
    for dir in /usr/lib/postgresql/*/bin; do
        version=$(basename "$(dirname "$dir")")
        [[ $version =~ ^[0-9]+$ ]] || continue
        if [ -x "$dir/initdb" ] && ((version >= 15 && version > best)); then best=$version found=$dir; fi
    done
    printf '%s\n' "$found"
}

java_major() { "$1" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1; }

# java_bin: a Java >= 17, from PATH or /usr/lib/jvm, or nothing.
java_bin() {
    local java major
    for java in "$(command -v java || true)" /usr/lib/jvm/*/bin/java; do
        [ -x "$java" ] || continue
        major=$(java_major "$java")
        if [ "${major:-0}" -ge 17 ]; then printf '%s\n' "$java"; return; fi
    done
}

# Libraries built here come before the system's.
export PKG_CONFIG_PATH=$DEV/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}

# start_server NAME ARGUMENT...: starts it by its script, unless it is up. stop_servers stops what was started so; the script
# has STARTED=().
start_server() {
    local name=$1; shift
    if "$ROOT/scripts/$name" status >/dev/null 2>&1; then return; fi
    STARTED+=("$name")
    "$ROOT/scripts/$name" up "$@"
}

stop_servers() {
    local name
    for name in "${STARTED[@]}"; do "$ROOT/scripts/$name" down || true; done
    STARTED=()
}

GO_MIN=21 # of Go 1.x: the first that fetches the toolchain which a module wants
# Where Go is older than what scripts/go wants, it fetches a newer one by itself; before 1.21 it could not.
have_go() {
    local minor
    minor=$(go env GOVERSION 2>/dev/null | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
    [ -n "$minor" ] && [ "$minor" -ge "$GO_MIN" ]
}
