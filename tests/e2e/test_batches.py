"""Many writes in one request, and `leat send`, which sends files of any size that way."""
import csv
import json
import os
import random
import re
import signal
import socket
import ssl
import subprocess
import threading

import httpx
import pytest
import yaml

from lib.checks import CHECK_ROUTE, CHECK_TABLE, compare, expected_from_log
from lib.harness import LEAT, World, both, wait_until

UUID = "0193b8f0-0000-7000-8000-00000000000"
NDJSON = {"content-type": "application/x-ndjson"}


def check_path(app, ident):
    return f"/apps/{app}/checks/{ident}"


def item(method, app, ident, body=None):
    return {"method": method, "path": check_path(app, ident), **({} if body is None else {"body": body})}


@both
def test_each_item_of_a_batch_is_a_write_with_its_own_answer(make_world):
    world = make_world(table_sql={"postgres": CHECK_TABLE, "sqlite": CHECK_TABLE.replace("jsonb", "json").replace("bigint", "int8")},
                       route=CHECK_ROUTE)
    world.init()
    world.start("apply")
    edge = world.start("edge")
    items = [item("PATCH", 7, 1, {"n": 1, "list": 1}), item("PATCH", 7, 1, {"n": "x"}), item("PATCH", 7, 2, {"n": 5}),
             item("DELETE", 7, 2), {"method": "PUT", "path": "/nowhere", "body": {}}, item("PATCH", 7, 1, {"n": 1, "list": 2})]
    with world.client(edge) as client:
        lines = client.post("/batch", content="\n".join(map(json.dumps, items)) + "\nnonsense\n", headers=NDJSON)
        array = client.post("/batch", json=items)
        assert (lines.status_code, array.status_code) == (207, 207)
        answers = [json.loads(line) for line in lines.text.splitlines()]
        assert [a["status"] for a in answers] == [202, 422, 202, 202, 404, 202, 400], answers
        assert answers[1]["field"] == "n" and answers[6]["error"] == "bad_json"
        assert [a["status"] for a in array.json()] == [202, 422, 202, 202, 404, 202]
        assert answers[0]["partition"] == answers[5]["partition"] and answers[0]["offset"] < answers[5]["offset"]
        assert client.post("/batch", content="x", headers={"content-type": "text/plain"}).status_code == 415
    wait_until(lambda: [(n, l if isinstance(l, list) else json.loads(l)) for n, l in
                        world.rows("select n, list from checks where id = 1")] == [(4, [1, 2, 1, 2])], "the batches are applied")
    assert world.rows("select count(*) from checks where id = 2")[-1][0] == 0
    metrics = world.metrics(edge)
    assert metrics["leat_edge_batches_total"] == 2 and metrics['leat_requests_total{code="202"}'] == 8


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def write_csv(path, header, rows):
    with open(path, "w", newline="") as file:
        out = csv.writer(file)
        out.writerow(header)
        out.writerows(rows)


@pytest.fixture(scope="module")
def sending(tmp_path_factory):
    """A world and its edge, for several tests; each writes to tenants of its own."""
    world = World(tmp_path_factory.mktemp("sending"), table_sql=CHECK_TABLE, route=CHECK_ROUTE)
    try:
        world.init()
        world.start("apply")
        yield world, world.start("edge")
    finally:
        world.close()


def applied(world, apps):
    return sum(n for n, in world.rows(f"select coalesce(sum(n), 0)::int from checks where {apps}"))


def test_a_file_is_sent_whole_and_in_order(sending):
    """Rows of few keys, so that order counts; what is refused is kept, and can be sent again once it is mended."""
    world, edge = sending
    rng = random.Random(5)
    rows = [[rng.randrange(20), rng.randrange(30), 1, number] for number in range(20000)]
    bad = {100: "x", 15000: "y"}
    for at, text in bad.items():
        rows[at][2] = text
    source, refused = world.directory / "rows.csv", world.directory / "refused"
    write_csv(source, ["app", "id", "n", "list"], rows)
    sent = world.leat("send", str(source), "--path", "/apps/{app}/checks/{id}", "--method", "PATCH", "--types", "n:text,list:json",
                      "--url", world.url(edge), "--refused", str(refused))
    assert sent.returncode == 3 and "19998 accepted, 2 refused, 0 unknown" in sent.stdout, (sent.stdout, sent.stderr)
    kept = [json.loads(line) for line in refused.read_text().splitlines()]
    assert sorted(k["line"] for k in kept) == [at + 2 for at in bad] and {k["status"] for k in kept} == {422}
    refused.write_text(refused.read_text().replace('"x"', "1").replace('"y"', "1"))
    again = world.leat("send", str(refused), "--url", world.url(edge))
    assert again.returncode == 0 and "2 accepted" in again.stdout, (again.stdout, again.stderr)
    wait_until(lambda: applied(world, "app < 20") == len(rows), "all rows are applied")
    assert not compare(world, expected_from_log(world))
    found = {(app, ident): numbers for app, ident, numbers in world.rows("select app, id, list from checks where app < 20")}
    for key in found:
        assert [n for n in found[key] if n not in bad] == [n for a, i, _, n in rows if (a, i) == key and n not in bad], key


