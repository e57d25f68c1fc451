"""The page of the admin listener in a real browser: it loads without a complaint, follows what happens, and what can be done on it
is done. One process serves all tests, which run in their order."""

import fcntl
import os
import pty
import re
import shutil
import socket
import struct
import subprocess
import termios
import threading

import httpx
import pytest
from playwright.sync_api import sync_playwright

from lib.harness import ROOT, World, wait_until

TABLES = """create table parents (id int primary key);
            create table things (tenant int, id int, n int not null default 0, parent int references parents, primary key (tenant, id))"""
ROUTE = {"path": "/tenants/{tenant}/things/{id}", "table": "things", "tenant": "tenant", "columns": {"n": "add"}, "on_refused": "hold"}
TENANTS = range(1, 9)
TOKEN = "s3cret"


class Writer:
    """Writes on and on, so that there is something to see."""

    def __init__(self, world, process):
        self.client, self.stopping = world.client(process), threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        number = 0
        while not self.stopping.wait(0.01):
            try:
                self.client.patch(f"/tenants/{TENANTS[number % len(TENANTS)]}/things/{number % 40}", json={"n": 1})
            except httpx.TransportError:  # the last test ends the process
                return
            number += 1

    def stop(self):
        self.stopping.set()
        self.thread.join()
        self.client.close()


class Shown:
    def __init__(self, browser, world, process):
        self.browser, self.world, self.process = browser, world, process
        self.url = "http://" + process.address("admin listens")
        self.complaints, self.requested = [], []
        self.page = self.open()

    def open(self, knows_token=True, **options):
        page = self.browser.new_page(**{"viewport": {"width": 1280, "height": 1000}, **options})
        if knows_token:  # else the browser reports each answer 401
            page.add_init_script(f"sessionStorage.setItem('leat-admin-token', '{TOKEN}')")
            page.on("request", lambda request: self.requested.append(request.url))
            page.on("console", lambda message: message.type in ("error", "warning") and self.complaints.append(message.text))
            page.on("pageerror", lambda error: self.complaints.append(str(error)))
        return page

    def text(self, selector):
        return self.page.locator(selector).inner_text()

    def waits_for(self, selector, words):
        self.page.locator(selector).filter(has_text=re.compile(words)).wait_for(timeout=60000)

    def picture(self, name, page=None):
        (page or self.page).screenshot(path=ROOT / "build" / f"dashboard-{name}.png", full_page=True)


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("dashboard"), log="local", shards=2, partitions=4, table_sql=TABLES, route=ROUTE,
                  admin_token=TOKEN, apply={"patience": "0s", "lock_timeout": "500ms"})
    writer = None
    try:
        world.init()
        process = world.start("run")
        writer = Writer(world, process)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            yield Shown(browser, world, process)
            browser.close()
    finally:
        if writer:
            writer.stop()
        world.close()


def test_it_loads_and_follows_what_happens(shown):
    """Charts are drawn, numbers move by themselves, nobody else is asked for anything, and no policy is violated."""
    shown.page.goto(shown.url + "/")
    shown.waits_for("#who", f"process {shown.process.pid}")
    shown.waits_for("#flow .said", r"Now [1-9]\d* accepted, [1-9]\d* applied, 0 refused")
    assert shown.page.locator(".plot canvas").count() == 3
    assert shown.text("#health") == "ready" and "Nothing that this process knows of" in shown.text("#alerts")
    first = shown.text("#fresh")
    wait_until(lambda: shown.text("#fresh") != first, "the page to be drawn again")
    assert "No row is held." in shown.text("#held") and "There are no dead letters." in shown.text("#dead")
    times = shown.page.evaluate("(forgetRows(), Promise.all([askAll(), askAll()]).then(() => rows.at))")
    assert len(times) > 1 and times == sorted(set(times))  # two questions at once give no row twice
    assert [url for url in shown.requested if not url.startswith((shown.url + "/", "data:"))] == []
    assert shown.complaints == []


