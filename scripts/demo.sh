#!/usr/bin/env bash
# WebGW end to end on this machine, through the public commands only, each process on its own.
# Usage: scripts/demo.sh [--keep]
#   --keep   leave everything running at the end and print what to try
# Environment: GW_NODE=path of a built gw-node (otherwise a release build is made).
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/install-deps.sh
source scripts/install-deps.sh

keep=false
case "${1:-}" in
"") ;;
--keep) keep=true ;;
*)
    echo "usage: scripts/demo.sh [--keep]" >&2
    exit 2
    ;;
esac

install_packages "${BUILD_PACKAGES[@]}" curl openssl python3

if [ -z "${GW_NODE:-}" ]; then
    need_swift
    echo "Building gw-node (release; the first time takes some minutes)"
    swift build -c release --static-swift-stdlib --product gw-node
    GW_NODE="$(swift build -c release --static-swift-stdlib --show-bin-path)/gw-node"
fi

# ---------------------------------------------------------------------------------------------------------------------
# Nothing is left behind: every process that was started ends, and its folder goes.

work="$(mktemp -d)"
pids=()
finished=false

# shellcheck disable=SC2329
clean_up() {
    local status=$?
    trap - EXIT INT TERM
    if [ "$finished" != true ] && [ "$status" -ne 0 ]; then
        echo
        echo "The demonstration failed; the last lines of each log:" >&2
        local log
        for log in "$work"/*.log; do
            [ -s "$log" ] || continue
            echo "--- $(basename "$log")" >&2
            tail -n 15 "$log" >&2
        done
    fi
    if [ "$finished" != true ] || [ "$keep" != true ]; then
        local pid
        for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
        for pid in "${pids[@]}"; do
            for _ in $(seq 50); do
                kill -0 "$pid" 2>/dev/null || break
                sleep 0.1
            done
            kill -KILL "$pid" 2>/dev/null || true
            wait "$pid" 2>/dev/null || true
        done
        rm -rf "$work"
    fi
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Commands read no profile and no state of the person who runs this.
export HOME="$work" XDG_CONFIG_HOME="$work/config" XDG_STATE_HOME="$work/state"
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
if [ ! -t 1 ] || [ -n "${NO_COLOR:-}" ]; then say() { printf '\n== %s\n' "$*"; }; fi
fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# Runs a command in the background; its output goes to NAME.log.
start() {
    local name="$1"
    shift
    "$@" >"$work/$name.out" 2>"$work/$name.log" &
    pids+=("$!")
    eval "pid_$name=$!"
}

# Waits until a command succeeds, at most SECONDS.
within() {
    local limit="$1" begin="$SECONDS"
    shift
    until "$@" >/dev/null 2>&1; do
        [ $((SECONDS - begin)) -lt "$limit" ] || return 1
        sleep 0.1
    done
}

# A member of a JSON document on standard input.
member() {
    python3 -c '
import json, sys
try:
    print(json.load(sys.stdin)[sys.argv[1]])
except (ValueError, KeyError):
    sys.exit("the command before did not answer as promised")' "$1"
}

# A port that is free on both loopback addresses.
free_port() {
    python3 - "$@" <<'PY'
import random, socket, sys
low, high = int(sys.argv[1]), int(sys.argv[2])
while True:
    port = random.randint(low, high)
    try:
        for host in ("127.0.0.1", "127.0.0.2"):
            with socket.socket() as probe:
                probe.bind((host, port))
        print(port)
        break
    except OSError:
        pass
PY
}

begin=$SECONDS
domain=gw.example.org
page_host="hello.$domain"
secure_host="secure.hello.$domain"
http_port="$(free_port 10000 14999)"
https_port="$(free_port 15000 19999)"
tunnel_port="$(free_port 30000 32000)"
leased_port="$(free_port 20000 29999)"

say "A private service: a page, an HTTPS page with its own certificate, and a TCP service"
mkdir "$work/page"
echo "Hello from the private network." >"$work/page/index.html"
openssl req -x509 -newkey ed25519 -nodes -days 1 -subj "/CN=$secure_host" -addext "subjectAltName=DNS:$secure_host" \
    -keyout "$work/workload.key" -out "$work/workload.pem" 2>/dev/null
cat >"$work/workload.py" <<'PY'
"""The private services of the demonstration; prints the ports it was given."""
import http.server, os, socketserver, ssl, sys, threading

folder, certificate, key = sys.argv[1:4]

class Page(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def __init__(self, *arguments):
        super().__init__(*arguments, directory=folder)
    def log_message(self, *_):
        pass

class Greeter(socketserver.StreamRequestHandler):
    def handle(self):
        name = self.rfile.readline(100).strip().decode("ascii", "replace")
        self.wfile.write(f"Good day, {name}, over the leased port.\n".encode())

class TCPServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

plain = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
secure = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
secure.socket = context.wrap_socket(secure.socket, server_side=True)
greeter = TCPServer(("127.0.0.1", 0), Greeter)
print(plain.server_address[1], secure.server_address[1], greeter.server_address[1], flush=True)
for server in (plain, secure):
    threading.Thread(target=server.serve_forever, daemon=True).start()
greeter.serve_forever()
PY
start workload python3 "$work/workload.py" "$work/page" "$work/workload.pem" "$work/workload.key"
within 10 test -s "$work/workload.out" || fail "the private service did not start"
read -r plain_port secure_port greet_port <"$work/workload.out"
echo "page on 127.0.0.1:$plain_port, HTTPS page on 127.0.0.1:$secure_port, greeter on 127.0.0.1:$greet_port"

say "A ledger"
ledger_id="$("$GW_NODE" ledger init "$work/ledger" --origin demo.example.org --dev --json | member ledger_id)"
start ledger "$GW_NODE" ledger serve "$work/ledger" --listen 127.0.0.1:0 --dev
within 10 grep -q '^listening on ' "$work/ledger.out" || fail "the ledger did not start"
ledger_url="$(sed -n 's/^listening on //p' "$work/ledger.out" | head -n 1)"
echo "ledger $ledger_id"
echo "listens on $ledger_url"
ledger=(--ledger "$ledger_url" --ledger-id "$ledger_id" --dev --log-level error)

# Registers a farmer, a farm and a gateway, and starts the gateway.
gateway() {
    local number="$1" address="$2" farm="$3"
    local farmer=("${ledger[@]}" --key "$work/farmer$number.key" --state "$work/farmer$number")
    "$GW_NODE" keys new "$work/farmer$number.key" >/dev/null
    "$GW_NODE" keys new "$work/node$number.key" >/dev/null
    "$GW_NODE" twin create "${farmer[@]}" >/dev/null
    "$GW_NODE" farm create --name "$farm" "${farmer[@]}" >/dev/null
    local id
    id="$("$GW_NODE" node register --farm "$farm" --node-key "$work/node$number.key" --name "gw$number" --domain "$domain" \
        --endpoint "tunnel=$address:$tunnel_port" --endpoint "http=$address:$http_port" \
        --endpoint "https=$address:$https_port" "${farmer[@]}" --json 2>/dev/null | member id)"
    eval "node_$number=$id"
    cat >"$work/gateway$number.yaml" <<YAML
ledger: { urls: ["$ledger_url"], id: "$ledger_id", dev: true }
node: { id: "$id", key: node$number.key }
state: gateway$number
bind:
  http: ["$address:$http_port"]
  https: ["$address:$https_port"]
  tunnel: ["$address:$tunnel_port"]
  ports: "$address"
  admin: "unix:admin$number.sock"
YAML
    start "gateway$number" "$GW_NODE" run --config "$work/gateway$number.yaml"
    echo "farm $farm, gateway gw$number on $address, node $id"
}

say "Two farmers, each with a gateway under $domain"
gateway 1 127.0.0.1 north
gateway 2 127.0.0.2 south

say "A user signs a contract"
user=("${ledger[@]}" --key "$work/user.key" --state "$work/user")
"$GW_NODE" keys new "$work/user.key" >/dev/null
"$GW_NODE" keys new "$work/agent.key" >/dev/null
"$GW_NODE" twin create "${user[@]}"
"$GW_NODE" name reserve hello "${user[@]}"
cat >"$work/contract.yaml" <<YAML
gateways: [north/gw1, south/gw2]
backends: [ { id: b1, key: agent.key.pub } ]
expose:
  - { id: web, kind: http, tls: none, hosts: [$page_host] }
  - { id: secure, kind: tls, hosts: [$secure_host] }
  - { id: greeter, kind: tcp, ports: [$leased_port] }
names: [hello]
drain: 1s
valid: 1h
YAML
cat "$work/contract.yaml"
contract="$("$GW_NODE" contract create "$work/contract.yaml" "${user[@]}" --json | member id)"
echo "contract $contract"

say "The agent dials out to both gateways"
start_agent() {
    start agent "$GW_NODE" tunnel --contract "$contract" "${ledger[@]}" --key "$work/agent.key" --state "$work/agent" \
        --json --forward "web=127.0.0.1:$plain_port" --forward "secure=127.0.0.1:$secure_port" \
        --forward "greeter=127.0.0.1:$greet_port"
}
start_agent

page_through() { curl -sS --max-time 5 --fail -H "Host: $page_host" "http://$1:$http_port/"; }
within 15 page_through 127.0.0.1 || fail "gateway 1 does not serve the page"
within 15 page_through 127.0.0.2 || fail "gateway 2 does not serve the page"
cat "$work/agent.out"

# Shows a command as a person would type it, then runs it.
show() {
    printf '$'
    printf ' %q' "$@"
    printf '\n'
    "$@"
}

say "The same page by Host, through gateway 1 and gateway 2"
for address in 127.0.0.1 127.0.0.2; do
    show curl -sS -i --max-time 5 --fail -H "Host: $page_host" "http://$address:$http_port/"
done

say "An HTTPS page by SNI; the certificate is the workload's own"
for address in 127.0.0.1 127.0.0.2; do
    show curl -sS --max-time 5 --fail --cacert "$work/workload.pem" --resolve "$secure_host:$https_port:$address" \
        "https://$secure_host:$https_port/"
    theirs="$(openssl s_client -connect "$address:$https_port" -servername "$secure_host" </dev/null 2>/dev/null |
        openssl x509 -noout -fingerprint -sha256)"
    ours="$(openssl x509 -in "$work/workload.pem" -noout -fingerprint -sha256)"
    [ "$theirs" = "$ours" ] || fail "the certificate at $address is not the workload's"
    echo "certificate at $address: $theirs (the workload's)"
done

greet() { python3 - "$1" "$leased_port" <<'PY'
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5) as connection:
    connection.sendall(b"visitor\n")
    answer = connection.makefile().readline()
    if not answer:
        sys.exit(1)
    print(answer, end="")
PY
}
say "A leased TCP port, $leased_port, on both gateways"
greet 127.0.0.1 || fail "the leased port of gateway 1 does not answer"
greet 127.0.0.2 || fail "the leased port of gateway 2 does not answer"

say "What the gateways reported, and what gateway 2 says about itself"
within 10 sh -c "'$GW_NODE' contract show $contract ${ledger[*]} --state '$work/user' | grep -c deployed | grep -qx 2" ||
    fail "the gateways did not report the contract as deployed"
"$GW_NODE" contract show "$contract" "${ledger[@]}" --state "$work/user"
"$GW_NODE" status --config "$work/gateway2.yaml"

say "Gateway 1 is killed; the page is still served by gateway 2"
# shellcheck disable=SC2154
kill -KILL "$pid_gateway1"
wait "$pid_gateway1" 2>/dev/null || true
if page_through 127.0.0.1 >/dev/null 2>&1; then fail "gateway 1 still answers"; fi
echo "gateway 1 is gone"
show curl -sS --max-time 5 --fail -H "Host: $page_host" "http://127.0.0.2:$http_port/"

say "The contract is canceled; the rest refuses within 5 s"
cancelled_at=$SECONDS
"$GW_NODE" contract cancel "$contract" "${user[@]}"
page_refused() { [ "$(curl -s -o /dev/null --max-time 2 -w '%{http_code}' -H "Host: $page_host" "http://127.0.0.2:$http_port/")" = 404 ]; }
secure_refused() { ! curl -s --max-time 2 --cacert "$work/workload.pem" --resolve "$secure_host:$https_port:127.0.0.2" \
    -o /dev/null "https://$secure_host:$https_port/"; }
port_refused() { ! greet 127.0.0.2; }
within 5 page_refused || fail "the page is still served"
within 5 secure_refused || fail "the HTTPS page is still served"
within 5 port_refused || fail "the leased port still answers"
[ $((SECONDS - cancelled_at)) -le 5 ] || fail "refusing took longer than 5 s"
show curl -sS -i --max-time 5 -H "Host: $page_host" "http://127.0.0.2:$http_port/"
echo "page, HTTPS page and leased port refuse, $((SECONDS - cancelled_at)) s after the command was given"

say "An auditor replays that very ledger"
"$GW_NODE" audit replay "$ledger_url" --ledger-id "$ledger_id" --dev | tee "$work/audit.txt"
curl -sS --fail "$ledger_url/checkpoint" >"$work/checkpoint"
"$GW_NODE" audit replay "$ledger_url" --ledger-id "$ledger_id" --dev --json >"$work/audit.json"
python3 - "$work/audit.json" "$work/checkpoint" <<'PY'
import base64, json, sys
audit = json.load(open(sys.argv[1]))
origin, size, root = open(sys.argv[2]).read().split("\n")[:3]
agrees = audit["size"] >= int(size)
if audit["size"] == int(size):
    agrees = audit["root"] in (base64.b64decode(root).hex(), root)
print(f"replayed {audit['size']} entries of {origin}: the root hash", "agrees" if agrees else "DIFFERS")
sys.exit(0 if agrees else 1)
PY

took=$((SECONDS - begin))
if [ "$keep" = true ]; then
    say "Everything comes up again, to stay (--keep)"
    start gateway1 "$GW_NODE" run --config "$work/gateway1.yaml"
    contract="$("$GW_NODE" contract create "$work/contract.yaml" "${user[@]}" --json | member id)"
    start_agent
    within 15 page_through 127.0.0.1 || fail "gateway 1 does not serve the page"
    within 15 page_through 127.0.0.2 || fail "gateway 2 does not serve the page"
    echo "contract $contract"
fi

finished=true
say "Done, in $took s"
if [ "$keep" = true ]; then
    alive=()
    for pid in "${pids[@]}"; do
        if kill -0 "$pid" 2>/dev/null; then alive+=("$pid"); fi
    done
    cat <<TXT
Ledger, both gateways, the agent and the private service are running; everything is in $work. Try:

  curl -i -H 'Host: $page_host' http://127.0.0.1:$http_port/
  curl --cacert $work/workload.pem --resolve $secure_host:$https_port:127.0.0.2 https://$secure_host:$https_port/

  export PATH="$(dirname "$GW_NODE"):\$PATH"
  L="--ledger $ledger_url --ledger-id $ledger_id --dev"
  gw-node status --config $work/gateway2.yaml
  gw-node expose 127.0.0.1:$plain_port --name again \$L --key $work/user.key --state $work/user
  gw-node contract cancel $contract \$L --key $work/user.key --state $work/user
  gw-node audit replay $ledger_url --ledger-id $ledger_id --dev

To end it: kill ${alive[*]}; rm -rf $work
TXT
fi
