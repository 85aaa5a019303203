# Set-up that the scripts share. Sourced, not run; talks on stderr.
# shellcheck shell=bash

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)

if [[ ${CI:-} == true ]]; then
    export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never} CARGO_INCREMENTAL=0 CARGO_NET_RETRY=${CARGO_NET_RETRY:-5}
elif [[ -n ${NO_COLOR:-} ]]; then
    export CARGO_TERM_COLOR=never
else
    export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}
fi

die() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    exit 2
}

# The linker, the headers and the compiler at once: dependencies build C code.
can_compile_c() {
    printf '#include <stdlib.h>\nint main(void) { return EXIT_SUCCESS; }\n' | cc -x c -o /dev/null - 2>/dev/null
}

# need_packages WHAT PACKAGE…: installs what is missing, by Debian's package names.
need_packages() {
    local what=$1 as_root=()
    shift
    command -v apt-get >/dev/null || die "$what is missing: install it (on Debian: apt-get install $*)"
    if [[ $EUID -ne 0 ]]; then
        command -v sudo >/dev/null || die "$what is missing: as root, run: apt-get install $*"
        as_root=(sudo)
    fi
    echo "installing $*: $what is missing" >&2
    {
        "${as_root[@]}" apt-get update -qq &&
            "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
    } >&2 || die "apt-get could not install $*"
}

need_c_compiler() {
    can_compile_c && return
    need_packages "a C compiler" build-essential
    can_compile_c || die "build-essential is installed, yet cc cannot compile"
}

need_rust() {
    if ! command -v cargo >/dev/null && [[ -r ${CARGO_HOME:-$HOME/.cargo}/env ]]; then
        # shellcheck source=/dev/null
        . "${CARGO_HOME:-$HOME/.cargo}/env"
    fi
    command -v cargo >/dev/null || die "Rust is missing: get rustup from https://rustup.rs, then run this again"
    (cd "$root" && cargo clippy --version && cargo fmt --version) >/dev/null 2>&1 && return
    # rustup does this by itself unless it is told not to.
    command -v rustup >/dev/null || die "this cargo has no clippy or rustfmt: get rustup from https://rustup.rs"
    local channel
    channel=$(sed -n 's/^channel *= *"\(.*\)"/\1/p' "$root/rust-toolchain.toml")
    rustup toolchain install "$channel" --profile minimal --component clippy --component rustfmt >&2 ||
        die "rustup could not install Rust $channel"
}

set_up() {
    need_c_compiler
    need_rust
}

# build_program OPTION…: prints where the program is that cargo builds so. cargo
# itself names it, wherever the target folder is.
build_program() {
    (cd "$root" && cargo build --locked --message-format=json-render-diagnostics "$@") |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1
}
