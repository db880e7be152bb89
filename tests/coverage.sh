#!/bin/sh
# coverage.sh folder -- what a run of folder/test reached of each file of the library: lines, and
# branches, which are the two outcomes of every condition that was asked. The counts are clang's of
# the source, whatever the compiler made of it; a condition that is never asked is a constant, or it
# stands behind another one or on a line that is listed. Prints what was never reached, a line
# `file:line: never true: condition` each, but for the exceptions of tests/coverage.txt, and fails
# where there is such a line, or where one of the exceptions is reached. Lines of braces alone are
# not counted.
folder=$1
llvm-profdata merge -o "$folder/test.profdata" "$folder"/*.profraw || exit 1
show() { llvm-cov export "$folder/test" -instr-profile="$folder/test.profdata" "$@"; }
status=0
for f in fd fft nn sde; do
    {
        show -format=lcov $f.c | sed -n 's/^DA:\(.*\),\(.*\)/line \1 \2/p'
        show -skip-expansions -skip-functions $f.c |
            sed 's/"[a-z]*":\[\[/\n&/g' | grep '^"branches"' | sed 's/\],\[/\n/g' |
            sed 's/"branches"://; s/[][]//g; s/,/ /g; s/^/branch /'
    } | awk -v file=$f.c '
        function squeeze(s) { gsub(/[ \t]+/, " ", s); sub(/^ /, "", s); sub(/ $/, "", s); return s }
        function text(l0, c0, l1, c1,    s, l) {
            if (l0 == l1) return squeeze(substr(src[l0], c0, c1 - c0))
            s = substr(src[l0], c0)
            for (l = l0 + 1; l < l1; l++) s = s " " src[l]
            return squeeze(s " " substr(src[l1], 1, c1 - 1))
        }
        function missed(l, what, s) {
            s = squeeze(s)
            if ((what, s) in reason) { used[what, s] = 1; excused[what == "reached"]++; return }
            said[++nleft] = "    " file ":" l ": never " what ": " s
        }
        FILENAME ~ /coverage.txt$/ {
            if ($1 != file || !/^    /) next                         # a reason stands above them
            p = index($0, "`"); s = substr($0, p + 1); q = index(s, "`")
            k = $2 SUBSEP substr(s, 1, q - 1)
            reason[k] = 1; known[++nknown] = k
            next
        }
        FILENAME != "-" { src[FNR] = $0; next }
        $1 == "line" && src[$2] !~ /^[ {}]*(else)?[ {}]*$/ {
            lines++
            if (!$3) { nolines++; missed($2, "reached", src[$2]) }
        }
        $1 == "branch" && NF >= 7 {
            k = $2 " " $3
            if (!(k in l1)) { at[++n] = k; l0[k] = $2; c0[k] = $3; l1[k] = $4; c1[k] = $5 }
            yes[k] += $6; no[k] += $7
        }
        END {
            for (i = 1; i <= n; i++) {
                k = at[i]
                if (!yes[k] && !no[k]) continue
                asked++
                s = text(l0[k], c0[k], l1[k], c1[k])
                if (!yes[k]) { missing++; missed(l0[k], "true", s) }
                if (!no[k]) { missing++; missed(l0[k], "false", s) }
            }
            printf "%s: lines %d of %d", file, lines - nolines, lines
            if (excused[1]) printf " (%d exceptions)", excused[1]
            printf ", branches %d of %d", 2 * asked - missing, 2 * asked
            if (excused[0]) printf " (%d exceptions)", excused[0]
            print ""
            for (i = 1; i <= nleft; i++) print said[i] | "sort -t: -k2,2n"
            close("sort -t: -k2,2n")
            for (i = 1; i <= nknown; i++)
                if (!(known[i] in used)) {
                    split(known[i], part, SUBSEP)
                    print "    tests/coverage.txt: is reached: " file " " part[1] " `" part[2] "`"
                    stale = 1
                }
            exit stale || nleft > 0
        }' tests/coverage.txt $f.c - || status=1
done
exit $status
