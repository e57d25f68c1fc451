"""A TCP proxy whose target can be changed, as behind a virtual address: existing connections stay until they are cut."""

import contextlib
import socket
import threading


class Forwarder:
    def __init__(self, port):
        self.target = int(port)
        self.links = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def lead_to(self, port):
        """For new connections; existing ones are cut."""
        self.target = int(port)
        self.cut()

    def cut(self):
        links, self.links = self.links, []
        for end in links:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.listener.close()
        self.cut()

    def _accept(self):
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self.listener.accept()
                with contextlib.suppress(OSError):  # nobody there: the client is closed with it
                    server = socket.create_connection(("127.0.0.1", self.target))
                    self.links += [client, server]
                    for a, b in ((client, server), (server, client)):
                        threading.Thread(target=self._pass, args=(a, b), daemon=True).start()
                    continue
                client.close()

    @staticmethod
    def _pass(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
