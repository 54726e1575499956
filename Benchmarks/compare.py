#!/usr/bin/env python3
"""Measures WebGW's encrypted tunnel beside haproxy (one plaintext TCP hop) and ssh -R (aes128-gcm), and its data
connections (reverse-raw) beside haproxy with splice forced and without, in one run.

Everything listens on 127.0.0.1 inside a private network namespace with the same congestion control. All peers stay up;
every figure is taken in turn, A B C A B C, and the medians and the ratios of medians are printed. CPU that other
programs used during a measurement is recorded as `foreign` (in cores); a disturbed measurement is repeated.

  compare.py --gw-node FILE --work DIR [--runs 5] [--secs 2] [--idle 5000] [--json]
             [--only http,cps,bulk,idle,ping,raw,latency,loops,stalled,frozen,tls]

The part `ping` is measured at the origin itself too, without any hop.

In the part `raw` a connection begins with a TLS ClientHello, by whose name the gateway finds the exposure; haproxy passes it on.
What follows is plain text, so that no side's figure is bounded by the load generator's cryptography.

latency: one stream over a path that is 50 ms long each way. loops: a gateway with two loops beside one with one. stalled: eight
streams, alone and beside one whose visitor stopped reading. frozen: eight streams of one agent, alone and beside eight visitors who upload to another
agent that does not read any more. tls: a target over TLS (tls://) beside a plain one, one stream and idle connections; the origin encrypts
on the same cores. These five are of WebGW alone, and measured when they are named.
"""
import argparse
import copy
import hashlib
import json
import os
import re
import resource
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import time

ORIGIN, SECURE_ORIGIN, LEDGER, TUNNEL, SSHD = 18000, 18001, 18300, 18200, 18201
PORTS = {"direct": ORIGIN, "haproxy": 18100, "ssh": 18101, "webgw": 18102, "haproxy-splice": 18103, "webgw-raw": 18104}
TICK = os.sysconf("SC_CLK_TCK")
PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024
HERE = os.path.dirname(os.path.abspath(__file__))

HAPROXY = """global
    maxconn 5500
    {splice}
defaults
    mode tcp
    timeout connect 5s
    timeout client 120s
    timeout server 120s
    {option}
listen l
    bind 127.0.0.1:{port}
    server s 127.0.0.1:{origin}
"""

SSHD_CONFIG = """Port {port}
ListenAddress 127.0.0.1
HostKey {work}/ssh_host
AuthorizedKeysFile {work}/ssh_user.pub
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PidFile none
LogLevel ERROR
AllowTcpForwarding yes
"""


# ---- processes

def stat(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            text = file.read()
    except OSError:
        return None
    fields = text[text.rindex(")") + 2:].split()
    return int(fields[1]), int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])


def tree(roots):
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            found = stat(name)
            if found:
                children.setdefault(found[0], []).append(int(name))
    result, todo = [], list(roots)
    while todo:
        pid = todo.pop()
        result.append(pid)
        todo += children.get(pid, [])
    return result


def cpu_seconds(roots):
    total = 0
    for pid in tree(roots):
        found = stat(pid)
        if found:
            total += found[1] + found[2]
    return total / TICK


def resident_kib(roots):
    total = 0
    for pid in tree(roots):
        try:
            with open(f"/proc/{pid}/statm") as file:
                total += int(file.read().split()[1]) * PAGE_KIB
        except OSError:
            pass
    return total


def machine():
    with open("/proc/stat") as file:
        fields = list(map(int, file.readline().split()[1:]))
    return (sum(fields[:3]) + fields[5] + fields[6] + fields[7]) / TICK, sum(fields[:8]) / TICK


class Process:
    def __init__(self, argv, work, name):
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        self.log = open(f"{work}/{name}.log", "w")
        self.popen = subprocess.Popen(
            argv, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL, start_new_session=True, cwd=work,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)))
        self.pid = self.popen.pid

    def stop(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.pid, number)
                self.popen.wait(3)
                break
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                pass
        self.log.close()


def wait_for_port(port, seconds=20):
    deadline = time.time() + seconds
    while time.time() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit(f"compare: nothing listens on port {port} after {seconds} s")