def test_a_frozen_shard_and_a_hot_key_are_seen(shown):
    """A table is locked in shard b, and one row there is written more than all others: both are on the page while that lasts."""
    world, page = shown.world, shown.page
    tenant = wait_until(lambda: world.rows("select tenant from things limit 1", ["b"]), "a row in shard b")[0][0]
    with world.db("b") as db, world.client(shown.process) as client:
        db.execute("begin")
        db.execute("lock table things in access exclusive mode")
        for _ in range(300):
            assert client.patch(f"/tenants/{tenant}/things/7", json={"n": 1}).status_code == 202
        shown.waits_for("#alerts", r"Shard b: .* stalled")
        page.locator("#heat-table tbody tr").first.filter(has_text=re.compile(r"^b.*[3-9]\d\dstalled$")).wait_for(timeout=60000)
        shown.waits_for("#time-lag .said", r"shard b\)")
        shown.waits_for("#culprits", r"55P03")
        shown.picture("light")
        db.execute("rollback")
    shown.waits_for("#alerts", "Nothing that this process knows of")
    shown.waits_for("#culprits", "Nobody: no partition is held back by a record")
    page.locator("#keys tbody tr").first.filter(has_text=re.compile(rf"^b.*{tenant}/7\d")).wait_for(timeout=60000)
    page.locator("#tenants tbody tr").first.filter(has_text=re.compile(rf"^b{tenant}\d")).wait_for(timeout=60000)
    page.locator("#tenants td[data-label=Waited]").first.filter(has_text=re.compile(r"^\d.* (s|min)$")).wait_for(timeout=60000)
    assert shown.complaints == []


def test_the_leader_of_each_measure_is_listed(shown):
    """Of many tenants those that write most are shown, and whoever leads in time of the database, in time waited or in age."""
    found = shown.page.evaluate("""heaviest([{ tenant: "slow", records_s: 1, database_s: 60 }, { tenant: "late", waited_s: 900 }, { tenant: "holder", oldest_s: 30 },
        ...Array.from({ length: 40 }, (_, i) => ({ tenant: `busy${i}`, records_s: 100 + i, database_s: 1, waited_s: 1 }))]).map((one) => one.tenant)""")
    assert len(found) == 20 and found[0] == "busy39" and {"slow", "late", "holder"} <= set(found)


# Charts of several spans of time: how many labels they have below, and which of them overlap.
TIMES = """async () => {
  const painter = CanvasRenderingContext2D.prototype, { clearRect, fillText } = painter, drawn = new Map(), overlaps = [];
  painter.clearRect = function (...at) { drawn.set(this.canvas, []); clearRect.apply(this, at); };
  painter.fillText = function (text, x, y) {
    const half = this.measureText(text).width / 2;
    if (this.textAlign === "center") drawn.get(this.canvas).push({ text, y, from: x - half, to: x + half });
    fillText.call(this, text, x, y);
  };
  for (const seconds of [30, 60, 120, 300, 600, 900]) {
    rows.at = Array.from({ length: 100 }, (_, i) => 1800000007 + i * seconds / 100);
    redrawCharts(state);
    await new Promise((done) => setTimeout(done, 0));
  }
  Object.assign(painter, { clearRect, fillText });
  for (const labels of drawn.values())
    for (const one of labels)
      overlaps.push(...labels.filter((other) => one.y === other.y && one.from < other.from && other.from < one.to).map((other) => [one.text, other.text]));
  return [[...drawn.values()].flat().length, overlaps];
}"""


def test_the_times_of_a_chart_do_not_overlap(shown):
    """On a phone and on wider pages, with seconds and with minutes in it."""
    page = shown.open(viewport={"width": 360, "height": 740})
    page.goto(shown.url + "/")
    page.locator("#flow .said").filter(has_text="accepted").wait_for()
    for width in (360, 480, 800, 1280):
        page.set_viewport_size({"width": width, "height": 740})
        labels, overlaps = page.evaluate(TIMES)
        assert labels > 0 and overlaps == []
    page.close()
    assert shown.complaints == []


def hold(shown, number):
    """A row whose parent is missing."""
    with shown.world.client(shown.process) as client:
        assert client.patch(f"/tenants/1/things/{number}", json={"n": 5, "parent": number}).status_code == 202
    shown.page.locator("#look").click()
    shown.page.get_by_role("button", name=f"Retry 1/{number} of public.things").wait_for(timeout=60000)


def focused(page):
    return page.evaluate("document.activeElement.dataset.name || ''")


def test_a_held_row_is_retried_with_the_keyboard(shown):
    """From the top of the page, Tab leads to its button, which can be seen to have the focus; Enter applies what is kept."""
    hold(shown, 1001)
    page = shown.page
    for shard in ("a", "b"):
        with shown.world.db(shard) as db:
            db.execute("insert into parents values (1001)")
    shown.waits_for("#alerts", "1 row held")
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    for _ in range(60):
        page.keyboard.press("Tab")
        if focused(page) == "Retry 1/1001 of public.things":
            break
    assert focused(page) == "Retry 1/1001 of public.things"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    shown.waits_for("#did", "1 record applied, no longer held")
    shown.waits_for("#held", "No row is held")
    page.locator("#alerts").filter(has_not_text="row held").wait_for()
    assert shown.world.rows("select n, parent from things where id = 1001") == [(5, 1001)]
    assert shown.complaints == []


