"""Clients and a service manager's ear for tests/e2e/lifecycle.bats; standard library only.

usage: lifecycle.py CASE [ARGUMENT...]

notified PATH FILE          a notification socket at PATH: what comes is appended to FILE
storm PORT STOP_FILE SQL_EVERY
                            connects as fast as it goes until STOP_FILE is there; each asks for TLS
                            (answer: N), each SQL_EVERY-th logs in and runs a query; then says how
                            many, and what went wrong
announced PORT          PROXY headers as load balancers send them, in one piece and byte by byte; and
                        connections without one, which are closed without a word
announced_tls PORT      the same before a TLS handshake's request
options PID PORT BACKLOG IDLE INTERVAL COUNT USER_TIMEOUT
                        the listening socket's backlog, and the TCP options of the one client's
                        socket, as the process has them
server PORT MODE        a server that is no help: `starting` answers a startup packet with 57P03,
                        `silent` says nothing
plain_header PORT       a header from who may not send one: as garbage, no answer
slow COUNT PORT READY_FILE
                        so many connections that stall, each at another point before it is
                        authenticated; told in READY_FILE once they are open, held until the end of
                        standard input
"""

import ctypes
import itertools
import os
import resource
import socket
import struct
import sys
import threading
import time

from relay_wire import DEADLINE, Messages, message, query, startup

SSL_REQUEST = b"\0\0\0\x08\x04\xd2\x16\x2f"
STORM_THREADS = 4
SYS_PIDFD_GETFD = 438 # on every architecture


def notified(path, file):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind(path)
    while True:
        with open(file, "ab") as out:
            out.write(s.recv(65536) + b"\n")


def visit(port, with_sql):
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as s:
        s.sendall(SSL_REQUEST)
        answer = s.recv(1)
        if answer != b"N":
            raise AssertionError(f"answer to SSLRequest: {answer}")
        if not with_sql:
            return
        s.sendall(startup())
        messages = Messages(s)
        messages.until("Z")
        s.sendall(query("select 1"))
        if "D" not in [kind for kind, _ in messages.until("Z")]:
            raise AssertionError("no row")


def storm(port, stop_file, sql_every):
    port, sql_every = int(port), int(sql_every)
    done, wrong, lock = [0], [], threading.Lock()

    def run():
        count, mine = 0, []
        while not os.path.exists(stop_file):
            count += 1
            try:
                visit(port, count % sql_every == 0)
            except (OSError, AssertionError) as failure:
                mine.append(repr(failure))
        with lock:
            done[0] += count
            wrong.extend(mine)

    began = time.monotonic()
    threads = [threading.Thread(target=run) for _ in range(STORM_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - began
    print(f"{done[0]} connections, {done[0] / took:.0f} a second, {len(wrong)} wrong")
    for failure in wrong[:10]:
        print(failure)


V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 6432\r\n"
V2 = (b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24" + socket.inet_pton(socket.AF_INET6, "2001:db8::7")
      + socket.inet_pton(socket.AF_INET6, "::1") + b"\x12\x34\x19\x20")
V2_LOCAL = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"


def connect(port):
    s = socket.create_connection(("127.0.0.1", int(port)), timeout=DEADLINE)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def nothing_but_the_end(s):
    try:
        got = s.recv(100)
    except ConnectionResetError:
        return # what it hadn't read was thrown away
    if got:
        raise AssertionError(f"an answer: {got}")


def announced(port):
    for header in V1, b"PROXY UNKNOWN\r\n", V2, V2_LOCAL:
        for pieces in [header + startup()], [header, startup()], [bytes([b]) for b in header + startup()]:
            with connect(port) as s:
                for piece in pieces:
                    s.sendall(piece)
                Messages(s).until("Z")
    for wrong in startup(), SSL_REQUEST, b"\x16\x03\x01", V1.replace(b"\r", b""), b"PROXY " + b"x" * 200:
        with connect(port) as s:
            s.sendall(wrong)
            nothing_but_the_end(s)


def announced_tls(port):
    with connect(port) as s:
        s.sendall(V2 + SSL_REQUEST)
        if s.recv(1) != b"S":
            raise AssertionError("no TLS")


def plain_header(port):
    with connect(port) as s:
        s.sendall(V1)
        nothing_but_the_end(s)


def sockets_of(pid, port):
    """Duplicates of another process's sockets with that local port (Linux 5.6)."""
    libc, pidfd = ctypes.CDLL(None, use_errno=True), os.pidfd_open(pid)
    for name in os.listdir(f"/proc/{pid}/fd"):
        if not os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:"):
            continue
        fd = libc.syscall(SYS_PIDFD_GETFD, pidfd, int(name), 0)
        if fd < 0:
            raise OSError(ctypes.get_errno(), "pidfd_getfd")
        s = socket.socket(fileno=fd)
        if s.family == socket.AF_INET and s.getsockname()[1] == port:
            yield s


def options(pid, port, backlog, *wanted):
    clients = 0
    for s in sockets_of(int(pid), int(port)):
        if s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            # of a listening socket, tcpi_sacked is the backlog
            found = struct.unpack_from("I", s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 64), 28)[0]
            if found != int(backlog):
                raise AssertionError(f"backlog {found}")
            continue
        clients += 1
        found = [s.getsockopt(socket.IPPROTO_TCP, option) for option in (
            socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)]
        if not s.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) or found != list(map(int, wanted)):
            raise AssertionError(f"options {found}")
    if clients != 1:
        raise AssertionError(f"{clients} clients")


def starting(s):
    s.recv(10000)
    fields = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"
    s.sendall(message(b"E", fields))


def server(port, mode):
    listener = socket.create_server(("127.0.0.1", int(port)))
    print("ready", flush=True)
    held = []
    while True:
        s, _ = listener.accept()
        if mode == "starting":
            starting(s)
            s.close()
        held.append(s)


STALLS = [b"", b"\0", b"\0\0\x03", startup()[:20], startup()[:-1], SSL_REQUEST, SSL_REQUEST[:5]]


def slow(count, port, ready_file):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    held = []
    # 127.0.0.x: more connections than one address has ports for, if need be
    for number, first in zip(range(int(count)), itertools.cycle(STALLS)):
        s = socket.socket()
        s.settimeout(DEADLINE)
        s.bind((f"127.0.0.{2 + number % 8}", 0))
        s.connect(("127.0.0.1", int(port)))
        s.sendall(first)
        held.append(s)
    with open(ready_file, "w") as out:
        out.write("ready\n")
    sys.stdin.read()


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
