import signal

import pytest

from lib.harness import World

# Where the tests run under nohup, or in a shell's background, SIGHUP is ignored, and a process inherits that. A signal that is
# caught is at its default in the processes that are started, and the tests still outlive their terminal.
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)

BACKENDS = {"servers": {"log": "kafka", "store": "postgres"}, "built-in": {"log": "local", "store": "sqlite"},
            "local and postgres": {"log": "local", "store": "postgres"}, "kafka and sqlite": {"log": "kafka", "store": "sqlite"}}


@pytest.fixture
def backend(request):
    """Servers, unless a test is marked to run on others (`both` and `any_mix` of lib.harness)."""
    return getattr(request, "param", "servers")


@pytest.fixture
def make_world(tmp_path, backend):
    """Builds Worlds and takes them down, checking the output of their processes."""
    worlds = []

    def make(**settings):
        directory = tmp_path / f"w{len(worlds)}"
        directory.mkdir()
        worlds.append(World(directory, **{**BACKENDS[backend], **settings}))
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()


@pytest.fixture
def world(make_world):
    """Two shards, four partitions, initialised."""
    world = make_world()
    world.init()
    return world
