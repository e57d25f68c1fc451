"""A broker of a test's own, beside that of scripts/kafka: another cluster, with settings that a test wants."""

import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from lib.harness import script, wait_until


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class OwnBroker:
    """Starts as broker 1 of scripts/kafka was started, with `settings` on top of its own."""

    def __init__(self, directory, **settings):
        self.directory = Path(directory)
        self.directory.mkdir()
        port, controller = free_port(), free_port()
        self.brokers = f"127.0.0.1:{port}"
        process, model = re.search(r"broker 1: .*up on port \d+, process (\d+), (\S+)", script("kafka", "status")).groups()
        self.command = Path(f"/proc/{process}/cmdline").read_bytes().decode().split("\0")[:-1]
        properties = self.directory / "server.properties"
        properties.write_text(self._properties(Path(model), port, controller, settings))
        shutil.copy(Path(model) / "log4j2.properties", self.directory)
        self.command = [w.replace(model, str(self.directory)) for w in self.command]
        at = self.command.index("kafka.Kafka")
        subprocess.run([*self.command[:at], "kafka.tools.StorageTool", "format", "--cluster-id", "ownownownownownownownow",
                        "--config", properties], check=True, capture_output=True)
        self.start()

    def _properties(self, model, port, controller, settings):
        own = {
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"BROKER://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"BROKER://127.0.0.1:{port}",
            "log.dirs": str(self.directory / "data"),
            "default.replication.factor": "1",
            "min.insync.replicas": "1",
            "offsets.topic.replication.factor": "1",
            **{name.replace("_", "."): str(value) for name, value in settings.items()},
        }
        lines = (model / "server.properties").read_text().splitlines()
        kept = [line for line in lines if line.partition("=")[0] not in own]
        return "\n".join(kept + [f"{name}={value}" for name, value in own.items()]) + "\n"

    def start(self):
        with open(self.directory / "stdout.log", "ab") as log:
            self.popen = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        admin = AdminClient({"bootstrap.servers": self.brokers, "log_level": 0})

        def answers():
            assert self.popen.poll() is None, (self.directory / "stdout.log").read_text()[-2000:]
            try:
                return admin.list_topics(timeout=2).brokers
            except KafkaException:
                return False

        wait_until(answers, "a broker of the test's own", 120)

    def stop(self):
        if self.popen.poll() is None:
            os.kill(self.popen.pid, signal.SIGKILL)
        self.popen.wait()
