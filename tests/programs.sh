#!/bin/sh
# Makes sure that the programs are there which the tests start: Debian's postgresql, pgbouncer, strace
# and faketime. Installs what is missing and nothing else; no server is started, none of an existing
# installation's files is changed. Where each is looked for is what tests/it/harness does.
# `untested` prints what can not be tested for want of a program: a variable for the tests that says
# so, and words.
set -eu

postgresql_is_there() {
    for directory in "$(pg_config --bindir 2>/dev/null)" /usr/lib/postgresql/*/bin "$(dirname "$(command -v initdb || echo /)")"; do
        if [ -x "$directory/initdb" ] && [ -x "$directory/pg_ctl" ] && [ -x "$directory/postgres" ]; then
            return 0
        fi
    done
    return 1
}

pgbouncer_is_there() {
    command -v pgbouncer >/dev/null || [ -x /usr/sbin/pgbouncer ]
}

strace_is_there() {
    command -v strace >/dev/null
}

faketime_is_there() {
    for library in /usr/lib/*/faketime/libfaketimeMT.so.1 /usr/lib/faketime/libfaketimeMT.so.1; do
        [ ! -f "$library" ] || return 0
    done
    return 1
}

missing() {
    postgresql_is_there || echo postgresql
    pgbouncer_is_there || echo pgbouncer
    strace_is_there || echo strace
    faketime_is_there || echo faketime
}

untested() {
    pgbouncer_is_there || echo "TEST_WITHOUT_PGBOUNCER the way through pgbouncer"
    strace_is_there || echo "TEST_WITHOUT_STRACE kills and errors at system calls"
    faketime_is_there || echo "TEST_WITHOUT_FAKETIME clocks that are wrong"
}

# As root. Debian's packages start a service each, and postgresql makes a cluster first: what is
# written here keeps them from it while they are installed, and is gone afterwards.
install() {
    no_cluster=/etc/postgresql-common/createcluster.d/lamplighter.conf
    no_service=/usr/sbin/policy-rc.d
    written=""
    trap 'rm -f $written' EXIT
    trap 'exit 1' HUP INT TERM
    mkdir -p "${no_cluster%/*}"
    written=$no_cluster
    echo "create_main_cluster = false" >"$no_cluster"
    if [ ! -e "$no_service" ]; then
        written="$written $no_service"
        printf '#!/bin/sh\nexit 101\n' >"$no_service"
        chmod 755 "$no_service"
    fi
    export DEBIAN_FRONTEND=noninteractive
    # Lists that are out of date often still do.
    apt-get update || echo "apt-get update failed; trying all the same" >&2
    apt-get install -y --no-install-recommends "$@"
    # Without a configuration of its own it has nothing to serve at the next boot either.
    case "$*" in
        *pgbouncer*) [ ! -d /run/systemd/system ] || systemctl disable pgbouncer.service || true ;;
    esac
}

if [ "${1:-}" = untested ]; then
    untested
    exit
fi

if [ "${1:-}" = install ]; then
    shift
    install "$@"
    exit
fi

needed=$(missing)
[ -n "$needed" ] || exit 0
# shellcheck disable=SC2086 # one word for each package
set -- $needed
echo "installing what the tests start: $*"
if ! command -v apt-get >/dev/null; then
    echo "this is not Debian: please install $* with this system's own tools" >&2
elif [ "$(id -u)" = 0 ]; then
    "$0" install "$@" || true
elif command -v sudo >/dev/null; then
    sudo -- "$0" install "$@" || true
else
    echo "neither root nor sudo: please run \`make programs\` as root" >&2
fi

if ! postgresql_is_there; then
    echo "PostgreSQL is missing (initdb, pg_ctl, postgres): the tests cannot run without it" >&2
    exit 1
fi
for program in $(missing); do
    echo "$program is missing, and could not be installed" >&2
done
