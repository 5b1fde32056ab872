"""The results as a table, a document and a plot."""

import math
import os
import platform
import re
import subprocess
import time

import fleet

PICTURE = "![Time and memory from a thousand connections to a hundred thousand](growth.svg)"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def rows(results):
    """What was measured, as (what, reached, goal) with the verdict."""
    found = []

    def add(what, reached, goal, is_reached):
        found.append((what, reached, goal, "yes" if is_reached else "**no**"))

    for plan in results.get("plan", []):
        curl, took, count = plan["curl"], plan["plan"], plan["connections"]
        add(
            f"`plan` of {count:,} in sync, cold, against `curl` of the same 14 lists",
            f"{took / curl:.1f} times ({1000 * took:.0f} ms to {1000 * curl:.0f} ms)",
            "50 times, for 10,000",
            took <= 50 * curl,
        )
        add("its calls", f"{plan['calls']}", "14", plan["calls"] == 14)
        add("its memory", f"{plan['peak_mib']:.0f} MiB", "300 MiB", plan["peak_mib"] < 300)
        script = plan["script"]
        goal = 2 if count >= 10_000 else 1
        add(
            "the same against an asyncio script (aiohttp, libyaml)",
            f"{took / script:.2f} times ({script:.2f} s)",
            "half" if goal == 2 else "1 time",
            script >= goal * took,
        )
        uri = plan["uri"]
        add(
            "the same against a loop of Ansible's `uri`, scaled",
            f"1/{uri / took:,.0f} ({uri:,.0f} s)",
            "",
            True,
        )
        resync = plan["resync"]
        add(
            f"a resync of the daemon, {count:,} unchanged, against that `curl`",
            f"{resync / curl:.1f} times ({1000 * resync:.0f} ms)",
            "25 times, for 10,000",
            resync <= 25 * curl,
        )
    if made := results.get("creates"):
        add(
            f"{made['count']:,} creates at 5 ms, {made['concurrency']} at once, of the ideal",
            f"{100 * made['efficiency']:.0f}%; {100 * made['efficiency'] * made['call_ms'] / 5:.0f}% of what "
            f"the sandbox's timer allows, whose 5 ms are {made['call_ms']:.1f} for a client that does nothing else",
            "90%",
            made["efficiency"] >= 0.9,
        )
    for first in results.get("first_write", []):
        goal = 0.4 if first["connections"] >= 10_000 else 0.15
        add(
            f"from a commit of one file among {first['connections']:,} to the first PUT",
            f"{1000 * first['seconds']:.0f} ms (worst of {first['rounds']}: {1000 * first['worst']:.0f} ms)",
            f"{1000 * goal:.0f} ms",
            first["seconds"] <= goal,
        )
    if idle := results.get("idle"):
        add(
            f"idle daemon, {idle['connections']:,} connections",
            f"{idle['rss_mib']:.1f} MiB resident, {1000 * idle['cpu_seconds']:.0f} ms of CPU in "
            f"{idle['watched_seconds']} s",
            # The system counts CPU in ticks of 10 ms.
            "40 MiB, none (one tick: 10 ms)",
            idle["rss_mib"] < 40 and round(idle["cpu_seconds"], 3) <= 0.01,
        )
    if points := results.get("growth"):
        few = min(points, key=lambda point: abs(point["connections"] - 10_000))
        many = points[-1]
        share = many["connections"] / few["connections"]
        of_both = f"for {many['connections']:,} against {few['connections']:,}"
        for what, key, unit in (
            ("time of `plan`", "plan_seconds", "s"),
            ("most memory of `plan`", "plan_peak_mib", "MiB"),
            ("most memory of the daemon", "daemon_peak_mib", "MiB"),
        ):
            times = many[key] / few[key]
            goal = 1.2 * share
            add(f"{what} {of_both}", f"{times:.1f} times ({many[key]:.2f} {unit})", f"{goal:.0f} times", times <= goal)
    if many := results.get("fleet"):
        of = f"a fleet of {many['targets']} targets of 100 on one Manager"
        cpu, calls, wait = many["round_cpu_seconds"], many["calls_of_a_target"], many["commit_to_write_ms"]
        add(f"{of}: a full round", f"{cpu:.1f} s of CPU in {many['round_seconds']:.1f} s", "3 s of CPU", cpu <= 3)
        add("its calls for a target", f"{calls:.0f}, {many['most_calls_at_once']} at once", "14, 8 at once",
            calls == 14 and many["most_calls_at_once"] <= fleet.CONCURRENCY)
        add(
            "its memory",
            f"{many['in_a_round_mib']:.0f} MiB in a round, {many['at_rest_mib']:.0f} at rest, "
            f"{many['peak_mib']:.0f} at most, beside a status of {many['kib_and_ms']['/api/v1/status'][0] / 1024:.0f} MiB",
            "250 MiB",
            many["in_a_round_mib"] < 250,
        )
        add(
            "from a commit that touches one target to the write",
            f"{wait:.0f} ms (worst {many['commit_to_write_worst_ms']:.0f} ms, "
            f"beside a round {many['commit_beside_a_round_worst_ms']:.0f} ms)",
            "500 ms",
            wait <= 500,
        )
    if itself := results.get("program"):
        start = itself["start_ms"] - itself["true_ms"]
        add(
            "the program: size, and start of `--version` beyond that of `true`",
            f"{itself['mib']:.1f} MiB, {start:.1f} ms",
            "",
            True,
        )
    return found


