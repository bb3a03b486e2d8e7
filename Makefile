# `make` builds, `make check` runs what CI runs, `make demo` shows it at work.

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

# Programs that `make check` builds where they are not installed.
CHECKERS   = cargo-deny@0.20.2 cargo-fuzz@0.13.2
CARGO_DENY = $(or $(shell command -v cargo-deny 2>/dev/null),$(TARGET)/tools/bin/cargo-deny)
CARGO_FUZZ = $(or $(shell command -v cargo-fuzz 2>/dev/null),$(TARGET)/tools/bin/cargo-fuzz)
NIGHTLY    = $(shell $(CARGO) +nightly --version 2>/dev/null)
FUZZ_TARGETS = $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))
# How long `make fuzz` feeds each target; `make check` feeds them all for a moment, beside the tests that replay their seeds.
FUZZ_SECONDS = 60
fuzz-briefly: FUZZ_SECONDS = 5

# Parts of a check run in order, so that the first failure is the last thing on the screen.
.NOTPARALLEL:
.PHONY: all check peers format clippy test-debug test-release doc man deny fuzz fuzz-briefly demo bench install uninstall clean

all:
	$(CARGO) build --release --locked $(TOOLS:%=-p %)

check: peers format clippy test-debug test-release doc man deny fuzz-briefly
	@echo "check: all passed"

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

# The tests in tests/ drive the programs of RELAY_BIN_DIR, which are of the same profile as the tests.
test-debug:
	$(CARGO) build --workspace --locked
	RELAY_BIN_DIR=$(TARGET)/debug $(CARGO) test --workspace --locked

# The programs are those that are installed; optimising the tests across crates would only take its time.
test-release: all
	RELAY_BIN_DIR=$(TARGET)/release CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
		$(CARGO) test --workspace --release --locked

doc:
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps --locked

man:
	mandoc -Tlint -W warning $(MAN1) $(MAN7)

# Advisories are left out: they need the network, and change without a change of ours.
deny: $(CARGO_DENY)
	$(CARGO_DENY) --locked check bans licenses sources

# Each target of fuzz/, from its seeds and from what was found before.
fuzz fuzz-briefly: $(if $(NIGHTLY),$(CARGO_FUZZ))
	@PATH="$(dir $(CARGO_FUZZ)):$$PATH"; if test -z "$(NIGHTLY)"; then \
		echo "check: a nightly toolchain is not installed, nothing was fuzzed"; exit 0; \
	fi; \
	for target in $(FUZZ_TARGETS); do \
		echo "check: fuzzing $$target for $(FUZZ_SECONDS) s"; \
		mkdir -p fuzz/corpus/$$target; \
		$(CARGO) +nightly fuzz run $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) -verbosity=0 -print_funcs=0 -print_final_stats=1 || exit 1; \
	done

# Built once, beside what else is built.
$(TARGET)/tools/bin/%:
	$(CARGO) install --quiet --locked --root $(TARGET)/tools $(filter $*@%,$(CHECKERS))

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
