#!/bin/bash
# A small Debian of its own for servers that the machine can't have beside its own, or has in another release.
#   chroot.sh make NAME SUITE PACKAGE…   makes it if it isn't there, and prints where it is
#   chroot.sh enter ROOT DIR COMMAND…    runs a command in it, as this process; DIR is there under the same path
# It is kept in the tests' cache, since making it takes some minutes. Needs root.
set -eu

# Devices, processes and DIR are mounted for the command and what it starts alone, and gone with them.
ENTER='
  root=$1 dir=$2
  shift 2
  mkdir -p "$root$dir"
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  mount --bind "$dir" "$root$dir"
  exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"
'
enter() {
  exec unshare --mount bash -euc "$ENTER" chroot "$@"
}

make() {
  local name=$1 suite=$2
  shift 2
  local root=${RESTANTE_TEST_CACHE:-$HOME/.cache/restante}/$name
  mkdir -p "$(dirname "$root")"
  # One at a time: whoever comes second finds it made.
  exec 9>"$root.lock"
  flock 9
  if [ ! -e "$root.made" ]; then
    command -v debootstrap >/dev/null || { apt-get update -qq; apt-get install -y -qq --no-install-recommends debootstrap; } >&2
    rm -rf "$root"
    mkdir -p "$root"
    debootstrap --variant=minbase "$suite" "$root" >&2
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
    # Of its security updates too: they are what such servers run.
    echo "deb http://security.debian.org/debian-security $suite-security main" >>"$root/etc/apt/sources.list"
    (enter "$root" "$root/var/cache/apt/archives" apt-get update -qq) >&2
    (enter "$root" "$root/var/cache/apt/archives" apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-unsafe-io "$@") >&2
    rm -f "$root"/var/cache/apt/archives/*.deb
    touch "$root.made"
  fi
  echo "$root"
}

action=${1:-}
[ $# -gt 0 ] && shift
case $action in
  make) make "$@" ;;
  enter) enter "$@" ;;
  *) echo "make or enter" >&2; exit 2 ;;
esac
