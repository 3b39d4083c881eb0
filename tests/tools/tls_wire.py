"""Scripted wire clients and villains for TLS on both legs; standard library only.

usage: tls_wire.py CASE PORT [ARGUMENT...]      says "ok" or fails with what it saw instead

The client's leg ends at PORT; certificates are not checked here (psql does that). A `fake` primary
answers the TLS request as no honest server does.
"""

import socket
import ssl
import struct
import sys
import threading

from relay_wire import (DEADLINE, Messages, dial, expect, field, kinds, message, query, startup)

SSL_REQUEST = struct.pack("!II", 8, 80877103)
GSS_REQUEST = struct.pack("!II", 8, 80877104)
CANCEL = 80877102


def context(version=None, alpn="postgresql"):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    if alpn:
        c.set_alpn_protocols([alpn])
    if version:
        c.minimum_version = c.maximum_version = version
    return c


def ask(s, request, answer):
    s.sendall(request)
    expect("answer to the request", s.recv(1), answer)


def negotiated(port, **options):
    s = dial(port)
    ask(s, SSL_REQUEST, b"S")
    return context(**options).wrap_socket(s)


def direct(port, **options):
    return context(**options).wrap_socket(dial(port))


def plain(port):
    return dial(port)


LEGS = {"plain": plain, "negotiated": negotiated, "direct": direct}


def log_in(s, first=None):
    s.sendall(first or startup())
    m = Messages(s)
    return m, m.until("Z")


def is_closed(s):
    """Nothing but an end or an alert comes."""
    try:
        return s.recv(100) == b""
    except OSError:  # ssl.SSLError is one
        return True


def refused(what, act):
    try:
        s = act()
        s.sendall(startup())
        got = s.recv(100)
    except OSError:
        return
    expect(what, got, b"")


def versions(port):
    """Case 1: both versions; older ones are refused; ALPN is answered when it is asked."""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        for alpn in ("postgresql", None):
            s = negotiated(port, version=version, alpn=alpn)
            expect("alpn", s.selected_alpn_protocol(), alpn)
            log_in(s)
    import warnings
    warnings.simplefilter("ignore")
    refused("TLS 1.1", lambda: negotiated(port, version=ssl.TLSVersion.TLSv1_1))


def only_13(port):
    log_in(negotiated(port, version=ssl.TLSVersion.TLSv1_3))
    refused("TLS 1.2", lambda: negotiated(port, version=ssl.TLSVersion.TLSv1_2))


def injected(port):
    """Case 2: a plain packet in the segment of the request is never acted on."""
    s = dial(port)
    s.sendall(SSL_REQUEST + startup())
    expect("answer to the request", s.recv(1), b"S")
    rest = b""
    try:
        while got := s.recv(4096):
            rest += got
    except OSError:
        pass
    expect("what follows is an alert or nothing", rest[:1] in (b"", b"\x15"), True)


class Memory:
    """A TLS client whose bytes are sent by hand."""

    def __init__(self, s, c):
        self.s, self.inside, self.outside = s, ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = c.wrap_bio(self.inside, self.outside)

    def hello(self):
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return self.outside.read()

    def step(self, act):
        while True:
            try:
                out = act()
                self.s.sendall(self.outside.read())
                return out
            except ssl.SSLWantReadError:
                self.s.sendall(self.outside.read())
                self.inside.write(self.s.recv(65536))

    def sendall(self, data):
        self.step(lambda: self.tls.write(data))

    def recv(self, n):
        return self.step(lambda: self.tls.read(n))


def optimistic(port):
    """Case 3: the ClientHello in the segment of the request, whole and cut."""
    for cut in (0, 1, 50):
        s = dial(port)
        m = Memory(s, context())
        hello = m.hello()
        s.sendall(SSL_REQUEST + hello[:len(hello) - cut])
        expect("answer to the request", s.recv(1), b"S")
        s.sendall(hello[len(hello) - cut:])
        m.step(m.tls.do_handshake)
        log_in(m)


def direct_tls(port):
    """Cases 4 and 5."""
    s = direct(port)
    expect("alpn", s.selected_alpn_protocol(), "postgresql")
    ask(s, SSL_REQUEST, b"N")
    ask(s, GSS_REQUEST, b"N")
    log_in(s)
    refused("direct without ALPN", lambda: direct(port, alpn=None))
    refused("direct with another protocol", lambda: direct(port, alpn="http/1.1"))
    refused("another protocol", lambda: negotiated(port, alpn="http/1.1"))


