#!/usr/bin/env bash
# The guest's process 1: makes a Linux machine around the host's files, runs /run/command and powers off.
# What it prints goes to the kernel's log; `booted` and `exit STATUS` on the third console are for uml.ts.
shopt -s extglob
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
modules=/usr/lib/uml/modules

fail() {
  echo "guest: cannot set up: $*"
  exit 1 # The kernel panics and ends.
}

# The host's root directory, read-only, under a layer of memory: everything can be written, nothing arrives.
mount -n -t proc proc /proc || fail /proc
insmod "$modules/$(uname -r)/kernel/fs/overlayfs/overlay.ko" || fail overlayfs
mount -n -t tmpfs -o mode=0755,size=50% layer /run/root || fail 'the layer of memory'
cd /run/root && mkdir upper work root || fail 'the layer of memory'
mount -n -t overlay -o lowerdir=/,upperdir=upper,workdir=work overlay root || fail 'the root file system'
cp /run/command root/run-command
mount -n --move /proc root/proc || fail /proc
mkdir root/.host && cd root && pivot_root . .host && cd / || fail pivot_root
mount -n -t devtmpfs dev /dev || fail /dev
mkdir -p /dev/pts /dev/shm
for link in fd:fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do
  ln -s "/proc/self/${link#*:}" "/dev/${link%:*}"
done
mount -n -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts
mount -n -t tmpfs -o mode=1777 shm /dev/shm
mount -n -t sysfs sys /sys || fail /sys
mount -n -t tmpfs -o mode=0755 run /run || fail /run
mkdir -p /run/lock /run/netns /lib/modules
mount -n -t hostfs -o "$modules" modules /lib/modules || fail /lib/modules
mv /run-command /run/command
umount -n -l /.host && rmdir /.host
echo uml >/proc/sys/kernel/hostname
ulimit -n 65536

# What a node has that runs IPVS. The rest loads by itself when it is asked for, such as the tables, matches and
# targets of iptables.
cd "/lib/modules/$(uname -r)/kernel/net" || fail 'the modules'
names=(netfilter/ipvs/ip_vs!(_ftp|_pe_sip).ko netfilter/ipset/ip_set*.ko)
names=("${names[@]##*/}")
modprobe -a "${names[@]%.ko}" xt_set nf_conntrack_netlink sctp veth || fail 'modules'
modprobe dummy numdummies=0 || fail dummy
cd /
ip link set lo up

# What all namespaces share, and the guest has little of. Connections: about 8,000 would be tracked, then lost.
echo 262144 >/proc/sys/net/netfilter/nf_conntrack_max
# ICMP errors: tests are refused more often than the kernel would tell.
echo 1000000 | tee /proc/sys/net/ipv4/icmp_msgs_{per_sec,burst} >/dev/null
# Packets between namespaces: with one slow processor more than 1,000 wait at times.
echo 100000 >/proc/sys/net/core/netdev_max_backlog

# This kernel has nf_tables without its IPv4 and IPv6 families: iptables means the legacy variant here.
for name in iptables ip6tables; do
  for job in '' -save -restore; do
    [[ -e /usr/sbin/$name-legacy$job ]] && ln -sfn "/usr/sbin/$name-legacy$job" "/etc/alternatives/$name$job"
  done
done

# Raw consoles carry the output byte for byte. With a pipe in front, no program takes them for a terminal.
for console in 1 2 3; do stty -F "/dev/tty$console" raw -echo; done
exec 3> >(exec cat >/dev/tty1)
out=$!
exec 4> >(exec cat >/dev/tty2)
err=$!
echo booted >/dev/tty3
# In a PID namespace of its own, so that nothing it started outlives it and holds the pipes open.
unshare --pid --fork --kill-child --mount-proc bash /run/command </dev/null >&3 2>&4 3>&- 4>&-
status=$?
exec 3>&- 4>&-
wait "$out" "$err"
echo "exit $status" >/dev/tty3
# Setting a terminal waits until it has sent all it was given.
for console in 1 2 3; do stty -F "/dev/tty$console" raw; done
echo o >/proc/sysrq-trigger
sleep infinity
