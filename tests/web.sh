#!/bin/sh
# web.sh PAGE: is the page of `make web` one small file whose answers have the bits of a desktop,
# and does it work? By node and in headless Chromium, what there is of both. Ends with
# `N passed, N failed`.
page=$1 t=$(mktemp -d) pass=0 fail=0
trap 'rm -rf "$t"' EXIT
trap 'exit 130' INT TERM
ok() { if [ "$1" = 0 ]; then pass=$((pass + 1)); else fail=$((fail + 1)); echo "FAILED: $2"; fi; }

size=$(wc -c <"$page") && [ "$size" -gt 100000 ] && [ "$size" -le 400000 ]
ok $? "the page has $size bytes, but at most 400000 are allowed"
! grep -nE '(src|href)="?(https?:)?//|fetch\(|XMLHttpRequest|import|url\(.?(https?:)?//' "$page" \
    >"$t/out"
ok $? "the page asks for more: $(head -n 1 "$t/out")"

# the same answers by node, and other ones where one bit of one weight is changed
cat >"$t/check.js" <<'END'
const fs = require("fs"), text = fs.readFileSync(process.argv[2], "latin1");
const part = id => text.match(new RegExp(`id="${id}">\\n([^]*?)\\n</script>`))[1];
const plain = require("zlib").gunzipSync(Buffer.from(part("wasm"), "base64"));
const lines = part("hashes").split("\n").map(line => [line.slice(0, 16), line.slice(17)]);
function wrong(bytes, lines) {
    const c = new WebAssembly.Instance(new WebAssembly.Module(bytes), {}).exports;
    const memory = at => Buffer.from(c.memory.buffer).subarray(at);
    return lines.filter(([hash, question]) => {
        memory(c.web_line()).write(question + "\0");
        c.web_ask();
        while (c.web_more());
        return memory(c.web_hash()).toString("latin1", 0, 16) !== hash;
    });
}
const other = wrong(plain, lines), clothes = lines.filter(line => /^clothes/.test(line[1]));
for (const line of other) console.log("differs from a desktop: " + line[1]);
const weights = fs.readFileSync("examples/web/clothes.w8"), spoiled = Buffer.from(plain);
spoiled[spoiled.indexOf(weights.subarray(0, 64)) + 10] ^= 1;
const seen = clothes.length > 0 && wrong(spoiled, clothes).length === clothes.length;
if (!seen) console.log("one bit of a weight was changed, and the hashes are the same");
console.log(`${lines.length - other.length} of ${lines.length} hashes are those of a desktop`);
process.exit(lines.length < 12 || other.length || !seen ? 1 : 0);
END
if command -v node >/dev/null; then
    node "$t/check.js" "$page" >"$t/out" 2>&1
    ok $? "by node: $(head -n 3 "$t/out")"
    tail -n 1 "$t/out" | sed 's/^/node: /'
else
    echo "skipped: node: there is none"
fi

python=$(for p in python3 /usr/bin/python3; do command -v $p && break; done)
browser=$(for p in chromium chromium-browser google-chrome; do command -v $p && break; done)
limit=$(command -v timeout) && limit="$limit 900"      # a browser that hangs is a failure
if [ -n "$browser" ] && [ -n "$python" ]; then
    $limit "$python" tests/web.py "$page" "$(dirname "$page")/web" examples/web/clothes.w8 >"$t/out" 2>&1
    sed '/^[0-9]* passed, [0-9]* failed$/d' "$t/out"
    read -r p _ f _ <<END
$(tail -n 1 "$t/out" | grep -E '^[0-9]+ passed, [0-9]+ failed$' || echo "0 passed, 1 failed")
END
    pass=$((pass + p)) fail=$((fail + f))
else
    echo "skipped: the page in a browser: no chromium, or no python3"
fi
echo "$pass passed, $fail failed"
[ $fail = 0 ]