def order(port):
    """Case 6: GSS, then TLS; each is asked once."""
    s = dial(port)
    ask(s, GSS_REQUEST, b"N")
    ask(s, SSL_REQUEST, b"S")
    s = context().wrap_socket(s)
    log_in(s)
    s = dial(port)
    ask(s, GSS_REQUEST, b"N")
    ask(s, SSL_REQUEST, b"S")
    s = context().wrap_socket(s)
    s.sendall(GSS_REQUEST)
    expect("the second GSS request", is_closed(s), True)
    s = negotiated(port)
    s.sendall(SSL_REQUEST)
    expect("the second TLS request", is_closed(s), True)


def half_open(port):
    """A handshake that stalls is closed at login_timeout."""
    s = dial(port)
    ask(s, SSL_REQUEST, b"S")
    expect("stalled before the hello", is_closed(s), True)
    s = dial(port)
    s.sendall(Memory(s, context()).hello()[:20])
    expect("stalled inside the hello", is_closed(s), True)


def pieces(port):
    """A hello and a packet in single bytes."""
    s = dial(port)
    ask(s, SSL_REQUEST, b"S")
    m = Memory(s, context())
    for byte in m.hello():
        s.sendall(bytes([byte]))
    m.step(m.tls.do_handshake)
    for byte in startup():
        m.sendall(bytes([byte]))
    Messages(m).until("Z")


def pipelined(port):
    """A query in the record of the startup packet (the server trusts): TLS holds it already."""
    for leg in LEGS.values():
        s = leg(port)
        s.sendall(startup() + query("select 42") + message(b"X"))
        seen = Messages(s).rest()
        expect("kinds", kinds(seen)[-4:], "TDCZ")


def plain_refused(port, sqlstate="28000"):
    s = dial(port)
    s.sendall(startup())
    rest = Messages(s).rest()
    expect("kinds", kinds(rest), "E")
    expect("sqlstate", field(rest[0][1], b"C"), sqlstate)


def request(version, **parameters):
    packet = bytearray(startup(**parameters))
    packet[4:8] = struct.pack("!I", version)
    return bytes(packet)


def until_end_of_login(s, first):
    s.sendall(first)
    m = Messages(s)
    return m, m.until("Z")


def negotiation(port, server):
    """Cases 11 and 12: what the server says to newer versions, byte for byte."""
    for version, extra in ((0x30002, {}), (0x3270F, {"_pq_.test_protocol_negotiation": ""}),
                           (0x30001, {})):
        first = request(version, **extra)
        heard = {}
        for name, s in (("server", dial(int(server))), ("plain", plain(port)),
                        ("tls", negotiated(port)), ("direct", direct(port))):
            _, seen = until_end_of_login(s, first)
            heard[name] = [kb for kb in seen if kb[0] in "vR"] + \
                [len(b) for k, b in seen if k == "K"]
        for name in ("plain", "tls", "direct"):
            expect(f"{version:x} {name}", heard[name], heard["server"])


def cancels(port, key_bytes):
    """Cases 11 and 16: a cancel request over each kind of connection ends the statement."""
    for session_leg in ("plain", "negotiated"):
        for name, leg in LEGS.items():
            s = LEGS[session_leg](port)
            m, seen = log_in(s, request(0x30002))
            key = [body for kind, body in seen if kind == "K"][0]
            expect("key", len(key) - 4, int(key_bytes))
            s.sendall(query("select pg_sleep(300)"))
            errors = []
            waiter = threading.Thread(
                target=lambda: errors.extend(field(b, b"C") for k, b in m.until("Z") if k == "E"))
            waiter.start()
            while waiter.is_alive():  # the request may come before the query
                c = leg(port)
                c.sendall(struct.pack("!II", 8 + len(key), CANCEL) + key)
                expect("answer to the request", is_closed(c), True)
                waiter.join(0.2)
            expect(name, errors, ["57014"])


# --- fake primaries ---

def serve(port, act):
    listener = socket.create_server(("127.0.0.1", port))
    listener.settimeout(DEADLINE)

    def run():
        while True:
            try:
                s, _ = listener.accept()
            except OSError:
                return
            s.settimeout(DEADLINE)
            threading.Thread(target=act, args=(s,), daemon=True).start()

    threading.Thread(target=run, daemon=True).start()
    return listener


SECRET = b"words of a stranger"