def test_all_held_rows_are_retried(shown):
    """However long it takes the page waits for it, and says what came of 50 of them."""
    world, page = shown.world, shown.page
    with world.client(shown.process) as client:
        for number in range(2000, 2053):
            assert client.patch(f"/tenants/1/things/{number}", json={"n": 5, "parent": 2000}).status_code == 202
    count = "select count(*) from leat.held"
    wait_until(lambda: sum(row[0] for row in world.rows(count)) == 53, "all to be held")
    for shard in ("a", "b"):
        with world.db(shard) as db:
            db.execute("insert into parents values (2000)")
    page.locator("#look").click()
    shown.waits_for("#held", "public.things")
    page.evaluate("waits = AbortSignal.timeout; AbortSignal.timeout = (ms) => waits.call(AbortSignal, ms < 30000 ? ms : 1)")  # who has little patience
    page.locator("#retry-all").click()
    shown.waits_for("#did", r"1 record applied, no longer held[\s\S]* and 3 more$")
    page.evaluate("AbortSignal.timeout = waits")
    page.locator("#look").click()
    shown.waits_for("#held", "No row is held")
    assert sum(row[0] for row in world.rows("select count(*) from things where parent = 2000")) == 53
    assert shown.complaints == []


def test_a_held_row_is_given_up(shown):
    """After a question; its record is then a dead letter, and is listed as one."""
    hold(shown, 1002)
    shown.page.once("dialog", lambda dialog: dialog.dismiss())
    button = shown.page.get_by_role("button", name="Discard 1/1002 of public.things")
    button.click()
    assert shown.world.rows("select count(*) from leat.held", ["a"])[0][0] + shown.world.rows("select count(*) from leat.held", ["b"])[0][0] == 1
    shown.page.once("dialog", lambda dialog: dialog.accept())
    button.click()
    shown.waits_for("#did", "1 record given up, no longer held")
    shown.waits_for("#dead", r"1/1002[\s\S]*23503")
    assert shown.complaints == []


def test_a_control_is_put_in_effect_and_removed(shown):
    """What makes no sense is said; what does is listed, and `leat control list` has it too."""
    page = shown.page
    form = page.locator("#control")
    form.locator("input[name=tenant]").fill("none")
    form.get_by_role("button").click()
    shown.waits_for("#did", "It did not work: tenant: there is no tenant none")
    form.locator("input[name=tenant]").fill("900")
    form.locator("input[name=reason]").fill("too <b>loud</b>")
    form.get_by_role("button").click()
    shown.waits_for("#did", "records of tenant 900 are held")
    shown.waits_for("#controls", r"tenant 900[\s\S]*too <b>loud</b>")
    assert "of tenant 900 until" in shown.world.leat("control", "list").stdout
    page.get_by_role("button", name="Remove the control of 900").click()
    shown.waits_for("#controls", "No control is in effect")
    complaints = [text for text in shown.complaints if "422" not in text]  # the browser reports that answer, too
    shown.complaints.clear()
    assert complaints == []


def test_it_is_readable_on_a_phone_and_in_the_dark(shown):
    """At 360 and 1280 pixels nothing has to be scrolled sideways; the system's scheme is followed, and the button's choice stays."""
    page = shown.open(viewport={"width": 360, "height": 740}, color_scheme="dark")
    page.goto(shown.url + "/")
    page.locator("#flow .said").filter(has_text="accepted").wait_for()
    page.locator("#shards td").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    shown.picture("phone", page)
    page.get_by_role("button", name="Light").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark
    page.reload()
    page.get_by_role("button", name="Dark").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
    page.set_viewport_size({"width": 1280, "height": 1000})
    page.locator(".plot canvas").nth(2).wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    shown.picture("dark", page)
    page.close()
    assert shown.complaints == []


def test_it_asks_for_the_token(shown):
    """It is shown with each request, and kept in the tab only."""
    page = shown.open(knows_token=False)
    page.goto(shown.url + "/")
    page.locator("#token input").fill("wrong")
    page.keyboard.press("Enter")
    page.locator("#banner").filter(has_text="The token was refused").wait_for()
    page.locator("#token input").fill(TOKEN)
    page.keyboard.press("Enter")
    page.locator("#flow .said").filter(has_text="accepted").wait_for()
    page.locator("#held").filter(has_text="No row is held").wait_for()
    assert page.locator("#token").is_hidden() and page.locator("#banner").is_hidden()
    assert page.evaluate("[JSON.stringify({...localStorage}).includes('s3cret'), JSON.stringify({...sessionStorage}).includes('s3cret')]") == [False, True]
    page.close()


