"""Clients and a service manager's ear for tests/e2e/lifecycle.bats; standard library only.

usage: lifecycle.py CASE [ARGUMENT...]

notified PATH FILE          a notification socket at PATH: what comes is appended to FILE
storm PORT STOP_FILE SQL_EVERY
                            connects as fast as it goes until STOP_FILE is there; each asks for TLS
                            (answer: N), each SQL_EVERY-th logs in and runs a query; then says how
                            many, and what went wrong
"""

import os
import socket
import sys
import threading
import time

from relay_wire import DEADLINE, Messages, query, startup

SSL_REQUEST = b"\0\0\0\x08\x04\xd2\x16\x2f"
STORM_THREADS = 4


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


if __name__ == "__main__":
    {"notified": notified, "storm": storm}[sys.argv[1]](*sys.argv[2:])
