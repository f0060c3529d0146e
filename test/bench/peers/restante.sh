#!/bin/bash
# Restante itself, from this tree, with accounts user1 … userN in a data folder of its own.
#   restante.sh start --dir DIR --port BASE [--users N]
#   restante.sh restart --dir DIR [--empty-cache]
# DIR/store.toml, if it is there, says what its store is.
# IMAP listens on BASE, LMTP on BASE+1, IMAP over TLS on BASE+2. SERVE_NODE_OPTIONS goes to the server's Node.
. "$(dirname "$0")/common.sh"

PASS=bench-password DOMAIN=bench.example
ROOT=$(cd "$(dirname "$SELF")/../../.." && pwd)
PATH=$ROOT/node_modules/.bin:$PATH
MAIN=$ROOT/apps/cli/src/main.ts
CONF=$DIR/restante.toml

setup() {
  [ -n "$PORT" ] || die "--port is needed"
  mkdir -p "$DIR/run" "$DIR/data"
  cat >"$CONF" <<CONFIG
[server]
data = "$DIR/data"
[imap]
listen = ["127.0.0.1:$PORT"]
[imaps]
listen = ["127.0.0.1:$((PORT + 2))"]
[lmtp]
listen = ["127.0.0.1:$((PORT + 1))"]
CONFIG
  if [ -f "$DIR/store.toml" ]; then cat "$DIR/store.toml" >>"$CONF"; fi
  echo "PORT=$PORT USERS=$USERS" >"$DIR/settings"
  # Argon2 takes 64 MiB and most of a core for each account.
  seq 1 "$USERS" | RESTANTE_PASSWORD=$PASS xargs -P 2 -I{} node "$MAIN" account add "user{}@$DOMAIN" --config "$CONF" >"$DIR/accounts.log"
}

start() {
  . "$DIR/settings"
  case " ${FLAGS[*]-} " in *" --empty-cache "*) rm -rf "$DIR/data/cache" ;; esac
  NODE_OPTIONS=${SERVE_NODE_OPTIONS:-} nohup node "$MAIN" serve --config "$CONF" >>"$DIR/server.log" 2>&1 </dev/null &
  echo $! >"$PIDFILE"
  wait_port "$PORT"
  wait_port $((PORT + 1))
  endpoint restante "$PORT" $((PORT + 1)) "$DIR/data" \
    "this tree, one process; passwords Argon2id (64 MiB, 3 passes)"
}

dispatch start setup
