#!/bin/bash
# SOGo out of Debian 12's packages, with PostgreSQL, memcached and a Dovecot, in a small Debian of its own.
#   sogo.sh start --dir DIR --port BASE [--users N]
#   sogo.sh prepare --dir DIR
# IMAP listens on BASE, ActiveSync in clear on BASE+2, under /SOGo; PostgreSQL on BASE+3, memcached on BASE+4.
. "$(dirname "$0")/common.sh"

CHROOT=$(dirname "$SELF")/chroot.sh
VMAIL=5000

root() {
  "$CHROOT" make bookworm-sogo bookworm sogo sogo-activesync postgresql memcached dovecot-imapd
}

setup() {
  [ -n "$PORT" ] || die "--port is needed"
  local root n
  root=$(root)
  mkdir -p "$DIR/run" "$DIR/state" "$DIR/mail" "$DIR/pg" "$DIR/sogo"
  chown $VMAIL:$VMAIL "$DIR/mail"
  cat >"$DIR/dovecot.conf" <<CONFIG
base_dir = $DIR/run/dovecot
state_dir = $DIR/state
log_path = $DIR/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
first_valid_uid = 1
mail_uid = $VMAIL
mail_gid = $VMAIL
mail_home = $DIR/mail/%n
mail_location = sdbox:~/sdbox
mail_max_userip_connections = 0
passdb {
  driver = static
  args = password=pass
}
userdb {
  driver = static
  args = uid=$VMAIL gid=$VMAIL home=$DIR/mail/%n allow_all_users=yes
}
namespace inbox {
  inbox = yes
  separator = /
  mailbox Drafts {
    auto = subscribe
    special_use = \\Drafts
  }
  mailbox Sent {
    auto = subscribe
    special_use = \\Sent
  }
  mailbox Trash {
    auto = subscribe
    special_use = \\Trash
  }
}
service imap-login {
  inet_listener imap {
    port = $PORT
  }
  inet_listener imaps {
    port = 0
  }
}
CONFIG
  local database="postgresql://sogo@127.0.0.1:$((PORT + 3))/sogo"
  cat >"$DIR/sogo.conf" <<CONFIG
{
  SOGoProfileURL = "$database/sogo_user_profile";
  OCSFolderInfoURL = "$database/sogo_folder_info";
  OCSSessionsFolderURL = "$database/sogo_sessions_folder";
  OCSEMailAlarmsFolderURL = "$database/sogo_alarms_folder";
  OCSCacheFolderURL = "$database/sogo_cache_folder";
  OCSStoreURL = "$database/sogo_store";
  OCSAclURL = "$database/sogo_acl";
  SOGoMemcachedHost = "127.0.0.1:$((PORT + 4))";
  SOGoIMAPServer = "imap://127.0.0.1:$PORT";
  SOGoMailDomain = "bench.example";
  SOGoMailingMechanism = smtp;
  SOGoSMTPServer = "smtp://127.0.0.1:9";
  SOGoTimeZone = UTC;
  SOGoLanguage = English;
  SOGoSentFolderName = Sent;
  SOGoTrashFolderName = Trash;
  SOGoDraftsFolderName = Drafts;
  SOGoSieveScriptsEnabled = NO;
  SxVMemLimit = 1024;
  SOGoUserSources = (
    {
      type = sql;
      id = users;
      viewURL = "$database/sogo_users";
      canAuthenticate = YES;
      isAddressBook = NO;
      userPasswordAlgorithm = plain;
    }
  );
}
CONFIG
  # The shell is the root of its processes: what it started ends with it.
  cat >"$DIR/serve.sh" <<'SERVE'
set -eu
DIR=$1 PORT=$2 USERS=$3
# PostgreSQL waits for its clients' end unless it is interrupted.
trap 'kill $(jobs -p) 2>/dev/null; kill -INT $POSTGRES; wait; exit' TERM
mount --bind "$DIR/sogo.conf" /etc/sogo/sogo.conf
BIN=$(echo /usr/lib/postgresql/*/bin)
AS_POSTGRES="setpriv --reuid postgres --regid postgres --init-groups"
AS_SOGO="setpriv --reuid sogo --regid sogo --init-groups env HOME=$DIR/sogo"
chown postgres "$DIR/pg"
chown sogo "$DIR/sogo" "$DIR/sogo.conf"
[ -e "$DIR/pg/PG_VERSION" ] || $AS_POSTGRES "$BIN/initdb" -D "$DIR/pg" -A trust -E UTF8 --locale C.UTF-8
$AS_POSTGRES "$BIN/postgres" -D "$DIR/pg" -h 127.0.0.1 -p $((PORT + 3)) -k "$DIR/pg" &
POSTGRES=$!
memcached -u nobody -l 127.0.0.1 -p $((PORT + 4)) -m 64 &
dovecot -F -c "$DIR/dovecot.conf" &
sql() { psql -qX -h 127.0.0.1 -p $((PORT + 3)) -U "$1" "$2"; }
until pg_isready -q -h 127.0.0.1 -p $((PORT + 3)); do sleep 0.1; done
if ! psql -h 127.0.0.1 -p $((PORT + 3)) -U postgres -lqt | grep -q sogo; then
  echo "CREATE ROLE sogo LOGIN; CREATE DATABASE sogo OWNER sogo;" | sed 's/; /;\n/' | sql postgres postgres
  {
    echo "CREATE TABLE sogo_users (c_uid text PRIMARY KEY, c_name text, c_password text, c_cn text, mail text);"
    for n in $(seq 1 "$USERS"); do
      echo "INSERT INTO sogo_users VALUES ('user$n', 'user$n', 'pass', 'User $n', 'user$n@bench.example');"
    done
  } | sql sogo sogo
fi
$AS_SOGO sogod -WONoDetach YES -WOPort 127.0.0.1:$((PORT + 2)) -WOWorkersCount 3 -WOLogFile - -WOPidFile "$DIR/sogo/sogo.pid" &
wait
SERVE
  local version
  version=$("$CHROOT" enter "$root" "$DIR" dpkg-query -Wf '${Version}' sogo)
  echo "PORT=$PORT USERS=$USERS ROOT=$root VERSION=${version%%-*}" >"$DIR/settings"
}

start() {
  . "$DIR/settings"
  nohup "$CHROOT" enter "$ROOT" "$DIR" bash "$DIR/serve.sh" "$DIR" "$PORT" "$USERS" >"$DIR/server.log" 2>&1 </dev/null &
  echo $! >"$PIDFILE"
  wait_port "$PORT"
  wait_port $((PORT + 2))
  endpoint sogo "$PORT" 0 "$DIR/mail" "SOGo $VERSION, PostgreSQL, memcached, Dovecot; all by their defaults, 3 workers, passwords plain"
}

# Gets what needs the network.
[ "$ACTION" = prepare ] && { root; exit; }
dispatch start setup
