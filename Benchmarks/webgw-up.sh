#!/bin/sh
# Prepares the benchmark's ledger, gateway and agent through the public commands.
#   webgw-up.sh init DIR       a new development ledger
#   webgw-up.sh contract DIR   with the ledger up: farmer, node, user, a contract that leases PUBLIC_PORT, and one of mode
#                              reverse-raw for raw.gw.bench.example, which is served on RAW_PORT; with OTHER_PORT a contract of
#                              another agent too, which leases that port; with SECURE_PORT the first contract leases that
#                              port too, whose target is the TLS server at SECURE_ORIGIN_PORT with the certificate SECURE_PIN
# Reads GW_NODE, LEDGER_PORT, TUNNEL_PORT, PUBLIC_PORT, RAW_PORT, OTHER_PORT, ORIGIN_PORT; TUNNEL_BIND where the gateway listens elsewhere than
# agents dial, and LOOPS of the gateway.
set -eu
step=$1
cd "$2"

member() { sed -n "s/.*\"$1\" *: *\"\([0-9a-f]*\)\".*/\1/p" | head -n 1; }

if [ "$step" = init ]; then
    "$GW_NODE" ledger init ledger --origin bench.example/ledger --dev --json | member ledger_id >ledger.id
    exit 0
fi

id=$(cat ledger.id)
common="--ledger http://127.0.0.1:$LEDGER_PORT --ledger-id $id --dev --json"
other_port=${OTHER_PORT:-$PUBLIC_PORT}
secure_expose='' secure_target=''
if [ -n "${SECURE_PORT:-}" ]; then
    secure_expose="- { id: secure, kind: tcp, ports: [$SECURE_PORT], backends: [b1] }"
    secure_target="secure: { to: \"tls://127.0.0.1:$SECURE_ORIGIN_PORT\", pin: \"sha256:$SECURE_PIN\" }"
fi
for name in farmer node user agent other; do "$GW_NODE" keys new "$name.key" --json >/dev/null; done
# Unquoted on purpose: $common is a list of words without spaces inside.
# shellcheck disable=SC2086
{
    "$GW_NODE" twin create --key farmer.key --state state-farmer $common >/dev/null
    "$GW_NODE" twin create --key user.key --state state-user $common >/dev/null
    farm=$("$GW_NODE" farm create --name bench-farm --key farmer.key --state state-farmer $common | member id)
    printf '{ kinds: [tcp, tls], modes: [reverse-raw, reverse-tls], tcp: [{ from: %s, to: %s }], conns: 100000, bps: 1000000000000 }\n' \
        "$PUBLIC_PORT" "${SECURE_PORT:-$other_port}" >offer.yaml
    node=$("$GW_NODE" node register --farm "$farm" --node-key node.key --name bench-node --domain gw.bench.example \
        --endpoint "tunnel=127.0.0.1:$TUNNEL_PORT" --offer offer.yaml --key farmer.key --state state-farmer $common |
        member id)
    cat >contract.yaml <<YAML
gateways: ["$node"]
conn: reverse-tls
backends: [ { id: b1, key: agent.key.pub, weight: 100 } ]
expose:
  - { id: origin, kind: tcp, ports: [$PUBLIC_PORT], backends: [b1] }
  $secure_expose
limits: { conns: 100000, bps: 1Tbit }
valid: 30d
YAML
    contract=$("$GW_NODE" contract create contract.yaml --key user.key --state state-user $common | member id)
    "$GW_NODE" name reserve raw --key user.key --state state-user $common >/dev/null
    cat >raw.yaml <<YAML
gateways: ["$node"]
conn: reverse-raw
backends: [ { id: b1, key: agent.key.pub, weight: 100 } ]
expose:
  - { id: origin, kind: tls, hosts: [raw.gw.bench.example] }
names: [raw]
limits: { conns: 100000, bps: 1Tbit }
valid: 30d
YAML
    raw=$("$GW_NODE" contract create raw.yaml --key user.key --state state-user $common | member id)
    if [ "$other_port" != "$PUBLIC_PORT" ]; then
        sed -e "s/agent.key.pub/other.key.pub/" -e "s/ports: .$PUBLIC_PORT./ports: [$other_port]/" contract.yaml >other.yaml
        other=$("$GW_NODE" contract create other.yaml --key user.key --state state-user $common | member id)
    fi
}
cat >gateway.yaml <<YAML
ledger: { urls: ["http://127.0.0.1:$LEDGER_PORT"], id: "$id", dev: true }
node: { id: "$node", key: node.key }
state: state-node
bind:
  tunnel: ["127.0.0.1:${TUNNEL_BIND:-$TUNNEL_PORT}"]
  https: ["127.0.0.1:$RAW_PORT"]
  ports: "127.0.0.1"
loops: ${LOOPS:-1}
YAML
cat >agent.yaml <<YAML
ledger: { urls: ["http://127.0.0.1:$LEDGER_PORT"], id: "$id", dev: true }
key: agent.key
state: state-agent
contracts:
  "$contract":
    origin: "127.0.0.1:$ORIGIN_PORT"
    $secure_target
  "$raw": { origin: "127.0.0.1:$ORIGIN_PORT" }
slots: 2
YAML
cat >other-agent.yaml <<YAML
ledger: { urls: ["http://127.0.0.1:$LEDGER_PORT"], id: "$id", dev: true }
key: other.key
state: state-other
contracts:
  "${other:-$contract}": { origin: "127.0.0.1:$ORIGIN_PORT" }
slots: 2
YAML
touch ready
