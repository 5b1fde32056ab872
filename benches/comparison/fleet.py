"""One daemon with a fleet: many targets of 100 connections each on one Manager."""

import os
import statistics
import subprocess
import time

import connections
from world import TOKEN, World, request, wait_for

EACH = 100
CONCURRENCY = 8


class Fleet(World):
    """A world of many targets, each with a folder and a project of its own."""

    def __init__(self, program, folder, targets):
        self.targets = targets
        super().__init__(program, folder, targets * EACH, concurrency=CONCURRENCY)

    def make_repository(self):
        files = ((self.path(i), connections.document(i)) for i in range(self.count))
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", self.repository], check=True)
        connections.commit(self.repository, files, "All connections", None)
        subprocess.run(["git", "-C", self.repository, "gc", "-q"], check=True)

    def path(self, number):
        return f"fleet/{self.name(number // EACH)}/{connections.name(number)}.yaml"

    def name(self, target):
        return f"target-{target:03}"

    def make_targets(self, common):
        return [
            {**common, "name": self.name(i), "project": self.name(i), "paths": [f"fleet/{self.name(i)}"]}
            for i in range(self.targets)
        ]

    def projects(self):
        return []

    def passes(self):
        """How many reconciles the daemon made on all targets."""
        text = request(f"http://127.0.0.1:{self.daemon_port}/metrics").decode()
        lines = [line for line in text.splitlines() if "_reconcile_duration_seconds_count" in line]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if not line.startswith("#")), 0

    def wait_for_all(self):
        status = f"http://127.0.0.1:{self.daemon_port}/readyz"
        wait_for("every target", 300, lambda: request(status, codes=(503,)) and self.passes()[0] >= self.targets)

    def page(self, path):
        """The size of an answer in KiB, and how long it took in milliseconds."""
        began = time.perf_counter()
        body = request(f"http://127.0.0.1:{self.daemon_port}{path}")
        return len(body) / 1024, 1000 * (time.perf_counter() - began)


def a_round(fleet):
    """One reconcile of every target: CPU and wall in seconds, calls, and the most at once."""
    fleet.forget_calls()
    passes, before, began = fleet.passes()[0], fleet.daemon_status()["cpu"], time.perf_counter()
    request(f"http://127.0.0.1:{fleet.daemon_port}/api/v1/reconcile", "POST", TOKEN)
    # The sandbox is asked, since drawing the metrics of a fleet costs the daemon more than a reconcile.
    while len(fleet.calls()) < 14 * fleet.targets:
        time.sleep(0.2)
    wall = time.perf_counter() - began
    time.sleep(1)
    cpu = fleet.daemon_status()["cpu"] - before
    calls = fleet.calls()
    assert fleet.passes()[0] >= passes + fleet.targets, "the round is not over"
    return {"cpu": cpu, "wall": wall, "calls": len(calls), "at_once": max(c["at_once"] for c in calls)}


def quiet(fleet):
    """Waits until no call has been made for two seconds."""
    before = -1
    while (now := len(fleet.calls())) != before:
        before = now
        time.sleep(2)


def wait_of_commit(fleet, round_, beside=False):
    """From a commit that changes one file of one target to its PUT, in milliseconds; `beside` a round."""
    number = (round_ * 37 + 5) % fleet.targets * EACH
    quiet(fleet)
    fleet.forget_calls()
    offset = fleet.clock_offset()
    if beside:
        request(f"http://127.0.0.1:{fleet.daemon_port}/api/v1/reconcile", "POST", TOKEN)
        time.sleep(0.5)
    changed = (fleet.path(number), connections.document(number, f"Round {round_}"))
    connections.commit(fleet.repository, [changed], "One file", "refs/heads/main^0")
    committed = os.stat(os.path.join(fleet.repository, "refs/heads/main")).st_mtime
    return 1000 * (fleet.wait_for_put(connections.name(number)) / 1000 + offset - committed)


def measure(fleet):
    fleet.populate()
    fleet.start_daemon()
    fleet.wait_for_all()
    rounds = [a_round(fleet) for _ in range(3)]
    in_a_round = fleet.daemon_status()["VmHWM"]
    quiet(fleet)
    time.sleep(15)
    at_rest = fleet.daemon_status()
    waits = [wait_of_commit(fleet, round_) for round_ in range(5)]
    beside = [wait_of_commit(fleet, round_, beside=True) for round_ in range(5, 10)]
    quiet(fleet)
    time.sleep(15)
    after = fleet.daemon_status()
    pages = {path: fleet.page(path) for path in ("/", f"/?target={fleet.name(0)}", "/api/v1/status")}
    return {
        "targets": fleet.targets,
        "round_cpu_seconds": statistics.median(one["cpu"] for one in rounds),
        "round_seconds": statistics.median(one["wall"] for one in rounds),
        "calls_of_a_target": rounds[-1]["calls"] / fleet.targets,
        "most_calls_at_once": max(one["at_once"] for one in rounds),
        "in_a_round_mib": in_a_round,
        "at_rest_mib": at_rest["VmRSS"],
        "after_commits_mib": after["VmRSS"],
        "peak_mib": after["VmHWM"],
        "commit_to_write_ms": statistics.median(waits),
        "commit_to_write_worst_ms": max(waits),
        "commit_beside_a_round_worst_ms": max(beside),
        "kib_and_ms": pages,
    }