def liar(port, fake_port):
    """Cases 7 and 8: what the fake says behind the TLS request never reaches the client."""
    error = message(b"E", b"SFATAL\0VFATAL\0C28000\0M" + SECRET + b"\0\0")
    for answer in (b"S" + b"12345", b"S" + SECRET, error, b"E", b"X" + SECRET, b""):
        def act(s, answer=answer):
            expect("first bytes", s.recv(8), SSL_REQUEST)
            s.sendall(answer)
            s.shutdown(socket.SHUT_WR)
            while s.recv(4096):
                pass

        listener = serve(int(fake_port), act)
        s = dial(port)
        s.sendall(startup())
        rest = Messages(s).rest()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        expect(answer, kinds(rest), "E")
        expect(answer, field(rest[0][1], b"C"), "08006")
        expect(answer, SECRET in rest[0][1], False)


def patience(port, fake_port):
    """Case 16: the connection of a cancel request stays open until the primary closes its own."""
    asked, may_close = threading.Event(), threading.Event()

    def act(s):
        length, code = struct.unpack("!II", s.recv(8))
        s.recv(length - 8)
        if code == CANCEL:
            asked.set()
            may_close.wait(DEADLINE)
            s.close()
            return
        s.sendall(message(b"R", b"\0\0\0\0") + message(b"K", b"\0\0\0\1key!") +
                  message(b"Z", b"I"))
        s.recv(1)

    serve(int(fake_port), act)
    for leg in LEGS.values():
        asked.clear()
        may_close.clear()
        s = negotiated(port)
        log_in(s)
        c = leg(port)
        c.sendall(struct.pack("!II", 16, CANCEL) + b"\0\0\0\1key!")
        expect("asked", asked.wait(DEADLINE), True)
        c.settimeout(0.3)  # it would be closed at once otherwise
        try:
            got = c.recv(1)
        except TimeoutError:
            got = None
        expect("open while the primary is", got, None)
        c.settimeout(DEADLINE)
        may_close.set()
        expect("closed with it", is_closed(c), True)
        s.close()


def mechanisms(port, fake_port):
    """Case 22: a list of mechanisms reaches a client with TLS as it is; nothing is taken off."""
    body = struct.pack("!I", 10) + b"OAUTHBEARER\0SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"

    def act(s):
        length, _ = struct.unpack("!II", s.recv(8))
        s.recv(length - 8)
        s.sendall(message(b"R", body))
        head = b""
        while len(head) < 5:
            head += s.recv(5 - len(head))
        left, token = struct.unpack("!I", head[1:])[0] - 4, b""
        while len(token) < left:
            token += s.recv(65536)
        expect("token", token, b"t" * 60000)
        s.sendall(message(b"R", b"\0\0\0\0") + message(b"Z", b"I"))
        s.recv(1)

    serve(int(fake_port), act)
    for leg in LEGS.values():
        s = leg(port)
        s.sendall(startup())
        m = Messages(s)
        expect("list", m.next(), ("R", body))
        s.sendall(message(b"p", b"t" * 60000))
        expect("end", kinds(m.until("Z")), "RZ")
        s.close()


def bulk(port):
    """Much both ways at once: neither direction waits for the other."""
    for leg in (negotiated, direct):
        s = leg(port)
        m, _ = log_in(s)
        s.sendall(query("create temp table t (v text)"))
        m.until("Z")
        s.sendall(query("copy t from stdin"))
        m.until("G")
        for _ in range(400):
            s.sendall(message(b"d", b"x" * 60000 + b"\n"))
        s.sendall(message(b"c"))
        m.until("Z")
        s.sendall(query("select v from t"))
        rows = [len(b) for k, b in m.until("Z") if k == "D"]
        expect("rows", (len(rows), set(rows)), (400, {60006}))


def half_close(port):
    """Case 30 over TLS: the whole answer after the client's end, then the end."""
    for leg in (negotiated, direct):
        s = leg(port)
        m, _ = log_in(s)
        s.sendall(query("select pg_sleep(0.2), repeat('x', 500000)") + message(b"X"))
        expect("kinds", kinds(m.rest()), "TDCZ")


CASES = {f.__name__: f for f in (versions, only_13, injected, optimistic, direct_tls, order,
                                 half_open, pieces, pipelined, plain_refused, negotiation, cancels,
                                 liar, patience, mechanisms, bulk, half_close)}

if __name__ == "__main__":
    CASES[sys.argv[1]](int(sys.argv[2]), *sys.argv[3:])
    print("ok")