# ---- peers: each gives its gateway and agent processes

class Direct:
    label = "direct, no hop"
    processes = ()

    def start(self, options):
        pass


class Haproxy:
    label = "haproxy, TCP, one plaintext hop"
    name, splice, option = "haproxy", "nosplice", ""

    def start(self, options):
        path = f"{options.work}/{self.name}.cfg"
        with open(path, "w") as file:
            file.write(HAPROXY.format(port=PORTS[self.name], origin=ORIGIN, splice=self.splice, option=self.option))
        self.processes = [Process(["haproxy", "-f", path, "-db"], options.work, self.name)]


class HaproxySplice(Haproxy):
    label = "haproxy, TCP, splice forced"
    name, splice, option = "haproxy-splice", "", "option splice-request\n    option splice-response"


class Ssh:
    label = "ssh -R, aes128-gcm, two hops"

    def start(self, options):
        work = options.work
        for name in ("ssh_host", "ssh_user"):
            if not os.path.exists(f"{work}/{name}"):
                subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{work}/{name}"], check=True)
        with open(f"{work}/sshd_config", "w") as file:
            file.write(SSHD_CONFIG.format(port=SSHD, work=work))
        os.makedirs("/run/sshd", exist_ok=True)
        server = Process(["/usr/sbin/sshd", "-D", "-f", f"{work}/sshd_config"], work, "sshd")
        wait_for_port(SSHD)
        client = Process(
            ["ssh", "-N", "-F", "/dev/null", "-i", f"{work}/ssh_user", "-p", str(SSHD), "-c", "aes128-gcm@openssh.com",
             "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
             "-o", "ExitOnForwardFailure=yes", "-R", f"127.0.0.1:{PORTS['ssh']}:127.0.0.1:{ORIGIN}",
             "root@127.0.0.1"], work, "ssh")
        self.processes = [server, client]


class WebGW:
    label = "WebGW, reverse-tls, two hops"
    ledger_port, tunnel, tunnel_bind, public, loops, folder = LEDGER, TUNNEL, TUNNEL, PORTS["webgw"], 1, "webgw"
    raw = PORTS["webgw-raw"]
    other = secure = None
    pin = ""

    def start(self, options):
        work = f"{options.work}/{self.folder}"
        LEDGER = self.ledger_port
        self.ledger = None
        if not os.path.exists(f"{work}/ready"):
            shutil.rmtree(work, ignore_errors=True)
            os.makedirs(work)
        script = os.path.join(HERE, "webgw-up.sh")
        environment = {**os.environ, "GW_NODE": options.gw_node, "LEDGER_PORT": str(LEDGER), "TUNNEL_PORT": str(self.tunnel),
                       "PUBLIC_PORT": str(self.public), "RAW_PORT": str(self.raw), "ORIGIN_PORT": str(ORIGIN),
                       "LOOPS": str(self.loops), "TUNNEL_BIND": str(self.tunnel_bind),
                       "OTHER_PORT": str(self.other or self.public)}
        if self.secure:
            environment.update(SECURE_PORT=str(self.secure), SECURE_ORIGIN_PORT=str(SECURE_ORIGIN), SECURE_PIN=self.pin)
        self.ledger = Process([options.gw_node, "ledger", "serve", f"{work}/ledger", "--dev", "--listen",
                               f"127.0.0.1:{LEDGER}"], work, "ledger") if os.path.exists(f"{work}/ready") else None
        if not self.ledger:
            subprocess.run([script, "init", work], env=environment, check=True)
            self.ledger = Process([options.gw_node, "ledger", "serve", f"{work}/ledger", "--dev", "--listen",
                                   f"127.0.0.1:{LEDGER}"], work, "ledger")
            wait_for_port(LEDGER)
            subprocess.run([script, "contract", work], env=environment, check=True)
        wait_for_port(LEDGER)
        gateway = Process([options.gw_node, "run", "--config", f"{work}/gateway.yaml"], work, "gateway")
        agent = Process([options.gw_node, "tunnel", "--config", f"{work}/agent.yaml"], work, "agent")
        self.processes = [gateway, agent]

    def stop(self):
        if self.ledger:
            self.ledger.stop()


