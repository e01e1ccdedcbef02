#!/bin/sh
# Second program of a booted kernel, as process 1: makes it a machine that a lab runs on, runs the job, tells its exit status, and
# switches the machine off. The kernel's messages go to ttyS0, what the job prints to ttyS1, its exit status to ttyS2.
folder=$1
export HOME=/root TERM=dumb PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs tracefs /sys/kernel/tracing
mount -t cgroup2 cgroup2 /sys/fs/cgroup
# as a running Debian has it, and not as the machine's own kernel has
mkdir -p "/lib/modules/$(uname -r)"
mount --bind "$(cat "$folder/modules")" "/lib/modules/$(uname -r)"
ln -sfn /proc/self/fd /dev/fd
ln -sfn /proc/mounts /etc/mtab
hostname kernel
ip link set lo up
stty -F /dev/ttyS1 raw
stty -F /dev/ttyS2 raw
mkfifo /run/printed
cat /run/printed >/dev/ttyS1 &
setsid sh "$folder/job.sh" </dev/null >/run/printed 2>&1
echo $? >/dev/ttyS2
# what was printed is on its way
wait
exec /run/busybox poweroff -f
