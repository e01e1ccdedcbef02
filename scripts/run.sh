#!/bin/sh
# Runs a program of this folder: run.sh PROGRAM ARGUMENTS. For a clone (./causeway) and for the image alike.
root=$(dirname "$(dirname "$(readlink -f "$0")")")
program=$1
shift
# less memory for a little speed: docs/decisions/0004-bundle.md
case "${1:-} ${2:-}" in
  # as the thread of an agent: docs/decisions/0007-bgp-in-a-thread.md
  'bgp speak') young=8 ;;
  *) young=1 ;;
esac
case "${1:-}" in
  # it compares what thousands of nodes answer, again and again, and is not on a node of the cluster
  ui) memory= ;;
  *) memory="--max-semi-space-size=$young --no-turbofan --no-sparkplug --heap-growing-percent=25 --optimize-for-size --memory-pool-timeout=1" ;;
esac
# Threads for files, DNS, slow system calls and the one that waits for descriptors (docs/decisions/0009-one-watcher-of-descriptors.md):
# DNS takes up to half of them, and the rest must do for an ADD that comes meanwhile.
export UV_THREADPOOL_SIZE="${UV_THREADPOOL_SIZE:-8}"
# One heap of the C library for all threads. Else each thread that has loaded eBPF programs keeps a heap of some megabytes.
export MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX:-1}"
# shellcheck disable=SC2086  # a list of options
exec "$root/node_modules/.bin/node" --disable-warning=ExperimentalWarning $memory "$root/$program" "$@"
