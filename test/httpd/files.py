"""Files arrive as they are: whole, in parts, conditionally, by every name they can have."""
import email.utils
import os
import subprocess
import time
import urllib.parse

from httpd import Client, Server, equal, get, main, make_tree

ROOT, FILES = make_tree()
CLEAN = [ROOT]


def quote(name):
    return "/" + urllib.parse.quote(name)


def curl(*args):
    return subprocess.run(["curl", "-sS", "--max-time", "20", *args], check=True, capture_output=True).stdout


def test_curl_gets_identical_bytes():
    """A file that arrives changed is worse than none."""
    with Server(ROOT) as s:
        for name, data in FILES.items():
            if not name.startswith((".hidden", ".git")):
                equal(curl("--fail", s.url(quote(name))), data, name)


def test_one_connection_serves_all():
    """Keep-alive that loses count of bytes mixes one file into the next."""
    with Server(ROOT) as s:
        c = Client(s)
        for _ in range(3):
            for name, data in FILES.items():
                if not name.startswith((".hidden", ".git")):
                    a = c.get(quote(name))
                    equal((a.status, a.body == data), (200, True), name)
        c.close()


def test_head_is_get_without_its_body():
    """A HEAD with a body, or with another length, desynchronises every client behind a proxy."""
    with Server(ROOT) as s:
        c = Client(s)
        for path in ["/small.txt", "/empty", "/big.bin", "/list/", "/", "/sub"]:
            head, whole = c.get(path, "HEAD"), c.get(path)
            drop = ("date",)
            equal({k: v for k, v in head.headers.items() if k not in drop},
                  {k: v for k, v in whole.headers.items() if k not in drop}, path)
            equal(head.status, whole.status, path)
        missing = c.get("/missing", "HEAD")
        equal((missing.status, c.get("/small.txt").body), (404, FILES["small.txt"]))
        c.close()


def test_ranges():
    """Resumed downloads and seeking in films are made of these."""
    data = FILES["big.bin"]
    n = len(data)
    good = [("0-0", 0, 1), ("0-99", 0, 100), ("100-", 100, n - 100), ("-1", n - 1, 1), ("-100", n - 100, 100),
            (f"5000000-{n + 5}", 5000000, n - 5000000), (f"-{n + 1}", 0, n), (f"{n - 1}-", n - 1, 1),
            ("0-99999999999999999999999", 0, n), ("1000-300999", 1000, 300000)]
    with Server(ROOT) as s:
        c = Client(s)
        for spec, off, length in good:
            a = c.get("/big.bin", Range="bytes=" + spec)
            equal(a.status, 206, spec)
            equal(a["content-range"], f"bytes {off}-{off + length - 1}/{n}", spec)
            equal(a.body == data[off:off + length], True, spec)
        for spec in [f"{n}-", "-0", f"{n + 10}-{n + 20}", "99999999999999999999999-"]:
            a = c.get("/big.bin", Range="bytes=" + spec)
            equal((a.status, a["content-range"], a.body), (416, f"bytes */{n}", b""), spec)
        for spec in ["bytes=5-3", "bytes=", "bytes=-", "bytes=a-b", "lines=1-2", "bytes=0-1,3-4", "bytes=1-2x", ""]:
            a = c.get("/edge.bin", Range=spec)
            equal((a.status, a.body == FILES["edge.bin"]), (200, True), spec)
        equal(c.get("/empty", Range="bytes=0-").status, 200)
        equal(c.get("/big.bin", "HEAD", Range="bytes=0-9").status, 200)
        c.close()
        equal(curl("-r", "3-7", s.url("/small.txt")), FILES["small.txt"][3:8])


def test_conditions():
    """Without these every reload of a page sends everything again; wrong, it shows the old one."""
    path = os.path.join(ROOT, "small.txt")
    os.utime(path, (784111777, 784111777))
    date = "Sun, 06 Nov 1994 08:49:37 GMT"
    with Server(ROOT) as s:
        c = Client(s)
        first = c.get("/small.txt")
        tag = first["etag"]
        equal(first["last-modified"], date)
        same = [dict(If_None_Match=tag), dict(If_None_Match="*"), dict(If_None_Match=f'"x", W/{tag}'),
                dict(If_Modified_Since=date), dict(If_Modified_Since="Mon, 07 Nov 1994 00:00:00 GMT"),
                dict(If_Modified_Since="Sunday, 06-Nov-94 08:49:37 GMT"),
                dict(If_Modified_Since="Sun Nov  6 08:49:37 1994")]
        for h in same:
            a = c.get("/small.txt", **h)
            equal((a.status, a.body, a["etag"], a["content-length"]), (304, b"", tag, None), str(h))
        other = [dict(If_None_Match='"x"'), dict(If_Modified_Since="Sun, 06 Nov 1994 08:49:36 GMT"),
                 dict(If_Modified_Since="yesterday"), dict(If_Match=tag), dict(If_Match="*"),
                 dict(If_None_Match='"x"', If_Modified_Since=date), dict(If_Unmodified_Since=date)]
        for h in other:
            a = c.get("/small.txt", **h)
            equal((a.status, a.body), (200, FILES["small.txt"]), str(h))
        for h in [dict(If_Match='"x"'), dict(If_Match="W/" + tag),
                  dict(If_Unmodified_Since="Sun, 06 Nov 1994 08:49:36 GMT")]:
            equal(c.get("/small.txt", **h).status, 412, str(h))
        for h, status in [(tag, 206), (date, 206), ('"x"', 200), ("W/" + tag, 200),
                          ("Sun, 06 Nov 1994 08:49:38 GMT", 200)]:
            equal(c.get("/small.txt", Range="bytes=0-1", If_Range=h).status, status, h)
        # A file that has changed is new, though it has the same size.
        with open(path, "wb") as f:
            f.write(FILES["small.txt"].upper())
        equal(c.get("/small.txt", If_None_Match=tag).body, FILES["small.txt"].upper())
        with open(path, "wb") as f:
            f.write(FILES["small.txt"])
        c.close()


