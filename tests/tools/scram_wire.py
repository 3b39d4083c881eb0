"""Scripted SCRAM clients for logins that end at pgumbra; standard library only.

usage: scram_wire.py CASE PORT [ARGUMENT...]      says "ok" or fails with what it saw instead

PORT is pgumbra's; `direct` is the port of the primary itself, whose words are the measure.
"""

import base64
import hashlib
import hmac
import secrets
import struct
import subprocess
import sys

from relay_wire import Messages, expect, field, kinds, message, query
from tls_wire import direct as direct_tls
from tls_wire import negotiated, plain, request

SCRAM, PLUS = "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"
USER, PASSWORD = "by_scram", "secret-scram"


def b64(data):
    return base64.b64encode(data).decode()


class Login:
    """One login, step by step, so that each step can lie."""

    def __init__(self, s, user=USER, version=0x30000, **parameters):
        self.s, self.m = s, Messages(s)
        s.sendall(request(version, user=user, database="postgres", **parameters))
        self.before = []  # what comes before the first request

    def offered(self):
        while True:
            kind, body = self.m.next()
            if kind != "R":
                self.before.append((kind, body))
                if kind is None or kind == "E":
                    return kind, field(body, b"C")
                continue
            code = struct.unpack("!I", body[:4])[0]
            return code, body[4:].decode().split("\0")[:-2]

    def first(self, mechanism=SCRAM, header="n,,", nonce=None, bare=None):
        self.header = header.encode()
        self.nonce = nonce or b64(secrets.token_bytes(18))
        self.bare = bare if bare is not None else f"n=,r={self.nonce}"
        text = self.header + self.bare.encode()
        self.s.sendall(message(b"p", mechanism.encode() + b"\0" +
                               struct.pack("!I", len(text)) + text))
        kind, body = self.m.next()
        if kind != "R":
            return kind, field(body, b"C")
        expect("request", struct.unpack("!I", body[:4])[0], 11)
        self.challenge = body[4:].decode()
        return "R", dict(part.split("=", 1) for part in self.challenge.split(","))

    def final(self, password=PASSWORD, binding=b"", nonce=None, end=b"", cut=None):
        said = dict(part.split("=", 1) for part in self.challenge.split(","))
        without = f"c={b64(self.header + binding)},r={nonce or said['r']}"
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(said["s"]),
                                     int(said["i"]))
        client = hmac.digest(salted, b"Client Key", "sha256")
        every = f"{self.bare},{self.challenge},{without}".encode()
        signature = hmac.digest(hashlib.sha256(client).digest(), every, "sha256")
        proof = bytes(a ^ b for a, b in zip(client, signature))
        self.expected = "v=" + b64(hmac.digest(
            hmac.digest(salted, b"Server Key", "sha256"), every, "sha256"))
        text = f"{without},p={b64(proof)}".encode()
        self.s.sendall(message(b"p", text[:cut]) + end)

    def outcome(self):
        """`ok` after a login that the server proved, too; otherwise the SQLSTATE."""
        kind, body = self.m.next()
        if kind == "E":
            expect("after the error", self.m.rest(), [])
            return field(body, b"C")
        expect("signature", (kind, body), ("R", struct.pack("!I", 12) + self.expected.encode()))
        expect("request", self.m.next(), ("R", b"\0\0\0\0"))
        self.after = self.m.until("Z")
        return "ok"


def certificate_hash(path):
    der = subprocess.run(["openssl", "x509", "-in", path, "-outform", "DER"], check=True,
                         capture_output=True).stdout
    return hashlib.sha256(der).digest()


def log_in(s, mechanism=SCRAM, header="n,,", binding=b"", **final):
    login = Login(s)
    login.offered()
    kind, said = login.first(mechanism, header)
    if kind != "R":
        return said
    login.final(binding=binding, **final)
    return login.outcome()


def flags(port, certificate):
    """Every gs2 flag, with and without -PLUS, on every leg: as a server of that certificate."""
    ours = certificate_hash(certificate)
    bound = "p=tls-server-end-point,,"
    expect("plain list", Login(plain(port)).offered(), (10, [SCRAM]))
    for header in ("n,,", "y,,"):
        expect(f"plain {header}", log_in(plain(port), SCRAM, header), "ok")
        expect(f"plain {header} plus", log_in(plain(port), PLUS, header), "08P01")
    expect("plain, bound", log_in(plain(port), SCRAM, bound, ours), "08P01")
    for leg in (negotiated, direct_tls):
        expect("TLS list", Login(leg(port)).offered(), (10, [PLUS, SCRAM]))
        expect("TLS n", log_in(leg(port), SCRAM, "n,,"), "ok")
        # it was told that there is no channel binding: somebody took it off the list
        expect("TLS y", log_in(leg(port), SCRAM, "y,,"), "28000")
        expect("TLS bound", log_in(leg(port), PLUS, bound, ours), "ok")
        expect("bound to another", log_in(leg(port), PLUS, bound, bytes(32)), "28000")
        expect("bound to less", log_in(leg(port), PLUS, bound, ours[:31]), "28000")
        expect("bound to nothing", log_in(leg(port), PLUS, bound), "28000")
        expect("n, but bound", log_in(leg(port), SCRAM, "n,,", ours), "28000")
        expect("PLUS, not bound", log_in(leg(port), PLUS, "n,,"), "08P01")
        expect("tls-unique", log_in(leg(port), PLUS, "p=tls-unique,,", ours), "08P01")


