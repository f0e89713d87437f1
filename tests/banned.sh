#!/bin/sh
# Proves that the gate for dependencies shuts: a project that depends on a crate which .deny.toml bans
# must be refused for that, and one without it must pass.
set -eu

cd "$(dirname "$0")/.."
rules=$PWD/.deny.toml
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
mkdir -p "$temporary/src" "$temporary/banned/src"
touch "$temporary/src/lib.rs" "$temporary/banned/src/lib.rs"

# A crate of this name and no content: what counts is the name.
project() {
    printf '[package]\nname = "seeded"\nversion = "0.1.0"\nlicense = "MIT"\n\n[dependencies]\nseed = { package = "%s", version = "0.1.0", path = "banned" }\n' "$1" >"$temporary/Cargo.toml"
    printf '[package]\nname = "%s"\nversion = "0.1.0"\nlicense = "MIT"\n' "$1" >"$temporary/banned/Cargo.toml"
}
check() {
    cargo deny --offline --manifest-path "$temporary/Cargo.toml" --config "$rules" check bans >"$temporary/said" 2>&1
}

project harmless
check || {
    cat "$temporary/said" >&2
    echo "a harmless crate is refused: the seeded ones prove nothing" >&2
    exit 1
}
for crate in openssl-sys native-tls serde-pickle; do
    project "$crate"
    if check; then
        echo "$crate is banned, and a project that depends on it passes" >&2
        exit 1
    fi
    grep -q "'$crate\|\`$crate\|$crate = 0.1.0" "$temporary/said" || {
        cat "$temporary/said" >&2
        echo "$crate was refused for another reason" >&2
        exit 1
    }
done
echo "the gate for dependencies shuts: seeded banned crates are refused"
