#!/bin/sh
# Installs what the given job needs and is not there yet: Debian packages, npm packages, the CNI plugin, the bundle, the eBPF programs.
# Quick when nothing is missing. Usage: setup.sh check|run|ebpf|test|bench|kernels|bird|frr
set -eu
cd "$(dirname "$0")/.."
job=${1:-run}

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { printf 'causeway: %s\n' "$*" >&2; exit 1; }

# Debian packages: what each of them brings, then its name.
missing=
need() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || missing="$missing $2"; }
need_file() { [ -n "$(find $1 -maxdepth 1 -name "$2" 2>/dev/null | head -n 1)" ] || missing="$missing $3"; }
# the pinned Node's binary is linked against it
need_file "/usr/lib /usr/lib/*-linux-gnu" libatomic.so.1 libatomic1
if [ "$job" != check ]; then
  need gcc gcc
  # a program that is started for every call must start fast: docs/decisions/0015-a-cheap-add.md
  need musl-gcc musl-tools
  need_file /usr/include stdio.h libc6-dev
  need ip iproute2
  need openssl openssl
fi
if [ "$job" = test ]; then
  need ping iputils-ping
  need curl curl
  need bpftool bpftool
  need kubectl kubernetes-client
  need containerd containerd
  need runc runc
  # portmap of the reference plugins writes its rules with it
  need iptables iptables
fi
# the pages that commands write and serve are looked at in a browser
case "$job" in test | bench) need chromium chromium ;; esac
# what compiles the eBPF programs, and what loads them
case "$job" in
  ebpf | test | bench | kernels)
    need clang clang
    need_file /usr/include/bpf bpf_helpers.h libbpf-dev
    need_file "/usr/lib /usr/lib/*-linux-gnu" libbpf.so.1 libbpf1
    ;;
esac
# the kernels are this machine's files, booted by qemu: what their tests need is installed here
if [ "$job" = kernels ]; then
  need qemu-system-x86_64 qemu-system-x86
  need_file /usr/lib/qemu virtiofsd qemu-system-common
  need modprobe kmod
  need xz xz-utils
  need setpriv util-linux
  need ping iputils-ping
  need kubectl kubernetes-client
  need nft nftables
  need sysctl procps
  need ipvsadm ipvsadm
fi
# routing daemons of a lab with racks: `lab up --racks` asks for the one that it needs
daemons=
need_daemon() { [ -x "$1" ] || { missing="$missing $2"; daemons="$daemons $3"; }; }
case "$job" in bird | test | bench) need_daemon /usr/sbin/bird bird2 bird ;; esac
case "$job" in frr | test | bench) need_daemon /usr/lib/frr/bgpd frr frr ;; esac
case "$job" in test | bench) need_daemon /usr/bin/gobgpd gobgpd gobgpd ;; esac
# alerts and dashboard are tried with it; promtool comes with it
case "$job" in test) need_daemon /usr/bin/prometheus prometheus prometheus ;; esac
# the tests run every benchmark once, at its smallest size
if [ "$job" = test ] || [ "$job" = bench ]; then
  need nft nftables
  need sysctl procps
  need taskset util-linux
  need sockperf sockperf
  need iperf3 iperf3
  need ethtool ethtool
  need_file /usr/lib/cni host-local containernetworking-plugins
fi
# Debian starts a daemon that it installs, unless this policy says no (invoke-rc.d(8)); none of ours runs as a service.
install_packages() (
  policy=/usr/sbin/policy-rc.d
  if [ -n "$daemons" ] && [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  export DEBIAN_FRONTEND=noninteractive
  # shellcheck disable=SC2086  # a list of names
  apt-get update && apt-get install -y --no-install-recommends $missing
)

if [ -n "$missing" ]; then
  [ "$(id -u)" = 0 ] || fail "must run as root: these Debian packages are missing and have to be installed:$missing"
  command -v apt-get >/dev/null || fail "these packages are missing, and this is no Debian: install them by hand:$missing"
  say "installing Debian packages:$missing (once)"
  log=$(mktemp)
  install_packages >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    rm -f "$log"
    fail "apt-get could not install$missing; see its message above"
  }
  rm -f "$log"
  # nor at the next boot
  for daemon in $daemons; do
    update-rc.d "$daemon" disable >/dev/null 2>&1 || true
    ! command -v systemctl >/dev/null || systemctl disable "$daemon" >/dev/null 2>&1 || true
  done
fi

# that was all: who asks for a routing daemon runs already
case "$job" in bird | frr) exit 0 ;; esac

# npm packages: again whenever the lock file is newer than the last install.
stamp=node_modules/.package-lock.json
if [ ! -x node_modules/.bin/node ] || [ ! -f "$stamp" ] || [ package-lock.json -nt "$stamp" ]; then
  command -v npm >/dev/null || fail "npm is missing; install Node 20 or later with npm, then run this again"
  say "installing npm packages (once)"
  npm ci --no-audit --no-fund --loglevel=error >&2 || fail "npm ci failed; see its message above"
  touch "$stamp"
fi
[ "$job" = check ] && exit 0

# The CNI plugin and the relay to the agent's API, built from their sources whenever these are newer.
build_native() {
  if [ ! -x "build/$1" ] || [ "$2" -nt "build/$1" ]; then
    mkdir -p build
    musl-gcc -O2 -static -s -Wall -Wextra -Werror -o "build/$1.$$" "$2"
    mv "build/$1.$$" "build/$1"
  fi
}
build_native causeway-cni native/cni-shim.c
build_native causeway-api-relay native/api-relay.c

# The eBPF programs, compiled whenever a source is newer.
case "$job" in
  ebpf | test | bench | kernels)
    if [ ! -f build/bpf/datapath.bpf.o ] || [ ! -f build/bpf/trace.bpf.o ] ||
      [ -n "$(find native/bpf src/wire/bpf scripts/bpf-build.sh -newer build/bpf/datapath.bpf.o -print -quit)" ]; then
      sh scripts/bpf-build.sh || fail "the eBPF programs could not be compiled; see the message above"
    fi
    ;;
esac

# The program as JavaScript, made again whenever a source is newer.
if [ ! -f build/bundle/causeway.cjs ] ||
  [ -n "$(find src web scripts/bundle.ts scripts/bundle-web.ts package-lock.json -newer build/bundle/causeway.cjs -print -quit)" ]; then
  node_modules/.bin/node --disable-warning=ExperimentalWarning scripts/bundle.ts || fail "the program could not be bundled; see the message above"
fi