def table(results):
    lines = ["| measured | reached | goal (at most) | held |", "|---|---|---|---|"]
    lines += [f"| {what} | {reached} | {goal} | {held} |" for what, reached, goal, held in rows(results)]
    return "\n".join(lines)


def growth_table(points):
    lines = [
        "| connections | `plan` | its peak | resync | daemon at rest | its peak | first `apply` | its peak |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for point in points:
        lines.append(
            "| {connections:,} | {plan_seconds:.3f} s | {plan_peak_mib:.0f} MiB | {resync_seconds:.3f} s "
            "| {daemon_rss_mib:.0f} MiB | {daemon_peak_mib:.0f} MiB | {apply_seconds:.1f} s "
            "| {apply_peak_mib:.0f} MiB |".format(**point)
        )
    return "\n".join(lines)


def version(command):
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return said.strip().splitlines()[0]


def machine(program, venv):
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = re.search(r"model name\s*: (.*)", file.read())
    with open("/proc/meminfo", encoding="utf-8") as file:
        memory = int(file.readline().split()[1]) / 1024 / 1024
    python = os.path.join(venv, "bin", "python")
    freeze = subprocess.run([python, "-m", "pip", "freeze"], capture_output=True, text=True, check=True)
    wanted = [
        line.replace("==", " ")
        for line in freeze.stdout.splitlines()
        if line.lower().startswith(("aiohttp==", "pyyaml==", "ansible-core=="))
    ]
    versions = [version([program, "--version"]), version(["rustc", "--version"])]
    versions += [version(["curl", "--version"]).split(" (")[0], version(["git", "--version"])]
    versions += [f"Python {platform.python_version()}", *wanted]
    load = os.getloadavg()
    return (
        f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores ({model[1] if model else platform.machine()}), "
        f"{memory:.0f} GiB, Linux {platform.release()}, load {load[0]:.1f}; {', '.join(versions)}."
    )


def write(root, results, program, venv):
    """Puts what was measured between the two markers of docs/performance.md, and draws the plot."""
    path = os.path.join(root, "docs", "performance.md")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    measured = f"\n{machine(program, venv)}\n\n{table(results)}\n\n{growth_table(results['growth'])}\n\n{PICTURE}\n\n"
    with open(path, "w", encoding="utf-8") as file:
        file.write(before + BEGIN + measured + END + after)
    with open(os.path.join(root, "docs", "growth.svg"), "w", encoding="utf-8") as file:
        file.write(plot(results["growth"]))


def plot(points):
    """Time and memory over the number of connections, both axes logarithmic."""
    width, height, left, top = 360, 260, 56, 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * (width + 80)} {height + 90}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{2 * (width + 80)}" height="{height + 90}" fill="white"/>',
    ]
    panels = [
        ("seconds", [("plan_seconds", "plan", "#1f77b4"), ("resync_seconds", "resync", "#d95f02")]),
        ("MiB", [("plan_peak_mib", "plan, most", "#1f77b4"), ("daemon_peak_mib", "daemon, most", "#d95f02"),
                 ("daemon_rss_mib", "daemon at rest", "#7570b3")]),
    ]
    low_x, high_x = math.log10(points[0]["connections"]), math.log10(points[-1]["connections"])
    for panel, (unit, lines) in enumerate(panels):
        shift = panel * (width + 80) + left
        values = [point[key] for key, _, _ in lines for point in points]
        low = math.floor(math.log10(min(values)))
        high = math.ceil(math.log10(max(values)))

        def x(count, shift=shift):
            return shift + (math.log10(count) - low_x) / (high_x - low_x) * width

        def y(value, low=low, high=high):
            return top + height - (math.log10(value) - low) / (high - low) * height

        for power in range(low, high + 1):
            at = y(10**power)
            parts.append(f'<path d="M{shift} {at:.1f}h{width}" stroke="#ddd"/>')
            parts.append(f'<text x="{shift - 6}" y="{at + 4:.1f}" text-anchor="end">{10.0**power:g}</text>')
        for power in range(math.ceil(low_x), math.floor(high_x) + 1):
            at = x(10**power)
            parts.append(f'<path d="M{at:.1f} {top}v{height}" stroke="#ddd"/>')
            parts.append(f'<text x="{at:.1f}" y="{top + height + 18}" text-anchor="middle">{10**power:,}</text>')
        parts.append(f'<text x="{shift}" y="{top - 10}" font-weight="bold">{unit}</text>')
        for number, (key, label, color) in enumerate(lines):
            path = "L".join(f"{x(p['connections']):.1f} {y(p[key]):.1f}" for p in points)
            parts.append(f'<path d="M{path}" fill="none" stroke="{color}" stroke-width="2"/>')
            parts += [
                f'<circle cx="{x(p["connections"]):.1f}" cy="{y(p[key]):.1f}" r="3" fill="{color}"/>'
                for p in points
            ]
            parts.append(
                f'<text x="{shift + 8}" y="{top + 16 + 16 * number}" fill="{color}">{label}</text>'
            )
        parts.append(
            f'<text x="{shift + width / 2}" y="{top + height + 40}" text-anchor="middle">connections</text>'
        )
    return "\n".join(parts) + "\n</svg>\n"
