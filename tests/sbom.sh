#!/bin/sh
# Checks that a bill of materials (CycloneDX, JSON) lists every crate that is compiled into the binary,
# by the locked dependency tree. What it lists beyond that is no harm: crates of other features.
set -eu

bill=$1
cd "$(dirname "$0")/.."
grep -q '"bomFormat": "CycloneDX"' "$bill" || {
    echo "$bill is no CycloneDX" >&2
    exit 1
}
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
"${CARGO:-cargo}" tree --locked --edges normal --prefix none --format '{p}' >"$temporary/tree"
awk '{ print $1 "@" substr($2, 2) }' "$temporary/tree" | sort -u >"$temporary/compiled"
sed -n 's|.*"purl": "pkg:cargo/\([^"?]*\).*|\1|p' "$bill" | sort -u >"$temporary/listed"
missing=$(comm -23 "$temporary/compiled" "$temporary/listed")
if [ -n "$missing" ]; then
    echo "$bill lacks what is compiled in:" >&2
    echo "$missing" >&2
    exit 1
fi
echo "$bill lists all $(wc -l <"$temporary/compiled") crates that are compiled in"
