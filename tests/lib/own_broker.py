"""A broker of a test's own, beside that of scripts/kafka: another cluster, with settings that a test wants."""

import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AclBinding, AclBindingFilter, AclPermissionType, AdminClient, ResourcePatternType

from lib.harness import script, wait_until


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def administer(brokers, what, *arguments):
    """Calls that method of an AdminClient, and waits until it is done."""
    admin = AdminClient({"bootstrap.servers": brokers})
    for future in getattr(admin, what)([*arguments]).values():
        future.result(30)


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


class BrokerWithRights(OwnBroker):
    """Knows rights: who comes to `brokers` without a password may do all, `leat` (password leat) at `for_leat` what it is
    granted."""

    PROPERTIES = {"security.protocol": "sasl_plaintext", "sasl.mechanisms": "PLAIN", "sasl.username": "leat", "sasl.password": "leat"}

    def __init__(self, directory):
        super().__init__(directory, **{
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer", "super.users": "User:ANONYMOUS",
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.leat.plain.sasl.jaas.config":
                'org.apache.kafka.common.security.plain.PlainLoginModule required user_leat="leat";'})

    def _properties(self, *arguments):
        self.for_leat = f"127.0.0.1:{free_port()}"
        more = {"listeners": f"LEAT://{self.for_leat}", "advertised.listeners": f"LEAT://{self.for_leat}",
                "listener.security.protocol.map": "LEAT:SASL_PLAINTEXT"}
        lines = super()._properties(*arguments).splitlines()
        return "".join(f"{line},{more[line.partition('=')[0]]}\n" if line.partition("=")[0] in more else f"{line}\n" for line in lines)

    def grant(self, *rights):
        """Each (ResourceType, name, AclOperation)."""
        administer(self.brokers, "create_acls", *(self._acl(AclBinding, *right, AclPermissionType.ALLOW) for right in rights))

    def revoke(self, *rights):
        administer(self.brokers, "delete_acls", *(self._acl(AclBindingFilter, *right, AclPermissionType.ANY) for right in rights))

    def _acl(self, kind, resource, name, operation, permission):
        return kind(resource, name, ResourcePatternType.LITERAL, "User:leat", "*", operation, permission)
