"""An endpoint as clients have it: the tenant in the body, a PUT that changes what it names, and members that are no column."""

import hashlib
import uuid

import pytest

from lib.harness import World, wait_until

TABLES = """
create table players (app_id uuid, id text, sessions int not null default 0, language text, properties jsonb,
                      primary key (app_id, id));
create table things (id text primary key, app_id uuid not null, n int not null default 5);
"""
ROUTES = [
    {"path": "/players/{id}", "table": "players", "tenant": "body.app_id", "put": "merge", "other": "properties",
     "columns": {"sessions": "add", "properties": "merge"}},
    {"path": "/things/{id}", "table": "things", "tenant": "body.app_id", "other": "drop", "columns": {"n": "add"}},
]
APPS = [str(uuid.UUID(int=n)) for n in range(1, 9)]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """One edge and one worker for all: each test has its own rows. The client may do everything."""
    directory = tmp_path_factory.mktemp("tenant")
    tokens = directory / "tokens"
    tokens.write_text("".join(f"{name} sha256:{hashlib.sha256(name.encode()).hexdigest()} *:*{rest}\n"
                              for name, rest in (("all", ""), ("first", f" tenant={APPS[0]}"))))
    world = World(directory, shards=2, partitions=4, table_sql=TABLES, routes=ROUTES, auth={"tokens": str(tokens)})
    try:
        world.init()
        edge = world.start("edge")
        world.start("apply")
        with world.client(edge) as client:
            client.headers["authorization"] = "Bearer all"
            yield world, client
    finally:
        world.close()


def ok(answer):
    assert answer.status_code == 202, answer.text
    return answer.json()


def applied(world, sql, expected):
    wait_until(lambda: [tuple(row) for row in world.rows(sql)] == expected, f"{sql}: {expected}")


def test_a_put_changes_what_it_names(served):
    world, client = served
    path = "/players/one"
    ok(client.put(path, json={"app_id": APPS[0].upper(), "sessions": 3, "language": "de", "tags": {"a": 1, "b": 2}}))
    ok(client.put(path, json={"app_id": APPS[0], "sessions": 4, "tags": {"b": None}, "game_version": "1.0"}))
    ok(client.patch(path, json={"app_id": APPS[0], "sessions": 1}))
    row = "select sessions, language, properties::text from players where id = 'one'"
    applied(world, row, [(5, "de", '{"tags": {"a": 1}, "game_version": "1.0"}')])
    ok(client.delete(path, params={"app_id": APPS[0]}))
    applied(world, row, [])


def test_all_of_a_tenant_is_in_one_shard(served):
    """And a record says so by its key alone."""
    world, client = served
    for app in APPS:
        for number in range(4):
            ok(client.put(f"/players/p{number}", json={"app_id": app, "sessions": number}))
    count = "select app_id::text, count(*) from players where id like 'p_' group by app_id"
    wait_until(lambda: sum(n for _, n in world.rows(count)) == 4 * len(APPS), "all to be applied")
    shards = [{app for app, _ in world.rows(count, [shard])} for shard in "ab"]
    assert shards[0] and shards[1] and not shards[0] & shards[1]
    assert shards[0] | shards[1] == set(APPS)
    keys = {key.decode() if isinstance(key, bytes) else key for _, _, key, _, _ in world.log_records()}
    assert {f"{app}/p{number}" for app in APPS for number in range(4)} <= keys


def test_a_tenant_that_is_no_part_of_the_primary_key_leads(served):
    """Each tenant's writes to a row are in order; the row has the tenant that wrote it."""
    world, client = served
    path = "/things/a%20b"
    for number in range(20):
        ok(client.patch(path, json={"app_id": APPS[0], "n": 1, "unknown": [number]}))
    row = "select app_id::text, n from things where id = 'a b'"
    applied(world, row, [(APPS[0], 25)])
    ok(client.put(path, json={"app_id": APPS[0]}))
    applied(world, row, [(APPS[0], 5)])
    ok(client.delete(path, params={"app_id": APPS[0]}))
    applied(world, row, [])


def test_two_tenants_may_write_one_row(served):
    """In one shard it is one row, whose writes go on in some order."""
    world, client = served
    for app in APPS:
        ok(client.patch("/things/shared", json={"app_id": app, "n": 1}))
        ok(client.patch("/things/shared", json={"app_id": app, "n": 1}))
    wait_until(lambda: sum(n - 5 for n, in world.rows("select n from things where id = 'shared'")) == 2 * len(APPS),
               "all to be applied")
    assert world.rows("select count(*) from leat.dead_letters where key like '%shared'") == [(0,), (0,)]


