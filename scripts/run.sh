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
memory="--max-semi-space-size=$young --no-turbofan"
# shellcheck disable=SC2086  # a list of options
exec "$root/node_modules/.bin/node" --disable-warning=ExperimentalWarning $memory "$root/$program" "$@"
