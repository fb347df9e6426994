#!/usr/bin/env bash
# Starts the kernel of user-mode Linux on this machine: launch.sh MEMORY_MB, with the shell commands that the
# guest is to run on standard input. uml.ts calls it in mount and PID namespaces of its own: what is mounted
# and started here goes away with them, however they end.
#
# Descriptors: 1 and 2 take what the guest's command prints, 3 the kernel's log, 4 the guest's reports.
set -euo pipefail
exec 5>&1 6>&2 >&3 2>&3 3>&-
memory_mb=$1
here=$(dirname "$0")

# Guest memory is a file that is mapped and executed; a container's own folders may be small or noexec.
mount -t tmpfs -o "mode=0755,size=$((memory_mb + 16))m" uml /run
mkdir /run/root
cat >/run/command
# The guest finds it at the same path. The repository's own path might need quotes on a kernel command line.
install -m 0755 "$here/guest.sh" /run/init

# At each system call and page fault of the guest the kernel's process and the program's take turns: on one
# CPU that is 1.5 to 4 times faster than across two. Take the first CPU that no other guest has. The lock is
# on a file that is there anyway, and lasts as long as the kernel's process has it open.
pinned=()
for file in /sys/devices/system/cpu/cpu[0-9]*/uevent; do
  cpu=${file//[!0-9]/}
  if taskset -c "$cpu" true 2>/dev/null && exec 9<"$file" && flock -n 9; then
    pinned=(taskset -c "$cpu")
    break
  fi
done

# Without it the kernel panics on such a processor; see there why.
preload=()
if grep -qw amx_tile /proc/cpuinfo; then
  cc -shared -fPIC -O2 -nostdlib -o /run/xstate.so "$here/xstate.c"
  preload=(LD_PRELOAD=/run/xstate.so)
fi

# Not by exec: a panicking kernel aborts itself, which process 1 of a PID namespace cannot.
env -i TMPDIR=/run PATH="$PATH" "${preload[@]}" "${pinned[@]}" linux.uml \
  "mem=${memory_mb}M" uml_dir=/run/ umid=guest \
  root=/dev/root rootfstype=hostfs rootflags=/ ro init=/run/init \
  con=null con0=null,fd:1 con1=null,fd:5 con2=null,fd:6 con3=null,fd:4 ssl=null loglevel=6 noreboot
