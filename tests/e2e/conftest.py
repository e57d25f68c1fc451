import pytest

from lib.harness import World


@pytest.fixture
def make_world(tmp_path):
    """Builds Worlds and takes them down, looking at what their processes said."""
    worlds = []

    def make(**settings):
        directory = tmp_path / f"w{len(worlds)}"
        directory.mkdir()
        worlds.append(World(directory, **settings))
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
