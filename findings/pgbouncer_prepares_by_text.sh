#!/usr/bin/env bash
# PgBouncer 1.21 and later (max_prepared_statements > 0, transaction pooling) keeps the prepared statements of its server sessions by
# their text alone. So "prepare it again under another name", which mends a statement whose parameter types are gone, mends
# nothing there: the server is never asked, and the old statement runs, with the types it was parsed with. With an enum
# that was dropped and made anew the client gets "cache lookup failed for type" until that server session ends; without the
# pooler the same messages succeed.
#
# Runs as root on Debian 12 (PostgreSQL 15) or 13 (17). What is missing of the packages postgresql-15 or -17, debootstrap and
# python3-venv is installed by apt and stays; PostgreSQL's makes and starts a cluster `main`, which is not used here. PgBouncer
# out of a Debian 13 made by debootstrap and psycopg by pip are in a temporary folder, as is the data.
#
# Debian's mirrors have one version of a package: if that of PgBouncer is not 1.24.1 any more, PGBOUNCER=VERSION tries it.
# Exit codes: 0 it is so, 1 it is not so any more, 2 it could not be tried.
set -Eeuo pipefail
PGBOUNCER=${PGBOUNCER:-1.24.1}
exec 3>&1 4>&2
work=$(mktemp -d /var/tmp/finding-XXXXXX)
chmod 755 "$work"
cannot() {
    trap - ERR
    { echo "cannot be tried: $*"; tail -n 20 "$work/log"; } >&4 2>&4
    exit 2
}
trap 'cannot "line $LINENO"' ERR
end() {
    [ ! -e "$work/pgbouncer.pid" ] || kill -QUIT "$(cat "$work/pgbouncer.pid")" || true
    [ ! -e "$work/data/postmaster.pid" ] || as_postgres "$bin/pg_ctl" stop -s -m immediate -D "$work/data" || true
    rm -rf "$work"
}
trap end EXIT
as_postgres() { setpriv --reuid=postgres --regid="$(id -g postgres)" --clear-groups -- "$@"; }

exec >"$work/log" 2>&1
[ "$(id -u)" = 0 ] || cannot "it needs root"
case $(. /etc/os-release; echo "$ID ${VERSION_ID-}") in
    'debian 12') major=15 ;;
    'debian 13') major=17 ;;
    *) cannot "this is neither Debian 12 nor 13" ;;
esac
bin=/usr/lib/postgresql/$major/bin
if ! [ -x "$bin/initdb" ] || ! command -v debootstrap || ! python3 -c 'import ensurepip'; then
    apt-get update && apt-get install -y --no-install-recommends "postgresql-$major" debootstrap python3-venv || cannot "apt-get"
fi
debootstrap --variant=minbase --include=pgbouncer trixie "$work/debian" || cannot "debootstrap"
python3 -m venv "$work/venv" && "$work/venv/bin/pip" install -q 'psycopg[binary]==3.2.3' || cannot "pip"

mkdir "$work/data" && chown postgres "$work/data" "$work"
as_postgres "$bin/initdb" -D "$work/data" -U dev -A trust
as_postgres "$bin/pg_ctl" start -w -D "$work/data" -l "$work/data/log" -o "-p 54991 -c listen_addresses=127.0.0.1 -c unix_socket_directories="
printf '"dev" ""\n' >"$work/users"
cat >"$work/pgbouncer.ini" <<INI
[databases]
* = host=127.0.0.1 port=54991
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = 54992
unix_socket_dir =
auth_type = trust
auth_file = $work/users
pool_mode = transaction
max_prepared_statements = 100
logfile = $work/pgbouncer.log
pidfile = $work/pgbouncer.pid
INI
chown postgres "$work/pgbouncer.ini" "$work/users"
lib=$(echo "$work"/debian/usr/lib/*-linux-gnu)
pgbouncer=("$lib"/ld-linux*.so.* --library-path "$lib" "$work/debian/usr/sbin/pgbouncer")
version=$("${pgbouncer[@]}" --version | awk 'NR == 1 { print $2 }')
[ "$version" = "$PGBOUNCER" ] || cannot "Debian 13 has PgBouncer $version, not $PGBOUNCER"
"${pgbouncer[@]}" -q -d -u postgres "$work/pgbouncer.ini"

exec >&3 2>&4
"$bin/postgres" --version
"${pgbouncer[@]}" --version | head -n 1
cat >"$work/try.py" <<'PYTHON'
import psycopg

def try_it(port):
    db = psycopg.connect(f"host=127.0.0.1 port={port} user=dev dbname=postgres", autocommit=True)
    sql = b"select $1::mood::text"
    db.execute("create type mood as enum ('x')", prepare=False)
    db.pgconn.prepare(b"first", sql)
    db.pgconn.exec_prepared(b"first", [b"x"])
    db.execute("drop type mood", prepare=False)
    db.execute("create type mood as enum ('y')", prepare=False)
    db.pgconn.prepare(b"second", sql)
    result = db.pgconn.exec_prepared(b"second", [b"y"])
    db.execute("drop type mood", prepare=False)
    return result.error_message.decode().split("\n")[0] or result.get_value(0, 0).decode()

direct, pooled = try_it(54991), try_it(54992)
print("prepared again under another name, directly:         ", direct)
print("prepared again under another name, through PgBouncer:", pooled)
raise SystemExit(0 if direct == "y" and "cache lookup failed for type" in pooled else 3)  # Python itself ends with 1
PYTHON
code=0
"$work/venv/bin/python" "$work/try.py" || code=$?
case $code in 0) exit 0 ;; 3) exit 1 ;; *) exit 2 ;; esac