def test_dates():
    """The calendar is ours; a wrong leap day would make caches wrong for a day in four years."""
    path = os.path.join(ROOT, "small.txt")
    with Server(ROOT) as s:
        c = Client(s)
        for t in [0, 1, 951782400, 951868799, 951868800, 1078012800, 1709164800, 1709251199, 68169600, 94694399]:
            os.utime(path, (t, t))
            want = email.utils.formatdate(t, usegmt=True)
            a = c.get("/small.txt")
            equal(a["last-modified"], want)
            equal(c.get("/small.txt", If_Modified_Since=want).status, 304, want)
            if t > 0:
                before = email.utils.formatdate(t - 1, usegmt=True)
                equal(c.get("/small.txt", If_Modified_Since=before).status, 200, before)
        # A file of the far future: no Last-Modified may be later than now, and nothing is "not modified".
        for t in [2147483648, 4107542400, 7258118400]:
            os.utime(path, (t, t))
            a = c.get("/small.txt")
            equal(email.utils.parsedate_to_datetime(a["last-modified"]).timestamp() <= time.time() + 1, True, t)
            want = email.utils.formatdate(t, usegmt=True)
            equal(c.get("/small.txt", If_Modified_Since=want).status, 304, want)
            equal(c.get("/small.txt", If_Modified_Since=a["date"]).status, 200)
        os.utime(path)
        equal(abs(email.utils.parsedate_to_datetime(a["date"]).timestamp() - time.time()) < 5, True, "Date")
        c.close()


def test_directories():
    """/dir must become /dir/, or the links of its index lead elsewhere; a name must not become a tag."""
    with Server(ROOT) as s:
        c = Client(s)
        equal(c.get("/").body, FILES["index.html"])
        equal(c.get("/sub/").body, FILES["sub/index.html"])
        a = c.get("/sub?x=1&y=%0d%0a")
        equal((a.status, a["location"]), (301, "/sub/?x=1&y=%0d%0a"))
        for path in ["//sub", "/%2Fsub", "/.//sub"]:
            a = c.get(path)
            equal((a.status, a["location"][:2] != "//"), (301, True), path)
        page = c.get("/list/").body.decode()
        for want in ['href="./deeper/"', 'href="./one.css"', 'href="./two.md"', 'href="../"']:
            equal(want in page, True, want)
        equal(page.index("deeper/") < page.index("one.css"), True, "directories first")
        c.close()


def test_listing_is_escaped():
    """A file named <script> must stay a name."""
    os.rename(os.path.join(ROOT, "index.html"), os.path.join(ROOT, "moved.html"))
    try:
        with Server(ROOT) as s:
            page = get(s).body.decode()
            equal("a&amp;b&lt;c&gt;&#39;d&quot;.txt" in page, True, "text")
            equal('href="./a%26b%3Cc%3E%27d%22.txt"' in page, True, "link")
            equal("per%25cent%3F%23.txt" in page, True, "reserved")
            equal("hidden" in page or ".git" in page, False, "hidden names")
    finally:
        os.rename(os.path.join(ROOT, "moved.html"), os.path.join(ROOT, "index.html"))


def test_types():
    """A page sent as text is shown as its source; text sent as a page runs its scripts."""
    want = {"/": "text/html; charset=utf-8", "/small.txt": "text/plain; charset=utf-8",
            "/list/one.css": "text/css; charset=utf-8", "/list/two.md": "text/plain; charset=utf-8",
            "/list/deeper/x.json": "application/json", "/edge.bin": "application/octet-stream",
            "/empty": "text/plain; charset=utf-8"}
    with Server(ROOT) as s:
        c = Client(s)
        for path, kind in want.items():
            a = c.get(path)
            equal((a["content-type"], a["x-content-type-options"]), (kind, "nosniff"), path)
        c.close()


def test_file_changes_while_it_is_served():
    """A file that shrinks must not leave the client waiting for bytes that never come."""
    path = os.path.join(ROOT, "shrinks.bin")
    with open(path, "wb") as f:
        f.truncate(64 << 20)
    with Server(ROOT) as s:
        c = Client(s)
        c.send("GET /shrinks.bin HTTP/1.1\r\nHost: t\r\n\r\n")
        c.fill()
        os.truncate(path, 1000)
        try:
            c.answer()
            raise AssertionError("64 MB of a file of 1000 bytes")
        except AssertionError as e:
            equal("of a body of" in str(e), True, str(e))
        equal(get(s, "/small.txt").status, 200)
    os.unlink(path)


main()
