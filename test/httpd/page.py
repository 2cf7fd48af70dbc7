"""The page one sees first: it is whole by itself, its links lead somewhere, its program runs."""
import html.parser
import os
import re
import socket
import subprocess
import tempfile
import urllib.parse

from httpd import WAIT, Client, Server, equal, main, until

SRC = os.environ.get("WEFT_SRC", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
BUILD = os.environ.get("WEFT_BUILD", "build/debug")
DOCS = os.path.join(SRC, "docs")


class Page(html.parser.HTMLParser):
    """Collects links, ids, and the text of the program; complains about tags that do not close."""

    VOID = {"meta", "link", "br", "img", "input", "hr"}

    def __init__(self, text):
        super().__init__()
        self.links, self.ids, self.open, self.program, self.in_program = [], [], [], "", False
        self.feed(text)
        self.close()
        equal(self.open, [], "tags left open")

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if "id" in attrs:
            self.ids.append(attrs["id"])
        if tag == "a":
            self.links.append(attrs["href"])
        elif "src" in attrs or "href" in attrs:
            self.links.append(attrs.get("src") or attrs["href"])
        if attrs.get("id") == "echo":
            self.in_program = True
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        if "id" in dict(attrs):
            self.ids.append(dict(attrs)["id"])

    def handle_endtag(self, tag):
        equal(self.open.pop(), tag, f"closed at line {self.getpos()[0]}")
        if tag == "code":
            self.in_program = False

    def handle_data(self, data):
        if self.in_program:
            self.program += data


def page():
    with open(os.path.join(DOCS, "index.html"), encoding="utf-8") as f:
        text = f.read()
    # <li>, <p> and their kin are all closed in this page, so a plain stack will do.
    return text, Page(text)


def test_it_needs_nothing_else():
    """It must look the same on a train: nothing is loaded from anywhere."""
    text, p = page()
    equal(len(p.ids), len(set(p.ids)), "ids are unique")
    for link in p.links:
        equal(link.startswith(("#", "data:")) or not urllib.parse.urlsplit(link).netloc, True, link)
        if link.startswith("#"):
            equal(link[1:] in p.ids, True, link)
    equal(re.findall(r"url\((?!#)|@import|https?://(?!www\.w3\.org/2000/svg)", text), [], "what would be fetched")


def test_links_lead_somewhere():
    """A dead link on the first page is the first thing one finds out about a project."""
    _, p = page()
    with Server(DOCS) as s:
        c = Client(s)
        equal(c.get("/").status, 200)
        for link in {link for link in p.links if not link.startswith(("#", "data:"))}:
            equal(c.get("/" + link).status, 200, link)
        c.close()


def test_its_program_runs():
    """The program that is shown must be one that compiles without a warning and echoes."""
    _, p = page()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as d:
        with open(d + "/echo.c", "w") as f:
            f.write(p.program.replace(":7777", f":{port}"))
        flags = {"address": ["-fsanitize=address,undefined"], "thread": ["-fsanitize=thread"]}
        subprocess.run([os.environ.get("CC", "cc"), "-Wall", "-Wextra", "-Werror", f"-I{SRC}/include", d + "/echo.c",
                        "-o", d + "/echo", os.path.join(BUILD, "libweft.a"), "-pthread",
                        *flags.get(os.environ.get("WEFT_SANITIZE"), [])], check=True)
        server = subprocess.Popen([d + "/echo"])
        try:
            until("it listens", lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
            clients = [socket.create_connection(("127.0.0.1", port), WAIT) for _ in range(50)]
            for i, c in enumerate(clients):
                c.sendall(f"hello {i}".encode())
            for i, c in enumerate(clients):
                equal(c.recv(100), f"hello {i}".encode())
                c.close()
            equal(server.poll(), None)
        finally:
            server.kill()
            server.wait()


main()
