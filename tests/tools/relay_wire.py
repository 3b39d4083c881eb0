"""Scripted wire clients for the relay's end-to-end tests; standard library only.

usage: relay_wire.py CASE PORT [ARGUMENT...]      says "ok" or fails with what it saw instead

The database trusts its clients here, so that a login is one packet. `chop` is a proxy that cuts all
traffic of both directions into pieces of 1 to 7 bytes.
"""

import random
import select
import socket
import struct
import sys
import threading
import time

DEADLINE = 60.0
USER = "postgres"


def startup(**parameters):
    body = struct.pack("!I", 196608)
    for name, value in {"user": USER, "database": USER, **parameters}.items():
        body += name.encode() + b"\0" + value.encode() + b"\0"
    body += b"\0"
    return struct.pack("!I", len(body) + 4) + body


def message(kind, body=b""):
    return kind + struct.pack("!I", len(body) + 4) + body


def query(sql):
    return message(b"Q", sql.encode() + b"\0")


def dial(port):
    s = socket.create_connection(("127.0.0.1", port))
    s.settimeout(DEADLINE)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


class Messages:
    """The messages of a socket, until it ends."""

    def __init__(self, s):
        self.s, self.data = s, b""

    def read(self, n):
        while len(self.data) < n:
            got = self.s.recv(65536)
            if not got:
                return None
            self.data += got
        out, self.data = self.data[:n], self.data[n:]
        return out

    def next(self):
        head = self.read(5)
        if head is None:
            return None, b""
        body = self.read(struct.unpack("!I", head[1:])[0] - 4)
        if body is None:
            raise AssertionError("the connection ended inside a message")
        return head[:1].decode(), body

    def until(self, kind):
        seen = []
        while True:
            found, body = self.next()
            if found is None:
                raise AssertionError(f"the connection ended before {kind}: {seen}")
            seen.append((found, body))
            if found == kind:
                return seen

    def rest(self):
        seen = []
        while True:
            found, body = self.next()
            if found is None:
                return seen
            seen.append((found, body))


def login(port, **parameters):
    s = dial(port)
    s.sendall(startup(**parameters))
    m = Messages(s)
    m.until("Z")
    return s, m


def kinds(messages):
    return "".join(kind for kind, _ in messages)


def field(body, code):
    for part in body.split(b"\0"):
        if part[:1] == code:
            return part[1:].decode()
    return None


def expect(what, got, wanted):
    if got != wanted:
        raise AssertionError(f"{what}: {got!r}, expected {wanted!r}")


def answer_to(port, first, shut=True):
    """What a server says to raw first bytes until it closes."""
    s = dial(port)
    out = b""
    try:
        s.sendall(first)
        if shut:
            s.shutdown(socket.SHUT_WR)
        while True:
            got = s.recv(65536)
            if not got:
                return out
            out += got
    except OSError:  # a reset, where bytes were left unread
        return out


def garbage(port, direct):
    """HAZARDS case 9: the same answer as the server's own."""
    v3 = struct.pack("!I", 196608)
    packets = [struct.pack("!I", n & 0xFFFFFFFF) + b"\0" * 16
               for n in (0, 3, 4, 7, 10005, 0x7FFFFFFF, -1, -2147483648)]
    packets += [
        struct.pack("!I", 8) + v3,
        struct.pack("!I", 9) + v3 + b"\0",
        struct.pack("!I", 10004) + v3 + b"x" * 9996,
        struct.pack("!I", 12) + v3 + b"user",
        struct.pack("!I", 8) + struct.pack("!I", 0x00040000),
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"",
    ]
    for packet in packets:
        expect(packet[:16], answer_to(port, packet), answer_to(int(direct), packet))


def dribble(port):
    """HAZARDS case 10: one byte a segment."""
    s = dial(port)
    for byte in startup():
        s.sendall(bytes([byte]))
        time.sleep(0.002)  # between segments; nothing waits for it
    expect("kinds", kinds(Messages(s).until("Z"))[-1], "Z")


def stall(port):
    """HAZARDS case 10: closed at the deadline (login_timeout is short here)."""
    s = dial(port)
    s.sendall(b"\0\0\0")
    expect("bytes", s.recv(100), b"")


def encryption(port):
    s = dial(port)
    for code in (80877104, 80877103):
        s.sendall(struct.pack("!II", 8, code))
        expect("answer", s.recv(10), b"N")
    s.sendall(startup())
    Messages(s).until("Z")
    s = dial(port)
    s.sendall(struct.pack("!II", 8, 80877103))
    expect("answer", s.recv(10), b"N")
    s.sendall(struct.pack("!II", 8, 80877103))
    expect("answer to the second", s.recv(10), b"")


def terminate(port):
    """HAZARDS case 30: Q and X in one send; Q and a half-close."""
    for how in ("X", "half-close"):
        s, m = login(port)
        s.sendall(query("select pg_sleep(0.2), repeat('x', 500000)") +
                  (message(b"X") if how == "X" else b""))
        if how == "half-close":
            s.shutdown(socket.SHUT_WR)
        expect(how, kinds(m.rest()), "TDCZ")


