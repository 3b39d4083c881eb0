"""Scripted wire clients and fake primaries for the numbered cases of HAZARDS section 10; standard
library only.

usage: case_wire.py CASE PORT [ARGUMENT...]      says "ok" or fails with what it saw instead
"""

import random
import struct
import sys
import threading
import time

from relay_wire import Messages, dial, expect, field, kinds, login, message, query, startup
from tls_wire import CANCEL, LEGS, is_closed, request, serve


def request_cancel(port, key):
    c = dial(port)
    c.sendall(struct.pack("!II", 8 + len(key), CANCEL) + key)
    expect("answer to the request", is_closed(c), True)
    c.close()


# --- fake primaries ---

def packet(s):
    """The body of a startup packet."""
    head = exactly(s, 4)
    return exactly(s, struct.unpack("!I", head)[0] - 4) if head else b""


def exactly(s, n):
    data = b""
    while len(data) < n:
        got = s.recv(n - len(data))
        if not got:
            return b""
        data += got
    return data


def frontend(s):
    head = exactly(s, 5)
    if not head:
        return None, b""
    return head[:1].decode(), exactly(s, struct.unpack("!I", head[1:])[0] - 4)


OK = message(b"R", struct.pack("!I", 0))
READY = message(b"Z", b"I")
ONE_ROW = message(b"T", b"\0\1one\0" + struct.pack("!IhIhih", 0, 0, 23, 4, -1, 0)) + \
    message(b"D", b"\0\1\0\0\0\1" + b"1") + message(b"C", b"SELECT 1\0") + READY


def answer_queries(s):
    while True:
        kind, _ = frontend(s)
        if kind != "Q":
            return
        s.sendall(ONE_ROW)


def keyless(port, fake_port):
    """Case 13: a primary that never sends BackendKeyData."""
    asked = threading.Event()

    def act(s):
        if packet(s)[:4] == struct.pack("!I", CANCEL):
            asked.set()
            s.close()
            return
        s.sendall(OK + message(b"S", b"server_version\x0018.0\0") + READY)
        answer_queries(s)

    serve(int(fake_port), act)
    for leg in LEGS.values():
        s = leg(port)
        s.sendall(startup())
        m = Messages(s)
        expect("login", kinds(m.until("Z")), "RSZ")
        request_cancel(port, b"\0\0\0\7key!")
        s.sendall(query("select 1"))
        expect("answer", kinds(m.until("Z")), "TDCZ")


def long_keys(port, fake_port):
    """Cases 11 and 16: cancel keys of 4 to 256 bytes reach client and primary as they are."""
    heard = []

    def act(s):
        first = packet(s)
        if first[:4] == struct.pack("!I", CANCEL):
            heard.append(first[4:])
            s.close()
            return
        size = int(first.split(b"application_name\0")[1].split(b"\0")[0])
        key = struct.pack("!I", size) + bytes(n % 256 for n in range(size))
        s.sendall(OK + message(b"K", key) + READY)
        answer_queries(s)

    serve(int(fake_port), act)
    for size in (4, 5, 32, 255, 256):
        for leg in LEGS.values():
            s = leg(port)
            s.sendall(request(0x30002, application_name=str(size)))
            key = [body for kind, body in Messages(s).until("Z") if kind == "K"][0]
            expect("key", key, struct.pack("!I", size) + bytes(n % 256 for n in range(size)))
            c = leg(port)
            c.sendall(struct.pack("!II", 8 + len(key), CANCEL) + key)
            expect("closed", is_closed(c), True)
            expect("the primary heard", heard.pop(), key)


