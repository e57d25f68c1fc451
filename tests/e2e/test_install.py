"""The installed files: manual pages, the unit, the package, and the messages to the service manager."""

import json
import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from lib.harness import LEAT, ROOT

PAGES = [LEAT.parent / "docs" / "man" / name for name in ("leat.1", "leat.yaml.5")]


def needs(program):
    return pytest.mark.skipif(not shutil.which(program), reason=f"this machine has no {program}")


def leat(*arguments):
    return subprocess.run([LEAT, *arguments], check=True, capture_output=True, text=True).stdout


@needs("groff")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_manual_pages_render_without_warnings(page):
    """groff has no complaint about a page, with all its warnings on."""
    done = subprocess.run(["groff", "-man", "-ww", "-Tutf8", "-z", page], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_manual_has_every_command_option_and_setting():
    """leat(1) has each command and option of `leat --help`, leat.yaml(5) each setting of `leat config`."""
    page, settings_page = (re.sub(r"\\f[BRI]", "", path.read_text().replace("\\-", "-")) for path in PAGES)
    helped = leat("--help")
    commands = re.findall(r"^  (\S+(?: \S+)?)  ", helped.split("commands:\n")[1].split("\n\n")[0], re.M)
    options = set(re.findall(r"--[a-z]+", helped + "".join(leat(*name.split(), "--help") for name in commands)))
    settings = re.findall(r"^\| `(.*?)` \|", leat("config"), re.M)
    assert len(commands) > 5 and len(options) > 5 and len(settings) > 30
    lines = page.splitlines()
    assert [name for name in commands if not any(line == name or line.startswith(name + " ") for line in lines)] == []
    assert [name for name in options if name not in page] == []
    assert [name for name in settings if f"\n.TP\n{name}\n" not in settings_page] == []


@pytest.mark.alone
@pytest.mark.timeout(600)
@pytest.mark.parametrize("allocator, line", [("system", "malloc: the system's"), ("mimalloc", r"mimalloc \d+\.\d+\.\d+")], ids=["system", "mimalloc"])
def test_the_allocator_is_the_one_that_was_chosen(allocator, line):
    """`-Dallocator=NAME` builds a program whose `--version` names that malloc. The folder stays, so that little is compiled twice."""
    folder = ROOT / "build" / f"allocator-{allocator}"
    options = [f"-Dallocator={allocator}", "-Dtests=false", "-Db_ndebug=false", "--buildtype=release"]
    again = ["--reconfigure"] if (folder / "build.ninja").exists() else []
    env = {**os.environ, "PKG_CONFIG_PATH": str(ROOT / ".dev" / "lib" / "pkgconfig")}  # as scripts/build
    for command in (["meson", "setup", *again, *options, folder, ROOT], ["ninja", "-C", folder, "leat"]):
        done = subprocess.run(command, capture_output=True, text=True, env=env)
        assert done.returncode == 0, done.stdout + done.stderr
    said = subprocess.run([folder / "leat", "--version"], check=True, capture_output=True, text=True).stdout
    assert re.fullmatch(line, "\n".join(re.findall("^.*malloc.*$", said, re.M))), said


def test_what_monitors_need_is_installed():
    """Alert rules with their tests, and Grafana's dashboard: in share/leat, as they are in deploy/."""
    installed = json.loads((LEAT.parent / "meson-info" / "intro-installed.json").read_text())
    shared = {place.partition("/share/leat/")[2]: Path(source) for source, place in installed.items() if "/share/leat/" in place}
    assert set(shared) == {"prometheus/leat.rules.yaml", "prometheus/leat.tests.yaml", "grafana/leat.json"}
    assert all(source == ROOT / "deploy" / name for name, source in shared.items())


@needs("systemd-analyze")
def test_the_unit_is_one_that_systemd_takes(tmp_path):
    """`systemd-analyze verify` has no complaint about the unit, and finds it well confined."""
    text = (LEAT.parent / "deploy" / "leat@.service").read_text()
    text = re.sub(r"^Documentation=.*\n", "", text, flags=re.M)  # the pages are not installed here
    unit = tmp_path / "leat@run.service"
    unit.write_text(re.sub(r"^ExecStart=\S+", f"ExecStart={LEAT}", text, flags=re.M))
    verified = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60)
    assert (verified.returncode, verified.stderr) == (0, "")
    exposed = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=20", unit], capture_output=True,
                             text=True, timeout=60)
    assert exposed.returncode == 0, exposed.stdout


def test_the_service_manager_hears_of_every_step(make_world, tmp_path, monkeypatch):
    """Starting, up, draining: in this order, READY=1 once the edge answers."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        world = make_world(shards=1)
        world.init()
        process = world.start("run")
        assert manager.recv(1024).startswith(b"STATUS=starting")
        assert manager.recv(1024) == b"READY=1\nSTATUS=up"
        with world.client(process) as client:
            assert client.get("/healthz").status_code == 200
        assert process.terminate() == 0
        assert manager.recv(1024) == b"STOPPING=1\nSTATUS=draining"


def can_try_packages():
    return os.geteuid() == 0 and shutil.which("debootstrap") and shutil.which("dpkg-shlibdeps")


@pytest.mark.skipif(not can_try_packages(), reason="needs root, debootstrap and dpkg-shlibdeps")
@pytest.mark.timeout(900)
def test_the_package_works_in_a_fresh_debian():
    """`scripts/package --try`: the package installs with Debian's packages, runs, and is removed without a trace."""
    done = subprocess.run([ROOT / "scripts" / "package", "--try"], capture_output=True, text=True, timeout=840)
    if done.returncode == 3:
        pytest.skip("no fresh Debian: " + done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "installed, run, upgraded, removed and purged" in done.stdout
