#!/bin/bash
# Restante itself, from this tree, with accounts user1 … userN in a data folder of its own.
#   restante.sh start --dir DIR --port BASE [--users N] [--two-processes]
#   restante.sh restart --dir DIR [--empty-cache]
# DIR/store.toml, if it is there, says what its store is.
# With --two-processes there are two of it on the same ports.
# IMAP listens on BASE, LMTP on BASE+1, IMAP over TLS on BASE+2. SERVE_NODE_OPTIONS goes to the server's Node.
. "$(dirname "$0")/common.sh"

PASS=bench-password DOMAIN=bench.example
ROOT=$(cd "$(dirname "$SELF")/../../.." && pwd)
PATH=$ROOT/node_modules/.bin:$PATH
MAIN=$ROOT/apps/cli/src/main.ts
CONF=$DIR/restante.toml

# Arguments: main.ts, the configuration, how many. One takes the shell's place; of more the shell is the root.
SERVE='
  [ "$3" = 1 ] && exec node "$1" serve --config "$2"
  trap "kill \$(jobs -p)" TERM
  for _ in $(seq "$3"); do node "$1" serve --config "$2" & done
  wait
  wait
'

setup() {
  [ -n "$PORT" ] || die "--port is needed"
  local processes=1
  case " ${FLAGS[*]-} " in *" --two-processes "*) processes=2 ;; esac
  mkdir -p "$DIR/run" "$DIR/data"
  cat >"$CONF" <<CONFIG
[server]
data = "$DIR/data"
share_ports = $([ $processes = 1 ] && echo false || echo true)
[imap]
listen = ["127.0.0.1:$PORT"]
[imaps]
listen = ["127.0.0.1:$((PORT + 2))"]
[lmtp]
listen = ["127.0.0.1:$((PORT + 1))"]
CONFIG
  if [ -f "$DIR/store.toml" ]; then cat "$DIR/store.toml" >>"$CONF"; fi
  echo "PORT=$PORT USERS=$USERS PROCESSES=$processes" >"$DIR/settings"
  # Argon2 takes 64 MiB and most of a core for each account.
  seq 1 "$USERS" | RESTANTE_PASSWORD=$PASS xargs -P 2 -I{} node "$MAIN" account add "user{}@$DOMAIN" --config "$CONF" >"$DIR/accounts.log"
}

start() {
  . "$DIR/settings"
  case " ${FLAGS[*]-} " in *" --empty-cache "*) rm -rf "$DIR/data/cache" ;; esac
  NODE_OPTIONS=${SERVE_NODE_OPTIONS:-} nohup bash -c "$SERVE" restante "$MAIN" "$CONF" "$PROCESSES" >"$DIR/server.log" 2>&1 </dev/null &
  echo $! >"$PIDFILE"
  # Each says so when it listens.
  until [ "$(grep -c "Restante is ready" "$DIR/server.log")" = "$PROCESSES" ]; do
    # Its command line is still this script's for a moment: only whether it lives is asked.
    kill -0 $! 2>/dev/null || die "it ended: $(tail -n 3 "$DIR/server.log")"
    sleep 0.05
  done
  endpoint restante "$PORT" $((PORT + 1)) "$DIR/data" \
    "this tree, $([ "$PROCESSES" = 1 ] && echo "one process" || echo "two processes"); passwords Argon2id (64 MiB, 3 passes)"
}

dispatch start setup