def test_an_edge_that_is_killed_costs_no_row(make_world):
    """Each row is there twice, so its second write has to come after its first, whatever is sent again."""
    port = free_port()
    world = make_world(table_sql=CHECK_TABLE, route=CHECK_ROUTE, listen=f"127.0.0.1:{port}")
    world.init()
    world.start("apply")
    edge = world.start("edge")
    source = world.directory / "rows.csv"
    keys = [(number % 50, number) for number in range(25000)]
    write_csv(source, ["app", "id", "n"], [[*key, 1] for key in keys] + [[*key, 2] for key in keys])
    sender = subprocess.Popen([world.program, "send", source, "--path", "/apps/{app}/checks/{id}", "--repeat-unknown",
                               "--config", world.config_path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for accepted in (3000, 3000):
        wait_until(lambda: world.metrics(edge).get('leat_requests_total{code="202"}', 0) > accepted, "part of the file is sent",
                   every=0.01)
        edge.kill()
        edge = world.start("edge")
    out, errors = sender.communicate(timeout=120)
    assert sender.returncode == 0 and "50000 accepted, 0 refused, 0 unknown" in out, (out, errors)
    wait_until(lambda: world.rows("select count(*) from checks where n = 2") == [(n,) for n in
               [world.rows("select count(*) from checks", [s])[0][0] for s in world.shard_names]] and
               sum(n for n, in world.rows("select count(*) from checks where n = 2")) == 25000, "all rows have their last value")


def test_an_interrupt_says_where_to_go_on(sending):
    world, edge = sending
    arguments = ["--url", world.url(edge), "--path", "/apps/{app}/checks/{id}", "--method", "PATCH", "--types", "list:json"]
    rows = [[100, number, 1, number] for number in range(3000)]
    source = world.directory / "rows.csv"
    write_csv(source, ["app", "id", "n", "list"], rows)
    text = source.read_text()
    def accepted():
        return world.metrics(edge).get('leat_requests_total{code="202"}', 0)

    before = accepted()
    sender = subprocess.Popen([world.program, "send", "-", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
    head = "".join(line for line in text.splitlines(keepends=True)[:1001])
    sender.stdin.write(head)  # and no more: it waits
    sender.stdin.flush()
    wait_until(lambda: accepted() == before + 1000, "what there is was sent")
    sender.send_signal(signal.SIGINT)
    out, errors = sender.communicate(timeout=60)
    assert sender.returncode == 130 and "--from 1002" in out and "may have been" not in out, (out, errors)
    rest = world.leat("send", str(source), *arguments, "--from", "1002")
    assert rest.returncode == 0 and "2000 accepted" in rest.stdout, (rest.stdout, rest.stderr)
    wait_until(lambda: applied(world, "app = 100") == len(rows), "each row is applied once")


def test_what_postgresql_writes_is_sent_as_it_is(make_world):
    """README's lines: times, booleans and documents of COPY ... CSV need no --types, and what is given wins."""
    world = make_world(table_sql="""create table subscriptions (
        app_id uuid, subscription_id uuid, last_active timestamptz, local timestamp, is_open bool,
        session_count int not null default 0, history jsonb not null default '[]', note text, primary key (app_id, subscription_id));""",
                       route={"path": "/apps/{app_id}/subscriptions/{subscription_id}", "table": "subscriptions"}, shards=1)
    columns = "app_id, subscription_id, last_active, local, is_open, session_count, history, note"
    # in a time zone of half an hour, with and without a fraction, null, and texts that are JSON or none
    source = f"""select * from (values
        ('{UUID}1'::uuid, '{UUID}2'::uuid, '2026-11-30 00:37:56.646097+00'::timestamptz, '2026-11-30 00:37:56'::timestamp, true, 3,
         '{{"a": [1, "x"]}}'::jsonb, '{{"a":1}}'),
        ('{UUID}1', '{UUID}3', '1969-01-02 03:04:05-05', '2026-11-30 00:37:56.5', false, 0, '"opened"', '2026-01-02 03:04:05+00'),
        ('{UUID}1', '{UUID}4', null, null, null, 0, '[]', null)) as old({columns})"""
    world.init()
    world.start("apply")
    edge = world.start("edge")
    rows, send = world.directory / "rows.csv", ["--route", "subscriptions", "--url", world.url(edge)]
    for zone in "UTC", "Asia/Kolkata":
        with world.db("a") as database, open(rows, "wb") as file:
            database.execute(f"set timezone = '{zone}'")
            with database.cursor().copy(f"copy ({source}) to stdout (format csv, header)") as copy:
                for piece in copy:
                    file.write(piece)
            expected = database.execute(source + " order by 2").fetchall()
        sent = world.leat("send", str(rows), *send)
        assert sent.returncode == 0 and "3 accepted" in sent.stdout and not sent.stderr, (rows.read_text(), sent.stdout, sent.stderr)
        wait_until(lambda: sorted(world.rows(f"select {columns} from subscriptions"), key=lambda row: row[1]) == expected, "the rows")
        wait_until(lambda: world.leat("status").returncode == 0, "all is applied")
    typed = world.leat("send", str(rows), *send, "--types", "history:text")
    assert typed.returncode == 0, typed.stderr
    wait_until(lambda: world.rows(f"select history from subscriptions where subscription_id = '{UUID}2'") == [('{"a": [1, "x"]}',)],
               "the document is a text, as --types says")


def test_json_that_nobody_knows_of_is_warned_about(tmp_path):
    """Without /openapi.json columns are texts; --types says what else, and silence about JSON is broken once."""
    source = tmp_path / "rows.csv"
    source.write_text('id,a,b,at\n1,"{""x"":1}",[2],2026-01-02 03:04:05.5+00\n1,"{""x"":1}",{no,\n')
    edge = Scripted(answer_of(lines(202, 202)))
    done = subprocess.run([LEAT, "send", source, "--url", edge.url, "--path", "/rows/{id}", "--types", "b:text,at:timestamp"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr.count("column a looks like JSON") == 1 and "column b" not in done.stderr, done.stderr
    assert [json.loads(line)["body"] for line in edge.batches[0]] == [
        {"a": '{"x":1}', "b": "[2]", "at": "2026-01-02T03:04:05.5+00:00"}, {"a": '{"x":1}', "b": "{no", "at": None}]


def test_a_cell_writes_its_own_column_and_no_other(tmp_path):
    """What is not of the kind that --types says is refused with its column; whatever is in a cell, it is one value."""
    source, refused = tmp_path / "rows.csv", tmp_path / "refused"
    cells = ['{},"balance":1000', '1,"balance":1000', "1}}", "{no", '"a" "b"', "", 'yes,"balance":1']
    write_csv(source, ["id", "a", "n", "b"], [[1, "[1]", 2, "t"]])
    with open(source, "a", newline="") as file:
        rows = csv.writer(file, quoting=csv.QUOTE_ALL)
        rows.writerows([[1, cell, 2, "f"] for cell in cells] + [[1, "[1]", cell, "f"] for cell in cells] +
                       [[1, "[1]", 2, cell] for cell in cells])
    edge = Scripted(answer_of(lines(202)))
    done = subprocess.run([LEAT, "send", source, "--url", edge.url, "--path", "/rows/{id}", "--types", "a:json,n:number,b:bool",
                           "--refused", refused], capture_output=True, text=True, timeout=60)
    assert done.returncode == 3 and f"1 accepted, {3 * len(cells)} refused, 0 unknown" in done.stdout, (done.stdout, done.stderr)
    assert [json.loads(line)["body"] for line in edge.batches[0]] == [{"a": [1], "n": 2, "b": True}]
    kept = [json.loads(line) for line in refused.read_text().splitlines()]
    assert [(k["status"], k["field"], k["item"]["body"][k["field"]]) for k in kept] == [
        (422, column, cell) for column in ("a", "n", "b") for cell in cells]
    assert {k["message"] for k in kept} == {"the cell is not JSON", "the cell is not a number", "the cell is not true or false"}
    assert [k["line"] for k in kept] == list(range(3, 3 + len(kept))) and all(len(k["item"]["body"]) == 3 for k in kept)

    done = subprocess.run([LEAT, "send", source, "--url", "http://127.0.0.1:1", "--path", "/rows/{id}", "--types", "a:json,n:number,b:bool",
                           "--refused", "/dev/full", "--from", "3"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "cannot write /dev/full" in done.stderr, (done.stdout, done.stderr)


def test_what_cannot_be_sent_is_said(sending):
    world, edge = sending
    source = world.directory / "rows.csv"

    def send(text, *arguments, url=True):
        source.write_text(text)
        return world.leat("send", str(source), *(["--url", world.url(edge)] if url else []), *arguments)

    path = ["--path", "/apps/{app}/checks/{id}"]
    for text, arguments, code, words in [
            ("app,n\n1,2\n", path, 2, "line 1: the path needs a column id, and there is none"),
            ("app,id,n\n1,2,3\n1,2\n", path, 1, "line 3: it has 2 fields, and the header has 3"),
            ("app,id,n\n1,2,\"3\n", path, 2, "line 2: a quoted field has no end"),
            ("app,id,n\n", [*path, "--types", "m:json"], 2, "--types: there is no column m"),
            ("app,id,n\n", [*path, "--types", "n:int"], 2, "--types: int is none of text"),
            ("app,id,n\n1,2,3\n", [], 2, "line 1 looks like CSV: give --route or --path"),
            ("", [*path, "--method", "POST"], 2, "--method is PUT, PATCH or DELETE, not POST"),
            ("", ["--path", "/apps/{app"], 2, "'{' without '}'"),
            ("", ["--from", "0"], 2, "--from takes a number from 1"),
            ("", ["--route", "nothing"], 2, "has no route nothing")]:
        done = send(text, *arguments)
        assert done.returncode == code and words in done.stderr, (text, done.stdout, done.stderr)
        assert code != 2 or not done.stdout, done.stdout  # nothing was sent: there is nothing to go on from
    done = send("{}\n", "--url", world.url(edge) + "/elsewhere", url=False)
    assert done.returncode == 1 and "answers 404" in done.stderr, done.stderr
    done = send('{"method":"PUT","path":"/nowhere","body":{}}\n')
    assert done.returncode == 3 and 'line 1: {"status":404' in done.stderr, (done.stdout, done.stderr)
    missing = world.leat("send", str(world.directory / "missing"), "--url", "http://127.0.0.1:1")
    assert missing.returncode == 2 and "cannot open" in missing.stderr
    assert httpx.get(world.url(edge) + "/healthz").status_code == 200


class Scripted(threading.Thread):
    """An edge that gives each batch the next of its answers, as bytes, and closes; it keeps the items of each. With an answer
    None it closes a connection at once, and where it is a function, what that returns is sent. With a `context` it speaks TLS."""

    def __init__(self, *answers, context=None):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.url = f"{'https' if context else 'http'}://{self.address}"
        self.answers, self.context = answers, context
        self.asked, self.headers, self.batches, self.tokens = [], [], [], []
        self.start()

    def accept(self):
        """The next batch; a question for /openapi.json gets none."""
        while True:
            client, _ = self.listener.accept()
            if self.context or client.recv(4, socket.MSG_PEEK | socket.MSG_WAITALL) != b"GET ":
                return client
            with client:
                self.asked.append(client.recv(65536))
                client.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def run(self):
        for answer in self.answers:
            client = self.accept()
            if answer is None:
                client.close()
                continue
            if self.context:
                try:
                    client = self.context.wrap_socket(client, server_side=True)
                except OSError:
                    continue
            with client, client.makefile("rb") as file:
                headers = list(iter(file.readline, b"\r\n"))
                self.headers.append(b"".join(headers))
                size = next(int(line.split(b":")[1]) for line in headers if line.lower().startswith(b"content-length:"))
                self.tokens += [line.split()[-1].decode() for line in headers if line.lower().startswith(b"authorization: bearer ")]
                self.batches.append(file.read(size).decode().splitlines())
                client.sendall(answer() if callable(answer) else answer)
        self.listener.close()


def lines(*statuses):
    return "".join(json.dumps({"status": status, "error": "e", "message": "m"}) + "\n" for status in statuses)


END = "0\r\n\r\n"


def answer_of(text, whole=True):
    """In chunked coding, with its end or cut off."""
    head = "HTTP/1.1 207 Multi-Status\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    return f"{head}{len(text):x}\r\n{text}\r\n{END if whole else ''}".encode()


def test_only_what_was_not_taken_is_sent_again(tmp_path):
    """Of five items to one row: what has an answer has that, and what has none depends on how the answer ended."""
    source, refused = tmp_path / "items", tmp_path / "refused"
    items = [json.dumps(item("PATCH", 7, 1, {"n": n})) for n in range(5)]
    source.write_text("\n".join(items))

    def send(edge, *arguments, sent=items):
        done = subprocess.run([LEAT, "send", source, "--url", edge.url, "--refused", refused, *arguments], capture_output=True,
                              text=True, timeout=60)
        edge.join(timeout=10)
        assert edge.batches[0] == sent
        return done, [json.loads(line) for line in refused.read_text().splitlines()]

    cut = answer_of(lines(202, 202), whole=False)
    done, kept = send(Scripted(cut))
    assert done.returncode == 3 and "2 accepted, 0 refused, 3 unknown" in done.stdout, (done.stdout, done.stderr)
    assert [(k["status"], k["line"], k["item"]["body"]["n"]) for k in kept] == [(504, 3, 2), (504, 4, 3), (504, 5, 4)]

    edge = Scripted(cut, answer_of(lines(202, 202, 202)))
    done, kept = send(edge, "--repeat-unknown")
    assert done.returncode == 0 and "5 accepted" in done.stdout and edge.batches[1] == items[2:] and not kept

    keyed = [text[:-1] + f',"idempotency_key":"k-{line}"}}' for line, text in enumerate(items, 1)]
    edge = Scripted(cut, answer_of(lines(202, 202, 202)))
    done, kept = send(edge, "--idempotency", "k", sent=keyed)
    assert done.returncode == 0 and "5 accepted" in done.stdout and edge.batches[1] == keyed[2:] and not kept

    # What was kept is sent as it stood, byte by byte: a key is for these bytes. A null stands for none, and gets one.
    odd = ['{"method": "PATCH", "path": "/rows/1", "body": {"t": "\\u00e9\\/", "n": 1.0 } , "idempotency_key": "mine"}',
           '{"method":"PATCH","path":"/rows/1" ,"idempotency_key" : null, "body" : { "n":1e0}}']
    keyed = [odd[0], odd[1].replace("null", '"k-2"')]
    source.write_text("\n".join(odd))
    send(Scripted(answer_of(lines(422, 422))), "--idempotency", "k", sent=keyed)
    os.replace(refused, source)
    send(Scripted(answer_of(lines(422, 422))), "--idempotency", "other", sent=keyed)
    source.write_text("\n".join(items))

    edge = Scripted(answer_of(lines(202, 422, 503)), answer_of(lines(202, 202, 202)))  # whole, and shorter than the batch
    done, kept = send(edge)
    assert done.returncode == 3 and "4 accepted, 1 refused, 0 unknown" in done.stdout, (done.stdout, done.stderr)
    assert edge.batches[1] == items[2:] and [k["line"] for k in kept] == [2]

    edge = Scripted(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                    answer_of(lines(*[202] * 5)))
    done, kept = send(edge, "--token", "secret")
    assert done.returncode == 0 and edge.batches[1] == items, (done.stdout, done.stderr)
    assert edge.tokens == ["secret", "secret"]


def test_what_may_have_been_applied_is_not_sent_twice_by_the_advice(tmp_path):
    """A file of --refused has what is to be mended and what nobody knows about; only the first is sent again, unless it is asked for."""
    source, refused, second = tmp_path / "items", tmp_path / "refused", tmp_path / "second"
    items = [json.dumps(item("PATCH", 7, 1, {"n": n})) for n in range(3)]
    items.insert(1, items[1][:-1] + ', "idempotency_key": "mine"}')
    source.write_text("\n".join(items))

    def send(edge, *arguments):
        done = subprocess.run([LEAT, "send", "--url", edge.url, *arguments], capture_output=True, text=True, timeout=30)
        edge.join(timeout=10)
        return done

    done = send(Scripted(answer_of(lines(422, 504, 504, 202))), source, "--refused", refused)
    assert done.returncode == 3 and "1 accepted, 1 refused, 2 unknown" in done.stdout, (done.stdout, done.stderr)
    assert "once the refused ones are mended" in done.stdout and "nothing to mend" in done.stdout
    kept = [json.loads(line) for line in refused.read_text().splitlines()]
    assert [k["line"] for k in kept] == [1, 2, 3] and [k["status"] for k in kept] == [422, 504, 504]

    edge = Scripted(answer_of(lines(202, 202)))  # the one with a key may always be sent again
    done = send(edge, refused, "--refused", second, "--idempotency", "other")
    assert done.returncode == 3 and "2 accepted, 0 refused, 1 unknown" in done.stdout, (done.stdout, done.stderr)
    assert [json.loads(line)["body"] for line in edge.batches[0]] == [{"n": 0}, {"n": 1}], edge.batches
    assert "mended" not in done.stdout and [json.loads(line)["status"] for line in second.read_text().splitlines()] == [504]

    edge = Scripted(answer_of(lines(202)))
    done = send(edge, second, "--repeat-unknown")
    assert done.returncode == 0 and edge.batches == [[items[2]]], (done.stdout, done.stderr)

    source.write_text("{no json")
    done = send(Scripted(answer_of(lines(400))), source, "--refused", refused)
    kept = json.loads(refused.read_text())
    assert done.returncode == 3 and kept["item_text"] == "{no json" and "item" not in kept, (kept, done.stderr)


def test_a_wrong_address_is_said_soon(tmp_path):
    """Nobody listens, or no such host is known: there is no edge that restarts, as nothing was ever there."""
    source = tmp_path / "items"
    source.write_text(json.dumps(item("PATCH", 7, 1, {"n": 1})))
    for url, words in [(f"http://127.0.0.1:{free_port()}", "nothing was taken for 10 s"), ("http://no.such.host.invalid", "is the host of --url right?")]:
        done = subprocess.run([LEAT, "send", source, "--url", url], capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and words in done.stderr and "--from 1" in done.stdout, (done.stdout, done.stderr)
        assert "100%" not in done.stderr, "nothing has an answer"


def test_the_query_of_a_path_is_not_part_of_the_row(tmp_path):
    """With the tenant in the body, a PUT has no query and the DELETE of its row has: they have to take the same way."""
    source = tmp_path / "items"
    items = [json.dumps({"method": "PUT", "path": "/rows/1", "body": {"app": app}}) for app in range(9)]
    items += [json.dumps({"method": "DELETE", "path": f"/rows/1?app={app}"}) for app in range(9)]
    source.write_text("\n".join(items))
    edge = Scripted(answer_of(lines(*[202] * 18)))
    done = subprocess.run([LEAT, "send", source, "--url", edge.url], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and edge.batches == [items], (done.stdout, done.stderr)


def test_a_file_that_is_not_utf_8_is_named_so(tmp_path):
    """A spreadsheet's "Unicode text", with and without its mark; nobody has to listen."""
    source = tmp_path / "rows.csv"
    text = "app,id,n\r\n7,1,2\r\n"
    for content, words in [(text.encode("utf-16-le"), "line 1: it begins as UTF-16"),
                           ("id".encode() + b"\0" + b",id\n1,2\n", "line 1: a name has a NUL byte"),
                           (b"\xff\xfe" + text.encode("utf-16-le"), "line 1: it begins as UTF-16"),
                           (b"\xfe\xff" + text.encode("utf-16-be"), "line 1: it begins as UTF-16")]:
        source.write_bytes(content)
        done = subprocess.run([LEAT, "send", source, "--url", "http://127.0.0.1:1", "--path", "/apps/{app}/checks/{id}"],
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 2 and words in done.stderr and not done.stdout, (content, done.stdout, done.stderr)


def test_what_was_not_accepted_is_kept_whatever_comes(tmp_path):
    """By the run that goes on, when the names are mixed up, and when the disk is full."""
    source, refused = tmp_path / "items", tmp_path / "refused"
    items = [json.dumps(item("PATCH", 7, 1, {"n": n})) for n in range(4)]
    source.write_text("\n".join(items))

    def send(edge, *arguments):
        return subprocess.run([LEAT, "send", source, "--url", edge.url if edge else "http://127.0.0.1:1", *arguments],
                              capture_output=True, text=True, timeout=60)

    edge = Scripted(answer_of(lines(202, 422)), b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    done = send(edge, "--refused", refused)
    assert done.returncode == 1 and "--from 3" in done.stdout, (done.stdout, done.stderr)
    done = send(Scripted(answer_of(lines(422, 202))), "--refused", refused, "--from", "3")
    assert done.returncode == 3 and "1 accepted, 1 refused" in done.stdout, (done.stdout, done.stderr)
    assert [json.loads(line)["line"] for line in refused.read_text().splitlines()] == [2, 3]

    (tmp_path / "link").hardlink_to(source)
    done = send(None, "--refused", tmp_path / "link")
    assert done.returncode == 2 and "is the file that is to be sent" in done.stderr, (done.stdout, done.stderr)
    assert source.read_text().splitlines() == items

    done = send(Scripted(answer_of(lines(202, 422, 202, 202))), "--refused", "/dev/full")
    assert done.returncode == 1 and "cannot write /dev/full" in done.stderr, (done.stdout, done.stderr)
    assert "3 accepted, 0 refused" in done.stdout and "--from 2\n" in done.stdout and "may have been" in done.stdout


def test_an_edge_with_tls_is_trusted_and_may_restart(tmp_path):
    """One authority is not known; with it, a connection that ends while TLS is agreed upon is tried again, once TLS is known to be
    there. The edge asks for a certificate. Without --url the address comes from the configuration."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                    "/CN=edge", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"],
                   check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    source, config = tmp_path / "items", tmp_path / "leat.yaml"
    source.write_text("\n".join(json.dumps(item("PATCH", 7, 1, {"n": n})) for n in range(2)))

    def send(edge, *arguments):
        config.write_text(yaml.safe_dump({
            "listen": edge.address, "log": {"local": {"path": str(tmp_path / "log")}}, "shards": [{"name": "s", "sqlite": str(tmp_path / "s")}],
            "http": {"tls": {"certificate": str(tmp_path / "cert.pem"), "key": str(tmp_path / "key.pem")}}, "routes": [CHECK_ROUTE]}))
        return subprocess.run([LEAT, "send", source, "--batch", "1", *arguments], capture_output=True, text=True, timeout=60)

    (tmp_path / "both.pem").write_text((tmp_path / "cert.pem").read_text() + (tmp_path / "key.pem").read_text())
    context.load_verify_locations(tmp_path / "cert.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    ca = ["--ca", tmp_path / "cert.pem", "--cert", tmp_path / "both.pem"]
    one = answer_of(lines(202))
    edge = Scripted(one, None, one, context=context)
    done = send(edge, "--config", config, *ca)
    assert done.returncode == 0 and "2 accepted" in done.stdout and len(edge.batches) == 2, (done.stdout, done.stderr)
    for answer, arguments, words in [(one, [], "--ca FILE"), (one, ["--ca", tmp_path / "none"], "none"),
                                     (one, [*ca[:2], "--cert", tmp_path / "none"], "none"), (None, ca, "SSL connect error")]:
        edge = Scripted(answer, context=context)
        done = send(edge, "--url", edge.url, *arguments)
        assert done.returncode == 1 and words in done.stderr and "--from 1" in done.stdout, (done.stdout, done.stderr)


def test_an_edge_that_answers_nothing_does_not_eat_the_file(tmp_path):
    """After a batch of which nothing is known single items go first, and then nothing more; after an answer all is as before."""
    source, refused = tmp_path / "items", tmp_path / "refused"
    source.write_text("\n".join(json.dumps(item("PATCH", 7, 1, {"n": n})) for n in range(20)))

    def send(edge):
        return subprocess.run([LEAT, "send", source, "--url", edge.url, "--batch", "5", "--refused", refused], capture_output=True,
                              text=True, timeout=60)

    edge = Scripted(*[b""] * 20)
    done = send(edge)
    assert done.returncode == 1 and "0 accepted, 0 refused, 7 unknown" in done.stdout, (done.stdout, done.stderr)
    assert "--from 8\n" in done.stdout and "begins with https" in done.stderr and [len(b) for b in edge.batches] == [5, 1, 1]
    assert [json.loads(line)["line"] for line in refused.read_text().splitlines()] == list(range(1, 8))

    edge = Scripted(answer_of(lines(*[504] * 5)), answer_of(lines(202)), *[answer_of(lines(*[202] * 5))] * 3)
    done = send(edge)
    assert done.returncode == 3 and "15 accepted, 0 refused, 5 unknown" in done.stdout, (done.stdout, done.stderr)
    assert [len(b) for b in edge.batches] == [5, 1, 5, 5, 4]


def test_a_run_that_ends_early_can_go_on(tmp_path):
    """After a row that is left out, a token that ends meanwhile, and an interrupt while nothing answers."""
    source = tmp_path / "rows.csv"
    source.write_text("app,id,n\n7,1\n7,1,2\n7,1,3")
    arguments = [LEAT, "send", source, "--path", "/apps/{app}/checks/{id}", "--from", "3", "--url"]

    def send(edge):
        return subprocess.run([*arguments, edge.url], capture_output=True, text=True, timeout=60)

    done = send(Scripted(answer_of(lines(202, 401))))
    assert done.returncode == 1 and "1 accepted, 0 refused" in done.stdout, (done.stdout, done.stderr)
    assert "--from 4\n" in done.stdout and "answers 401" in done.stderr

    with socket.create_server(("127.0.0.1", 0)) as silent:
        sender = subprocess.Popen([*arguments, "http://127.0.0.1:%d" % silent.getsockname()[1]], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)
        silent.accept()[0].close()  # it asks for /openapi.json
        client, _ = silent.accept()
        with client:
            assert client.recv(1)
            sender.send_signal(signal.SIGINT)
            assert "once more" in sender.stderr.readline()
            sender.send_signal(signal.SIGINT)
            out, errors = sender.communicate(timeout=60)
    assert sender.returncode == 130 and "--from 3\n" in out and "may have been" in out, (out, errors)


def test_a_file_is_sent_into_the_database(make_world):
    """Writes that are applied in the request are answered 200, repeats of them too, with a message: all of them are accepted."""
    live = {**CHECK_ROUTE, "path": "/live/{app}/{id}", "table": "live", "mode": "live", "columns": {"n": "add"}}
    world = make_world(shards=1, partitions=2, table_sql=f"{CHECK_TABLE}; {CHECK_TABLE.replace('checks', 'live')}",
                       routes=[{**CHECK_ROUTE, "mode": "sync"}, live], apply={"compact_every": "100ms"})
    world.init()
    process = world.start("run")
    assert world.leat("mode", "set", "live", "sync").returncode == 0
    paths = ["/apps/7/checks", "/live/7"]
    with world.client(process) as client:
        for path in paths:
            wait_until(lambda: client.patch(f"{path}/0", json={"n": 1}).status_code == 200, f"{path} to go into the database")
    source, refused = world.directory / "items", world.directory / "refused"
    source.write_text("\n".join(json.dumps({"method": "PATCH", "path": f"{path}/{number % 5 + 1}", "body": {"n": 1}})
                                for path in paths for number in range(10)))
    for _ in range(2):
        sent = world.leat("send", str(source), "--url", world.url(process), "--idempotency", "k", "--refused", str(refused))
        assert sent.returncode == 0 and "20 accepted, 0 refused, 0 unknown" in sent.stdout, (sent.stdout, sent.stderr)
        assert refused.read_text() == ""
    assert world.rows("select n, count(*) from (select * from checks union all select * from live) as both_tables where id > 0 group by n") == [(2, 10)]


def test_a_header_goes_with_everything_that_is_sent(tmp_path):
    source = tmp_path / "rows.csv"
    source.write_text("id,n\n1,1\n")

    def send(url, *headers):
        return subprocess.run([LEAT, "send", source, "--path", "/rows/{id}", "--url", url, *(f"--header={h}" for h in headers)],
                              capture_output=True, text=True, timeout=60)

    edge = Scripted(answer_of(lines(202)))
    done = send(edge.url, "X-App-Id: 7", "x-other:a: b")
    assert done.returncode == 0, (done.stdout, done.stderr)
    edge.join(timeout=10)
    assert len(edge.asked) == len(edge.headers) == 1
    for said in edge.asked[0], edge.headers[0]:
        assert b"X-App-Id: 7\r\n" in said and b"x-other:a: b\r\n" in said

    for header, words in [("X-App-Id", "NAME: VALUE is expected"), ("a b: c", "NAME: VALUE is expected"), (": 7", "NAME: VALUE is expected"),
                          ("X-App-Id: ", "it has no value"), ("x: a\r\ny: b", "control character"), ("authorization: Bearer x", "--token"),
                          ("Idempotency-Key: k", "--idempotency"), ("Content-Type: text/plain", "how a batch travels")]:
        done = send("http://127.0.0.1:1", header)
        assert done.returncode == 2 and words in done.stderr and not done.stdout, (header, done.stdout, done.stderr)
    done = send("http://127.0.0.1:1", *["x: 1"] * 17)
    assert done.returncode == 2 and "--header can be given 16 times" in done.stderr, done.stderr


def test_how_far_it_is_is_shown_on_a_terminal(tmp_path):
    """What of the file has its answer, how fast that goes, and the time that is left. The second batch waits for the bar."""
    source = tmp_path / "items"
    source.write_text("".join(json.dumps(item("PATCH", 7, 1, {"n": 1})) + "\n" for _ in range(20)))
    is_seen = threading.Event()
    five = answer_of(lines(*[202] * 5))

    def once_it_is_seen():
        assert is_seen.wait(60)
        return five

    edge = Scripted(five, once_it_is_seen, five, five)
    screen, terminal = os.openpty()
    sender = subprocess.Popen([LEAT, "send", source, "--url", edge.url, "--batch", "5"], stdout=subprocess.PIPE, stderr=terminal, text=True)
    os.close(terminal)
    shown = b""
    while not re.search(rb"\r\x1b\[K\[#{6}\.{18}\] +2[45]%  5 items  \d+/s  left \d+:\d\d", shown):
        shown += os.read(screen, 4096)  # fails once the sender has ended
    is_seen.set()
    out, _ = sender.communicate(timeout=60)
    os.close(screen)
    assert sender.returncode == 0 and "20 accepted, 0 refused, 0 unknown" in out, out
