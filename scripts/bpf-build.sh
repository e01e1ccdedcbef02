#!/bin/sh
# Compiles the eBPF programs to build/bpf/datapath.bpf.o and trace.bpf.o, with the headers that src/wire/bpf describes.
set -eu
cd "$(dirname "$0")/.."
mkdir -p build/bpf
# as old as the sources it is made from: what changes meanwhile is newer, and the next run compiles again
started=build/bpf/started.$$
trap 'rm -f "$started" build/bpf/*."$$"' EXIT
trap 'exit 1' INT TERM
: >"$started"

# build NAME HEADER
build() {
  header=build/bpf/$2
  object=build/bpf/$1.bpf.o
  node_modules/.bin/node --disable-warning=ExperimentalWarning scripts/bpf-header.ts "$1" "$header.$$"
  mv "$header.$$" "$header"
  # asm/types.h of the C library is in a folder of the machine's; no path of this machine gets into the file, which is known by its hash
  clang -O2 -g -target bpf -mcpu=v3 -Wall -Wextra -Werror -fdebug-compilation-dir=. \
    -I"/usr/include/$(uname -m)-linux-gnu" -Ibuild/bpf -c "native/bpf/$1.bpf.c" -o "$object.$$"
  touch -r "$started" "$object.$$"
  mv "$object.$$" "$object"
}

build trace causeway-trace.h
# the last one: its age tells whether all are to be compiled again
build datapath causeway.h
