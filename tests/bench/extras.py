"""Parts of the benchmark beside the interleaved rounds: memory of idle sessions, growth with their
number, the cost of TLS, the latency that a relay adds, the speed of comparing."""

import re
import statistics
import subprocess

from scripted import ScriptedClients, ScriptedServer, allow_descriptors
from servers import ROOT, Failed, Minrelay, Pgumbra

COMPARE_COST = ROOT / "build/release/tests/compare_cost"
CLASSIFY_COST = ROOT / "build/release/tests/classify_cost"
IDLE_FEW, IDLE_MANY = 500, 2500
GROWTH_IDLE = (10, 9000) # two descriptors each: within the usual hard limit of 20,000
GROWTH_ACTIVE = (1, 1000)
GROWTH_QUERIES = (2000, 42000) # to connect thousands costs as much as many queries, and varies
ROOMY = ("pgumbra.max_sessions=9400",)


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


# --- memory ---

def idle_relays(bench, server):
    """Name, relay, TLS. The candidate and the control are real, the primary is scripted."""
    shadowed = {"candidate": bench.candidate, "control": bench.primary}
    yield "minrelay", Minrelay(bench.scratch, server), False
    for tls in (False, True):
        mark = " tls" if tls else ""
        yield f"pgumbra off{mark}", Pgumbra(bench.scratch, server, "off", tls=tls,
                                            settings=ROOMY), tls
        yield f"pgumbra on{mark}", Pgumbra(bench.scratch, server, "on", tls=tls, settings=ROOMY,
                                           **shadowed), tls


def idle_memory(bench, relay, tls):
    """KiB of an idle session: what the later ones of many add."""
    clients = ScriptedClients(relay.port, tls)
    sizes = []
    for count in (IDLE_FEW, IDLE_MANY):
        clients.grow_to(count)
        relay.settle()
        sizes.append(relay.anonymous_kib())
    clients.stop()
    return (sizes[1] - sizes[0]) / (IDLE_MANY - IDLE_FEW)


def memory(bench, progress):
    allow_descriptors(4 * IDLE_MANY)
    server, result = ScriptedServer(), {}
    try:
        for name, relay, tls in idle_relays(bench, server):
            progress(f"idle memory: {name}")
            relay.start()
            try:
                result[name] = idle_memory(bench, relay, tls)
            finally:
                relay.stop_now()
    finally:
        server.stop()
    print("\nKiB of user-space memory (anonymous, all processes) per idle session, between "
          f"{IDLE_FEW} and {IDLE_MANY} of them")
    for name, kib in result.items():
        print(f"  {name:<16} {kib:8.2f}")
    return result


# --- growth ---

def instructions_per_query(bench, idle, active, total):
    """Of the relay process with shadowing off, by callgrind: the difference of two runs that ask
    unequally often."""
    totals = []
    for queries in GROWTH_QUERIES:
        relay = Pgumbra(bench.scratch, bench.scripted, "off", settings=ROOMY)
        out = bench.scratch / "callgrind.growth"
        clients = None
        try:
            relay.start(["valgrind", "--quiet", "--tool=callgrind",
                         f"--callgrind-out-file={out}"])
            clients = ScriptedClients(relay.port)
            clients.grow_to(max(idle + active, active))
            clients.ask(queries // active, active)
            clients.stop()
        finally:
            relay.stop()
        totals.append(total(out))
    return (totals[1] - totals[0]) / (GROWTH_QUERIES[1] - GROWTH_QUERIES[0])


def growth(bench, progress, total):
    allow_descriptors(19900)
    bench.scripted, result = ScriptedServer(), {}
    try:
        for active in GROWTH_ACTIVE:
            progress(f"growth: {active} active sessions")
            result[f"{active} active"] = instructions_per_query(bench, 0, active, total)
        for idle in GROWTH_IDLE:
            progress(f"growth: 1 active session beside {idle} idle ones")
            result[f"1 active, {idle} idle"] = instructions_per_query(bench, idle, 1, total)
    finally:
        bench.scripted.stop()
    print("\ninstructions of the relay process per query (simple protocol, a scripted primary, "
          "callgrind, the difference of two runs)")
    for name, count in result.items():
        print(f"  {name:<24} {count:8.0f}")
    return result


# --- TLS ---

TLS_RELAYS = ["pgumbra off", "pgumbra off tls", "pgumbra on tls", "pgbouncer", "pgbouncer tls"]


def tls(bench):
    result = {}
    for workload in ("prepared", "bulk", "reconnect"):
        runs = bench.rounds(workload, TLS_RELAYS)
        result[workload] = {name: spread([run["relay_us"] for run in some])
                            for name, some in runs.items()}
    print("\nTLS to clients: CPU microseconds of the relay process per transaction, median, and what "
          "TLS adds\n(reconnect: one handshake each)")
    for workload, costs in result.items():
        for plain, secured in (("pgumbra off", "pgumbra off tls"), ("pgumbra off", "pgumbra on tls"),
                               ("pgbouncer", "pgbouncer tls")):
            before, after = costs[plain]["median"], costs[secured]["median"]
            line = f"  {workload:<10} {secured:<16} {after:9.1f}   TLS adds {after - before:+9.1f}"
            if workload == "reconnect":
                line += f"   {1e6 / after:8.0f} handshakes a CPU second"
            print(line)
    return result


# --- latency ---

def latency(bench, names):
    """One client: what a relay adds to a point read."""
    runs = bench.rounds("prepared", names, "-c", "1", "-j", "1")
    result = {name: spread([run["latency_ms"] * 1000 for run in some])
              for name, some in runs.items()}
    direct = result["direct"]["median"]
    print("\nprepared, 1 client: microseconds of a transaction as the client sees it (mean of a run, "
          "median of runs)")
    for name, us in result.items():
        print(f"  {name:<16} {us['median']:8.1f} ({us['min']:.1f} to {us['max']:.1f})   added "
              f"{us['median'] - direct:+7.1f}")
    return result


# --- comparing ---

def comparing(bench):
    rates = []
    for _ in range(bench.options.rounds):
        done = subprocess.run([COMPARE_COST, "200"], check=True, capture_output=True, text=True)
        found = re.match(r"(\d+) bytes", done.stdout)
        if not found:
            raise Failed(f"{COMPARE_COST} said: {done.stdout}")
        rates.append(int(found[1]) / 1e9)
    result = spread(rates)
    print("\ndigesting and comparing equal answers (10,000 rows of 115 bytes, 4 columns): "
          f"{result['median']:.2f} GB of both sides per CPU second "
          f"({result['min']:.2f} to {result['max']:.2f})")
    return result


# --- texts ---

def texts(_bench):
    """What it costs the shadow process to decide a text, by its size."""
    done = subprocess.run([CLASSIFY_COST], check=True, capture_output=True, text=True)
    result = {}
    print("\ndeciding a statement's text, CPU us: bytes, seen before, seen but for its values, new")
    for line in done.stdout.splitlines():
        size, seen, values, new, beginning = line.split(None, 4)
        print(f"  {size:>6} {seen:>8} {values:>8} {new:>8}  {beginning}...")
        result[size] = {"seen": float(seen), "values": float(values), "new": float(new)}
    return result
