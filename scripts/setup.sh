#!/bin/sh
# Installs what the given job needs and is not there yet: npm packages, Debian packages, the CNI shim.
# Quick when nothing is missing. Usage: setup.sh run|check|test
set -eu
cd "$(dirname "$0")/.."
job=${1:-run}

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { printf 'causeway: %s\n' "$*" >&2; exit 1; }

# npm packages: reinstall whenever the lock file is newer than the last install.
stamp=node_modules/.package-lock.json
if [ ! -x node_modules/.bin/node ] || [ ! -f "$stamp" ] || [ package-lock.json -nt "$stamp" ]; then
  command -v npm >/dev/null || fail "npm is missing; install Node 20 or later with npm, then run this again"
  say "installing npm packages (once)"
  npm ci --no-audit --no-fund --loglevel=error >&2 || fail "npm ci failed; see its message above"
  touch "$stamp"
fi
[ "$job" = check ] && exit 0

# Debian packages: a command that each one brings, then the package.
missing=
need() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || missing="$missing $2"; }
need_file() { [ -e "$1" ] || missing="$missing $2"; }
need gcc gcc
need_file /usr/include/stdio.h libc6-dev
need ip iproute2
need openssl openssl
if [ "$job" = test ]; then
  need nft nftables
  need ping iputils-ping
  need tcpdump tcpdump
  need kubectl kubernetes-client
fi
if [ -n "$missing" ]; then
  [ "$(id -u)" = 0 ] || fail "must run as root: the Debian packages$missing are missing and have to be installed"
  command -v apt-get >/dev/null || fail "the packages$missing are missing and this is no Debian; install them by hand"
  say "installing Debian packages:$missing (once)"
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update && apt-get install -y --no-install-recommends $missing; } >/tmp/causeway-setup.$$ 2>&1 || {
    tail -n 20 "/tmp/causeway-setup.$$" >&2
    rm -f "/tmp/causeway-setup.$$"
    fail "apt-get could not install$missing; see its message above"
  }
  rm -f "/tmp/causeway-setup.$$"
fi

# The CNI shim, built from its source whenever that is newer.
if [ ! -x build/causeway-cni ] || [ native/cni-shim.c -nt build/causeway-cni ]; then
  mkdir -p build
  gcc -O2 -static -s -Wall -Wextra -Werror -o "build/causeway-cni.$$" native/cni-shim.c
  mv "build/causeway-cni.$$" build/causeway-cni
fi