def pipeline(port, count="100000"):
    """HAZARDS case 27: nothing is read before everything is sent (by another thread)."""
    s, m = login(port)
    n = int(count)
    s.sendall(message(b"P", b"s\0select $1::text\0\0\0") + message(b"S"))
    m.until("Z")
    one = message(b"B", b"\0s\0\0\0\0\1\0\0\0\xc8" + b"x" * 200 + b"\0\0") + \
        message(b"D", b"P\0") + message(b"E", b"\0\0\0\0\0")

    def send():
        for _ in range(n // 1000):
            s.sendall(one * 1000)
        s.sendall(message(b"S"))

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    sender.join(1.0)  # until all is sent, or every buffer on the way is full
    rows = 0
    while True:
        kind, _ = m.next()
        rows += kind == "D"
        if kind in ("Z", "E", None):
            break
    expect("end", kind, "Z")
    expect("rows", rows, n)


def terminated(port, direct):
    """HAZARDS case 32: exactly one FATAL, then the end, in every state."""
    for state in ("idle", "transaction", "result"):
        s, m = login(port)
        s.sendall(query("select pg_backend_pid()"))
        pid = int(m.until("Z")[1][1][6:])
        if state == "transaction":
            s.sendall(query("begin"))
            m.until("Z")
        elif state == "result":
            # slow rows: a server that is blocked in writing closes without a FATAL
            s.sendall(query("select repeat('x', 1000), pg_sleep(0.001) "
                            "from generate_series(1, 300000)"))
            m.until("D")
        killer, k = login(int(direct))
        killer.sendall(query(f"select pg_terminate_backend({pid})"))
        k.until("Z")
        rest = m.rest()
        fatal = [field(body, b"C") for kind, body in rest if kind == "E"]
        expect(state, fatal, ["57P01"])
        expect(state, rest[-1][0], "E")


def refused(port, sqlstate):
    s = dial(port)
    s.sendall(startup())
    rest = Messages(s).rest()
    expect("kinds", kinds(rest), "E")
    expect("severity", field(rest[0][1], b"S"), "FATAL")
    expect("sqlstate", field(rest[0][1], b"C"), sqlstate)


def limit(port, count):
    """So many sessions, one more is refused, and a free place is given again."""
    held = [login(port) for _ in range(int(count))]
    refused(port, "53300")
    s, _ = held.pop()
    s.sendall(message(b"X"))
    s.close()
    until = time.monotonic() + DEADLINE
    while True:
        try:
            login(port)
            return
        except AssertionError:
            if time.monotonic() > until:
                raise


def drain(port, pid_file):
    """SIGTERM: an idle session is told so at once, a busy one when it is done."""
    import os
    import signal
    idle, idle_m = login(port)
    busy, busy_m = login(port)
    busy.sendall(query("select pg_sleep(1)"))
    started, _ = login(port)  # the query before it is with the server, too
    started.close()
    os.kill(int(open(pid_file).read()), signal.SIGTERM)
    rest = idle_m.rest()
    expect("idle", [(k, field(b, b"C")) for k, b in rest], [("E", "57P01")])
    rest = busy_m.rest()
    expect("busy", kinds(rest), "TDCZE")
    expect("busy", field(rest[-1][1], b"C"), "57P01")


def replication(port):
    s, m = login(port, replication="database")
    s.sendall(query("IDENTIFY_SYSTEM"))
    expect("kinds", kinds(m.until("Z")), "TDCZ")


def cancel(port):
    """The key relayed at login ends the statement; the request's connection closes after that."""
    s = dial(port)
    s.sendall(startup())
    m = Messages(s)
    key = [body for kind, body in m.until("Z") if kind == "K"][0]
    s.sendall(query("select pg_sleep(300)"))
    c = None
    while c is None or not select.select([s], [], [], 0.2)[0]:  # it may come before the query
        c = dial(port)
        c.sendall(struct.pack("!II", 8 + len(key), 80877102) + key)
        expect("answer to the request", c.recv(10), b"")
    errors = [field(body, b"C") for kind, body in m.until("Z") if kind == "E"]
    expect("sqlstate", errors, ["57014"])


def hold(port, sql):
    """Runs a statement until killed."""
    s, m = login(port, application_name="held")
    s.sendall(query(sql))
    m.rest()


def chop(port, target):
    """A proxy that cuts everything into pieces of 1 to 7 bytes."""
    random.seed(int(port))
    listener = socket.create_server(("127.0.0.1", port))
    peer = {}

    def close(s):
        for e in (s, peer.pop(s, None)):
            if e is not None:
                peer.pop(e, None)
                e.close()

    print("ready", flush=True)
    while True:
        for s in select.select([listener, *peer], [], [])[0]:
            if s is listener:
                a, _ = listener.accept()
                b = dial(int(target))
                for e in (a, b):
                    e.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                peer[a], peer[b] = b, a
            elif s in peer:
                try:
                    data = s.recv(4096)
                    for piece in pieces(data):
                        peer[s].sendall(piece)
                except OSError:
                    data = b""
                if not data:
                    close(s)


def pieces(data):
    while data:
        n = random.randint(1, 7)
        yield data[:n]
        data = data[n:]


CASES = {f.__name__: f for f in (cancel, garbage, dribble, stall, encryption, terminate, pipeline,
                                 terminated, refused, limit, drain, replication, hold, chop)}

if __name__ == "__main__":
    CASES[sys.argv[1]](int(sys.argv[2]), *sys.argv[3:])
    print("ok")
