#!/bin/bash
# Cyrus out of Debian's packages, in a small Debian of its own: the machine's Dovecot and it exclude one another.
#   cyrus.sh start --dir DIR --port BASE [--suite trixie|bookworm] [--http] [--smarthost PORT] [--users N]
#   cyrus.sh prepare --dir DIR [--suite …]
# IMAP listens on BASE, LMTP on BASE+1, JMAP in clear on BASE+2. trixie has Cyrus 3.10, bookworm 3.6. --http turns JMAP on, with
# conversations and a full-text index that is kept up as mail comes. What is submitted goes to a smarthost on loopback.
# Cyrus leaves Nagle's algorithm on: under quickack.sh it does not wait for the client's delayed acknowledgement.
. "$(dirname "$0")/common.sh"

SUITE=trixie HTTP= SMARTHOST=25
set -- ${FLAGS[@]+"${FLAGS[@]}"}
while [ $# -gt 0 ]; do
  case $1 in
    --suite) SUITE=$2; shift 2 ;;
    --smarthost) SMARTHOST=$2; shift 2 ;;
    --http) HTTP=1; shift ;;
    *) die "what is $1?" ;;
  esac
done

BIN=/usr/lib/cyrus/bin
CHROOT=$(dirname "$SELF")/chroot.sh

# cyrus-caldav has the HTTP server.
root() {
  "$CHROOT" make "$SUITE-cyrus" "$SUITE" cyrus-imapd cyrus-common cyrus-caldav sasl2-bin
}

setup() {
  [ -n "$PORT" ] || die "--port is needed"
  local root
  root=$(root)
  mkdir -p "$DIR/run" "$DIR/tmp" "$DIR/spool" "$DIR/search" "$DIR"/conf/{db,db.backup1,db.backup2,socket,proc,lock,log,msg,ptclient,quota,user,sieve,sync}
  cat >"$DIR/imapd.conf" <<CONFIG
configdirectory: $DIR/conf
partition-default: $DIR/spool
defaultpartition: default
servername: bench
admins: cyrus
allowplaintext: yes
allowanonymouslogin: no
unixhierarchysep: yes
altnamespace: yes
munge8bit: no
reject8bit: no
autocreate_users: anyone
autocreate_post: yes
autocreate_quota: 0
autocreate_inbox_folders: Archive | Drafts | Junk | Sent | Trash
autocreate_subscribe_folders: Archive | Drafts | Junk | Sent | Trash
xlist-Archive: Archive
xlist-Drafts: Drafts
xlist-Junk: Junk
xlist-Sent: Sent
xlist-Trash: Trash
duplicatesuppression: no
idlesocket: $DIR/conf/socket/idle
lmtpsocket: $DIR/conf/socket/lmtp
proc_path: $DIR/conf/proc
mboxname_lockpath: $DIR/conf/lock
temp_path: $DIR/tmp
maxlogins_per_host: 0
maxlogins_per_user: 0
imapidlepoll: 60
specialusealways: yes
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: $DIR/sasldb2
sasl_mech_list: PLAIN LOGIN
tls_sessions_db_path: $DIR/conf/tls_sessions.db
sievedir: $DIR/conf/sieve
conversations: yes
conversations_counted_flags: \\Draft \\Flagged
annotation_allow_undefined: yes
CONFIG
  local squatter="" httpd=""
  if [ -n "$HTTP" ]; then
    cat >>"$DIR/imapd.conf" <<CONFIG
httpmodules: jmap
jmap_querycache_max_age: 0m
search_engine: xapian
defaultsearchtier: t1
t1searchpartition-default: $DIR/search
sync_log: yes
sync_log_channels: squatter
smtp_backend: host
smtp_host: 127.0.0.1:$SMARTHOST
CONFIG
    httpd="  http cmd=\"$BIN/httpd -C $DIR/imapd.conf\" listen=\"127.0.0.1:$((PORT + 2))\" proto=\"tcp4\" prefork=4 maxchild=-1 maxforkrate=0"
    squatter="  squatter cmd=\"$BIN/squatter -C $DIR/imapd.conf -R -d\""
  fi
  cat >"$DIR/cyrus.conf" <<CONFIG
START {
  recover cmd="$BIN/ctl_cyrusdb -C $DIR/imapd.conf -r"
}
SERVICES {
  imap cmd="$BIN/imapd -C $DIR/imapd.conf" listen="127.0.0.1:$PORT" proto="tcp4" prefork=4 maxchild=-1 maxforkrate=0
  lmtp cmd="$BIN/lmtpd -C $DIR/imapd.conf -a" listen="127.0.0.1:$((PORT + 1))" proto="tcp4" prefork=4 maxchild=-1 maxforkrate=0
$httpd
}
DAEMON {
  idled cmd="$BIN/idled -C $DIR/imapd.conf"
$squatter
}
EVENTS {
}
CONFIG
  # One user after another in one shell: entering takes longer than what is done there.
  "$CHROOT" enter "$root" "$DIR" sh -c '
    for n in $(seq 1 "$2"); do echo pass | saslpasswd2 -p -c -f "$1/sasldb2" -u bench "user$n"; done
    chown -R cyrus:mail "$1"
  ' sh "$DIR" "$USERS"
  local version
  version=$("$CHROOT" enter "$root" "$DIR" dpkg-query -Wf '${Version}' cyrus-imapd)
  echo "PORT=$PORT USERS=$USERS HTTP=$HTTP ROOT=$root VERSION=${version%%-*}" >"$DIR/settings"
}

start() {
  . "$DIR/settings"
  nohup "$CHROOT" enter "$ROOT" "$DIR" "$BIN/master" -C "$DIR/imapd.conf" -M "$DIR/cyrus.conf" -p "$PIDFILE" >"$DIR/server.log" 2>&1 </dev/null &
  wait_port "$PORT"
  wait_port $((PORT + 1))
  if [ -n "$HTTP" ]; then wait_port $((PORT + 2)); fi
  endpoint cyrus "$PORT" $((PORT + 1)) "$DIR/spool" \
    "Cyrus $VERSION${HTTP:+, JMAP, Xapian kept up by squatter}; messages, index and databases synced at each append, expunge delayed, passwords plain in sasldb"
}

# Gets what needs the network.
[ "$ACTION" = prepare ] && { root; exit; }
dispatch start setup