def test_a_token_for_one_tenant_takes_no_row_of_another(served):
    """By the id alone it could: the primary key of things does not say whose they are."""
    world, client = served
    ok(client.put("/things/mine", json={"app_id": APPS[1], "n": 1}))
    first, body = {"authorization": "Bearer first"}, {"app_id": APPS[0], "n": 7}
    ok(client.put("/players/mine", json={"app_id": APPS[0]}, headers=first))
    for answer in (client.put("/things/mine", json=body, headers=first), client.patch("/things/mine", json=body, headers=first),
                   client.delete("/things/mine", params={"app_id": APPS[0]}, headers=first)):
        assert answer.status_code == 403 and "the primary key does not say whose it is" in answer.json()["message"]
    items = [{"method": "PATCH", "path": path, "body": {"app_id": APPS[0]}} for path in ("/things/mine", "/players/mine")]
    assert [a["status"] for a in client.post("/batch", json=items, headers=first).json()] == [403, 202]
    applied(world, "select app_id::text, n from things where id = 'mine'", [(APPS[1], 1)])


def test_items_of_a_batch_have_their_tenants_too(served):
    world, client = served
    items = [{"method": "PUT", "path": "/players/b", "body": {"app_id": app, "sessions": 7}} for app in APPS]
    items += [{"method": "DELETE", "path": f"/players/b?app_id={APPS[0]}"},
              {"method": "PUT", "path": "/players/b", "body": {"sessions": 7}}]
    answer = client.post("/batch", json=items)
    assert answer.status_code in (200, 207), answer.text
    assert answer.text.count('"app_id"') == 1 and "422" in answer.text, answer.text
    wait_until(lambda: sorted(app for app, in world.rows("select app_id::text from players where id = 'b'")) == APPS[1:],
               "all to be applied")


REFUSED = [
    ("PUT", "/players/x", {"sessions": 1}, "app_id"),
    ("PUT", "/players/x", {"app_id": None}, "app_id"),
    ("PATCH", "/players/x", {"app_id": "7"}, "app_id"),
    ("PATCH", "/players/x", {"app_id": ""}, "app_id"),
    ("PATCH", "/players/x", {"app_id": [APPS[0]]}, "app_id"),
    ("PUT", "/players/x?app_id=" + APPS[0], {}, "app_id"),
    ("DELETE", "/players/x", None, "app_id"),
    ("DELETE", "/players/x?app_id=7", None, "app_id"),
    ("DELETE", f"/players/x?app_id={APPS[0]}&app_id={APPS[0]}", None, "app_id"),
    ("PUT", "/players/x", {"app_id": APPS[0], "sessions": "x"}, "sessions"),
    ("PUT", "/players/x", {"app_id": APPS[0], "id": "y"}, "id"),
    ("PUT", "/players/x", {"app_id": APPS[0], "properties": {}, "more": 1}, "properties"),
    ("PUT", "/players/x", {"app_id": APPS[0], "more": "\0"}, "more"),
    ("PUT", "/things/x", {"n": 1}, "app_id"),
    ("PUT", "/things/x", {"app_id": "x", "n": 1}, "app_id"),
]


@pytest.mark.parametrize("method, path, body, field", REFUSED, ids=[f"{m} {p[:20]} {b}" for m, p, b, _ in REFUSED])
def test_a_bad_tenant_is_answered_422(served, method, path, body, field):
    _, client = served
    answer = client.request(method, path, **({} if body is None else {"json": body}))
    assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text


def test_a_tenant_in_a_header_is_sent_along(make_world):
    """By `leat send`, which gives all its batches one; so what it is to send again of dead letters is one tenant's."""
    world = make_world(shards=2, partitions=4, route={"path": "/rows/{id}", "table": "rows", "tenant": "header.x-app-id"},
                       table_sql="create table rows (app_id uuid, id text, n int constraint small check (n < 10), primary key (app_id, id))")
    world.init()
    edge = world.start("edge")
    world.start("apply")
    source = world.directory / "rows.csv"
    source.write_text("id,n\na b,5\nc,50\n")
    for app in APPS[:2]:
        sent = world.leat("send", str(source), "--path", "/rows/{id}", "--url", world.url(edge), "--header", f"X-App-Id: {app}")
        assert sent.returncode == 0 and "2 accepted" in sent.stdout, (sent.stdout, sent.stderr)
    applied(world, f"select app_id::text, id, n from rows where app_id = '{APPS[0]}'", [(APPS[0], "a b", 5)])
    wait_until(lambda: sum(n for n, in world.rows("select count(*)::int from leat.dead_letters")) == 2, "the dead letters")

    none = world.leat("dead", "list", "--lines")
    assert none.returncode == 1 and not none.stdout and none.stderr.count("in the header x-app-id") == 2, none.stderr
    lines = world.leat("dead", "list", "--lines", "--tenant", APPS[0].upper())
    assert lines.returncode == 0 and lines.stdout.count("\n") == 1 and '"path":"/rows/c"' in lines.stdout, (lines.stdout, lines.stderr)
    again = world.directory / "again"
    again.write_text(lines.stdout)
    for shard in world.shard_names:
        with world.db(shard) as db:
            db.execute("alter table rows drop constraint small")
    sent = world.leat("send", str(again), "--url", world.url(edge), "--header", f"X-App-Id: {APPS[0]}")
    assert sent.returncode == 0 and "1 accepted" in sent.stdout, (sent.stdout, sent.stderr)
    applied(world, "select app_id::text, n from rows where id = 'c'", [(APPS[0], 50)])
