"""The first things that a person sees: help, errors, exit codes, init."""

import contextlib
import os
import re
import shutil
import signal
import subprocess

from lib.harness import LEAT, both, wait_until


def leat(*arguments):
    return subprocess.run([str(LEAT), *arguments], capture_output=True, text=True, timeout=60)


def test_help_names_every_command():
    """`leat --help` lists the commands and exits 0; without a command the same goes to stderr with 2."""
    helped, bare = leat("--help"), leat()
    assert (helped.returncode, bare.returncode) == (0, 2)
    for command in ("run", "edge", "apply", "init", "version"):
        assert re.search(rf"^  {command}\b", helped.stdout, re.M) and re.search(rf"^  {command}\b", bare.stderr, re.M)
        assert leat(command, "--help").returncode == 0
        assert leat("help", command).stdout == leat(command, "--help").stdout
    assert leat("help").stdout == helped.stdout
    assert "did you mean leat status?" in leat("statsu").stderr and "did you mean" not in leat("frobnicate").stderr


def test_check_says_of_a_missing_file_what_is_to_be_done_with_a_file(tmp_path):
    config = tmp_path / "leat.yaml"
    config.write_text(f"log: {{ local: {{ path: {tmp_path}/log }} }}\nshards: [{{ name: a, sqlite: {tmp_path}/rows.db }}]\n"
                      "routes: [{ path: '/things/{id}', table: things }]\n")
    text = leat("check", "--config", str(config)).stdout
    assert "sqlite3" in text and "correct the shard's `sqlite`" in text and "pg_hba.conf" not in text and "1 shard, 1 route\n" in text, text


