"""Measures the sign-off request beside a bare DRF view and beside plain SQL: `python -m benchmarks.signing`.

The site runs as the Procfile starts it: a Granian web server of two processes with four threads each, over a PostgreSQL
that flushes every commit to disk. Each client keeps one connection and signs handoffs that wait for it. `first` is the
signature after which the gate still waits for another: lock, facts, confirmation, signature, event. `last` opens the
gate: decision, move, seven jobs and two events more. The bare view runs in the same web server and does four statements
after its token and role check, and keeps no rule. Plain SQL is those four statements by pgbench.

A person confirms who they are before they sign; what the hash of the password costs is a row of its own.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.serving import free_port
from benchmarks.stack import from_procfile, servers
from benchmarks.table import Row, printed

ROUNDS = 3
TURNS = {8: 50, 32: 15}  # signatures of each client in one round
SQL_TURNS = {8: 200, 32: 60}
WARM_UP = 10
SITES = {
    "ours": {},
    "bare view": {"DJANGO_SETTINGS_MODULE": "benchmarks.bare"},
    "bare view in a bare site": {"DJANGO_SETTINGS_MODULE": "benchmarks.bare", "BENCH_MIDDLEWARE": "none"},
}
PEERS = {"ours": ("bare view", "bare view in a bare site", "plain SQL"), "ours, last": ("bare view",)}
Figures = dict[str, float]


def measure(folder: Path, port: int, clients: int, acts: list[list[str]]) -> Figures:
    """Send every client's requests, from a process of its own, and return the rate and the times."""
    file = folder / "acts.json"
    file.write_text(json.dumps(acts))
    command = [sys.executable, Path(__file__).parent / "load.py", "acts", str(port), str(clients), "0", file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the load ended early: {done.stderr}")
    return dict(json.loads(done.stdout))


def pgbench(folder: Path, batch: int, clients: int, turns: int) -> Figures:
    """Do the same transactions in plain SQL."""
    from mdlc_site.local.programs import postgres_programs

    for old in folder.glob("pgbench*"):
        old.unlink()
    address = os.environ["DATABASE_URL"].removeprefix("postgres:///").rpartition("/")
    command = [
        postgres_programs() / "pgbench", "-n", "-M", "prepared", "-f", Path(__file__).parent / "signing.sql",
        "-c", str(clients), "-j", "2", "-t", str(turns), "-D", f"batch={batch}", "-D", "turn=-1",
        "-l", "--log-prefix", folder / "pgbench", "-h", address[0], "-U", os.environ["PGUSER"], address[2],
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"pgbench failed: {done.stderr}")
    rate = next(float(line.split()[2]) for line in done.stdout.splitlines() if line.startswith("tps"))
    took = sorted(int(line.split()[2]) / 1000 for log in folder.glob("pgbench*") for line in log.open())
    return {"rate": rate, "p50": took[len(took) // 2], "p99": took[len(took) * 99 // 100]}


class Rounds:
    """What is signed, who signs, and where."""

    def __init__(self, folder: Path, ports: dict[str, int]) -> None:
        """Write down the people and the one handoff that is copied, and give everybody a token."""
        from knox.models import AuthToken

        from benchmarks import signatures

        self.folder, self.ports, self.signatures = folder, ports, signatures
        self.site = signatures.make_site()
        self.tokens = {
            key: [AuthToken.objects.create(user=person)[1] for person in self.site.signers(key)]
            for key in signatures.MEANINGS
        }

    def sign(self, where: str, requirement: str, batch: int, clients: int) -> Figures:
        """Let every client sign its handoffs of a batch, at one of the sites."""
        acts = self.signatures.requests(batch, requirement, self.tokens[requirement])
        return measure(self.folder, self.ports[where], clients, acts)

    def run(self, clients: int, turns: int, sql_turns: int) -> dict[str, Figures]:
        """Measure every subject once, in turn."""
        batches = {name: self.signatures.copies(self.site, turns, clients) for name in SITES}
        plain = self.signatures.copies(self.site, sql_turns, clients)
        self.signatures.settle()
        found = {"plain SQL": pgbench(self.folder, plain, clients, sql_turns)}
        for name in SITES:
            found[name] = self.sign(name, "validation", batches[name], clients)
        found["ours, last"] = self.sign("ours", "acceptance", batches["ours"], clients)
        self.check(batches["ours"], clients, turns)
        return found

    def check(self, batch: int, clients: int, turns: int) -> None:
        """Make sure that what was measured has happened: every gate that was signed twice is open."""
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM bench_turn t JOIN handoff_handoff h ON h.id = t.handoff_id "
                "WHERE t.batch = %s AND h.state = 'testing'",
                [batch],
            )
            if cursor.fetchone() != (clients * turns,):
                raise RuntimeError("not every handoff that was signed twice is under test")


def rows() -> list[Row]:
    """Run the whole benchmark."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as ends:
        folder = Path(name)
        ends.enter_context(servers(folder, MDLC_DB_POOL="8"))
        ports = {each: free_port() for each in SITES}
        rounds = Rounds(folder, ports)
        for each, more in SITES.items():
            ends.enter_context(from_procfile("web", folder, "Started worker-2", PORT=str(ports[each]), **more))
        rounds.run(32, WARM_UP, WARM_UP)
        found: list[Row] = []
        for clients, turns in TURNS.items():
            measured = [rounds.run(clients, turns, SQL_TURNS[clients]) for _ in range(ROUNDS)]
            found += _rows(clients, _medians(measured))
        return [*found, *confirmation_rows(rounds)]


def _medians(measured: list[dict[str, Figures]]) -> dict[str, Figures]:
    return {
        subject: {key: statistics.median(one[subject][key] for one in measured) for key in ("rate", "p50", "p99")}
        for subject in measured[0]
    }


def _rows(clients: int, of: dict[str, Figures]) -> Iterator[Row]:
    """Compare at one number of clients. The ratio is of rates: one is level, less is slower."""
    for subject, name in (("ours", "first signature"), ("ours, last", "last signature")):
        for peer in PEERS[subject]:
            ratio = of[subject]["rate"] / of[peer]["rate"]
            goal = peer == "bare view" and subject == "ours"
            title = f"{name}, {clients} clients"
            yield Row(
                title,
                _told(of[subject]),
                f"{peer} {_told(of[peer])}",
                ratio,
                ">= 1" if goal else "",
                ratio >= 1 if goal else None,
            )


def _told(figures: Figures) -> str:
    return f"{figures['rate']:,.0f}/s p50 {figures['p50']:.1f} p99 {figures['p99']:.1f} ms"


def confirmation_rows(rounds: Rounds) -> Iterator[Row]:
    """Tell what it costs to confirm who one is: the hash of the password, which must be slow."""
    from django.contrib.auth.hashers import check_password, make_password

    encoded = make_password("correct horse battery staple")
    took = []
    for _ in range(9):
        began = time.perf_counter()
        check_password("correct horse battery staple", encoded)
        took.append(1000 * (time.perf_counter() - began))
    yield Row("confirm a password: the hash alone", f"{statistics.median(took):.0f} ms", "", None)


def main(*_: Any) -> None:
    """Print the table."""
    print(printed(rows(), "Signing (medians of interleaved rounds; a ratio of 1 is level, more is faster)"))


if __name__ == "__main__":
    main()
