#!/usr/bin/env bash
# Tables: Lamplighter beside Python, with ADBC and with Spark. An environment of pinned versions, the driver with which
# Spark writes to Postgres, then the benchmark `tables`; options are its own.
set -euo pipefail

cd "$(dirname "$0")/../../.."
root="$PWD"
target="${CARGO_TARGET_DIR:-target}/peers"
mkdir -p "$target"
target="$(cd "$target" && pwd)"
if [ ! -x "$target/venv/bin/python" ]; then
    python3 -m venv "$target/venv"
fi
python="$target/venv/bin/python"
"$python" -m pip install --quiet --requirement tests/bench/peers/tables-requirements.txt
# Debian's packages, unpacked, not installed: the driver, and what lets it use a socket of Unix. Spark needs Java too.
if [ ! -e "$target/java/postgresql.jar" ]; then
    packages=(libpostgresql-jdbc-java libjunixsocket-java libjunixsocket-jni)
    unpacked="$(mktemp -d)"
    cd "$unpacked"
    if apt-get download -qq -o APT::Sandbox::User=root "${packages[@]}"; then
        for package in *.deb; do
            dpkg-deb --extract "$package" .
        done
        mkdir -p "$target/java"
        cp usr/lib/*/jni/libjunixsocket-native-*.so usr/share/java/junixsocket-common.jar "$target/java"
        cp usr/share/java/postgresql.jar "$target/java"
    else
        echo "Spark will not be measured: the packages of its driver can not be had (try apt-get update)" >&2
    fi
    cd "$root"
    rm -rf "$unpacked"
fi
exec cargo bench --locked --bench tables -- --peers "$python" "$@"
