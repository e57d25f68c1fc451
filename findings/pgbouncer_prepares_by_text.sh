#!/usr/bin/env bash
# PgBouncer 1.21 and later (max_prepared_statements > 0, transaction pooling) keeps the prepared statements of its server sessions by
# their text alone. So "prepare it again under another name", which mends a statement whose parameter types are gone, mends
# nothing there: the server is never asked, and the old statement runs, with the types it was parsed with. With an enum
# that was dropped and made anew the client gets "cache lookup failed for type" until that server session ends; without the
# pooler the same messages succeed.
#
# Runs as root on Debian 12 or 13: PostgreSQL by apt if missing, PgBouncer out of a Debian 13 made by debootstrap, psycopg
# by pip, all but the first in a temporary folder. Exit 0: it behaves so; 1: it does not; 2: it could not be tried.
set -euo pipefail
work=$(mktemp -d /var/tmp/finding-XXXXXX)
chmod 755 "$work"
cannot() { echo "cannot be tried: $*" >&2; exit 2; }
end() {
    [ ! -e "$work/pgbouncer.pid" ] || kill -QUIT "$(cat "$work/pgbouncer.pid")" || true
    [ ! -e "$work/data/postmaster.pid" ] || as_postgres "$bin/pg_ctl" stop -s -m immediate -D "$work/data" || true
    rm -rf "$work"
}
trap end EXIT
as_postgres() { setpriv --reuid=postgres --regid="$(id -g postgres)" --clear-groups -- "$@"; }

exec 3>&1 >"$work/log" 2>&1
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -n 1 || true)
if [ -z "$bin" ] || ! command -v debootstrap; then
    apt-get update && apt-get install -y --no-install-recommends postgresql debootstrap python3-venv || cannot "apt-get"
    bin=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
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
"${pgbouncer[@]}" -q -d -u postgres "$work/pgbouncer.ini"

exec >&3 2>&1
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
raise SystemExit(0 if direct == "y" and "cache lookup failed for type" in pooled else 1)
PYTHON
"$work/venv/bin/python" "$work/try.py"
