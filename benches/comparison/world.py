"""One repository, one sandbox, one state folder, and the program on them."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import connections

PROJECT = "bench"
TOKEN = "a-token-of-the-benchmark"


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def request(url, method="GET", token=None, codes=(200, 202, 204)):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    asked = urllib.request.Request(url, method=method, headers=headers)
    try:
        with urllib.request.urlopen(asked) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        if error.code in codes:
            return error.read()
        raise


def wait_for(what, seconds, check):
    """Polls until `check` gives something; a refused connection counts as nothing."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            found = check()
        except OSError:
            found = None
        if found:
            return found
        time.sleep(0.02)
    raise TimeoutError(what)


class Ran:
    """A process that ended: how long it took and the most memory that it had."""

    def __init__(self, command, env, codes=(0,), out=subprocess.DEVNULL):
        began = time.perf_counter()
        process = subprocess.Popen(command, env=env, stdout=out, stderr=subprocess.PIPE)
        error = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        self.seconds = time.perf_counter() - began
        self.code = process.returncode = os.waitstatus_to_exitcode(status)
        self.peak_mib = usage.ru_maxrss / 1024
        self.cpu = usage.ru_utime + usage.ru_stime
        if self.code not in codes:
            raise RuntimeError(f"{command} ended with {self.code}: {error.decode()[-2000:]}")


class World:
    def __init__(self, program, folder, count, *, latency=None, concurrency=8):
        self.program, self.folder, self.count = program, folder, count
        self.repository = os.path.join(folder, "repo.git")
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        self.make_repository()
        self.port, self.daemon_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.lists_url = f"{self.url}/apiops/projects/{PROJECT}/connections/"
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": folder,
            "APINIZER_TOKEN": TOKEN,
            "ADMIN_TOKEN": TOKEN,
            "BENCH_SECRET": "a-secret-of-the-benchmark",
            "APINIZER_GITOPS_CONFIG": self._config(concurrency),
        }
        command = [program, "sandbox", "--listen", f"127.0.0.1:{self.port}"]
        for project in self.projects():
            command += ["--project", project]
        if latency:
            command += ["--latency", latency]
        self.sandbox = subprocess.Popen(command, env=self.env, stdout=subprocess.DEVNULL)
        self.daemon = None
        wait_for("the sandbox", 10, lambda: request(f"{self.url}/sandbox/calls"))

    def make_repository(self):
        connections.make_repository(self.repository, self.count)

    def make_targets(self, common):
        """The targets; `common` is what each of them has."""
        return [{**common, "name": "bench", "project": PROJECT}]

    def projects(self):
        """The projects that the sandbox has; none: any."""
        return [PROJECT]

    def _config(self, concurrency):
        common = {
            "url": self.url,
            "token": "${env:APINIZER_TOKEN}",
            "vars": connections.VARS,
            "concurrency": concurrency,
            "resync": "1h",
            # Secrets that are due to be read back are not in these numbers.
            "verify_secrets": "24h",
        }
        config = {
            "source": {"path": self.repository},
            "state_dir": os.path.join(self.folder, "state"),
            "server": {"listen": f"127.0.0.1:{self.daemon_port}", "token": "${env:ADMIN_TOKEN}"},
            "targets": self.make_targets(common),
        }
        path = os.path.join(self.folder, "apinizer-gitops.yaml")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config, file, indent=2)
        return path

    def run(self, *arguments, codes=(0,)):
        return Ran([self.program, *arguments], self.env, codes)

    def populate(self):
        """Creates everything, so that live, git and the state agree."""
        applied = self.run("apply", "--yes", "-q")
        # The state learns the server's ids at the first look after the creates.
        self.run("apply", "--yes", "-q")
        return applied

    def curl(self):
        """The 14 lists over one connection, thrown away."""
        command = ["curl", "-sf", "-H", f"Authorization: Bearer {TOKEN}"]
        for kind in connections.TYPES:
            command += ["-o", "/dev/null", f"{self.lists_url}?type={kind}"]
        return Ran(command, self.env)

    def calls(self):
        return json.loads(request(f"{self.url}/sandbox/calls"))["calls"]

    def forget_calls(self):
        request(f"{self.url}/sandbox/calls", "DELETE")

    def one_call_ms(self):
        """How long one call takes a client that does nothing else, in milliseconds."""
        url = urllib.parse.urlsplit(self.lists_url)
        connection = http.client.HTTPConnection(url.netloc)
        took = []
        for _ in range(21):
            began = time.perf_counter()
            connection.request("GET", f"{url.path}?type=ldap", headers={"Authorization": f"Bearer {TOKEN}"})
            connection.getresponse().read()
            took.append(1000 * (time.perf_counter() - began))
        return sorted(took)[10]

    def clock_offset(self):
        """What has to be added to the sandbox's clock to have that of the machine, in seconds."""
        before = time.time()
        request(f"{self.lists_url}clock-probe/", token=TOKEN, codes=(200, 400, 404))
        after = time.time()
        probe = next(call for call in self.calls() if "clock-probe" in call["path"])
        self.forget_calls()
        return (before + after) / 2 - probe["after_ms"] / 1000

    def wait_for_put(self, name):
        """When the PUT of a connection arrived, by the sandbox's clock in milliseconds."""

        def put():
            found = [c for c in self.calls() if c["method"] == "PUT" and name in c["path"]]
            return found and found[0]["after_ms"]

        return wait_for(f"a PUT of {name}", 60, put)

    def start_daemon(self, patience=300):
        self.log = open(os.path.join(self.folder, "daemon.log"), "wb")
        command = [self.program, "run"]
        # As the image and the systemd unit start it.
        env = {**self.env, "MIMALLOC_PURGE_DELAY": "0"}
        self.daemon = subprocess.Popen(command, env=env, stderr=self.log, stdout=self.log)
        wait_for("the daemon", patience, lambda: self.passes()[0] >= 1)

    def passes(self):
        """How many reconciles the daemon made, and how long they took together."""
        text = request(f"http://127.0.0.1:{self.daemon_port}/metrics").decode()
        found = {"count": 0.0, "sum": 0.0}
        for line in text.splitlines():
            for part in found:
                if line.startswith(f"apinizer_gitops_reconcile_duration_seconds_{part}"):
                    found[part] = float(line.rsplit(" ", 1)[1])
        return found["count"], found["sum"]

    def resync(self, patience=300):
        """Has the daemon reconcile once; how long it took, as the daemon says."""
        count, before = self.passes()
        address = f"http://127.0.0.1:{self.daemon_port}/api/v1/reconcile"
        request(address, "POST", TOKEN)
        wait_for("a reconcile", patience, lambda: self.passes()[0] > count)
        return self.passes()[1] - before

    def daemon_status(self):
        with open(f"/proc/{self.daemon.pid}/status", encoding="utf-8") as file:
            lines = dict(line.split(":", 1) for line in file)
        with open(f"/proc/{self.daemon.pid}/stat", encoding="utf-8") as file:
            ticks = file.read().rsplit(")", 1)[1].split()[11:13]
        mib = {key: int(lines[key].split()[0]) / 1024 for key in ("VmRSS", "VmHWM")}
        return {**mib, "cpu": sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")}

    def stop_daemon(self):
        if self.daemon:
            self.daemon.terminate()
            self.daemon.wait(30)
            self.log.close()
            self.daemon = None

    def close(self):
        self.stop_daemon()
        self.sandbox.terminate()
        self.sandbox.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
