#!/bin/sh
# Units under a systemd of their own, as process 1 in namespaces, over this machine's files as they are:
# what is written there is gone when it ends. Needs root, and a hierarchy of cgroups that systemd may have.
#
#   tests/systemd.sh run DIRECTORY UNIT
#   tests/systemd.sh probe               whether that works here
#
# DIRECTORY/root is laid over the machine's files, and DIRECTORY/outside is /outside in there. systemd starts UNIT
# with what it requires and none of the machine's services. A unit's SuccessAction=exit-force ends it, and this with
# the unit's exit code.
set -eu

groups=/sys/fs/cgroup/systemd

run() {
    directory=$(cd "$1" && pwd)
    group=$groups/lamplighter-$$
    mkdir "$group"
    # Only what is in there keeps a group from being removed, and that is gone by then.
    trap 'find "$group" -depth -type d -exec rmdir {} +' EXIT
    trap 'exit 1' HUP INT TERM
    # shellcheck disable=SC2016 # for the shell that is to be in the group
    enter='echo $$ >"$1/cgroup.procs"; shift; exec "$@"'
    # As process 1 has it on a machine of its own: what it mounts is seen by all.
    sh -c "$enter" enter "$group" \
        unshare --cgroup --mount --pid --fork --kill-child --net --ipc --uts --propagation private -- \
        "$0" inside "$directory" "$2"
}

inside() {
    room=$1/room
    mkdir -p "$room" "$1/outside"
    mount -t tmpfs tmpfs "$room"
    root=$room/root
    mkdir "$root" "$room/upper" "$room/work"
    mount -t overlay -o "lowerdir=/,upperdir=$room/upper,workdir=$room/work" overlay "$root"

    mount -t proc proc "$root/proc"
    mount -t sysfs -o ro sysfs "$root/sys"
    mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
    mkdir "$root$groups"
    mount -t cgroup -o none,name=systemd cgroup "$root$groups"
    for place in run tmp dev; do
        mount -t tmpfs -o mode=755 tmpfs "$root/$place"
    done
    chmod 1777 "$root/tmp"
    for device in null zero full random urandom tty; do
        : >"$root/dev/$device"
        mount --bind "/dev/$device" "$root/dev/$device"
    done
    mkdir "$root/dev/pts" "$root/dev/shm" "$root/dev/mqueue" "$root/dev/hugepages"
    mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"

    rm -rf "$root/etc/systemd/system" "$root"/usr/lib/systemd/system/*.wants
    for target in sysinit basic shutdown; do
        mkdir -p "$root/etc/systemd/system"
        printf '[Unit]\nDefaultDependencies=no\n' >"$root/etc/systemd/system/$target.target"
    done
    cp -R "$1/root/." "$root/"
    mkdir "$root/outside" "$root/old"
    mount --bind "$1/outside" "$root/outside"

    # Not chroot: from inside of one no namespace of users can be made.
    cd "$root"
    pivot_root . old
    export container=lxc
    # shellcheck disable=SC2016 # for the shell after the change of roots
    exec env -i container=lxc PATH="$PATH" sh -c \
        'umount -l /old; mount --make-rshared /; exec /lib/systemd/systemd --system --show-status=no --unit="$1"' \
        start "$2"
}

probe() {
    directory=$(mktemp -d)
    trap 'rm -rf "$directory"' EXIT
    units=$directory/root/etc/systemd/system
    mkdir -p "$units"
    printf '[Unit]\nSuccessAction=exit-force\nFailureAction=exit-force\n[Service]\nType=oneshot\nPrivateUsers=yes\nPrivateTmp=yes\nExecStart=/bin/true\n' \
        >"$units/probe.service"
    "$0" run "$directory" probe.service >/dev/null 2>&1
}

case ${1:-} in
    run) run "$2" "$3" ;;
    inside) inside "$2" "$3" ;;
    probe) probe ;;
    *) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2 && exit 64 ;;
esac