def refusals(port, direct):
    """What is no login ends as it does at the primary itself."""
    cases = [
        ("no such mechanism", {"mechanism": "SCRAM-SHA-1"}, {}),
        ("an identity", {"header": "n,a=postgres,"}, {}),
        ("no header", {"header": ""}, {}),
        ("an extension", {"bare": "m=1,n=,r=abc"}, {}),
        ("a wrong password", {}, {"password": "another"}),
        ("another nonce", {}, {"nonce": "rAnother"}),
        ("a proof cut off", {}, {"cut": -1}),
        ("no proof", {}, {"cut": 20}),
    ]
    for what, first, final in cases:
        seen = []
        for where in (port, int(direct)):
            login = Login(plain(where))
            login.offered()
            kind, said = login.first(**first)
            if kind == "R":
                login.final(**final)
                said = login.outcome()
            seen.append(said)
        expect(what, seen[0], seen[1])


def raw(port, *packets):
    """What comes back for packets instead of a SASLInitialResponse."""
    login = Login(plain(port))
    login.offered()
    for packet in packets:
        login.s.sendall(packet)
    kind, body = login.m.next()
    return kind, field(body, b"C")


def out_of_turn(port, direct):
    """Case 24, and lengths that lie."""
    for where in (port, int(direct)):
        expect("a query before the login", raw(where, query("select 1")), ("E", "08P01"))
        expect("a Sync before the login", raw(where, message(b"S")), ("E", "08P01"))
    for length in (0, 3, 2**31, 2**32 - 1, 2000):
        kind, sqlstate = raw(port, b"p" + struct.pack("!I", length))
        expect(f"length {length}", (kind, sqlstate), ("E", "08P01"))
    for body in (b"", SCRAM.encode(), SCRAM.encode() + b"\0\0\0\0\x08n,,n=,r=", SCRAM.encode() + b"\0", SCRAM.encode() + b"\0\0\0\0\x09n,,",
                 SCRAM.encode() + b"\0\xff\xff\xff\xff",
                 SCRAM.encode() + b"\0\0\0\0\x03n,,n=,r=abc"):
        expect(body, raw(port, message(b"p", body)), ("E", "08P01"))
    # clients that leave at every step
    for step in range(4):
        login = Login(negotiated(port))
        if step > 0:
            login.offered()
        if step > 1:
            login.first()
        if step > 2:
            login.final(cut=30)
        login.s.close()
    expect("the next one", log_in(plain(port)), "ok")


def pieces(port):
    """Single bytes, and a query in one segment with the proof."""
    for leg in (plain, negotiated):
        login = Login(leg(port))
        sending = login.s.sendall
        login.offered()

        class Slow:
            def sendall(self, data):
                for byte in data:
                    sending(bytes([byte]))

        login.s = Slow()
        login.first()
        login.final(end=query("select 42") + message(b"X"))
        expect("outcome", login.outcome(), "ok")
        expect("answer", kinds(login.m.rest()), "TDCZ")


def nobody(port, direct):
    """Who has no secret is asked like who has: the same form, the same salt each time, and the same
    refusal as for a wrong password."""
    def challenge(where, user):
        login = Login(plain(where), user=user)
        offer = login.offered()
        _, said = login.first()
        login.final(password="any")
        _, body = login.m.next()
        words = field(body, b"M").replace(user, "*")
        form = (str(offer), str(sorted(said)), len(said["r"]), len(said["s"]), said["i"],
                field(body, b"C"), words)
        return form, said["s"]

    known, salt_of_known = challenge(port, USER)
    for user in ("nobody", "nobody_else", "no_secret"):
        forms, salts = zip(*(challenge(port, user) for _ in range(3)))
        expect(user, set(forms), {known})
        expect(f"the salt of {user}", len(set(salts)), 1)
        expect("not another's", salts[0] == salt_of_known, False)
        if direct != "trusting":
            expect("the primary's own", salts[0], challenge(int(direct), user)[1])
    if direct != "trusting":
        expect("the primary's own", salt_of_known, challenge(int(direct), USER)[1])


def salt_of(port, user):
    login = Login(plain(port), user=user)
    login.offered()
    print(login.first()[1]["s"])


def newer(port, direct, key_bytes):
    """Protocol 3.2 and a greased one: what the primary answers reaches the client as it is."""
    for version, extra in ((0x30000, {}), (0x30002, {}),
                           (0x3270F, {"_pq_.test_protocol_negotiation": ""})):
        heard = []
        for where in (port, int(direct)):
            login = Login(plain(where), version=version, **extra)
            login.offered()
            login.first()
            login.final()
            expect("outcome", login.outcome(), "ok")
            heard.append((login.before, sorted(k for k, _ in login.after),
                          [len(body) - 4 for kind, body in login.after if kind == "K"]))
        expect(f"{version:x}", heard[0], heard[1])
        if version == 0x30002:
            expect("key", heard[0][2], [int(key_bytes)])


CASES = {f.__name__: f for f in (flags, refusals, out_of_turn, pieces, nobody, salt_of, newer)}

if __name__ == "__main__":
    CASES[sys.argv[1]](int(sys.argv[2]), *sys.argv[3:])
    if sys.argv[1] != "salt_of":
        print("ok")
