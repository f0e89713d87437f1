#!/bin/sh
# The last stage of Dockerfile, put together without a container engine, and lamplighter in it as a cluster
# runs it. Needs root.
#
#   tests/container.sh base     the base image's files, by debootstrap, into target/tools/container/base
#   tests/container.sh run [PLACE]… -- ARGUMENT…
#                               lamplighter with these arguments: LAMPLIGHTER, else the release binary
#   tests/container.sh probe    whether that works here
#
# A PLACE is `--writable OUTSIDE INSIDE` or `--read-only OUTSIDE INSIDE`: a directory, a file or a socket.
#
# It runs as Dockerfile says (copied files, user, working directory) and as the manifests in cron/ say: the root
# file system can not be written, /tmp is its own, there is no network, no privilege can be gained, and it is
# process 1. What is written outside of the places is gone when it ends.
set -eu

repository=$(cd "$(dirname "$0")/.." && pwd)
container=$repository/target/tools/container
base=$container/base

# What follows a word in the last stage of Dockerfile.
stage() {
    awk -v word="$1" '
        $1 == "FROM" { found = "" }
        $1 == word { $1 = ""; found = found substr($0, 2) "\n" }
        END { printf "%s", found }' "$repository/Dockerfile"
}

make_base() {
    [ ! -d "$base" ] || return 0
    suite=$(stage FROM | sed -n 's/^debian:\([a-z]*\)-slim$/\1/p')
    # Where this machine has its own packages of that suite from.
    # shellcheck disable=SC2016 # the words of apt's own template
    mirror=$(apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
        sed -n "s/^$suite main //p" | head -n 1)
    mkdir -p "$container"
    rm -rf "$container/part"
    # shellcheck disable=SC2086 # one word or none
    if ! debootstrap --variant=minbase "$suite" "$container/part" $mirror >"$container/log" 2>&1; then
        tail -n 5 "$container/log" >&2
        return 1
    fi
    mv "$container/part" "$base"
}

# In a mount namespace of its own, so that all mounts are gone with the process.
run() {
    room=$container/room
    mkdir -p "$room"
    mount -t tmpfs -o mode=755 tmpfs "$room"
    root=$room/root
    mkdir "$root" "$room/upper" "$room/work"
    mount -t overlay -o "lowerdir=$base,upperdir=$room/upper,workdir=$room/work" overlay "$root"

    stage COPY | while read -r _ from to; do
        case $from in
            */lamplighter) from=${LAMPLIGHTER:-$repository/target/release/lamplighter} ;;
        esac
        install -D "$from" "$root$to"
    done
    directory=$(stage WORKDIR)
    user=$(stage USER)
    entry=$(stage ENTRYPOINT | sed 's/^\["\(.*\)"\]$/\1/')
    mkdir -p "$root$directory"

    while [ "$1" != -- ]; do
        inside=$root$3
        if [ -d "$2" ]; then
            mkdir -p "$inside"
        else
            mkdir -p "${inside%/*}"
            : >"$inside"
        fi
        mount --bind "$2" "$inside"
        [ "$1" = --writable ] || mount -o remount,bind,ro "$inside"
        shift 3
    done
    shift

    mount -t tmpfs -o mode=1777,size=64m tmpfs "$root/tmp"
    mount -o remount,ro "$root"
    PATH=/usr/local/bin:/usr/bin:/bin exec setpriv --clear-groups --no-new-privs -- \
        unshare --pid --fork --kill-child --net --ipc --uts --mount-proc=/proc --root="$root" \
        --wd="$directory" --setgid="${user#*:}" --setuid="${user%:*}" -- "$entry" "$@"
}

case ${1:-} in
    base) make_base ;;
    run) exec unshare --mount --propagation private -- "$0" inside "$@" ;;
    inside) shift 2 && run "$@" ;;
    probe) LAMPLIGHTER=/bin/true "$0" run --read-only "$repository/tests" /mnt -- 2>/dev/null ;;
    *) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2 && exit 64 ;;
esac