def test_top_shows_the_same(shown):
    """`leat top --once`: of one process, of several, of one that is not there."""
    top = shown.world.leat("top", "--once", "--token", TOKEN, "--admin", shown.url)
    assert top.returncode == 0, top.stderr
    assert re.search(rf"^run \S+ {shown.process.pid}: accepted \d", top.stdout, re.M)
    assert re.search(r"^SHARD +OLDEST +NOT APPLIED", top.stdout, re.M) and re.search(r"^a  ", top.stdout, re.M) and re.search(r"^b  ", top.stdout, re.M)
    both = shown.world.leat("top", "--once", "--token", TOKEN, "--admin", shown.url, "--admin", "http://127.0.0.1:1")
    assert both.returncode == 1 and "http://127.0.0.1:1: " in both.stdout and f" {shown.process.pid}: accepted" in both.stdout
    none = shown.world.leat("top", "--once", "--admin", shown.url)
    assert none.returncode == 1 and "the token is missing or wrong" in none.stdout


class Terminal:
    """`leat top` in a terminal of a size."""

    def __init__(self, world, width, *arguments):
        self.master, slave = pty.openpty()
        self.resize(width)
        self.process = subprocess.Popen([world.program, "top", *arguments], stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0), env={**os.environ, "NO_COLOR": "1", "LEAT_ADMIN_TOKEN": TOKEN})
        os.close(slave)
        self.said = ""

    def resize(self, width):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", 30, width, 0, 0))

    def frame(self, condition):
        """The lines of the first whole frame from now on of which this is true."""
        self.said = ""
        while True:
            self.said += os.read(self.master, 65536).decode()
            for frame in self.said.split("\033[H")[1:]:
                if "q quit" not in frame:  # the last line
                    continue
                lines = [re.sub(r"\033\[[0-9;?]*[A-Za-z]", "", line) for line in frame.split("\033[J")[0].split("\r\n")]
                if condition(lines):
                    return lines

    def end(self):
        """What it says until it has ended, and its exit code."""
        os.write(self.master, b"q")
        while True:
            try:
                self.said += os.read(self.master, 65536).decode()
            except OSError:  # nobody has the other end any more
                break
        os.close(self.master)
        return self.said, self.process.wait(30)


def test_top_follows_the_size_of_its_terminal(shown):
    """It fits a narrow one by leaving out columns, takes keys at once, and gives the terminal back."""
    terminal = Terminal(shown.world, 150, "--admin", shown.url)
    wide = terminal.frame(lambda lines: any(line.startswith("SHARD") for line in lines))
    assert any("BREAKER" in line for line in wide)
    terminal.resize(40)
    narrow = terminal.frame(lambda lines: any(line.startswith("SHARD") and "BREAKER" not in line for line in lines))
    assert [line for line in narrow if len(line) > 40] == [] and any(re.match(r"a +\d", line) for line in narrow)
    os.write(terminal.master, b"p")
    terminal.resize(60)
    terminal.frame(lambda lines: "paused" in lines[0])
    said, code = terminal.end()
    assert code == 0 and said.rstrip().endswith("\033[?1049l") and "\033[31m" not in said


def test_top_takes_keys_while_a_process_hangs(shown):
    """One that takes the connection and says nothing is waited for; what the others said last is sorted, and `q` ends it."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        terminal = Terminal(shown.world, 150, "--admin", f"http://127.0.0.1:{silent.getsockname()[1]}", "--admin", shown.url)
        asked = silent.accept()  # the first question is on its way, and gets no answer
        os.write(terminal.master, b"p")
        terminal.frame(lambda lines: "paused" in lines[0])
        connection = asked[0]
        assert connection.recv(65536).startswith(b"GET /state")
        with pytest.raises(BlockingIOError):  # it is still asked: the other end has not given it up
            connection.recv(1, socket.MSG_DONTWAIT)
        assert terminal.end()[1] == 0
        connection.close()


def test_it_says_that_the_process_is_gone(shown):
    """What it shows is not passed off as the present."""
    shown.process.terminate()
    shown.waits_for("#banner", "The process has not answered for .*: it is gone, or cannot be reached. What is shown is as of")
    assert "stale" in shown.page.evaluate("document.body.className")
