#!/bin/sh
# coverage.sh folder -- of each file of the library, the lines and branches that a run of the tests
# in folder reached, and the lines that it did not. A branch that only an assertion, a macro for all
# element types or the compiler makes is counted like any other.
folder=$1
for f in fd fft nn sde; do
    gcov -b -o "$folder" "$folder/$f.o" 2>/dev/null | awk -v f=$f.c '
        /^File/ { mine = index($0, "\047" f "\047") }
        mine && /^Lines executed/ { split($0, a, ":"); lines = a[2] }
        mine && /^Taken at least once/ { split($0, a, ":"); taken = a[2] }
        END { print f ": lines " lines "; branches taken at least once " taken }'
    mv $f.c.gcov "$folder/" 2>/dev/null
    rm -f ./*.gcov
    grep -E '^ *#####:' "$folder/$f.c.gcov" | sed "s/^ *#####: *\([0-9]*\):/    $f.c:\1:/"
done
