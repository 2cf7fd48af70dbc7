"""
weft-tls against the openssl tool: our server with s_client, our client with s_server. If these
fail, we speak a TLS of our own.
"""
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback

SRC, BUILD = os.environ["WEFT_SRC"], os.environ["WEFT_BUILD"]
TLS = os.path.join(BUILD, "examples/tls")
WAIT = 30 * float(os.environ.get("WEFT_TEST_SCALE", "1"))
DIR = tempfile.mkdtemp(prefix="weft-tls-")


def at(name):
    return os.path.join(DIR, name)


class Process:
    """A program that says which port it listens on, and is ended with the with-block."""

    def __init__(self, command, pattern):
        self.p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)
        self.said, limit = b"", time.monotonic() + WAIT
        while not (found := re.search(pattern, self.said)):
            if not select.select([self.p.stdout], [], [], limit - time.monotonic())[0]:
                raise AssertionError(f"{command} does not begin: {self.said}")
            piece = os.read(self.p.stdout.fileno(), 4096)
            if not piece:
                raise AssertionError(f"{command} ended: {self.said} {self.p.stderr.read()}")
            self.said += piece
        self.port = int(found[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.p.kill()
        self.p.communicate()


def weft_server(cert="good", *ca):
    return Process([TLS, "serve", "127.0.0.1:0", at(cert + ".pem"), at(cert + ".key"), *ca],
                   rb"port (\d+)\n")


def openssl_server(*args, cert="good"):
    return Process(["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", at(cert + ".pem"),
                    "-key", at(cert + ".key"), *args], rb"ACCEPT \S*:(\d+)\n")


def run(command, data=b""):
    p = subprocess.run(command, input=data, capture_output=True, timeout=WAIT)
    return p.returncode, p.stdout, p.stderr


class Dialogue:
    """s_client that is spoken to line by line: its letters of command need their own turn."""

    def __init__(self, port, *args):
        self.p = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{port}",
                                   "-CAfile", at("ca.pem"), *args], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.seen = b""

    def say(self, line):
        self.p.stdin.write(line)
        self.p.stdin.flush()

    def until(self, text):
        limit = time.monotonic() + WAIT
        while text not in self.seen:
            left = limit - time.monotonic()
            if left < 0 or not select.select([self.p.stdout], [], [], left)[0]:
                raise AssertionError(f"no {text} in {self.seen[-2000:]}")
            piece = os.read(self.p.stdout.fileno(), 65536)
            if not piece:
                raise AssertionError(f"it ended without {text}: {self.seen[-2000:]}")
            self.seen += piece

    def close(self):
        self.p.kill()
        self.p.communicate()


def expect(truth, what):
    if not truth:
        raise AssertionError(what)


def test_our_server_with_s_client():
    """Every version, curve and kind of key that s_client has, and a lot of bytes."""
    data = os.urandom(300000).hex().encode() + b"\n"
    for cert in "good", "good-rsa":
        with weft_server(cert) as s:
            for args in ["-tls1_3"], ["-tls1_2"], ["-curves", "P-384"], ["-no_ticket"], []:
                # Its answer is complete when the last byte is back, and not when its input ends.
                p = subprocess.Popen(["openssl", "s_client", "-quiet", "-verify_return_error",
                                      "-verify_hostname", "localhost", "-CAfile", at("ca.pem"),
                                      "-connect", f"127.0.0.1:{s.port}", *args],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE)
                feeder = threading.Thread(target=lambda: (p.stdin.write(data), p.stdin.flush()))
                feeder.start()
                got = b""
                while len(got) < len(data):
                    expect(select.select([p.stdout], [], [], WAIT)[0], f"{args}: {len(got)} bytes")
                    piece = os.read(p.stdout.fileno(), 65536)
                    expect(piece, f"{args}: {len(got)} bytes, then {p.stderr}")
                    got += piece
                feeder.join()
                p.kill()
                p.communicate()
                expect(got == data, f"{args}: other bytes came back")


def test_sessions_are_resumed():
    """A client that comes again need not be shown everything again."""
    with weft_server() as s:
        for version in "-tls1_2", "-tls1_3":
            where = ["openssl", "s_client", "-connect", f"127.0.0.1:{s.port}", version]
            d = Dialogue(s.port, version, "-sess_out", at("session"))
            d.say(b"hello-there\n")
            d.until(b"hello-there\n")
            d.say(b"Q\n")
            d.p.wait(WAIT)
            d.close()
            _, out, err = run([*where, "-sess_in", at("session"), "-CAfile", at("ca.pem")], b"Q\n")
            expect(b"Reused, " in out, (version, out, err))


def test_key_updates_of_s_client():
    """K: new keys for us, and we must answer with new ones; k: only theirs."""
    with weft_server() as s:
        d = Dialogue(s.port, "-tls1_3")
        for i in range(20):
            d.say(b"%c\n" % b"Kk"[i % 2])
            d.until(b"KEYUPDATE")
            d.seen = b""
            d.say(b"line %d\n" % i)
            d.until(b"line %d\n" % i)
        d.close()


def test_renegotiation_of_s_client_is_refused():
    """R costs a server much and a client little; others must not notice."""
    with weft_server() as s:
        d = Dialogue(s.port, "-tls1_2")
        d.say(b"before\n")
        d.until(b"before\n")
        d.say(b"R\n")
        d.until(b"no renegotiation")
        d.close()
        d = Dialogue(s.port, "-tls1_2")
        d.say(b"others\n")
        d.until(b"others\n")
        d.close()


def test_our_server_demands_certificates():
    """Somebody without one is told so; somebody with one is served."""
    with weft_server("good", at("ca.pem")) as s:
        client = ["-cert", at("client.pem"), "-key", at("client.key")]
        d = Dialogue(s.port, *client)
        d.say(b"hello\n")
        d.until(b"hello\n")
        d.close()
        d = Dialogue(s.port)
        d.until(b"certificate required")
        d.close()


def test_old_versions_are_refused():
    """TLS 1.1 is broken: not even a client that insists gets it."""
    with weft_server() as s:
        status, out, err = run(["openssl", "s_client", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0",
                                "-connect", f"127.0.0.1:{s.port}"])
        expect(status != 0 and b"alert protocol version" in err, (status, err))


def test_our_client_with_s_server():
    """-rev answers each line turned round: question and answer over every version."""
    for args in ["-tls1_3"], ["-tls1_2"]:
        with openssl_server("-rev", *args) as s:
            # s_server -rev closes without an answer when the client has closed.
            p = subprocess.Popen([TLS, "ask", f"localhost:{s.port}", at("ca.pem")],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE)
            for word in b"weft", b"goroutine":
                p.stdin.write(word + b"\n")
                p.stdin.flush()
                expect(p.stdout.readline() == word[::-1] + b"\n", args)
            p.stdin.close()
            p.wait(WAIT)


def test_our_client_reads_a_page_of_s_server():
    """-www sends one answer and ends: the end must be told from a break."""
    with openssl_server("-www") as s:
        status, out, err = run([TLS, "ask", f"127.0.0.1:{s.port}", at("ca.pem")],
                               b"GET / HTTP/1.0\r\n\r\n")
        expect(status == 0 and out.startswith(b"HTTP/1.0 200 ok"), (status, out[:300], err))
        expect(b"</pre></BODY></HTML>" in out.replace(b"\r", b"").replace(b"\n", b"") or
               b"</HTML>" in out.upper(), out[-200:])


def test_our_client_refuses_impostors():
    """The same as in tls_trust.c, of a server that is not ours."""
    for cert, host, reason in [("other", "localhost", b"ostname mismatch"),
                               ("expired", "localhost", b"has expired"),
                               ("self", "localhost", b"self-signed"),
                               ("good", "localhost", None)]:
        with openssl_server("-www", cert=cert) as s:
            status, out, err = run([TLS, "ask", f"{host}:{s.port}", at("ca.pem")],
                                   b"GET / HTTP/1.0\r\n\r\n")
            if reason:
                expect(status == 1 and reason in err and not out, (cert, status, err))
            else:
                expect(status == 0, (status, err))


def test_our_client_shows_its_certificate():
    """A server that wants one gets it."""
    with openssl_server("-www", "-Verify", "1", "-verify_return_error", "-CAfile",
                        at("ca.pem")) as s:
        ask = [TLS, "ask", f"localhost:{s.port}", at("ca.pem")]
        status, out, err = run([*ask, at("client.pem"), at("client.key")],
                               b"GET / HTTP/1.0\r\n\r\n")
        with open(at("client.pem"), "rb") as f:
            expect(status == 0 and f.read() in out, (status, out[-500:], err))
        status, out, err = run(ask, b"GET / HTTP/1.0\r\n\r\n")
        expect(status == 1 and not out and b"alert" in err, (status, out, err))


def test_a_server_that_is_killed():
    """kill -9 on the other side is a break, not an end."""
    with openssl_server() as s:
        p = subprocess.Popen([TLS, "ask", f"localhost:{s.port}", at("ca.pem")],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        s.p.stdin.write(b"first half\n")
        s.p.stdin.flush()
        expect(p.stdout.readline() == b"first half\n", "the first half")
        s.p.kill()
        expect(p.wait(WAIT) == 1, "it took that for the end")
        said = p.stderr.read()
        expect(b"without a close_notify" in said or b"reset" in said, said)


def main():
    failed = 0
    try:
        subprocess.run(["bash", SRC + "/test/tls/certificates", DIR], check=True)
        for name, test in [(n, f) for n, f in globals().items() if n.startswith("test_")]:
            if sys.argv[1:] and name not in sys.argv[1:]:
                continue
            try:
                test()
                print("ok", name, flush=True)
            except Exception:
                failed += 1
                print("FAILED", name)
                traceback.print_exc(file=sys.stdout)
    finally:
        shutil.rmtree(DIR)
    sys.exit(failed > 0)


main()
