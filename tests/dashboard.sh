#!/usr/bin/env bash
# Checks what cron/ has for Prometheus and Grafana: that the alert rules are sound and pass their unit tests,
# that Prometheus can parse every expression of the dashboard, and that every metric which either names is
# one that Lamplighter has.
#
# usage: dashboard.sh [METRICS_FILE]
#
# promtool is that of $PROMTOOL, or the one on PATH. The metrics are those of METRICS_FILE, a file as a run
# leaves it, together with those that src/report/prometheus names. Exit code 0 if all is well, 1 if not, 2 if
# it can not be checked.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
promtool=${PROMTOOL:-promtool}
metrics=${1:-}
dashboard=$here/cron/grafana-dashboard.json
rules=$here/cron/prometheus-rules.yaml
sources=$here/src/report/prometheus

impossible() {
    printf 'can not check the dashboard: %s\n' "$1" >&2
    exit 2
}
wrong() {
    printf '%s\n' "$1" >&2
    exit 1
}

[ $# -le 1 ] || impossible "usage: dashboard.sh [METRICS_FILE]"
command -v "$promtool" >/dev/null || impossible "there is no $promtool; Debian has it in the package prometheus, or set PROMTOOL"
command -v python3 >/dev/null || impossible "there is no python3"
if [ -n "$metrics" ]; then
    [ -r "$metrics" ] || impossible "there is no file $metrics"
    metrics=$(realpath "$metrics")
fi
for path in "$dashboard" "$rules" "$sources"; do
    [ -e "$path" ] || impossible "there is no $path"
done

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT

# Says what promtool said if it is not content.
quietly() {
    local what=$1
    shift
    "$promtool" "$@" >"$temporary/said" 2>&1 || {
        cat "$temporary/said" >&2
        wrong "$what"
    }
}

if [ -n "$metrics" ]; then
    # A name that breaks a convention is refused, too.
    "$promtool" check metrics <"$metrics" >"$temporary/said" 2>&1 || {
        cat "$temporary/said" >&2
        wrong "$metrics is not as Prometheus wants it"
    }
fi
quietly "cron/prometheus-rules.yaml is not sound" check rules "$rules"
# The tests name the rules by a path that begins in cron/.
cd "$here/cron"
quietly "cron/prometheus-rules.yaml does not pass its tests" test rules prometheus-rules.test.yaml

# One recording rule for each expression, with Grafana's variables replaced, and the names of all metrics that
# dashboard and rules use, each with where.
python3 - "$dashboard" "$rules" "$temporary" <<'END' || wrong "cron/grafana-dashboard.json is not as it should be"
import json
import re
import sys

dashboard, rules, temporary = sys.argv[1:]
VARIABLES = {"__rate_interval": "5m", "__interval": "1m", "__range": "1h", "datasource": "prometheus"}
METRIC = re.compile(r"\blamplighter_[a-z0-9_]+")
board = json.load(open(dashboard, encoding="utf-8"))
variables = {variable["name"] for variable in board["templating"]["list"]}
faults, recorded, used = [], [], []


def plain(expression, where):
    def value(match):
        name = match.group(1) or match.group(2)
        if name not in variables and name not in VARIABLES:
            faults.append(f"{where}: no variable {name}")
        return VARIABLES.get(name, "flight-delay")

    return re.sub(r"\$\{(\w+)(?::\w+)?\}|\$(\w+)", value, expression)


def expressions(node, where):
    if isinstance(node, dict):
        title = node.get("title") or node.get("name")
        where = f"{where}, {title}" if title else where
        for key, value in node.items():
            if key == "expr":
                yield where, value
            else:
                yield from expressions(value, where)
    elif isinstance(node, list):
        for value in node:
            yield from expressions(value, where)


for where, expression in expressions([board["annotations"], board["panels"]], "dashboard"):
    recorded.append((where, plain(expression, where)))
    used += [(name, where) for name in METRIC.findall(expression)]
for variable in board["templating"]["list"]:
    used += [(name, f"variable {variable['name']}") for name in METRIC.findall(json.dumps(variable))]
for line in open(rules, encoding="utf-8"):
    if not line.lstrip().startswith("#"):
        used += [(name, "prometheus-rules.yaml") for name in METRIC.findall(line)]

panels = [panel for panel in board["panels"] if panel["type"] != "row"]
numbers = [panel["id"] for panel in board["panels"]]
if len(set(numbers)) != len(numbers):
    faults.append("two panels have one id")
faults += [f"{panel['title']}: no query" for panel in panels if not panel.get("targets")]
faults += [f"{panel['title']}: not of ${{datasource}}" for panel in panels if panel["datasource"]["uid"] != "${datasource}"]
faults += [f"{panel['title']}: beyond the right edge" for panel in panels if panel["gridPos"]["x"] + panel["gridPos"]["w"] > 24]
if not recorded:
    faults.append("no expression was found")
if faults:
    sys.exit("\n".join(faults))

with open(f"{temporary}/expressions.yaml", "w", encoding="utf-8") as out:
    out.write("groups:\n  - name: dashboard\n    rules:\n")
    for number, (where, expression) in enumerate(recorded):
        out.write(f"      # {where}\n      - record: dashboard:expression_{number}\n        expr: {json.dumps(expression)}\n")
with open(f"{temporary}/used", "w", encoding="utf-8") as out:
    out.writelines(f"{name}\t{where}\n" for name, where in sorted(set(used)))
END
quietly "an expression of cron/grafana-dashboard.json can not be parsed" check rules "$temporary/expressions.yaml"

# Families that there are: in the file as it is, and as the sources name them.
{
    [ -z "$metrics" ] || sed -n 's/^# TYPE \(lamplighter_[a-z0-9_]*\) .*/\1/p' "$metrics"
    find "$sources" -name '*.rs' ! -name 'tests.rs' -exec grep -oh '"lamplighter_[a-z0-9_]*"' {} + | tr -d '"'
} | sort -u >"$temporary/families"
[ -s "$temporary/families" ] || wrong "no metric was found in $sources"

unknown=0
while IFS=$'\t' read -r name where; do
    # A histogram has three names.
    family=$name
    case $name in
        *_bucket) family=${name%_bucket} ;;
        *_sum) family=${name%_sum} ;;
        *_count) family=${name%_count} ;;
    esac
    if ! grep -qxF -e "$name" -e "$family" "$temporary/families"; then
        printf '%s: Lamplighter has no metric %s\n' "$where" "$name" >&2
        unknown=1
    fi
done <"$temporary/used"
[ "$unknown" = 0 ] || wrong "dashboard or rules name metrics that there are none of"

printf 'rules, their tests and %s expressions of the dashboard are sound; %s metrics are known\n' \
    "$(grep -c 'record:' "$temporary/expressions.yaml")" "$(cut -f 1 "$temporary/used" | sort -u | wc -l)"
