#!/bin/sh
# Makes sure that the programs are there which the tests start: Debian's postgresql, pgbouncer, strace,
# faketime, systemd (for systemd-analyze), debootstrap and chromium. Installs what is missing and nothing else; no
# server is started, none of an existing installation's files is changed. Where each is looked for is what
# tests/it/harness does. What needs no installation goes into target/tools: a validator of Kubernetes
# manifests, Debian's crontab, what Prometheus has (promtool, Pushgateway, node-exporter), and the base of a
# container.
# `untested` prints what can not be tested for want of a program: a variable for the tests that says
# so, and words.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
tools=$here/../target/tools
KUBERNETES_VALIDATE=1.37.0

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

systemd_analyze_is_there() {
    command -v systemd-analyze >/dev/null
}

# Not in most containers.
systemd_can_be_started() {
    [ "$(id -u)" = 0 ] && [ -x /lib/systemd/systemd ] && "$here/systemd.sh" probe
}

# The tests also read YAML with what it brings.
kubernetes_validate_is_there() {
    command -v python3 >/dev/null &&
        [ -d "$tools/python/kubernetes_validate-$KUBERNETES_VALIDATE.dist-info" ]
}

pip_is_there() {
    kubernetes_validate_is_there || python3 -m pip --version >/dev/null 2>&1
}

crontab_is_there() {
    [ -x "$tools/cron/usr/bin/crontab" ]
}

prometheus_is_there() {
    for program in promtool prometheus-pushgateway prometheus-node-exporter; do
        [ -x "$tools/prometheus/usr/bin/$program" ] || return 1
    done
}

chromium_is_there() {
    command -v chromium >/dev/null
}

debootstrap_is_there() {
    container_is_there || [ "$(id -u)" != 0 ] || command -v debootstrap >/dev/null || [ -x /usr/sbin/debootstrap ]
}

container_is_there() {
    [ -d "$tools/container/base" ]
}

# Where mounts are refused, or to users that are not root, none can be entered.
container_can_be_entered() {
    [ "$(id -u)" = 0 ] && container_is_there && "$here/container.sh" probe
}

missing() {
    postgresql_is_there || echo postgresql
    pgbouncer_is_there || echo pgbouncer
    strace_is_there || echo strace
    faketime_is_there || echo faketime
    systemd_analyze_is_there || echo systemd
    pip_is_there || echo python3-pip
    debootstrap_is_there || echo debootstrap
    chromium_is_there || echo chromium
}

untested() {
    pgbouncer_is_there || echo "TEST_WITHOUT_PGBOUNCER the way through pgbouncer"
    strace_is_there || echo "TEST_WITHOUT_STRACE kills and errors at system calls"
    faketime_is_there || echo "TEST_WITHOUT_FAKETIME clocks that are wrong"
    systemd_analyze_is_there || echo "TEST_WITHOUT_SYSTEMD the units in cron/ (systemd-analyze)"
    systemd_can_be_started || echo "TEST_WITHOUT_OWN_SYSTEMD the units in cron/ under a systemd of their own (needs root and cgroups)"
    kubernetes_validate_is_there || echo "TEST_WITHOUT_KUBERNETES the manifests in cron/ (kubernetes-validate)"
    crontab_is_there || echo "TEST_WITHOUT_CRONTAB the crontab in cron/, by cron's own rules"
    prometheus_is_there || echo "TEST_WITHOUT_PROMETHEUS metrics, alert rules and dashboard (promtool, Pushgateway, node-exporter)"
    chromium_is_there || echo "TEST_WITHOUT_CHROMIUM the report in a browser"
    container_can_be_entered || echo "TEST_WITHOUT_CONTAINER the container (needs root, debootstrap and mounts)"
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

# As whoever this is: four things that are files and no more.
fetch() {
    mkdir -p "$tools"
    kubernetes_validate_is_there || {
        rm -rf "$tools/python"
        python3 -m pip install --quiet --root-user-action=ignore --target "$tools/python" "kubernetes-validate==$KUBERNETES_VALIDATE"
    } || rm -rf "$tools/python"
    crontab_is_there || {
        rm -rf "$tools/cron"
        mkdir "$tools/cron"
        (cd "$tools/cron" && apt-get download --quiet=2 --option APT::Sandbox::User=root cron && dpkg --extract cron_*.deb . && rm cron_*.deb)
    } || rm -rf "$tools/cron"
    prometheus_is_there || {
        rm -rf "$tools/prometheus"
        mkdir "$tools/prometheus"
        (cd "$tools/prometheus" && apt-get download --quiet=2 --option APT::Sandbox::User=root prometheus prometheus-pushgateway prometheus-node-exporter &&
            for package in *.deb; do dpkg --extract "$package" . || exit; done && rm ./*.deb)
    } || rm -rf "$tools/prometheus"
    [ "$(id -u)" != 0 ] || "$here/container.sh" base || true
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
if [ -n "$needed" ]; then
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
fi
fetch

if ! postgresql_is_there; then
    echo "PostgreSQL is missing (initdb, pg_ctl, postgres): the tests cannot run without it" >&2
    exit 1
fi
for program in $(missing); do
    echo "$program is missing, and could not be installed" >&2
done
