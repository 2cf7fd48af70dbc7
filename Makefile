# For hands. Everything is done by CMake; `make help` lists what there is.
PREFIX ?= /usr/local
ARGS ?=

all: release

help:
	@echo "make           build the library and the programs (build/release)"
	@echo "make run       ... and serve docs/ with weft-httpd; ARGS= are its arguments"
	@echo "make test      build with assertions and run all tests; also: check, asan, tsan, coverage"
	@echo "make bench     measure (build/release/bench)"
	@echo "make tidy      check style and layers"
	@echo "make install   PREFIX=$(PREFIX) DESTDIR=$(DESTDIR)"
	@echo "make clean     remove build/"

release:
	@tools/setup build
	@cmake --preset release --log-level=WARNING >/dev/null
	@cmake --build --preset release

run: release
	@exec build/release/weft-httpd $(ARGS)

test check:
	@tools/setup test
	@cmake --preset debug --log-level=WARNING >/dev/null
	@cmake --build --preset debug
	@tools/run-tests build/debug

asan tsan coverage:
	@tools/setup ci
	@cmake --preset $@ --log-level=WARNING >/dev/null
	@cmake --build --preset $@
	@tools/run-tests build/$@

bench:
	@tools/setup bench
	@cmake --preset release --log-level=WARNING >/dev/null
	@cmake --build --preset release --target bench
	@tools/run-benches build/release/bench $(ARGS)

tidy:
	@tools/setup test
	@tools/tidy

install:
	@tools/setup build
	@cmake --preset release --log-level=WARNING -DCMAKE_INSTALL_PREFIX=$(PREFIX) >/dev/null
	@cmake --build --preset release
	@DESTDIR=$(DESTDIR) cmake --install build/release

clean:
	rm -rf build

.PHONY: all help release run test check asan tsan coverage bench tidy install clean
