"""The corpus of dangerous statements: sends it, and looks for it in a server's statement log.

cage.py run CORPUS TAG CONNINFO PROTOCOL EXTENSIONS
    Sends each entry in a session of its own, the neighbour first. PROTOCOL is simple or extended;
    EXTENSIONS names, comma-separated, what entries may need. Says on standard output how each one
    went on the primary: NUMBER ok, or NUMBER SQLSTATE, or NUMBER without EXTENSION.
cage.py seen CORPUS TAG ROLE
    Reads a server's statement log (log_line_prefix '%u|') on standard input from where the test
    began and says which dangerous statements (d...) and which neighbours (n...) ROLE ran there.
cage.py texts CORPUS TAG
    Every dangerous statement, one a line, as if it had come by the simple protocol.
cage.py expected CORPUS [FLAG]
    The numbers of all entries, or of those with the flag.
cage.py listen CONNINFO
    Listens on channel cage, says "listening", then every payload, until one is "end".
"""

import ctypes
import ctypes.util
import re
import sys

LETTER = {"simple": "s", "extended": "e"}


def entries(path):
    with open(path, encoding="utf-8") as corpus:
        lines = [line.strip() for line in corpus if line.strip() and line[0] != "#"]
    for number, line in enumerate(lines, 1):
        flags, text = re.fullmatch(r"((?:! |\[[\w-]+\] )*)(.*)", line).groups()
        fields = [field.strip() for field in text.split(" ;; ")]
        yield (number, re.findall(r"[\w-]+|!", flags), fields[0].split(" && "), fields[1],
               fields[2] if len(fields) > 2 else None)


def mark(kind, number, protocol, tag):
    return f"{kind}{number:03}{LETTER[protocol]}{tag}"


class Fastpath(ctypes.Structure):
    _fields_ = [("len", ctypes.c_int), ("isint", ctypes.c_int), ("value", ctypes.c_void_p)]


def call_function(connection, oid, argument):
    """The FunctionCall message, with one integer."""
    libpq = ctypes.CDLL(ctypes.util.find_library("pq"))
    libpq.PQfn.restype = ctypes.c_void_p
    libpq.PQfn.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p,
                           ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
    libpq.PQresultStatus.argtypes = [ctypes.c_void_p]
    result, length = ctypes.c_int(), ctypes.c_int()
    block = Fastpath(4, 1, argument & 0xffffffff)
    answer = libpq.PQfn(connection.pgconn_ptr, oid, ctypes.byref(result), ctypes.byref(length), 1,
                        ctypes.byref(block), 1)
    return None if libpq.PQresultStatus(answer) == 1 else "fastpath"


def run_one(connection, sql, protocol):
    """None, or the SQLSTATE."""
    from psycopg import pq
    if sql.startswith("\\fastpath"):
        return call_function(connection, *map(int, sql.split()[1:]))
    send = connection.exec_ if protocol == "simple" else (
        lambda text: connection.exec_params(text, None))
    result = send(sql.encode())
    if result.status == pq.ExecStatus.COPY_OUT:
        while connection.get_copy_data(0)[0] > 0:
            pass
        result = connection.get_result()
        while connection.get_result():
            pass
    if result.status == pq.ExecStatus.FATAL_ERROR:
        return (result.error_field(pq.DiagnosticField.SQLSTATE) or b"lost").decode()
    return None


def connect(conninfo):
    from psycopg import pq
    connection = pq.PGconn.connect(conninfo.encode())
    if connection.status != pq.ConnStatus.OK:
        sys.exit(connection.error_message.decode())
    connection.notice_handler = lambda result: None
    return connection


def run(corpus, tag, conninfo, protocol, extensions):
    have = set(extensions.split(","))
    for number, flags, steps, neighbour, _ in entries(corpus):
        missing = [f for f in flags if f not in ("!", "simple") and f not in have]
        if "simple" in flags and protocol != "simple":
            continue
        if missing:
            print(number, "without", *missing)
            continue
        connection = connect(conninfo)
        state = run_one(connection, neighbour.replace("MARK", mark("n", number, protocol, tag)),
                        protocol)
        if state:
            sys.exit(f"{number}: the neighbour failed on the primary: {state}")
        for step in steps:
            state = run_one(connection, step.replace("MARK", mark("d", number, protocol, tag)),
                            protocol) or state
        print(number, state or "ok")
        connection.finish()


def statements(log, role):
    """The texts of what the role ran or tried, one line each."""
    for line in log:
        user, _, text = line.rstrip("\n").partition("|")
        if user != role:
            continue
        found = re.match(r"LOG:  (?:statement|execute [^:]*): (.*)|STATEMENT:  (.*)|LOG:  (fast.*)",
                         text)
        if found:
            yield next(group for group in found.groups() if group is not None)


def seen(corpus, tag, role, log):
    texts = list(statements(log, role))
    found = set(re.findall(rf"\b[dn]\d\d\d[se]{tag}\b", "\n".join(texts)))
    for number, _, _, _, pattern in entries(corpus):
        for protocol in LETTER:
            name = mark("d", number, protocol, tag)
            if pattern and any(re.match(pattern.replace("MARK", name), text)
                               for text in texts):
                found.add(name)
    print(*sorted(found), sep="\n")


def listen(conninfo):
    import select
    connection = connect(conninfo)
    connection.exec_(b"listen cage")
    print("listening", flush=True)
    while True:
        select.select([connection.socket], [], [])
        connection.consume_input()
        while notified := connection.notifies():
            payload = notified.extra.decode()
            if payload == "end":
                return
            print(payload, flush=True)


def main(question, *arguments):
    if question == "run":
        run(*arguments)
    elif question == "seen":
        seen(*arguments, sys.stdin)
    elif question == "texts":
        for number, _, steps, *_ in entries(arguments[0]):
            for step in steps:
                if not step.startswith("\\"):
                    print(step.replace("MARK", mark("d", number, "simple", arguments[1])))
    elif question == "expected":
        for number, flags, *_ in entries(arguments[0]):
            if len(arguments) < 2 or arguments[1] in flags:
                print(number)
    elif question == "listen":
        listen(*arguments)
    else:
        sys.exit(__doc__)


if len(sys.argv) < 3:
    sys.exit(__doc__)
main(*sys.argv[1:])
