#!/bin/busybox sh
# First program of a booted kernel, from the initramfs: puts the machine's own root, read-only, below a file system in memory, and
# goes on there with inside.sh. `modules` lists the modules for that, in the order of their dependencies.
set -e
while read -r module; do /bin/busybox insmod "/modules/$module"; done </modules/order
/bin/busybox mount -t virtiofs -o ro host /host
/bin/busybox mount -t tmpfs -o size=75% tmpfs /memory
/bin/busybox mkdir /memory/upper /memory/work
/bin/busybox mount -t overlay -o lowerdir=/host,upperdir=/memory/upper,workdir=/memory/work overlay /machine
/bin/busybox mount -t proc proc /proc
for word in $(/bin/busybox cat /proc/cmdline); do
  case "$word" in inside=*) inside=${word#inside=} ;; esac
done
/bin/busybox umount /proc
# to switch off with, when the files of the host are gone
/bin/busybox mount -t tmpfs tmpfs /machine/run
/bin/busybox cp /bin/busybox /machine/run/busybox
exec /bin/busybox switch_root /machine /bin/sh "$inside/inside.sh" "$inside"
