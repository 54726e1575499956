"""Measures the ledger beside the bare rate of its signature checks. Called by scripts/bench-ledger.sh.

For each size, in one run and in turn: both cores verify the log's signatures and do nothing else; `audit replay` of the
folder of tiles, without and with a state file in SQLite; a gateway's watcher catches up over HTTP from a served ledger into its SQLite store; its store is opened
again; a command starts from an attested snapshot over HTTP; `ledger serve` opens the directory and takes submissions over kept connections.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time


def run(command, **options):
    """Runs a program; its last line of output, wall and CPU seconds, and peak resident MiB."""
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - begin
    if status != 0:
        sys.exit(f"{' '.join(command)} failed with {os.waitstatus_to_exitcode(status)}: {output}")
    lines = output.strip().splitlines()
    return lines[-1] if lines else "", wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


class Server:
    """`ledger serve` of a directory on a free port."""

    def __init__(self, gw_node, folder, log):
        begin = time.monotonic()
        self.log = open(log, "a")
        self.process = subprocess.Popen(
            [gw_node, "ledger", "serve", folder, "--listen", "127.0.0.1:0", "--dev", "--rate", "1000000"],
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        line = self.process.stdout.readline()
        if not line.startswith("listening on "):
            sys.exit(f"the ledger in {folder} is not served; see {log}")
        self.url = line.split()[2]
        self.port = self.url.rsplit(":", 1)[1]
        self.opening = time.monotonic() - begin

    def cpu(self):
        fields = open(f"/proc/{self.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        _, _, usage = os.wait4(self.process.pid, 0)
        self.log.close()
        return usage.ru_maxrss / 1024


def start_from_snapshot(options, server, ledger, served):
    """A command with an empty state folder that starts from an attested snapshot over HTTP, and the same command again."""
    key, state, log = (f"{options.work}/auditor.{name}" for name in ("key", "state", "log"))
    shutil.rmtree(state, ignore_errors=True)
    run([options.bench, "auditor", server.url, "--ledger", ledger, "--folder", served, "--key", key])
    command = [
        options.gw_node, "contract", "list", "--key", key, "--ledger", server.url, "--ledger-id", ledger, "--dev",
        "--snapshot", "--state", state, "--json", "--log-level", "info",
    ]
    results = []
    for _ in range(2):
        before = server.cpu()
        with open(log, "w") as errors:
            _, wall, cpu, memory = run(command, stderr=errors)
        results.append({"seconds": wall, "cpu": cpu, "mib": memory, "server_cpu": server.cpu() - before})
        if len(results) == 1 and "started from an attested snapshot" not in open(log).read():
            sys.exit(f"the command did not start from the snapshot; see {log}")
    shutil.rmtree(state, ignore_errors=True)
    return results


def measure(options, size):
    folder = f"{options.work}/{size}"
    if not os.path.exists(f"{folder}/log.json"):
        shutil.rmtree(folder, ignore_errors=True)
        end = int(time.time()) - 60
        run([options.bench, "make", folder, "--entries", str(size), "--end", str(end)])
    log = json.load(open(f"{folder}/log.json"))
    ledger, signatures = log["ledger_id"], log["signatures"]
    served = f"{options.work}/served"
    state = f"{options.work}/state"
    serve_log = f"{options.work}/serve.log"
    rounds = []
    for _ in range(options.runs):
        result = {}
        bare = []

        def verify():
            bare.append(json.loads(run([options.bench, "verify", f"{folder}/tiles"])[0]))

        replay = [options.gw_node, "audit", "replay", f"{folder}/tiles", "--ledger-id", ledger, "--dev", "--json"]
        audited = f"{options.work}/audit.state"
        for group, arguments in (("replay", []), ("replay_state", ["--state", audited])):
            verify()
            for path in (audited, f"{audited}-journal"):
                if os.path.exists(path):
                    os.remove(path)
            _, wall, cpu, memory = run(replay + arguments, stderr=subprocess.DEVNULL)
            result[group] = {"seconds": wall, "cpu": cpu, "mib": memory, "per_second": signatures / wall}
        os.remove(audited)
        verify()
        for path in (served, state):
            shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(f"{folder}/ledger", served)
        server = Server(options.gw_node, served, serve_log)
        follow = [options.bench, "follow", server.url, "--ledger", ledger, "--state", state]
        before = server.cpu()
        _, wall, cpu, memory = run(follow)
        result["follow"] = {
            "seconds": wall, "cpu": cpu, "server_cpu": server.cpu() - before, "mib": memory,
            "per_second": signatures / wall,
        }
        _, wall, cpu, memory = run(follow)
        result["reopen"] = {"seconds": wall, "cpu": cpu, "mib": memory}
        result["start"], result["start_reopen"] = start_from_snapshot(options, server, ledger, served)
        verify()
        requests = f"{options.work}/requests"
        run(
            [
                options.bench, "requests", requests, "--ledger", ledger, "--connections", str(options.connections),
                "--entries", str(options.posts), "--now", str(int(time.time()) - 120),
            ]
        )
        before = server.cpu()
        posted, wall, cpu, _ = run([options.post, server.port, requests])
        result["post"] = json.loads(posted) | {"client_cpu": cpu, "server_cpu": server.cpu() - before}
        result["serve"] = {"opening_seconds": server.opening, "mib": server.stop()}
        verify()
        os.remove(requests)
        result["bare"] = {
            key: statistics.median(each[key] for each in bare)
            for key in ("all_cores_per_second", "one_core_per_second", "cpu_us")
        }
        for group in ("replay", "replay_state", "follow"):
            result[group]["ratio"] = result[group]["per_second"] / result["bare"]["all_cores_per_second"]
        result["post"]["ratio"] = result["post"]["per_second"] / result["bare"]["one_core_per_second"]
        rounds.append(result)
    for path in (served, state):
        shutil.rmtree(path, ignore_errors=True)
    return {
        group: {key: statistics.median(each[group][key] for each in rounds) for key in rounds[0][group]}
        for group in rounds[0]
    } | {"entries": size, "signatures": signatures}


ROWS = [
    ("bare signature checks/s, all cores", "bare", "all_cores_per_second", "{:,.0f}"),
    ("bare signature checks/s, one core", "bare", "one_core_per_second", "{:,.0f}"),
    ("`audit replay`, s", "replay", "seconds", "{:.1f}"),
    ("signatures/s of replay / bare, all cores", "replay", "ratio", "{:.2f}"),
    ("peak memory of replay, MiB", "replay", "mib", "{:.0f}"),
    ("`audit replay --state`, s", "replay_state", "seconds", "{:.1f}"),
    ("signatures/s of it / bare, all cores", "replay_state", "ratio", "{:.2f}"),
    ("peak memory of it, MiB", "replay_state", "mib", "{:.0f}"),
    ("watcher catch-up over HTTP into SQLite, s", "follow", "seconds", "{:.1f}"),
    ("signatures/s of catch-up / bare, all cores", "follow", "ratio", "{:.2f}"),
    ("peak memory of the watcher, MiB", "follow", "mib", "{:.0f}"),
    ("watcher opens its store again, s", "reopen", "seconds", "{:.1f}"),
    ("start from a snapshot over HTTP, s", "start", "seconds", "{:.1f}"),
    ("the same, s of CPU", "start", "cpu", "{:.1f}"),
    ("peak memory of the start, MiB", "start", "mib", "{:.0f}"),
    ("a command opens that store again, s", "start_reopen", "seconds", "{:.1f}"),
    ("`ledger serve` opens, s", "serve", "opening_seconds", "{:.1f}"),
    ("entries/s by POST", "post", "per_second", "{:,.0f}"),
    ("POST / bare, one core", "post", "ratio", "{:.2f}"),
    ("p99 of a POST, ms", "post", "p99_ms", "{:.0f}"),
    ("peak memory of the server, MiB", "serve", "mib", "{:.0f}"),
]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--gw-node", required=True)
    parser.add_argument("--bench", required=True)
    parser.add_argument("--post", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--sizes", default="10000,100000,1000000")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--posts", type=int, default=50_000)
    parser.add_argument("--connections", type=int, default=500)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = [measure(options, int(size)) for size in options.sizes.split(",")]
    if options.json:
        print(json.dumps(results))
        return
    print("| entries | " + " | ".join(f"{each['entries']:,}" for each in results) + " |")
    print("|---|" + "---|" * len(results))
    for title, group, key, form in ROWS:
        print(f"| {title} | " + " | ".join(form.format(each[group][key]) for each in results) + " |")


main()
