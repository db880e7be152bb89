"""web.py PAGE WORK WEIGHTS: open the page from disk in headless Chromium and use it as a person
would. Prints a line for each thing that does not hold and then `N passed, N failed`. WORK is a
folder for pictures, and for a copy of the page in which one bit of WEIGHTS was changed. Standard
library only: Chromium listens on a pipe."""
import base64, gzip, json, os, pathlib, re, shutil, subprocess, sys, tempfile, time

page, work, weights = map(os.path.abspath, sys.argv[1:4])
passed = failed = 0


def ok(holds, what):
    global passed, failed
    passed, failed = passed + bool(holds), failed + (not holds)
    if not holds:
        print("FAILED:", what)


class Chromium:
    """What is sent to the browser and what comes back, messages of JSON that end with a 0."""

    def __init__(self, program):
        self.home = tempfile.mkdtemp()
        to, self.out = os.pipe()
        self.inp, out = os.pipe()
        def pipes():                               # the browser reads from 3 and writes to 4
            os.dup2(to, 103), os.dup2(out, 104), os.dup2(103, 3), os.dup2(104, 4)
        self.run = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--no-first-run", "--hide-scrollbars", "--remote-debugging-pipe",
             "--user-data-dir=" + self.home], preexec_fn=pipes, close_fds=False,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to), os.close(out)
        self.id, self.rest, self.session, self.errors, self.loaded = 0, b"", None, [], []

    def message(self):
        while b"\0" not in self.rest:
            more = os.read(self.inp, 1 << 20)
            if not more:
                raise RuntimeError("Chromium ended")
            self.rest += more
        text, self.rest = self.rest.split(b"\0", 1)
        m = json.loads(text)
        params = m.get("params", {})
        if m.get("method") == "Runtime.exceptionThrown":
            self.errors.append(str(params["exceptionDetails"].get("exception", params)))
        if m.get("method") == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(params["entry"]["text"])
        if m.get("method") == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert"):
            self.errors.append(str(params["args"]))
        if m.get("method") == "Network.requestWillBeSent":
            self.loaded.append(params["request"]["url"][:80])
        return m

    def do(self, method, **params):
        self.id += 1
        m = {"id": self.id, "method": method, "params": params}
        if self.session:
            m["sessionId"] = self.session
        os.write(self.out, json.dumps(m).encode() + b"\0")
        while True:
            answer = self.message()
            if answer.get("id") == self.id:
                if "error" in answer:
                    raise RuntimeError(method + ": " + answer["error"]["message"])
                return answer["result"]

    def js(self, code):
        r = self.do("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in r:
            raise RuntimeError(code + ": " + str(r["exceptionDetails"]))
        return r["result"].get("value")

    def until(self, code, seconds=120):
        end = time.time() + seconds
        while time.time() < end:
            if self.js("document.body && " + code):
                return True
            time.sleep(.1)
        return False

    def open(self, path):
        self.session = None
        target = self.do("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.do("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for part in "Runtime", "Log", "Page", "Network":
            self.do(part + ".enable")
        self.errors, self.loaded = [], []
        self.do("Page.navigate", url=pathlib.Path(path).as_uri())

    def key(self, name):
        code = {"ArrowUp": 38, "ArrowRight": 39, "Tab": 9}[name]
        for kind in "keyDown", "keyUp":
            self.do("Input.dispatchKeyEvent", type=kind, key=name, code=name,
                    windowsVirtualKeyCode=code)

    def mouse(self, kind, x, y):
        self.do("Input.dispatchMouseEvent", type="mouse" + kind, x=x, y=y, button="left",
                buttons=1, clickCount=1)

    def touch(self, kind, *points):
        self.do("Input.dispatchTouchEvent", type="touch" + kind,
                touchPoints=[{"x": x, "y": y} for x, y in points])

    def choose(self, **what):
        for name, value in what.items():
            e = f"$('{name.replace('_', '-')}')"
            self.js(f"{e}.value = '{value}'; {e}.dispatchEvent(new Event('input'))")

    def wide(self, width, height, phone=False):
        self.do("Emulation.setDeviceMetricsOverride", width=width, height=height,
                deviceScaleFactor=1, mobile=phone)

    def media(self, scheme):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.do("Emulation.setEmulatedMedia", features=[feature])

    def picture(self, name):
        time.sleep(.3)
        size = self.do("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self.do("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        with open(os.path.join(work, name), "wb") as f:
            f.write(base64.b64decode(shot["data"]))

    def close(self):
        self.run.terminate()
        self.run.wait()
        shutil.rmtree(self.home, ignore_errors=True)


def spoil(source, to):
    """The same page with the lowest bit of one byte of the weights changed."""
    with open(source) as f:
        text = f.read()
    with open(weights, "rb") as f:
        sign = f.read(64)
    block = re.search(r'(id="wasm">\n)(.*?)(\n</script>)', text, re.S)
    wasm = bytearray(gzip.decompress(base64.b64decode(block.group(2))))
    wasm[wasm.index(sign) + 10] ^= 1
    changed = base64.b64encode(gzip.compress(bytes(wasm))).decode()
    with open(to, "w") as f:
        f.write(text[:block.start(2)] + changed + text[block.end(2):])


def main(c):
    c.open(page)
    c.wide(1100, 900)
    c.media("light")
    ok(c.until("document.body.dataset.ready === 'yes'"), "the page does not start")
    many = c.js("$('hashes').textContent.trim().split('\\n').length")
    ok(c.until("document.body.dataset.bits") and many >= 12, "no hashes are compared")
    ok(c.js("document.body.dataset.bits") == f"{many} of {many}",
       "hashes: " + c.js("$('bits').textContent"))
    print("in Chromium:", c.js("$('bits').textContent"))

    # the slider of time, by keys
    c.js("$('time').focus()")
    before = c.js("[+$('time').value, $('path-plot').innerHTML, $('path-say').textContent]")
    c.key("ArrowRight")
    after = c.js("[+$('time').value, $('path-plot').innerHTML, $('path-say').textContent]")
    ok(after[0] == before[0] + 1, "an arrow key does not move the slider of time")
    ok(after[1] != before[1] and after[2] != before[2], "the function does not change with time")
    c.key("Tab")
    ok(c.js("document.activeElement !== $('time')"), "Tab does not leave the slider")
    hash_now = "document.querySelector('#path-hash code').textContent"
    before = c.js(hash_now)
    c.choose(path_scheme="pf-heun")
    ok(c.js(hash_now) != before, "another scheme changes nothing")
    c.choose(path_process="flow", path_scheme="euler-maruyama")
    ok("does not exist" in c.js("$('path-say').textContent"), "no reason for no answer")
    c.choose(path_process="vp", path_scheme="pf-multistep")
    ok(c.js(hash_now) == before, "the same question has another hash")

    c.choose(path_steps="1000")
    ok(c.js(hash_now) == before and c.js("$('path-steps').matches(':invalid')"),
       "a number that is out of range counts, or is not seen to be wrong")
    c.choose(path_steps="40", path_process="heat", time="20")
    ok("first wave" in c.js("$('path-say').textContent"), "heat: of which wave is m?")
    c.choose(path_process="vp", time="40")
    ok("sampler has made" in c.js("$('path-say').textContent"), "what is the end?")
    nameless = c.js("""[...document.querySelectorAll('input, select, button, .grips .grip')].filter(e =>
        !(e.labels && e.labels.length && e.labels[0].textContent.trim())
        && !e.getAttribute('aria-label') && !(e.matches('button') && e.textContent.trim()))
        .map(e => e.id || e.outerHTML)""")
    ok(not nameless, f"controls without a name: {nameless}")

    # a choice that does nothing cannot be made: for each, one that changes the answer
    for name in c.js("Object.keys(set.path)"):
        for noise in "matern", "band":
            c.choose(path_noise=noise)
            if name == "noise" or c.js(f"$('path-{name}').disabled"):
                continue
            was, now = c.js(f"""(e => [e.value, e.options ? e.options[1].value
                : String(+e.value + +e.step)])($('path-{name}'))""")
            before = c.js(hash_now)
            c.choose(**{"path-" + name: now})
            ok(c.js(hash_now) != before, f"{name}={now} with noise={noise} does nothing")
            c.choose(**{"path-" + name: was})
    c.choose(path_noise="matern")

    # what is known, moved by mouse and keys
    c.js("document.querySelector('#exact-plot .grip').scrollIntoView({ block: 'center' })")
    place = """(r => [r.x + r.width / 2, r.y + r.height / 2])(
        document.querySelector('#exact-plot .grip').getBoundingClientRect())"""
    state = """[document.querySelector('#posterior-hash code').textContent, ...seen[0],
        posterior.mean[12]]"""
    x, y = c.js(place)
    before = c.js(state)
    c.mouse("Moved", x, y), c.mouse("Pressed", x, y)
    for i in range(1, 6):
        c.mouse("Moved", x + 4 * i, y + 8 * i)
    c.mouse("Released", x + 20, y + 40)
    ok(c.until(f"{state}[0] !== '{before[0]}'", 20), "dragging a value changes no posterior")
    time.sleep(.5)
    after, (x1, y1) = c.js(state), c.js(place)
    ok(abs(x1 - x - 20) < 4 and abs(y1 - y - 40) < 4, "the value is not where it was dragged to")
    ok(after[3] < before[3] - .3, "the posterior does not follow the value")
    before = after
    c.js("document.querySelector('#exact-plot .grip').focus()")
    c.key("ArrowUp"), c.key("ArrowUp")
    ok(c.until(f"Math.abs(seen[0][1] - {before[2]} - .2) < 1e-9", 10),
       "arrow keys do not move a value")
    time.sleep(.5)
    ok(c.js("document.activeElement === document.querySelector('#exact-plot .grip')"),
       "the focus is lost after a move")

    # clothes on any grid
    ok(c.until("document.body.dataset.clothes"), "no clothes were drawn")
    c.choose(clothes_points=42)
    ok(c.until("/points=42/.test(document.body.dataset.clothes)"), "no clothes on 42 x 42 points")
    spread = """(() => {
        const e = $('clothes-finer'), n = e.width * e.height;
        const gray = e.getContext('2d').getImageData(0, 0, e.width, e.height).data
            .filter((_, i) => i % 4 == 0);
        const mean = gray.reduce((s, v) => s + v, 0) / n;
        return Math.sqrt(gray.reduce((s, v) => s + (v - mean) ** 2, 0) / n);
    })()"""
    ok(c.js("$('clothes-finer').height") == 42 and c.js(spread) > 30, "the clothes are empty")
    # another seed, and back again before its clothes are drawn
    drawn = "JSON.stringify(Array.from(painted['clothes-own'][0].slice(0, 784)))"
    before = c.js(drawn)
    c.choose(clothes_seed="5")
    ok(c.until(f"{drawn} !== {json.dumps(before)}"), "another seed draws the same clothes")
    c.js("delete document.body.dataset.clothes")
    c.choose(clothes_seed="2")
    ok(c.until("document.body.dataset.clothes"), "no clothes after two changes")
    ok(c.js(drawn) == before, "clothes of one seed stay beside those of another")

    # how it looks
    for scheme in "light", "dark":
        c.media(scheme)
        c.picture(scheme + ".png")
    dark = c.js("getComputedStyle(document.body).backgroundColor")
    c.media("light")
    ok(dark != c.js("getComputedStyle(document.body).backgroundColor"), "dark looks like light")
    c.wide(360, 740, True)
    time.sleep(.5)
    ok(c.js("document.documentElement.scrollWidth") <= 360,
       "a phone of 360 pixels has to scroll sideways")
    c.picture("phone.png")
    c.do("Emulation.setTouchEmulationEnabled", enabled=True)
    c.js("$('made-plot').scrollIntoView({ block: 'center' })")
    before, (x, y) = c.js("seen[0]"), c.js(place.replace("exact", "made"))
    c.touch("Start", (x, y))
    for i in range(1, 6):
        c.touch("Move", (x + 3 * i, y - 9 * i))
        time.sleep(.1)
    c.touch("End")
    ok(c.until(f"seen[0][1] > {before[1]} + 1 && seen[0][0] > {before[0]} + .04", 10),
       f"a finger does not move a value: from {before} to {c.js('seen[0]')}")
    outside = [u for u in c.loaded if not u.startswith(("file:", "data:", "about:", "blob:"))]
    ok(not outside, f"the page loads {outside}")
    ok(not c.errors, f"the console has errors: {c.errors[:3]}")

    bad = os.path.join(work, "spoiled.html")
    spoil(page, bad)
    c.open(bad)
    ok(c.until("document.body.dataset.bits"), "the spoiled page does not start")
    ok(c.js("document.body.dataset.bits") != f"{many} of {many}"
       and "clothes" in c.js("$('bits').textContent"),
       "one bit of a weight was changed and the hashes are equal")


chromium = next(p for p in ("chromium", "chromium-browser", "google-chrome") if shutil.which(p))
browser = Chromium(chromium)
try:
    main(browser)
except Exception as e:
    ok(False, f"{type(e).__name__}: {e}")
finally:
    browser.close()
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
