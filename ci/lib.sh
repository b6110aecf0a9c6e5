# What the scripts in ci/ share. Sourced, not run.
# shellcheck shell=bash disable=SC2034

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() {
    printf '== %s\n' "$*" >&2
}

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# Prints the comment at the top of the script, from its usage line on.
usage() {
    sed -n '3,/^$/s/^# \?//p' "$0" >&2
    exit 2
}
