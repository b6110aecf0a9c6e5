# What the scripts in ci/ share. Sourced, not run.
# shellcheck shell=bash disable=SC2034,SC2154

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# The ways of suspending a handshake, the best one first.
ways=(retry async hello)

say() {
    printf '== %s\n' "$*" >&2
}

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# Prints the comment at the top of the script, from its usage line on.
help() {
    sed -n '3,/^$/s/^# \?//p' "$0"
}

usage() {
    help >&2
    exit 2
}

# Runs a part of a script, and notes how long it took.
times=()

timed() {
    local part=$1 begin=$SECONDS
    shift

    say "$part"
    "$@"
    times+=("$(printf '%4d s  %s' $((SECONDS - begin)) "$part")")
}

print_times() {
    printf '%s\n' "${times[@]}" "$(printf '%4d s  in all' "$SECONDS")" >&2
}

# Runs a command with its output in $folder/build.log, shown only where it fails.
logged() {
    "$@" >>"$folder/build.log" 2>&1 && return
    tail -n 40 "$folder/build.log" >&2
    die "'$*' failed, see $folder/build.log"
}

# Prints where cargo keeps the sources of a release of a crate; nothing where there is none.
crate_source() {
    local crates=${CARGO_HOME:-$HOME/.cargo}/registry/src

    cargo info --quiet "$1@${2%+*}" >/dev/null
    compgen -G "$crates/*/$1-$2" | head -n 1 || true
}

# Prints where the sources of a release of nginx are: in the crate nginx-src, which counts its own
# releases and carries nginx's version as build metadata, 1.28.5+1.28.3; or in Debian's package of them.
nginx_source() {
    local version=$1 release crate

    [[ $version != "$(debian_version)" ]] || { debian_source "$version"; return; }
    # some are missing
    for ((release = ${version##*.}; release < ${version##*.} + 5; release += 1)); do
        crate=$(crate_source nginx-src "${version%.*}.$release+$version" 2>/dev/null) || continue
        [[ ! $crate ]] || { echo "$crate/nginx"; return; }
    done
    die "neither the crate nginx-src nor Debian has the sources of nginx $version: see ci/build --source"
}

debian_version() {
    dpkg-query -W -f '${source:Upstream-Version}' nginx-dev 2>/dev/null || true
}

# Fetches what Debian's source package is made from, once, with an apt configuration of its own.
debian_source() {
    local version=$1 apt=$root/build/apt codename folder=$root/build/apt

    [[ ! -f $apt/nginx-$version/configure ]] || { echo "$apt/nginx-$version"; return; }
    rm -rf "$apt"
    mkdir -p "$apt"/{lists,cache}/partial
    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    cat >"$apt/sources.list" <<END
deb-src http://deb.debian.org/debian $codename main
deb-src http://deb.debian.org/debian-security $codename-security main
END
    cat >"$apt/apt.conf" <<END
Dir::Etc::SourceList "$apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::State::Lists "$apt/lists";
Dir::Cache "$apt/cache";
APT::Sandbox::User "$(id -un)";
END
    (
        cd "$apt" || exit
        export APT_CONFIG=$apt/apt.conf
        logged apt-get update
        logged apt-get source --download-only --tar-only nginx
        logged tar --extract --file "nginx_$version.orig.tar.gz"
        echo "$apt/nginx-$version"
    )
}

# Prints those of tests with a handshake that could be suspended: with a TLS client.
with_client() {
    grep -lE '\b((tls|stream|mail)_(get|hello|talk)|s_client)\b|SSLSessionCache::(EarlyData|Frontends|Hello|Plain)' "$@"
}

# Runs tests with an nginx and a module, several at a time, as they wait more than they work, but for
# those that say of themselves that they measure time: these run alone afterwards. A file that fails is
# run once more, alone, as a busy machine can be the reason; twice is a failure. Before 1.23.4, nginx has
# TLS 1.3 only if told so.
run_tests() {
    local nginx=$1 module=$2 log=$root/build/prove.log alone beside
    shift 2

    mapfile -t alone < <(grep -l '^# Measures time' "$@" || true)
    mapfile -t beside < <(grep -L '^# Measures time' "$@" || true)
    mkdir -p "${log%/*}"
    {
        ((${#beside[@]} == 0)) || run_twice --jobs $((2 * $(nproc))) "${beside[@]}" || return
        ((${#alone[@]} == 0)) || run_twice "${alone[@]}" || return
    } | tee "$log" || return
    ! grep 'skipped:' "$log" || die "a test was skipped"
}

run_twice() {
    local state=$root/build/prove.state status=0 again

    rm -f "$state"
    run_prove --statefile "$state" --state save "$@" || status=$?
    # Any other status says that not all have run.
    ((status == 1)) || return "$status"
    mapfile -t again < <(prove --dry --statefile "$state" --state failed)
    ((${#again[@]} > 0)) || return "$status"
    say "once more, alone: ${again[*]}"
    run_prove "${again[@]}"
}

run_prove() {
    local globals

    globals=$(load_modules "$nginx" "$module")
    TEST_NGINX_BINARY=$nginx TEST_NGINX_GLOBALS=$globals \
        TEST_NGINX_GLOBALS_HTTP='ssl_protocols TLSv1.2 TLSv1.3;' \
        prove -I "$root/t/lib" --timer "$@"
}

# Prints what an nginx.conf needs to load the module, and mail and stream where this nginx has them in
# shared objects, as Debian's.
load_modules() {
    local nginx=$1 module=$2 options part

    options=$("$nginx" -V 2>&1)
    for part in mail stream; do
        [[ " $options " != *" --with-$part=dynamic "* ]] \
            || printf 'load_module %s/ngx_%s_module.so; ' \
                "$(sed -n 's/.* --modules-path=\([^ ]*\).*/\1/p' <<<"$options")" "$part"
    done
    printf 'load_module %s;' "$module"
}
