#!/bin/sh
# cross.sh [NAME]: do other compilers, vector widths and machines give the bits of
# tests/data/hash.txt? Other machines are emulated (qemu-user) and run some groups of tests, too.
# One line for each target, those whose name matches ^NAME; one that cannot be tried is named and
# skipped. ONLY=hash in the environment: no tests. The last line is `N passed, N failed`.
# cross.sh --packages [NAME]: a line `command packages` for each thing that a target needs.
cd "$(dirname "$0")/.." || exit 1

# name | emulator, or what the processor must have | compiler | its package | variables of make
targets() {
    cat <<'END'
O0||gcc|gcc|OPT=-O0
Os||gcc|gcc|OPT=-Os
O3||gcc|gcc|OPT=-O3
clang||clang|clang|OPT=-O2
tcc||tcc|tcc|OPT=
scalar||gcc|gcc|OPT=-O1 DEFS="-DFD_STRICT -DFD_SCALAR"
END
    [ "$(uname -m)" != x86_64 ] || cat <<'END'
vec16||gcc|gcc|OPT=-O1 MARCH=-march=x86-64-v2
vec32|avx2|gcc|gcc|OPT=-O1 MARCH=-march=x86-64-v3
vec64|avx512bw|gcc|gcc|OPT=-O1 MARCH=-march=x86-64-v4
i686||i686-linux-gnu-gcc -static|gcc-i686-linux-gnu|OPT=-O1 MARCH=-msse2
END
    cat <<'END'
musl||musl-gcc -static|musl-tools|OPT=-O1
aarch64|qemu-aarch64|aarch64-linux-gnu-gcc -static|gcc-aarch64-linux-gnu|OPT=-O1
armhf|qemu-arm|arm-linux-gnueabihf-gcc -static|gcc-arm-linux-gnueabihf|OPT=-O1
riscv64|qemu-riscv64|riscv64-linux-gnu-gcc -static|gcc-riscv64-linux-gnu|OPT=-O1
s390x|qemu-s390x|s390x-linux-gnu-gcc -static|gcc-s390x-linux-gnu|OPT=-O1
ppc64|qemu-ppc64|powerpc64-linux-gnu-gcc -static|gcc-powerpc64-linux-gnu|OPT=-O1
END
}

chosen() { targets | grep -E "^($1)"; }
chosen "$1" >/dev/null || [ "$1" = --packages ] || {
    echo "cross: no target starts with $1"; echo "0 passed, 1 failed"; exit 1; }
if [ "$1" = --packages ]; then
    chosen "$2" | while IFS='|' read -r name run cc package _; do
        echo "${cc%% *} $package"
        case $run in qemu*) echo "$run qemu-user" ;; esac
    done
    exit
fi

t=$(mktemp) || exit 1
trap 'rm -f "$t" "$t.list"' EXIT
trap 'exit 130' INT TERM
pass=0 fail=0
try() {                            # command: its last line is counted, the others are shown
    "$@" >"$t" 2>&1
    status=$?
    sed '$d' "$t" | sed "s/^/$name: /"
    # shellcheck disable=SC2046
    set -- $(tail -n 1 "$t")
    case "$2 $4" in
    "passed, failed") pass=$((pass + $1)) fail=$((fail + $3)) line="$line, $1 passed, $3 failed"
        [ "$status" = 0 ] || [ "$3" != 0 ] || {
            fail=$((fail + 1)) line="$line, but FAILED: status $status"; } ;;
    *) fail=$((fail + 1)) line="$line, FAILED: status $status: $*" ;;
    esac
}
chosen "$1" >"$t.list"
while IFS='|' read -r name run cc package vars <&3; do
    case $run in
    avx*)
        grep -qw "$run" /proc/cpuinfo || { echo "$name: skipped: no $run here"; continue; }
        run= ;;
    esac
    for c in "${cc%% *}" $run; do
        command -v "$c" >/dev/null || { echo "$name: skipped: no $c"; continue 2; }
    done
    b=build/cross/$name line= began=$(date +%s)
    what=$b/hash
    [ -n "$ONLY" ] || what="$what $b/some"
    make="env -u MAKEFLAGS -u MAKELEVEL make -s V=strict B=$b CC='$cc' OMP= MARCH= $vars $what"
    if ! eval "$make" >"$t" 2>&1; then
        sed "s/^/$name: /" "$t"
        echo "$name: FAILED: it does not compile"; fail=$((fail + 1)); continue
    fi
    built=$(date +%s)
    try $run $b/hash tests/data/hash.txt
    [ "$what" = $b/hash ] || try env TEST_BRIEF=1 $run $b/some
    echo "$name: ${line#, }; $((built - began)) s to compile, $(($(date +%s) - built)) s to run"
done 3<"$t.list"
echo "$pass passed, $fail failed"
[ "$fail" = 0 ]