class WebGWRaw(WebGW):
    label = "WebGW, reverse-raw, two hops"


class Distant(WebGW):
    label = "WebGW, agent 100 ms away"
    ledger_port, tunnel, tunnel_bind, public, folder = 18310, 18210, 18211, 18112, "distant"
    raw = 18114

    def start(self, options):
        self.path = Process([options.load, "delay", str(self.tunnel), str(self.tunnel_bind), "50"], options.work, "path")
        super().start(options)

    def stop(self):
        super().stop()
        self.path.stop()


class TwoLoops(WebGW):
    label = "WebGW, gateway with two loops"
    ledger_port, tunnel, tunnel_bind, public, loops, folder = 18320, 18220, 18220, 18122, 2, "loops"
    raw = 18124


class TwoAgents(WebGW):
    label = "WebGW, gateway with two agents"
    ledger_port, tunnel, tunnel_bind, public, folder = 18330, 18230, 18230, 18132, "agents"
    raw, other = 18134, 18133

    def start(self, options):
        super().start(options)
        work = f"{options.work}/{self.folder}"
        self.frozen = Process([options.gw_node, "tunnel", "--config", f"{work}/other-agent.yaml"], work, "other-agent")
        self.processes.append(self.frozen)


class SecureTarget(WebGW):
    label = "WebGW, targets plain and over TLS"
    ledger_port, tunnel, tunnel_bind, public, folder = 18340, 18240, 18240, 18142, "tls"
    raw, secure = 18144, 18143

    def start(self, options):
        certificate, key = f"{options.work}/origin.crt", f"{options.work}/origin.key"
        if not os.path.exists(certificate):
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                            "-days", "2", "-subj", "/CN=localhost", "-keyout", key, "-out", certificate], check=True,
                           capture_output=True)
        with open(certificate) as file:
            self.pin = hashlib.sha256(ssl.PEM_cert_to_DER_cert(file.read())).hexdigest()
        self.origin = Process([options.load, "serve", str(SECURE_ORIGIN), certificate, key], options.work, "secure-origin")
        super().start(options)

    def stop(self):
        super().stop()
        self.origin.stop()


PEERS = {"direct": Direct, "haproxy": Haproxy, "ssh": Ssh, "webgw": WebGW, "haproxy-splice": HaproxySplice, "webgw-raw": WebGWRaw}


def wait_for_answer(options, port, hello=()):
    deadline = time.time() + 20
    while time.time() < deadline:
        done = subprocess.run([options.load, "idle", str(port), "1", *hello], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True)
        if done.stdout.startswith('{"open":1'):
            return
        time.sleep(0.1)
    raise SystemExit(f"compare: nobody answers on port {port}")


class Running:
    def __init__(self, name, options, kind=None, hello=False):
        self.name, self.peer = name, (kind or PEERS[name])()
        self.hello = ["hello"] if hello else []
        self.port = kind.public if kind else PORTS[name]
        self.peer.start(options)
        wait_for_port(self.port)
        wait_for_answer(options, self.port, self.hello)

    @property
    def pids(self):
        return [process.pid for process in self.peer.processes]


    def stop(self):
        for process in reversed(self.peer.processes):
            process.stop()
        if hasattr(self.peer, "stop"):
            self.peer.stop()


# ---- measurements: each returns a dictionary with `value`, and `units` for the CPU cost

UNIT = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 6e7}


def wrk(running, options, close):
    argv = ["wrk", "-t1", "-c64", f"-d{options.secs}s", "--latency", "--timeout", "5s"]
    if close:
        argv += ["-H", "Connection: close"]
    text = subprocess.run(argv + [f"http://localhost:{running.port}/"], capture_output=True, text=True).stdout
    count, duration, unit = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m)", text).groups()
    latency = {p: float(v) * UNIT[u] for p, v, u in re.findall(r"(\d+)%\s+([\d.]+)(us|ms|s|m)", text)}
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    return {"value": int(count) / (float(duration) * UNIT[unit] / 1e6), "units": int(count),
            "p50_us": latency.get("50"), "p99_us": latency.get("99"),
            "errors": sum(map(int, errors.groups())) if errors else 0}


