package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
)

func init() {
	register("echo_100", func() { serve("echo", 100, echoServer) })
	register("echo_1000", func() { serve("echo", 1000, echoServer) })
	// Go has its one poller: the same server, beside weft's on io_uring.
	register("echo_uring_100", func() { serve("echo", 100, echoServer) })
	register("echo_uring_1000", func() { serve("echo", 1000, echoServer) })
	register("http_100", func() { serve("http", 100, httpServer) })
}

func echoServer(l net.Listener) {
	for {
		c, err := l.Accept()
		check(err == nil, "accept")
		go func() {
			defer c.Close()
			var buf [4096]byte
			for {
				n, err := c.Read(buf[:])
				if err != nil {
					return
				}
				if _, err := c.Write(buf[:n]); err != nil {
					return
				}
			}
		}()
	}
}

const hello = "Hello, world!\n"

func httpServer(l net.Listener) {
	http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/plain")
		h.Set("Content-Length", strconv.Itoa(len(hello)))
		io.WriteString(w, hello)
	}))
}

// serve runs a server while BENCH_LOAD loads it, which writes what it sees to our results.
func serve(kind string, connections int, server func(net.Listener)) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	check(err == nil, "listen")
	port := l.Addr().(*net.TCPAddr).Port
	load := exec.Command(os.Getenv("BENCH_LOAD"), kind, strconv.Itoa(port), strconv.Itoa(connections))
	load.Stderr = os.Stderr
	load.ExtraFiles = []*os.File{results} // descriptor 3 there, too
	go server(l)
	cpu := cpuTime()
	check(load.Run() == nil, "the load failed")
	value("server_cpu", "s", (cpuTime() - cpu).Seconds())
}
