# `make` builds, `make check-fast` is for every change, `make check` is what CI runs, `make demo` shows the tools at work.

PREFIX  = /usr/local
BINDIR  = $(PREFIX)/bin
MANDIR  = $(PREFIX)/share/man
CARGO   = cargo
INSTALL = install

TOOLS    = listen-listen connect-connect tcpfwd
MAN1     = $(wildcard man/*.1)
MAN7     = $(wildcard man/*.7)
TARGET   = $(abspath $(or $(CARGO_TARGET_DIR),target))
BINARIES = $(TOOLS:%=$(TARGET)/release/%)

# What the tests talk to: a program, or a file, and the Debian package that brings it.
PEERS = socat:socat nc.openbsd:netcat-openbsd tcpserver:ucspi-tcp curl:curl python3:python3 \
	inetd:openbsd-inetd ip:iproute2 nft:nftables unshare:util-linux mandoc:mandoc \
	danted:dante-server microsocks:microsocks ssh:openssh-client sshd:openssh-server tinyproxy:tinyproxy \
	squid:squid ncat:ncat haproxy:haproxy nginx:nginx-light vsftpd:vsftpd openssl:openssl strace:strace \
	/usr/lib/nginx/modules/ngx_stream_module.so:libnginx-mod-stream
APT   = DEBIAN_FRONTEND=noninteractive apt-get -qq

# Worlds that the simulation lives through in `make check`.
SIMULATION_SEEDS = 2000
# Tests in parallel: most of them wait for a timer or a peer, so two for each processor.
TEST_THREADS = $(shell echo $$((2 * $$(nproc))))
# What is tested with the installed programs too.
RELEASE_TESTS = sessions nodes running

# `make fuzz` builds cargo-fuzz where it is not installed, and needs a nightly toolchain.
CARGO_FUZZ = $(or $(shell command -v cargo-fuzz 2>/dev/null),$(TARGET)/tools/bin/cargo-fuzz)
CARGO_FUZZ_VERSION = 0.13.2
FUZZ_TARGETS = $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))
# How long `make fuzz` runs each target.
FUZZ_SECONDS = 60

# Parts of a check run in order, so that the first failure is the last thing on the screen.
.NOTPARALLEL:
.PHONY: all check check-fast peers format clippy fuzz-build doc man test test-fast test-release deny fuzz demo bench install \
	uninstall clean

all:
	$(CARGO) build --release --locked $(TOOLS:%=-p %)

check: peers format clippy fuzz-build doc man test test-release deny
	@echo "check: all passed"

check-fast: format clippy test-fast
	@echo "check-fast: all passed"

# As root, installs the peers that are missing, without starting the services among them; otherwise names them.
# (inetd and its kind live in sbin, which is not on everyone's PATH.)
peers:
	@PATH="$$PATH:/usr/sbin:/sbin"; missing=; \
	for peer in $(PEERS); do \
		command -v "$${peer%%:*}" >/dev/null || test -e "$${peer%%:*}" || missing="$$missing $${peer##*:}"; \
	done; \
	test -n "$$missing" || exit 0; \
	if test "$$(id -u)" != 0 || ! command -v apt-get >/dev/null; then \
		echo "check: the tests need these Debian packages:$$missing" >&2; exit 1; \
	fi; \
	echo "check: installing$$missing"; \
	if ! test -e /usr/sbin/policy-rc.d; then \
		trap 'rm -f /usr/sbin/policy-rc.d' EXIT; \
		printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d; \
	fi; \
	$(APT) update && $(APT) install --no-install-recommends $$missing >/dev/null

format:
	$(CARGO) fmt --all --check

clippy:
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

# The fuzz targets still compile. A stable toolchain is enough for that, and the dependencies of the profile are shared.
# relay-core/tests/corpus.rs replays their seeds. The code is only checked, so the fuzzer itself is not needed.
fuzz-build:
	CUSTOM_LIBFUZZER_PATH=/dev/null \
		$(CARGO) check --manifest-path fuzz/Cargo.toml --target-dir $(TARGET) --locked

# The programs and the tests in one go: apart, cargo would build relay-core twice, because tests add features to its dependencies.
BUILD_TESTS = $(CARGO) build --workspace --bins --tests --locked

# Every test, in one profile with debug assertions and overflow checks. The tests in tests/ drive the programs of RELAY_BIN_DIR.
test:
	$(BUILD_TESTS)
	SIMULATION_SEEDS=$(SIMULATION_SEEDS) RUST_TEST_THREADS=$(TEST_THREADS) RELAY_BIN_DIR=$(TARGET)/debug \
		$(CARGO) test --workspace --locked

# The optimiser can change when a program does something and which system calls it makes. So these tests run again, as they were
# built by `test`, with the programs that are installed.
test-release: all
	RUST_TEST_THREADS=$(TEST_THREADS) RELAY_BIN_DIR=$(TARGET)/release \
		$(CARGO) test --workspace --locked $(RELEASE_TESTS:%=--test %)

# Unit tests, the simulation, style, usage texts, and one session through each tool.
test-fast:
	$(BUILD_TESTS)
	$(CARGO) test -p relay-core --locked
	RELAY_BIN_DIR=$(TARGET)/debug $(CARGO) test --workspace --locked --test tidy
	RELAY_BIN_DIR=$(TARGET)/debug $(CARGO) test --workspace --locked --test documents --test sessions -- \
		golden:: bytes_go_both_ways::tcpfwd bytes_go_both_ways::both_nodes

doc:
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps --locked

man:
	mandoc -Tlint -W warning $(MAN1) $(MAN7)

# A test in tests/tests/tidy checks the same rules. Advisories are left out: they need the network, and change without a change of
# ours.
deny:
	@if command -v cargo-deny >/dev/null; then \
		$(CARGO) deny --locked check bans licenses sources; \
	else \
		echo "check: cargo-deny is not installed and was skipped; the tests have checked the rules of deny.toml"; \
	fi

# Runs each target of fuzz/ from its seeds and from what was found before.
fuzz: $(CARGO_FUZZ)
	@PATH="$(dir $(CARGO_FUZZ)):$$PATH"; \
	for target in $(FUZZ_TARGETS); do \
		echo "fuzz: $$target for $(FUZZ_SECONDS) s"; \
		mkdir -p fuzz/corpus/$$target; \
		$(CARGO) +nightly fuzz run $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) -verbosity=0 -print_funcs=0 -print_final_stats=1 || exit 1; \
	done

$(TARGET)/tools/bin/cargo-fuzz:
	$(CARGO) install --quiet --locked --root $(TARGET)/tools cargo-fuzz@$(CARGO_FUZZ_VERSION)

demo: all
	RELAY_BIN_DIR=$(TARGET)/release $(CARGO) run --release --locked -q -p relay-tests --bin demo

bench: all
	mkdir -p docs
	$(CARGO) run --release --locked -q -p relay-bench -- --markdown docs/benchmarks.md

# `make && sudo make install`: what is built already is installed as it is.
$(BINARIES):
	$(MAKE) all

install: $(BINARIES)
	$(INSTALL) -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(MANDIR)/man7
	$(INSTALL) -m 755 $(BINARIES) $(DESTDIR)$(BINDIR)
	$(INSTALL) -m 644 $(MAN1) $(DESTDIR)$(MANDIR)/man1
	$(INSTALL) -m 644 $(MAN7) $(DESTDIR)$(MANDIR)/man7

uninstall:
	rm -f $(TOOLS:%=$(DESTDIR)$(BINDIR)/%)
	rm -f $(MAN1:man/%=$(DESTDIR)$(MANDIR)/man1/%) $(MAN7:man/%=$(DESTDIR)$(MANDIR)/man7/%)

clean:
	$(CARGO) clean