def raw_http(running, options):
    text = subprocess.run([options.load, "http", str(running.port), "64", str(options.secs), "hello"],
                          capture_output=True, text=True).stdout
    result = json.loads(text)
    return {"value": result["count"] / result["secs"], "units": result["count"], "p50_us": result["p50_us"],
            "p99_us": result["p99_us"], "errors": result["fails"]}


def bulk(running, options, streams, direction, warm=0.4):
    process = subprocess.Popen([options.load, "bulk", str(running.port), str(streams), direction, str(warm),
                                str(options.secs)] + running.hello, stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    before = cpu_seconds(running.pids)
    process.stdout.readline()
    after = cpu_seconds(running.pids)
    result = json.loads(process.stdout.readline())
    process.wait()
    time.sleep(0.2)
    return {"value": result["gbps"], "units": result["bytes"] / 1e9, "cpu": after - before, "errors": result["fails"]}


def ping(running, options):
    text = subprocess.run([options.load, "ping", str(running.port), "4000"], capture_output=True, text=True).stdout
    result = json.loads(text)
    return {"value": result["p50_us"], "p99_us": result["p99_us"], "units": 4000, "errors": 0}


def idle(running, options):
    before = resident_kib(running.pids)
    process = subprocess.Popen([options.load, "idle", str(running.port), str(options.idle)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    opened = json.loads(process.stdout.readline())
    time.sleep(0.7)
    grown = resident_kib(running.pids) - before
    process.stdin.close()
    process.wait()
    time.sleep(0.3)
    return {"value": grown / max(1, opened["open"]), "units": opened["open"], "errors": opened["bad"]}


def measured(running, options, function, tries=3):
    best = None
    for attempt in range(tries):
        busy0, wall0 = machine()
        own0 = cpu_seconds([os.getpid(), options.origin.pid])
        peer0 = cpu_seconds(running.pids)
        result = function()
        peer1 = cpu_seconds(running.pids)
        own1 = cpu_seconds([os.getpid(), options.origin.pid])
        busy1, wall1 = machine()
        result.setdefault("cpu", peer1 - peer0)
        # Peers are children of this process, so that own CPU holds theirs too.
        seconds = (wall1 - wall0) / os.cpu_count()
        result["foreign"] = round(max(0.0, (busy1 - busy0) - (own1 - own0)) / max(seconds, 0.01), 3)
        if best is None or result["foreign"] < best["foreign"]:
            best = result
        if best["foreign"] < 0.15:
            break
        time.sleep(1 + attempt)
    return best


FIGURES = {
    "http": ("keep-alive requests/s, 64 connections", "req/s", True, lambda r, o: wrk(r, o, False)),
    "cps": ("new connections/s, one request each", "conn/s", True, lambda r, o: wrk(r, o, True)),
    "bulk_1_down": ("one stream down", "GB/s", True, lambda r, o: bulk(r, o, 1, "down")),
    "bulk_1_up": ("one stream up", "GB/s", True, lambda r, o: bulk(r, o, 1, "up")),
    "bulk_8_down": ("eight streams down", "GB/s", True, lambda r, o: bulk(r, o, 8, "down")),
    "bulk_8_up": ("eight streams up", "GB/s", True, lambda r, o: bulk(r, o, 8, "up")),
    "ping": ("one connection, p50 of a request", "us", False, ping),
    "idle": ("userland memory per idle connection", "KiB", False, idle),
}


RAW_FIGURES = {
    "raw_http": ("keep-alive requests/s, 64 connections", "req/s", True, raw_http),
    "raw_bulk_1_down": FIGURES["bulk_1_down"], "raw_bulk_1_up": FIGURES["bulk_1_up"],
    "raw_bulk_8_down": FIGURES["bulk_8_down"], "raw_bulk_8_up": FIGURES["bulk_8_up"],
}
ALL_FIGURES = {**FIGURES, **RAW_FIGURES}
# Measured at the origin itself too.
DIRECT_TOO = {"ping"}


def summary(rows, cpu_scale):
    middle = lambda key: statistics.median(row[key] for row in rows)
    result = {"median": middle("value"), "all": [round(row["value"], 4) for row in rows], "foreign": middle("foreign"),
              "errors": max(row["errors"] for row in rows),
              "cpu": statistics.median(row["cpu"] / max(row["units"], 1e-9) for row in rows) * cpu_scale}
    if all(row.get("p99_us") for row in rows):
        result["p99_us"] = middle("p99_us")
    return result


def compare(names, wanted, figures, options, hello=False):
    """Takes each figure of each peer in turn; the last peer is WebGW."""
    peers = {name: Running(name, options, hello=hello) for name in names}
    try:
        for name in wanted:
            taken = [peer for peer in peers.values() if peer.name != "direct" or name in DIRECT_TOO]
            rows = {peer.name: [] for peer in taken}
            for peer in taken:
                subprocess.run([options.load, "ping", str(peer.port), "1000"] + peer.hello, capture_output=True)
            for _ in range(options.runs):
                for peer in taken:
                    rows[peer.name].append(
                        measured(peer, options, lambda: ALL_FIGURES[name][3](peer, options)))
            scale = 1.0 if "bulk" in name else 1e6
            figures[name] = {peer: summary(rows[peer], scale) for peer in rows}
            note(options, name, figures[name])
    finally:
        for peer in peers.values():
            peer.stop()


def run(options):
    parts = options.only.split(",")
    wanted = [name for name in FIGURES if name.split("_")[0] in parts]
    figures = {}
    tunnels = ["haproxy", "ssh", "webgw"]
    if wanted:
        compare(["direct", *tunnels], [name for name in wanted if name != "idle"], figures, options)
    if "raw" in parts:
        compare(["haproxy", "haproxy-splice", "webgw-raw"], RAW_FIGURES, figures, options, hello=True)
    if "idle" in wanted:
        rows = {peer: [] for peer in tunnels}
        for _ in range(options.runs):  # fresh processes each time: no grown pools
            for name in tunnels:
                peer = Running(name, options)
                try:
                    rows[name].append(measured(peer, options, lambda: idle(peer, options), tries=1))
                finally:
                    peer.stop()
        figures["idle"] = {peer: summary(rows[peer], 0.0) for peer in tunnels}
        note(options, "idle", figures["idle"])
    return figures


# ---- WebGW by itself: each returns a dictionary of numbers, medians where there are several runs

def latency(options):
    peer = Running("webgw", options, Distant)
    try:
        figures = {}
        for direction in ("down", "up"):
            rows = [measured(peer, options, lambda: bulk(peer, options, 1, direction, warm=3)) for _ in range(options.runs)]
            figures[f"{direction}_gbit_s"] = round(8 * statistics.median(row["value"] for row in rows), 3)
            figures[f"{direction}_foreign"] = statistics.median(row["foreign"] for row in rows)
        return figures
    finally:
        peer.stop()


def loops(options):
    peers = {"one": Running("webgw", options, WebGW), "two": Running("webgw", options, TwoLoops)}
    try:
        figures = {}
        for what, function in (("requests", lambda r: wrk(r, options, False)), ("connections", lambda r: wrk(r, options, True)),
                               ("eight_down", lambda r: bulk(r, options, 8, "down"))):
            rows = {name: [] for name in peers}
            for _ in range(options.runs):
                for name, peer in peers.items():
                    rows[name].append(measured(peer, options, lambda: function(peer)))
            middle = {name: statistics.median(row["value"] for row in rows[name]) for name in peers}
            figures[what] = {"one": round(middle["one"], 3), "two": round(middle["two"], 3),
                             "two_to_one": round(middle["two"] / middle["one"], 3),
                             "foreign": max(statistics.median(row["foreign"] for row in rows[name]) for name in peers)}
        return figures
    finally:
        for peer in peers.values():
            peer.stop()


def stalled(options):
    peer = Running("webgw", options, WebGW)
    try:
        rows = {"alone": [], "beside": []}
        growth = []
        measured(peer, options, lambda: bulk(peer, options, 8, "down"))
        for _ in range(options.runs):
            rows["alone"].append(measured(peer, options, lambda: bulk(peer, options, 8, "down")))
            before = resident_kib(peer.pids)
            with socket.socket() as visitor:
                visitor.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                visitor.connect(("127.0.0.1", peer.port))
                visitor.sendall(b"GET /bulk HTTP/1.1\r\nHost: a\r\n\r\n")
                time.sleep(0.5)
                growth.append(resident_kib(peer.pids) - before)
                rows["beside"].append(measured(peer, options, lambda: bulk(peer, options, 8, "down")))
        middle = {name: statistics.median(row["value"] for row in rows[name]) for name in rows}
        return {"alone_gb_s": round(middle["alone"], 3), "beside_gb_s": round(middle["beside"], 3),
                "beside_to_alone": round(middle["beside"] / middle["alone"], 3),
                "growth_kib": statistics.median(growth),
                "foreign": max(statistics.median(row["foreign"] for row in rows[name]) for name in rows)}
    finally:
        peer.stop()


def frozen(options):
    """The second agent is stopped by SIGSTOP while visitors upload to it. Its session is found dead after 5 s, so one measurement is taken
    of each stop."""
    peer = Running("webgw", options, TwoAgents)
    gateway = [peer.peer.processes[0].pid]
    rows = {f"{direction}_{name}": [] for direction in ("down", "up") for name in ("alone", "beside")}
    growth = []
    uploads = None
    try:
        for direction in ("down", "up"):
            measured(peer, options, lambda: bulk(peer, options, 8, direction))
            for _ in range(options.runs):
                rows[f"{direction}_alone"].append(measured(peer, options, lambda: bulk(peer, options, 8, direction)))
                wait_for_answer(options, peer.peer.other)
                uploads = subprocess.Popen([options.load, "bulk", str(peer.peer.other), "8", "up", "0.5", "60"],
                                           stdout=subprocess.PIPE, text=True)
                uploads.stdout.readline()
                before = resident_kib(gateway)
                os.kill(peer.peer.frozen.pid, signal.SIGSTOP)
                time.sleep(0.5)
                stuck = resident_kib(gateway)
                rows[f"{direction}_beside"].append(
                    measured(peer, options, lambda: bulk(peer, options, 8, direction), tries=1))
                growth.append(max(stuck, resident_kib(gateway)) - before)
                uploads.kill()
                uploads.wait()
                os.kill(peer.peer.frozen.pid, signal.SIGCONT)
        middle = {name: statistics.median(row["value"] for row in rows[name]) for name in rows}
        result = {f"{name}_gb_s": round(value, 3) for name, value in middle.items()}
        for direction in ("down", "up"):
            result[f"{direction}_beside_to_alone"] = round(middle[f"{direction}_beside"] / middle[f"{direction}_alone"], 3)
        result["gateway_growth_kib"] = statistics.median(growth)
        result["foreign"] = max(statistics.median(row["foreign"] for row in rows[name]) for name in rows)
        return result
    finally:
        if uploads:
            uploads.kill()
        os.kill(peer.peer.frozen.pid, signal.SIGCONT)
        peer.stop()


def tls(options):
    """Each idle figure is of fresh processes."""
    def both(peer):
        secure = copy.copy(peer)
        secure.port = peer.peer.secure
        wait_for_answer(options, secure.port)
        return {"plain": peer, "tls": secure}

    figures = {}
    peer = Running("webgw", options, SecureTarget)
    try:
        targets = both(peer)
        for direction in ("down", "up"):
            rows = {name: [] for name in targets}
            for _ in range(options.runs):
                for name, target in targets.items():
                    rows[name].append(measured(target, options, lambda: bulk(target, options, 1, direction)))
            figures[direction] = figure = {}
            for name in targets:
                figure[f"{name}_gb_s"] = round(statistics.median(row["value"] for row in rows[name]), 3)
                figure[f"{name}_cpu_s_per_gb"] = round(statistics.median(row["cpu"] / row["units"] for row in rows[name]), 3)
                figure[f"{name}_errors"] = sum(row["errors"] for row in rows[name])
            figure["tls_to_plain"] = round(figure["tls_gb_s"] / figure["plain_gb_s"], 3)
            figure["foreign"] = max(statistics.median(row["foreign"] for row in rows[name]) for name in rows)
    finally:
        peer.stop()
    rows = {"plain": [], "tls": []}
    for _ in range(options.runs):
        for name in rows:
            peer = Running("webgw", options, SecureTarget)
            try:
                target = both(peer)[name]
                rows[name].append(measured(target, options, lambda: idle(target, options), tries=1))
            finally:
                peer.stop()
    figures["idle"] = {f"{name}_kib": round(statistics.median(row["value"] for row in rows[name]), 3) for name in rows}
    figures["idle"]["open"] = min(row["units"] for name in rows for row in rows[name])
    return figures


OWN = {"latency": latency, "loops": loops, "stalled": stalled, "frozen": frozen, "tls": tls}


def note(options, name, figure):
    if options.json:
        return
    title, unit, larger, _ = ALL_FIGURES[name]
    mode = ", reverse-raw" if name in RAW_FIGURES else ""
    print(f"\n{title}{mode} [{unit}], {'more' if larger else 'less'} is better")
    webgw = list(figure)[-1]
    own = figure[webgw]["median"]
    for peer, row in figure.items():
        ratio = "" if peer == webgw else f"   WebGW is {own / max(row['median'], 1e-9):.2f} of it"
        cost = "" if name in ("idle",) else (f"   cpu {row['cpu']:.2f} s/GB" if "bulk" in name
                                               else f"   cpu {row['cpu']:.1f} us each")
        tail = f"   p99 {row['p99_us'] / 1000:.2f} ms" if "p99_us" in row else ""
        failed = f"   errors {row['errors']}" if row["errors"] else ""
        print(f"  {PEERS[peer].label:36} {row['median']:>12,.2f}{cost}{tail}{ratio}{failed}   foreign {row['foreign']:.2f}",
              flush=True)


def ratios(figures):
    result = {}
    for name, figure in figures.items():
        *others, webgw = figure
        own = figure[webgw]
        for peer in others:
            other = figure[peer]
            row = {"value": round(own["median"] / max(other["median"], 1e-9), 3)}
            if name != "idle" and other["cpu"] > 0:
                row["cpu"] = round(own["cpu"] / other["cpu"], 3)
            if "p99_us" in own and "p99_us" in other:
                row["p99"] = round(own["p99_us"] / other["p99_us"], 3)
            result[f"{name}/{peer}"] = row
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--gw-node", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--secs", type=float, default=2)
    parser.add_argument("--idle", type=int, default=5000)
    parser.add_argument("--only", default="http,cps,bulk,ping,idle,raw")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.secs = int(options.secs) if options.secs >= 1 else 1
    options.work = os.path.abspath(options.work)
    if not os.environ.get("WEBGW_BENCH_NAMESPACE"):
        script = ("ip link set lo up && sysctl -qw net.ipv4.tcp_congestion_control=reno "
                  'net.ipv4.ip_local_port_range="20000 60999" && exec "$@"')
        os.execvp("unshare", ["unshare", "-n", "sh", "-c", script, "sh", "env", "WEBGW_BENCH_NAMESPACE=1",
                              sys.executable, os.path.abspath(__file__), *sys.argv[1:]])
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    os.makedirs(options.work, exist_ok=True)
    options.load = f"{options.work}/load"
    subprocess.run(["cc", "-O2", "-pthread", "-o", options.load, f"{HERE}/load.c", "-lssl", "-lcrypto"], check=True)
    options.origin = Process([options.load, "serve", str(ORIGIN)], options.work, "origin")
    try:
        wait_for_port(ORIGIN)
        wanted = options.only.split(",")
        figures = run(options) if any(name.split("_")[0] in wanted for name in ALL_FIGURES) else {}
        own = {name: function(options) for name, function in OWN.items() if name in wanted}
    finally:
        options.origin.stop()
    if options.json:
        print(json.dumps({"figures": figures, "ratios": ratios(figures), "own": own}, indent=1))
    else:
        for name, row in own.items():
            print(f"\n{name}: {json.dumps(row)}")


if __name__ == "__main__":
    main()
