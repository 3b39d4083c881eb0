"""What the Python workloads share: the names that mark a read, and how often it was run.

A marked read has an alias that stays in the normalised text of its shape, so that the report tells
what became of it (tally.py):

    cov_NAME     a read in READ COMMITTED before the first write of its transaction, or outside of
                 one: it counts in the coverage
    also_NAME    lies outside that definition, and is expected to be compared too
    skip_REASON  must be skipped, for this reason
"""

import json
import os
from collections import Counter

RUNS = Counter()


def mark(name, runs=1):
    RUNS[name] += runs
    return name


def cov(name, runs=1):
    return mark(f"cov_{name}", runs)


def also(name, runs=1):
    return mark(f"also_{name}", runs)


def skip(reason, runs=1):
    return mark(f"skip_{reason}", runs)


def account():
    return {"host": os.environ["HOST"], "port": int(os.environ["PORT"]),
            "user": os.environ["DBUSER"], "password": os.environ["DBPASSWORD"],
            "dbname": os.environ["DBNAME"]}


def finish():
    print(json.dumps(RUNS))
