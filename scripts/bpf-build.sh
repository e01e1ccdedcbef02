#!/bin/sh
# Compiles the eBPF programs to build/bpf/datapath.bpf.o, with the header that src/wire/bpf describes.
set -eu
cd "$(dirname "$0")/.."
mkdir -p build/bpf
# as old as the sources it is made from: what changes meanwhile is newer, and the next run compiles again
started=build/bpf/started.$$
header=build/bpf/causeway.h
object=build/bpf/datapath.bpf.o
trap 'rm -f "$started" "$header.$$" "$object.$$"' EXIT
trap 'exit 1' INT TERM
: >"$started"
node_modules/.bin/node --disable-warning=ExperimentalWarning scripts/bpf-header.ts "$header.$$"
mv "$header.$$" "$header"
# asm/types.h of the C library is in a folder of the machine's; no path of this machine gets into the file, which is known by its hash
clang -O2 -g -target bpf -mcpu=v3 -Wall -Wextra -Werror -fdebug-compilation-dir=. \
  -I"/usr/include/$(uname -m)-linux-gnu" -Ibuild/bpf -c native/bpf/datapath.bpf.c -o "$object.$$"
touch -r "$started" "$object.$$"
mv "$object.$$" "$object"
