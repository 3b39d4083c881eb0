"""Looks for secrets where none may be: the tapes, the memory of both processes, files.

usage: secret_scan.py PID SECRETS FILE...        says what was found where, or "clean"

PID is the relay process; the shadow process is its child. SECRETS has a line `name where hex` for
each: where is `nowhere`, or `relay` for what the relay process itself has to hold, or `canary` for
what must be found on a tape and in the shadow's memory (else nothing was looked at).
"""

import os
import re
import sys

CHUNK = 1 << 24
# A sanitizer's bookkeeping is mapped in terabytes; nothing of ours is as large as this.
MAPPING_MAX = 1 << 30


def memory(pid):
    """(name, bytes) of all that can be read of a process, as a core would have it."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            at = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)", line)
            start, end = int(at[1], 16), int(at[2], 16)
            if at[3][0] != "r" or at[4].startswith("[v") or end - start > MAPPING_MAX:
                continue
            kept = b""
            while start < end:
                try:
                    mem.seek(start)
                    data = mem.read(min(CHUNK, end - start))
                except (OSError, ValueError, OverflowError):
                    break
                if not data:
                    break
                yield at[4] or "anonymous", kept + data
                kept, start = data[-300:], start + len(data)


def shared_files(pid):
    """The memory files of a process: tapes, books, configuration."""
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            name = os.readlink(f"/proc/{pid}/fd/{fd}")
            if name.startswith("/memfd:"):
                with open(f"/proc/{pid}/fd/{fd}", "rb") as file:
                    yield name, file.read()
        except OSError:
            continue


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def main():
    relay, secrets = int(sys.argv[1]), []
    with open(sys.argv[2]) as file:
        for line in file:
            name, where, text = line.split()
            secrets.append((name, where, bytes.fromhex(text)))
    shadows = children(relay)
    assert len(shadows) == 1, f"shadow processes: {shadows}"
    found, seen = set(), set()

    def look(place, kind, data):
        for name, where, text in secrets:
            if text in data:
                seen.add((name, kind))
                if where == "nowhere" or (where == "relay" and kind != "relay"):
                    found.add(f"{name} in {place}")

    for name, data in memory(shadows[0]):
        look(f"the shadow's memory, {name}", "shadow", data)
    for name, data in memory(relay):
        look(f"the relay's memory, {name}",
             "tape" if name.startswith("/memfd:") else "relay", data)
    for pid in (relay, *shadows):
        for name, data in shared_files(pid):
            look(name, "tape", data)
    for path in sys.argv[3:]:
        with open(path, "rb") as file:
            look(path, "file", file.read())
    for name, where, _ in secrets:
        if where == "canary":
            assert (name, "tape") in seen and (name, "shadow") in seen, f"{name} was not found: {seen}"
    for line in sorted(found):
        print(line)
    if not found:
        print("clean")
    sys.exit(1 if found else 0)


main()