def oauth(port, fake_port, token):
    """Case 22: OAUTHBEARER (RFC 7628, PostgreSQL 18) in both of its connections, byte for byte."""
    offer = message(b"R", struct.pack("!I", 10) + b"OAUTHBEARER\0\0")
    status = b'{"status":"invalid_token","openid-configuration":"https://issuer.test",' \
        b'"scope":"openid"}'
    challenge = message(b"R", struct.pack("!I", 11) + status)
    fatal = message(b"E", b"SFATAL\0VFATAL\0C28000\0MOAuth bearer authentication failed\0\0")
    end = OK + message(b"K", b"\0\0\0\1key!") + READY
    discovery = b"n,,\x01auth=\x01\x01"
    bearer = b"n,,\x01auth=Bearer " + token.encode() * (60000 // len(token)) + b"\x01\x01"
    heard = []

    def initial(text):
        return b"OAUTHBEARER\0" + struct.pack("!I", len(text)) + text

    def act(s):
        packet(s)
        s.sendall(offer)
        kind, body = frontend(s)
        heard.append((kind, body))
        if body != initial(discovery):
            s.sendall(end)
            answer_queries(s)
            return
        s.sendall(challenge)
        heard.append(frontend(s))
        s.sendall(fatal)
        s.close()

    serve(int(fake_port), act)
    for leg in LEGS.values():
        s = leg(port)
        s.sendall(startup())
        m = Messages(s)
        expect("offer", m.next(), ("R", offer[5:]))
        s.sendall(message(b"p", initial(discovery)))
        expect("challenge", m.next(), ("R", challenge[5:]))
        s.sendall(message(b"p", b"\x01"))
        expect("end", m.rest(), [("E", fatal[5:])])
        s = leg(port)
        s.sendall(startup())
        m = Messages(s)
        expect("offer", m.next(), ("R", offer[5:]))
        s.sendall(message(b"p", initial(bearer)))
        expect("end", kinds(m.until("Z")), "RKZ")
        s.sendall(query("select 1"))
        expect("answer", kinds(m.until("Z")), "TDCZ")
        expect("the primary heard", heard, [("p", initial(discovery)), ("p", b"\x01"),
                                            ("p", initial(bearer))])
        heard.clear()
        s.close()


# --- real primaries ---

def early(port, direct, user):
    """Case 24: a query before the login has ended is answered as the server does."""
    seen = []
    for where in (port, int(direct)):
        s = dial(where)
        s.sendall(startup(user=user))
        m = Messages(s)
        expect("request", m.next()[0], "R")
        s.sendall(query("select 'never'"))
        seen.append([(kind, field(body, b"C"), field(body, b"M")) for kind, body in m.rest()])
    expect("answer", seen[0], seen[1])
    expect("kinds", [kind for kind, _, _ in seen[0]], ["E"])


def walsender(port):
    """Case 15: physical and logical walsenders, CopyBoth both ways; and what is none."""
    for value in ("database", "true", "1", "on", "yes"):
        s, m = login(port, replication=value)
        s.sendall(query("IDENTIFY_SYSTEM"))
        seen = m.until("Z")
        expect(value, kinds(seen), "TDCZ")
        if value == "database":
            s.sendall(query("select 1"))
            expect("SQL", kinds(m.until("Z")), "TDCZ")
            continue
        row, at = [body for kind, body in seen if kind == "D"][0], 2
        columns = []
        for _ in range(3):
            size = struct.unpack("!I", row[at:at + 4])[0]
            columns.append(row[at + 4:at + 4 + size].decode())
            at += 4 + size
        s.sendall(query(f"START_REPLICATION PHYSICAL {columns[2]}"))
        expect("CopyBoth", m.next()[0], "W")
        # a status that asks for an answer
        s.sendall(message(b"d", b"r" + bytes(32) + b"\1"))
        while True:
            kind, body = m.next()
            expect("stream", kind, "d")
            if body[:1] == b"k":
                break
        s.sendall(message(b"c"))
        expect("end of the stream", kinds(m.until("Z")).lstrip("d"), "cCCZ")
    s, m = login(port, replication="off")
    s.sendall(query("select 1"))
    expect("an ordinary session", kinds(m.until("Z")), "TDCZ")


def cancel_storm(port, each, workers="4"):
    """Case 17: cancel requests at the end of statements hit no other session, and not the next
    statement of the same one."""
    failures, over = [], threading.Event()

    def sqlstates(m):
        return [field(body, b"C") for kind, body in m.until("Z") if kind == "E"]

    def bystander():
        s, m = login(port)
        while not over.is_set():
            s.sendall(query("select pg_sleep(0.002)"))
            failures.extend(("bystander", e) for e in sqlstates(m))

    def cancelled(seed, done):
        rng = random.Random(seed)
        s = dial(port)
        s.sendall(startup())
        m = Messages(s)
        key = [body for kind, body in m.until("Z") if kind == "K"][0]
        for _ in range(int(each)):
            s.sendall(query("select pg_sleep(0.001)"))
            time.sleep(rng.random() * 0.004)  # before, at and after its end
            request_cancel(port, key)
            failures.extend(("its own", e) for e in sqlstates(m) if e != "57014")
            s.sendall(query("select 1"))
            failures.extend(("the next", e) for e in sqlstates(m))
        done.append(seed)

    done = []
    others = [threading.Thread(target=bystander) for _ in range(4)]
    threads = [threading.Thread(target=cancelled, args=(n, done)) for n in range(int(workers))]
    for t in others + threads:
        t.start()
    for t in threads:
        t.join()
    over.set()
    for t in others:
        t.join()
    expect("who was hit", failures, [])
    expect("who ended", len(done), int(workers))


CASES = {f.__name__: f for f in (keyless, long_keys, oauth, early, walsender, cancel_storm)}

if __name__ == "__main__":
    CASES[sys.argv[1]](int(sys.argv[2]), *sys.argv[3:])
    print("ok")
