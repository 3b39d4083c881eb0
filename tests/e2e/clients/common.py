"""What the Python clients share. A client is a function that takes (host, port) and yields what it
read; it is run directly and through the proxy, and both must have read the same. Environment: HOST
and PORT of the proxy, DIRECT_PORT of the primary on the same host, DBNAME, DBUSER, DBPASSWORD."""

import os
import sys

COLUMNS = ["small", "big", "amount", "bare", "single", "twofold", "flag", "words", "code", "padded",
           "day", "clock", "local", "moment", "span", "key", "doc", "bytes", "ints", "texts",
           "state", "maybe"]

# Columns whose values are also bound as parameters. Of floats and documents a client's own
# spelling may not find the row again; that it is the same on both ways is what counts.
BOUND = [column for column in COLUMNS if column not in ("doc", "maybe", "state")]


def credentials():
    return {"user": os.environ["DBUSER"], "password": os.environ.get("DBPASSWORD") or None,
            "database": os.environ["DBNAME"]}


def finish(direct, proxied):
    """Compares, prints how many reads went through the proxy, and ends the program."""
    for number, (expected, got) in enumerate(zip(direct, proxied)):
        if repr(expected) != repr(got):
            sys.exit(f"read {number} differs:\n directly {expected!r}\n proxied  {got!r}")
    if len(direct) != len(proxied) or not direct:
        sys.exit(f"{len(direct)} reads directly, {len(proxied)} through the proxy")
    print(f"reads={len(proxied)}")


def both_ways(client):
    host = os.environ["HOST"]
    finish(list(client(host, int(os.environ["DIRECT_PORT"]))),
           list(client(host, int(os.environ["PORT"]))))
