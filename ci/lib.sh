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

# Runs a command with its output in $folder/build.log, shown only where it fails.
logged() {
    "$@" >>"$folder/build.log" 2>&1 && return
    tail -n 40 "$folder/build.log" >&2
    die "'$*' failed, see $folder/build.log"
}

# Prints where cargo keeps the sources of a release of a crate.
crate_source() {
    local crates=${CARGO_HOME:-$HOME/.cargo}/registry/src

    cargo info --quiet "$1@${2%+*}" >/dev/null || die "the crate $1 has no release $2"
    compgen -G "$crates/*/$1-$2" | head -n 1
}