def test_compare_needs_a_checkout(tmp_path):
    """A program that is somewhere else has no scripts beside it: it says so, runs nothing and writes nothing."""
    program = tmp_path / "a" / "b" / "leat"
    program.parent.mkdir(parents=True)
    shutil.copy(LEAT, program)
    done = subprocess.run([program, "compare", "--quick", "--report", "report.html"], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "leat: this program is not in a checkout of leat, and compare needs its scripts: there, run scripts/compare\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_version_names_the_libraries():
    """`leat version` names leat and the libraries it runs with."""
    for words in ("version", "--version"):
        done = leat(words)
        assert done.returncode == 0
        for library in ("leat 0.", "librdkafka 2.", "libpq", "SQLite 3.", "libuv 1.", "llhttp 9", "nghttp2 1.", "yyjson 0.1", "libyaml 0.", "xxhash 0.", "OpenSSL 3."):
            assert library in done.stdout


def test_usage_errors_exit_2():
    """Unknown commands, options and a missing configuration are reported with exit code 2."""
    for arguments, words in ((["fly"], "no command fly"), (["run", "--fast"], "unknown option"),
                             (["run", "--config", "/nowhere.yaml"], "/nowhere.yaml")):
        done = leat(*arguments)
        assert done.returncode == 2 and words in done.stderr, done


def test_a_configuration_error_has_file_line_and_path(make_world):
    """A wrong setting is named with file, line, path and the allowed values; exit code 2."""
    world = make_world(shards=1)
    text = world.config_path.read_text().replace("tenant: app_id", "tennant: app_id")
    world.config_path.write_text(text)
    line = next(i for i, l in enumerate(text.splitlines(), 1) if "tennant" in l)
    done = world.leat("run")
    assert done.returncode == 2
    assert f"leat.yaml:{line}:" in done.stderr and "tennant" in done.stderr and "tenant" in done.stderr


def test_init_is_idempotent_and_refuses_another_layout(make_world):
    """A second init changes nothing; init and apply refuse a configuration that contradicts the stored one, and
    the message has the remedy."""
    world = make_world(partitions=4)
    first, second = world.init(), world.init()
    assert "created" in first and "exists" in second
    assert world.rows("select count(*) from leat.partitions") == [(2,), (2,)]
    world.settings["shards"][0]["name"] = "renamed"
    world.write_config()
    for command in ("init", "apply"):
        done = world.leat(command)
        assert done.returncode in (1, 2), command
        assert "renamed" in done.stderr, done.stderr


def test_init_refuses_a_compacted_topic(make_world):
    """Compaction would drop older PATCHes of a key before they are applied."""
    from confluent_kafka.admin import AdminClient, NewTopic

    world = make_world(shards=1)
    admin = AdminClient({"bootstrap.servers": world.brokers})
    for future in admin.create_topics([NewTopic(world.name, 2, 1, config={"cleanup.policy": "compact"})]).values():
        future.result(30)
    done = world.leat("init")
    assert done.returncode == 1 and "cleanup.policy" in done.stderr


def test_a_log_property_that_cannot_be_is_a_configuration_error(make_world):
    """An unknown property, or one that leat's promises rest on, is refused at once with exit code 2; no waiting."""
    world = make_world(shards=1)
    for name, value in (("foo.bar", 1), ("acks", 0)):
        world.settings["log"]["kafka"]["properties"] = {name: value}
        world.write_config()
        for command in ("init", "run"):
            done = world.leat(command, timeout=10)
            assert done.returncode == 2 and name in done.stderr, done
            assert re.search(rf"leat\.yaml:[0-9]+: log\.kafka\.properties\.{re.escape(name)}: ", done.stderr), done


def test_properties_that_do_not_go_together_are_a_configuration_error(make_world):
    """What librdkafka refuses only when a client is made, and what does not go with leat's own settings: exit code 2 at
    start and of `check`, with the property and its line."""
    world = make_world(shards=1, partitions=2, workers=2, limits={"body_max": "2MiB"})
    kafka = world.settings["log"]["kafka"]
    for name, properties in [("group.instance.id", {"group.instance.id": "me"}),
                             ("session.timeout.ms", {"group.protocol": "consumer", "session.timeout.ms": 20000}),
                             ("message.max.bytes", {"message.max.bytes": 1000000}),
                             ("queue.buffering.max.messages", {"queue.buffering.max.messages": 100})]:
        kafka["properties"] = properties
        world.write_config()
        line = 1 + next(n for n, l in enumerate(world.config_path.read_text().splitlines()) if name in l)
        for command in ("check", "apply"):
            done = world.leat(command, timeout=10)
            assert done.returncode == 2 and f"leat.yaml:{line}: log.kafka.properties.{name}: " in done.stderr, done
    kafka["properties"] = {}
    world.settings["limits"]["in_flight"] = 100001
    world.write_config()
    done = world.leat("check", timeout=10)
    assert done.returncode == 2 and "limits.in_flight: 100001 is more than Kafka's client queues" in done.stderr, done


def test_fewer_partitions_than_shards_is_said(make_world):
    """Each shard needs a partition of its own: init and run refuse fewer."""
    from confluent_kafka.admin import AdminClient, NewTopic

    world = make_world(shards=2)
    admin = AdminClient({"bootstrap.servers": world.brokers})
    for future in admin.create_topics([NewTopic(world.name, 1, 1)]).values():
        future.result(30)
    for command in ("init", "run"):
        done = world.leat(command)
        assert done.returncode == 1 and "too few partitions" in done.stderr, done
        assert re.search(r"leat\.yaml:[0-9]+: log\.kafka\.topic: ", done.stderr), done


@both
def test_routes_that_do_not_fit_their_table_are_refused(make_world):
    """A parameter that is not a key column, an operation that does not fit a type, a table that does not exist."""
    world = make_world(shards=1)
    cases = (("path", "/apps/{app_id}", "subscription_id"),
             ("table", "nothing", "nothing"),
             ("columns", {"last_active": "add"}, "last_active"),
             ("columns", {"session_count": "multiply"}, "multiply"),
             ("columns", {"no_such": "add"}, "no_such"))
    good = dict(world.settings["routes"][0])
    for key, value, words in cases:
        world.settings["routes"] = [{**good, key: value}]
        world.write_config()
        done = world.leat("run" if world.is_one_process else "init")
        assert done.returncode in (1, 2) and words in done.stderr, (key, value, done.stderr)
        assert re.search(r"leat\.yaml:[0-9]+: routes\[0\]", done.stderr), done.stderr


def test_apply_before_init_says_so(make_world):
    """Without init there is no topic: apply names the command that makes it."""
    done = make_world(shards=1).leat("apply")
    assert done.returncode == 1 and "leat init" in done.stderr


@both
def test_an_address_in_use_is_named(world):
    """The second process on one address ends with a message that names the setting."""
    edge = world.start("edge")
    world.settings["listen"] = world.url(edge).removeprefix("http://")
    if world.is_one_process:
        world.settings["log"]["local"]["path"] += "-of-another"
    world.write_config()
    done = world.leat("run" if world.is_one_process else "edge")
    assert done.returncode == 1 and "listen" in done.stderr and "in use" in done.stderr


def test_output_that_cannot_be_written_is_a_failure():
    """A full disk ends a command with 1 and a word; a reader that goes away does not kill it."""
    with open("/dev/full", "w") as full:
        done = subprocess.run([str(LEAT), "config"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1 and "not all of the output" in done.stderr
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([str(LEAT), "config"], stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writer)
    assert done.returncode == 1 and "not all of the output" in done.stderr


def test_a_signal_while_it_starts_ends_it_with_0(make_world):
    """One that has been sent before the program begins, and one while it waits for the log: there is nothing to drain."""
    world = make_world(shards=1)
    world.settings["log"]["kafka"]["brokers"] = "127.0.0.1:1"
    world.write_config()

    def leave_one():
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        os.kill(os.getpid(), signal.SIGTERM)

    done = subprocess.run([str(LEAT), "apply", "--config", str(world.config_path)], preexec_fn=leave_one, capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 0 and "ending while starting" in done.stderr and "signal=SIGTERM" in done.stderr
    waits = world.start("apply", wait=False)
    waits.wait_for("127.0.0.1:1")
    assert waits.terminate() == 0


@contextlib.contextmanager
def inherited(number, action):
    """The signals that a process started meanwhile inherits, even if the tests run under nohup or in a shell's background."""
    before = signal.signal(number, action)
    try:
        yield
    finally:
        signal.signal(number, before)


def test_a_hangup_drains_unless_it_was_ignored(world):
    """The terminal is closed: that is not a reason to drop writes in flight. Under nohup it is not a reason to end either."""
    with inherited(signal.SIGHUP, signal.SIG_DFL):
        leat = world.start("apply")
    leat.signal(signal.SIGHUP)
    assert leat.popen.wait(60) == 0
    assert "draining; another signal ends at once signal=SIGHUP" in leat.text() and "drained" in leat.text()
    with inherited(signal.SIGHUP, signal.SIG_IGN):
        leat = world.start("apply")
    leat.signal(signal.SIGHUP)
    assert leat.terminate() == 0
    assert "SIGHUP" not in leat.text() and "ends at once signal=SIGTERM" in leat.text()


def test_no_signal_of_another_purpose_kills(world):
    """A log rotation, a timer, a container's runtime: a signal that is not a request to end does not end it, and is logged once."""
    with inherited(signal.SIGQUIT, signal.SIG_DFL):
        leat = world.start("apply")
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGIO,
                   signal.SIGRTMIN + 3, signal.SIGRTMAX, signal.SIGUSR1):
        leat.signal(number)
    leat.wait_for("signal=real-time")
    leat.wait_for("signal=SIGIO")
    leat.signal(signal.SIGQUIT)
    assert leat.popen.wait(60) == 0
    assert "ends at once signal=SIGQUIT" in leat.text() and leat.text().count("signal=SIGUSR1") == 1


@both
def test_a_second_signal_quits(world):
    """SIGTERM drains; a second one does not wait for the drain."""
    leat = world.start("run")
    leat.signal(signal.SIGSTOP)  # both signals arrive before either is handled: the order of two kinds stays
    leat.signal(signal.SIGTERM)
    leat.signal(signal.SIGINT)
    leat.signal(signal.SIGCONT)
    wait_until(lambda: not leat.alive(), "the process to end")
    assert leat.popen.returncode == 1


def test_a_consumer_that_is_fenced_for_good_ends_with_1(make_world):
    """Two processes with one group.instance.id: Kafka shuts the first out permanently, so it drains and ends with an error."""
    world = make_world(shards=1)
    world.settings["log"]["kafka"]["properties"]["group.instance.id"] = "one"
    world.write_config()
    world.init()
    first = world.start("apply")
    first.wait_for("assigned")
    second = world.start("apply")
    assert first.popen.wait(60) == 1
    assert "can no longer read the log" in first.text()
    assert second.alive()
