# A thin front for Meson: the names people type. See README.md.
#
#   make run [ONCE=1] [KEEP=1]   build, then the tour: a server with the example country, played through; serves until Ctrl-C
#   make check                   everything that proves the build: tests, both compilers, sanitizers, fuzzing, coverage
#   make bench                   the figures of docs/performance.md
#   make install [DESTDIR=]      programs, translations, documentation, systemd unit
#   make clean                   remove what was built (not var/)

BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=

# Debian's own meson and python3 go before whatever else is first in PATH: only they see Debian's modules.
export PATH := /usr/bin:/bin:$(PATH)

.PHONY: all packages run check bench install clean deb

all: $(BUILD)/build.ninja
	ninja -C $(BUILD)

# Meson configures again by itself when its files change.
$(BUILD)/build.ninja:
	meson setup $(BUILD)

packages:
	@tools/install-packages.sh

run: packages
	@$(MAKE) --no-print-directory all
	@BUILD=$(BUILD) ONCE=$(ONCE) KEEP=$(KEEP) examples/tour.sh

check: packages
	@BUILD=$(BUILD) tools/check.sh

bench: packages
	@$(MAKE) --no-print-directory all
	@BUILD=$(BUILD) bench/run.sh

# The prefix is set here and not at setup: only where ceird looks for translations depends on it, so little is built again.
install: $(BUILD)/build.ninja
	meson configure $(BUILD) --prefix $(PREFIX)
	ninja -C $(BUILD)
	meson install -C $(BUILD) --no-rebuild $(if $(DESTDIR),--destdir $(abspath $(DESTDIR)))

clean:
	rm -rf $(BUILD) $(BUILD)-check

deb:
	@echo "make deb: there is no Debian package yet; use make install (docs/operations.md)" >&2; exit 1
