"""A scripted PostgreSQL server and scripted clients, for what pgbench can't do: thousands of
sessions, idle or busy, at the cost of a few system calls each. One thread serves all of it."""

import resource
import select
import socket
import ssl
import struct
import threading

from servers import Failed, free_port

SSL_REQUEST = struct.pack(">ii", 8, 80877103)
STARTUP = b"user\0bench\0database\0bench\0\0"


def message(kind, body=b""):
    return kind + struct.pack(">i", len(body) + 4) + body


def reported(name, value):
    return message(b"S", name + b"\0" + value + b"\0")


GREETING = (message(b"R", struct.pack(">i", 0)) + reported(b"server_version", b"15.0") +
            reported(b"client_encoding", b"UTF8") + reported(b"standard_conforming_strings", b"on") +
            message(b"K", struct.pack(">ii", 1, 1)) + message(b"Z", b"I"))
ANSWER = (message(b"T", struct.pack(">h", 1) + b"abalance\0" +
                  struct.pack(">ihihih", 0, 0, 23, 4, -1, 0)) +
          message(b"D", struct.pack(">hi", 1, 1) + b"0") + message(b"C", b"SELECT 1\0") +
          message(b"Z", b"I"))
QUERY = message(b"Q", b"select abalance from pgbench_accounts where aid = 1\0")


def allow_descriptors(count):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, max(count, hard)))
    except (OSError, ValueError) as error:
        raise Failed(f"needs {count} open files, the limit is {hard}: {error}") from error


class ScriptedServer:
    """Lets everybody in and answers every Query with one row. Stands in for a primary."""

    def __init__(self):
        self.port = free_port()
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=4096)
        self.listener.setblocking(False)
        self.poll = select.epoll()
        self.sessions = {}
        self.wanted = True
        self.poll.register(self.listener, select.EPOLLIN)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def conninfo(self, user=None):
        return f"host=127.0.0.1 port={self.port} sslmode=disable" + (f" user={user}" if user else "")

    def _serve(self):
        while self.wanted:
            for fd, _ in self.poll.poll(0.2):
                if fd == self.listener.fileno():
                    self._accept()
                else:
                    self._answer(fd)

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except BlockingIOError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sessions[client.fileno()] = [client, False]
            self.poll.register(client, select.EPOLLIN)

    def _answer(self, fd):
        client, known = self.sessions[fd]
        try:
            data = client.recv(65536)
        except OSError:
            data = b""
        if not data or data[:1] == b"X":
            del self.sessions[fd]
            self.poll.unregister(fd)
            client.close()
        elif known:
            client.send(ANSWER * (data.count(b"select abalance")))
        else:
            self.sessions[fd][1] = True
            client.send(GREETING)

    def stop(self):
        self.wanted = False
        self.thread.join()
        for client, _ in self.sessions.values():
            client.close()
        self.listener.close()


class ScriptedClients:
    """Sessions through a relay: all log in, then wait, or ask in rounds."""

    def __init__(self, port, tls=False):
        self.port = port
        self.context = None
        self.clients = []
        if tls:
            self.context = ssl.create_default_context()
            self.context.check_hostname = False
            self.context.verify_mode = ssl.CERT_NONE

    def _connect(self):
        client = socket.create_connection(("127.0.0.1", self.port))
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.settimeout(60)
        if self.context:
            client.sendall(SSL_REQUEST)
            if client.recv(1) != b"S":
                raise Failed("the relay offers no TLS")
            client = self.context.wrap_socket(client)
        client.sendall(struct.pack(">ii", len(STARTUP) + 8, 196608) + STARTUP)
        self._until_ready(client)
        return client

    @staticmethod
    def _until_ready(client):
        tail = b""
        while not tail.endswith(b"Z\0\0\0\5I"):
            data = client.recv(65536)
            if not data:
                raise Failed("the relay closed a scripted session")
            tail = (tail + data)[-6:]

    def grow_to(self, count):
        while len(self.clients) < count:
            self.clients.append(self._connect())

    def ask(self, rounds, active=None):
        """Every active session asks once a round; all ask before the first reads its answer."""
        active = self.clients[:active]
        for _ in range(rounds):
            for client in active:
                client.sendall(QUERY)
            for client in active:
                self._until_ready(client)

    def stop(self):
        for client in self.clients:
            client.close()
        self.clients = []
