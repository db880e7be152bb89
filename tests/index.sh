#!/bin/sh
# index.sh: one row for each citation in a comment, such as [DDPM eq. 12]: paper, equation, line of
# the code, function (and the constant that chooses it), the groups of tests that name it most.
#
# index.sh check: every citation resolves. Its key is one of methods.md's references and its form is
#
#  [KEY eq. 1, 2.3; alg. 2; KEY sec. 4, app. C.2; KEY code, path/to/file.py; KEY table 1, corrected]
#
# on one line; every reference is cited in the code, every method of methods.md has an equation or
# is derived, and the code cites that equation; every citation in the library belongs to something
# that a test names.
#
# A citation in fd.h stands for the definition of the function, or for the case of the constant, at
# whose name it stands; one in a .c file that says the same takes its place.
lib="fd.c fft.c sde.c nn.c" list=examples/methods.md
work=$(echo examples/*.h examples/*.c examples/*/*.h examples/*/*.c)

find_all() { awk -v check="$1" '
# ---- A line in two: code and note, what is inside of comments
function halves(line,   p)
{
    code = note = ""
    while (line != "") {
        p = index(line, open ? "*/" : "/*")
        if (open) note = note (p ? substr(line, 1, p - 1) : line)
        else code = code (p ? substr(line, 1, p - 1) : line)
        line = p ? substr(line, p + 2) : ""
        if (p) open = !open
    }
}

# ---- Citations: places[1..n] of the content of a bracket, as "KEY<tab>eq.<tab>12"; bad says why
# not
function key_of(s,   k, best)
{
    best = ""
    for (k in known)
        if (length(k) > length(best) &&
            (s == k || index(s, k " ") == 1 || index(s, k ",") == 1)) best = k
    return best
}
function cite(s,   n, m, i, k, key, rest, word, all)
{
    n = 0; bad = ""; all = s
    m = split(s, part, "; ")
    for (i = 1; i <= m; i++) {
        rest = part[i]
        k = key_of(rest)
        if (k != "") { key = k; rest = substr(rest, length(k) + 1); word = "" }
        if (rest == "") places[++n] = key "\t\t"
        else if (k == "") rest = " " rest
        while (rest != "" && bad == "") {
            sub(/^,? /, "", rest)
            if (rest == "corrected" && n) { rest = ""; break }
            if (match(rest, /^(eq|alg|sec|app|th|fig|ass|cond|chap)s?\. /) ||
                match(rest, /^tables? /)) {
                word = substr(rest, 1, RLENGTH - 1)
                sub(/s\.$/, ".", word); sub(/^tables$/, "table", word)
                rest = substr(rest, RLENGTH + 1)
            } else if (match(rest, /^code, /)) { word = "code"; rest = substr(rest, RLENGTH + 1) }
            if (word == "code") match(rest, /^[A-Za-z0-9_.\/-]+/)
            else match(rest, /^([0-9]+[a-z]?|[A-Z][A-Z_]*)(\.[0-9]+)*(-[0-9]+(\.[0-9]+)*)?/)
            if (word == "" || RLENGTH < 1 || substr(rest, RLENGTH + 1) !~ /^(, .*)?$/)
                bad = "malformed: " all
            else {
                s = substr(rest, 1, RLENGTH)
                rest = substr(rest, RLENGTH + 1)
                n = range(n, key "\t" word "\t", s, word)
            }
        }
    }
    return n
}
# 3.65-3.67 is three places
function range(n, head, s, word,   p, from, to, front)
{
    p = word == "code" ? 0 : index(s, "-")
    if (!p) { places[++n] = head s; return n }
    to = substr(s, p + 1); from = substr(s, 1, p - 1); front = ""
    if (match(from, /^.*\./)) { front = substr(from, 1, RLENGTH); from = substr(from, RLENGTH + 1) }
    if (front != "" && index(to, front) != 1) bad = "malformed: " s
    to = substr(to, length(front) + 1)
    if (to + 0 <= from + 0) bad = "malformed: " s
    for (from += 0; from <= to + 0; from++) places[++n] = head front from
    return n
}
function fails(text) { failed++; if (check) print "index: " here ": " text }
function passes() { passed++ }

# all citations of a text: calls found(before, place) for each
function scan(text, page,   p, q, s, before, after, n, i)
{
    before = ""
    while ((p = index(text, "[")) > 0) {
        before = before substr(text, 1, p - 1)
        text = substr(text, p + 1)
        q = index(text, "]")
        s = q ? substr(text, 1, q - 1) : text
        if (!q && match(s, /^[A-Za-z-]+/)) s = substr(s, 1, RLENGTH) " " substr(s, RLENGTH + 1)
        after = q ? substr(text, q + 1, 1) : ""
        if (before ~ /[A-Za-z0-9_\]]$/ || after == "[" || (page && after == "(")) s = ""
        if (key_of(s) != "" || (key_of(substr(s, 1, index(s ";", ";") - 1)) != "")) {
            if (!q) fails("not closed on its line: [" s)
            else {
                n = cite(s)
                if (bad != "") fails(bad)
                else passes()
                for (i = 1; i <= n && bad == ""; i++) found(before, places[i])
            }
        } else if (s ~ /^[A-Z][A-Za-z-]+( et al\.| & | and )/ \
                   || s ~ /^[A-Z][a-z].* [12][0-9][0-9][0-9]/ \
                   || s ~ /(^|[ ,])(eq|alg|sec|app)s?\. [0-9A-Z]/) fails("no such reference: " s)
        else if (!page && s ~ /^[A-Za-z][A-Za-z-]+$/ && s ~ /[A-Z]/ && q) doubt[FILENAME, s] = here
        before = before "[" (q ? substr(text, 1, q) : text)
        text = q ? substr(text, q + 1) : ""
    }
}
function found(before, place,   name)
{
    if (kind == "row") {
        if (place ~ /\t\t$/) return
        row_ok = 1
        listed[place] = here
        return
    }
    if (kind == "page") return
    split(place, f, "\t")
    cited[f[1]] = 1
    if (kind == "test") return
    name = last_name(before)
    if (kind == "head") {
        if (name == "" && !struct) name = first_name(code)
        if (name == "") name = subject
    } else if (name == "") name = first_name(code)
    tag_code[tags + 1] = code ~ /[^ ]/
    placed[place] = 1
    tag_at[++tags] = FILENAME; tag_line[tags] = FNR; tag_place[tags] = place; tag_name[tags] = name
}
# where a constant is used, not where an argument is checked: FD_FAIL in the statement or after it
function uses(   w)
{
    if (code ~ /FD_FAIL|fd_fail/) {
        for (w in ready) delete ready[w]
        for (w in held) delete held[w]
        return
    }
    for (w in ready) { if (!(w in at_use)) at_use[w] = ready[w]; delete ready[w] }
    if (code ~ /[;{}] *$/) for (w in held) { ready[w] = held[w]; delete held[w] }
}
# of a line of code: the function that it declares, or the first name
function first_name(s)
{
    if (match(s, /fd_[a-z0-9_]+\(/)) return substr(s, RSTART, RLENGTH - 1)
    if (!match(s, /(^|[^A-Za-z0-9_])(fd_|FD_)[A-Za-z0-9_]+/)) return ""
    return last_name(substr(s, RSTART, RLENGTH))
}
function last_name(s,   best, w)
{
    best = ""
    while (match(s, /(fd_|FD_)[A-Za-z0-9_]+/)) {
        w = substr(s, RSTART, RLENGTH)
        if ((RSTART == 1 || substr(s, RSTART - 1, 1) !~ /[A-Za-z0-9_]/) &&
            w !~ /^FD_E(NOMEM|ARG|SHAPE|DATA|IO|NAN)$/)
            best = w
        s = substr(s, RSTART + RLENGTH)
    }
    return best
}

# ---- Definitions at column 0 of a source: fn_name[FILE, i], from fn_from to fn_to
function definitions(   name)
{
    if (code ~ /^[A-Za-z][A-Za-z0-9_ *]* [*]*[a-z][a-z0-9_]*\(/ && code !~ /;[ ]*$/ &&
        code !~ /^typedef/) {
        name = code
        sub(/\(.*/, "", name); sub(/^.*[^A-Za-z0-9_]/, "", name)
        fn_name[FILENAME, ++fns[FILENAME]] = name
        is_fn[FILENAME, name] = 1
        fn_from[FILENAME, fns[FILENAME]] = FNR
        fn_to[FILENAME, fns[FILENAME]] = code ~ /}[ ]*$/ ? FNR : 0
        if (code !~ /^static / && !(name in def)) def[name] = FILENAME "\t" FNR
    }
    if (code ~ /^}/ && fns[FILENAME] && !fn_to[FILENAME, fns[FILENAME]])
        fn_to[FILENAME, fns[FILENAME]] = FNR
}
# the function around a line, or the next one; public: the next one that a test names
function around(file, line, public,   i, s)
{
    for (i = 1; i <= fns[file]; i++)
        if (fn_to[file, i] >= line && (!public || (fn_name[file, i] in groups))) {
            fn_at = i
            return fn_name[file, i]
        }
    return ""
}
function words(s, f,   w, p)
{
    while (match(s, /[A-Za-z_][A-Za-z0-9_]*/)) {
        w = substr(s, RSTART, RLENGTH)
        s = substr(s, RSTART + RLENGTH)
        if (kind == "test") {
            if (w ~ /^(fd|FD|pde)_/) mention[FILENAME, f, w]++
            if (f && fn_name[FILENAME, f] ~ /^test_/ && s ~ /^\(/)
                owner[FILENAME, w] = fn_name[FILENAME, f]
            if (w == "X" && FILENAME == "tests/test.c") {
                match(s, /^\([a-z]+\)/)
                is_group[substr(s, 2, RLENGTH - 2)] = 1
            }
        } else {
            is_word[w] = 1
            if (f && w != fn_name[FILENAME, f] && ((FILENAME, w) in is_fn)) {
                p = fn_name[FILENAME, f] ~ /^fd_/
                if (!((FILENAME, w) in user) || (p && user[FILENAME, w] !~ /^fd_/))
                    user[FILENAME, w] = fn_name[FILENAME, f]
            }
            if (kind == "code" && w ~ /^FD_/ && code !~ /^ *\[/) {
                if (code ~ ("case " w ":") && !(w in at_case)) at_case[w] = FILENAME "\t" FNR
                if (!(w in at_check)) at_check[w] = FILENAME "\t" FNR
                held[w] = FILENAME "\t" FNR
            }
        }
    }
}

{ here = FILENAME ":" FNR }
FNR == 1 {
    open = fenced = table = 0
    subject = ""
    kind = FILENAME ~ /\.md$/ ? "page" : FILENAME ~ /^tests\// ? "test" \
         : FILENAME == "fd.h" ? "head" : FILENAME ~ /^examples/ ? "work" : "code"
}
# ---- The list of methods, first pass: the keys
FILENAME == list && !second {
    if (/^## /) refs = /^## References/
    if (refs) {
        s = ". " $0
        while (match(s, /\. \[[^]]+\]/)) {
            known[substr(s, RSTART + 3, RLENGTH - 4)] = FNR
            s = substr(s, RSTART + RLENGTH)
        }
    }
    next
}
kind == "page" {
    if (/^```/) fenced = !fenced
    if (FNR == 1) table = FILENAME == list
    if (/^## /) { table = 0; refs = FILENAME == list && /^## Ref/ }
    if (fenced || refs || /^    /) next
    s = $0
    gsub(/`[^`]*`/, "``", s)
    if (table && /^\|/ && !/^\| method/ && !/^\|--/) {
        split($0, cell, "|")
        row_ok = cell[3] ~ /derived/
        kind = "row"
        scan(cell[3], 1)
        kind = "page"
        if (row_ok) passes()
        else fails("a method without an equation, not derived:" cell[2])
    } else scan(s, 1)
    next
}
{
    halves($0)
    if (kind != "head") definitions()
    if (kind == "head") {
        if (code ~ /^typedef struct.*[{][^}]*$/) struct = 1
        if (match(note, /^[ *]*(fd_|FD_)[A-Za-z0-9_]+( --|,|:|  |$)/)) {
            subject = note
            sub(/^[ *]*/, "", subject); sub(/[^A-Za-z0-9_].*/, "", subject)
        }
    }
    if (note != "") scan(note, 0)
    if (kind == "head") {
        words(code, 0)
        s = first_name(code)
        if (code ~ /^}/) struct = 0
        for (; s != "" && !struct && waits < tags; waits++)
            if (tag_name[waits + 1] == "" && tag_at[waits + 1] == FILENAME) tag_name[waits + 1] = s
        if (code ~ /[^ ]/) subject = open ? s : ""
    } else {
        words(code, fns[FILENAME] + 0)
        if (kind == "code") uses()
    }
}

END {
    for (k in doubt) {
        split(k, f, SUBSEP)
        here = doubt[k]
        if (!(f[2] in is_word)) fails("no such reference: " f[2])
    }
    # groups of tests: a function belongs to the group that calls it, a helper to the next such one
    for (file in fns) {
        if (file !~ /^tests\//) continue
        g = ""
        for (i = fns[file]; i > 0; i--) {
            name = fn_name[file, i]
            if (name ~ /^test_/ && (substr(name, 6) in is_group)) g = name
            else if (((file, name) in owner) && (substr(owner[file, name], 6) in is_group))
                g = owner[file, name]
            group[file, i] = substr(g, 6)
        }
        group[file, 0] = group[file, 1]
    }
    for (k in mention) {
        split(k, f, SUBSEP)
        g = group[f[1], f[2]]
        if (g == "") continue
        if (!((f[3], g) in times)) groups[f[3]] = groups[f[3]] " " g
        times[f[3], g] += mention[k]
    }
    for (i = 1; i <= tags; i++)
        if (tag_at[i] != "fd.h")
            in_code[tag_place[i], around(tag_at[i], tag_line[i], 0)] = in_code[tag_place[i]] = 1
    for (i = 1; i <= tags; i++) row(tag_at[i], tag_line[i], tag_place[i], tag_name[i], tag_code[i])
    for (k in listed) {
        here = listed[k]
        split(k, f, "\t")
        if (k in placed) passes()
        else fails("the code does not cite [" f[1] " " f[2] " " f[3] "]")
    }
    for (k in known) {
        here = list ":" known[k]
        if (k in cited) passes()
        else fails("nobody cites [" k "]")
    }
    if (check) print passed + 0 " passed, " failed + 0 " failed"
    exit check && failed
}
function row(file, line, place, name, in_line,   f, d, s, n, o, fn, at, t, from)
{
    split(place, f, "\t")
    here = file ":" line
    from = file
    if (file == "fd.h") {
        s = (name in def) ? def[name] : (name in at_case) ? at_case[name] \
          : (name in at_use) ? at_use[name] : (name in at_check) ? at_check[name] : ""
        if (s != "") { split(s, d, "\t"); file = d[1]; line = d[2] }
    }
    fn = around(file, line, 0); at = fn_at
    if (from == "fd.h" && f[2] != "" && (((place, fn) in in_code) ||
        ((place in in_code) && !(name in def) && !(name in at_case)))) return
    if (name == "" || !(name in groups)) {
        name = fn
        for (n = 0; n < 9 && !(name in groups) && ((file, name) in user); n++)
            name = user[file, name]
        if (!(name in groups)) name = around(file, line, 1)
    }
    t = best(name)
    if (from !~ /^examples/ || from == "examples/pde.h") {
        if (t != "") passes()
        else fails("no test names " name ", which stands for [" f[1] " " f[2] " " f[3] "]")
    }
    if (check) return
    if (in_line && from != "fd.h" && line < fn_from[file, at]) fn = ""
    if (from ~ /^examples/ && line < fn_from[file, 1]) { fn = file; sub(/.*\//, "", fn) }
    if (fn == "") fn = name
    else if (name != fn && name ~ /^FD_/) fn = fn " " name
    n = f[3]; s = ""
    while (match(n, /[0-9]+/)) {
        s = s substr(n, 1, RSTART - 1) sprintf("%05d", substr(n, RSTART, RLENGTH))
        n = substr(n, RSTART + RLENGTH)
    }
    o = f[2] == "" ? 99 : index("eq.  alg. chapsec. app. th.  fig. ass. condtablecode ",
                                substr(f[2] "    ", 1, 4))
    printf("%s %03d %s%s\t%-18s %-28s %-16s %-36s %s\n", tolower(f[1]), o, s, n, f[1],
           (f[2] == "code") ? f[3] : (f[2] == "") ? "-" : f[2] " " f[3], file ":" line, fn,
           (t == "") ? "-" : t)
}
# the two groups that name it most often
function best(name,   n, i, a, top, k, m, d)
{
    n = split(groups[name], a, " ")
    top = ""
    for (k = 0; k < 2 && k < n; k++) {
        m = 0
        for (i = 1; i <= n; i++) if (a[i] != "") {
            d = m ? times[name, a[i]] - times[name, a[m]] : 1
            if (d > 0 || (d == 0 && a[i] < a[m])) m = i
        }
        top = top (k ? " " : "") a[m]
        a[m] = ""
    }
    return top
}' list=$list $list second=1 README.md examples/*.md examples/*/*.md tests/*.md tests/*.c \
    $lib fd.h $work; }

if [ "$1" = check ]; then find_all check; else find_all | LC_ALL=C sort -u | cut -f 2-; fi
