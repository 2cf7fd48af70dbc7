# For hands. Everything is done by CMake; `make help` lists what there is.
PREFIX ?= /usr/local
ARGS ?=
BENCH ?=
TESTS ?=
QUICK ?= 0
CMAKE_FLAGS ?=

configure = cmake --preset $(1) --log-level=WARNING $(CMAKE_FLAGS) $(2) >/dev/null

all: release

help:
	@echo "make           build the library and the programs (build/release)"
	@echo "make run       ... and serve docs/ with weft-httpd; ARGS= are its arguments"
	@echo "make test      build with assertions and run all tests; TESTS=regex for some"
	@echo "make asan tsan release-gcc release-clang aarch64 coverage    the same, built otherwise"
	@echo "make bench     measure; BENCH=name for one, QUICK=1 for a tenth of the work"
	@echo "make tidy      check style and layers"
	@echo "make analyze   static analysis of src/"
	@echo "make install   PREFIX=$(PREFIX) DESTDIR=$(DESTDIR)"
	@echo "make clean     remove build/"

release:
	@tools/setup build
	@$(call configure,release)
	@cmake --build --preset release

run: release
	@exec build/release/weft-httpd $(ARGS)

test check:
	@tools/setup test
	@$(call configure,debug)
	@cmake --build --preset debug
	@tools/run-tests build/debug $(if $(TESTS),-R '$(TESTS)')

asan tsan release-gcc release-clang:
	@tools/setup ci
	@$(call configure,$@)
	@cmake --build --preset $@
	@tools/run-tests build/$@ $(if $(TESTS),-R '$(TESTS)')

coverage:
	@tools/setup analyze
	@$(call configure,coverage)
	@cmake --build --preset coverage
	@find build/coverage -name '*.gcno' | sed 's/no$$/da/' | \
	    xargs -I FILE install -m 666 /dev/null FILE	# tests that drop privileges count, too
	@tools/run-tests build/coverage; status=$$?; tools/coverage build/coverage; exit $$status

# What needs no more of the system than qemu-user has: it has a thread of its own (so that no
# deadlock is ever certain), applies no limit to memory, and ignores cheap guards.
aarch64:
	@tools/setup aarch64
	@$(call configure,aarch64)
	@cmake --build --preset aarch64
	@tools/run-tests build/aarch64 \
	    -R '^(unit|sh)\.|^spec\.(chan|select|sync|scope|time|cpp|dump)_|^spec\.(crash_(fault|stack)|io_(close|dial|kinds|message))\.' \
	    -E 'is_a_deadlock|without_memory|has_no_timer'

bench:
	@tools/setup bench
	@$(call configure,release)
	@targets=$$(tools/bench-targets build/release $(BENCH)) && \
	    cmake --build --preset release --target $$targets
	@QUICK=$(QUICK) tools/run-benches build/release/bench $(BENCH)

tidy:
	@tools/setup test
	@tools/tidy

analyze:
	@tools/setup analyze
	@tools/analyze

install:
	@tools/setup build
	@$(call configure,release,-DCMAKE_INSTALL_PREFIX=$(PREFIX))
	@cmake --build --preset release
	@DESTDIR=$(DESTDIR) cmake --install build/release

clean:
	rm -rf build

.PHONY: all help release run test check asan tsan release-gcc release-clang coverage aarch64 \
    bench tidy analyze install clean
