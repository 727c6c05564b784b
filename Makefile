# SPDX-License-Identifier: GPL-2.0-or-later
# amt-xdp. `make help` lists the targets; every variable can be set on the command line.

CC        ?= gcc
CLANG     ?= clang
LLVM_STRIP ?= llvm-strip
BPFTOOL   ?= $(shell command -v bpftool || echo /usr/sbin/bpftool)
PREFIX    ?= /usr/local
DESTDIR   ?=
SANITIZE  ?= 0
V         ?= 0

VERSION := 0.1.0
O       := $(if $(filter 1,$(SANITIZE)),build/asan,build)
Q       := $(if $(filter 1,$(V)),,@)
say      = @printf '  %-8s %s\n' '$(1)' '$(2)'

PACKAGES := libbpf libxdp libevent_core libevent_extra jansson libconfuse libmnl libcap-ng \
            libsystemd
WARN     := -Wall -Wextra -Werror -Wstrict-prototypes -Wmissing-prototypes -Wno-unused-parameter
CPPFLAGS += -D_GNU_SOURCE -DAMT_VERSION='"$(VERSION)"' -Iinclude -Iuser -I$(O) \
            $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
CFLAGS   ?= -O2 -g
ALL_CFLAGS := -std=gnu11 $(WARN) -fno-strict-aliasing $(CFLAGS) -MMD -MP
LDLIBS   += $(shell pkg-config --libs $(PACKAGES) 2>/dev/null)
ifeq ($(SANITIZE),1)
ALL_CFLAGS += -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
LDFLAGS    += -fsanitize=address,undefined
endif
MULTIARCH  := $(shell $(CC) -print-multiarch 2>/dev/null)
BPF_CFLAGS := -target bpf -mcpu=v3 -O2 -g -std=gnu11 -Wall -Wextra -Werror -Wno-unused-parameter \
              -Iinclude -Ibpf $(if $(MULTIARCH),-I/usr/include/$(MULTIARCH))

# ---- sources -------------------------------------------------------------------------------------

MODULES  := base proto relay gateway datapath control load
LIB_SRC  := $(foreach m,$(MODULES),$(wildcard user/$(m)/*.c))
LIB_OBJ  := $(LIB_SRC:%.c=$(O)/%.o)
LIB      := $(O)/libamt.a
PROGRAMS := $(patsubst user/%.c,%,$(wildcard user/*.c))
BPF_SRC  := $(wildcard bpf/*.bpf.c)
BPF_OBJ  := $(BPF_SRC:bpf/%.bpf.c=$(O)/bpf/%.bpf.o)
SKEL     := $(BPF_SRC:bpf/%.bpf.c=$(O)/skel/%.skel.h)
UNIT     := $(patsubst tests/unit/%.c,$(O)/tests/unit/%,$(wildcard tests/unit/test_*.c))
BPFTEST  := $(patsubst tests/bpf/%.c,$(O)/tests/bpf/%,$(wildcard tests/bpf/test_*.c))
E2E      := $(patsubst tests/e2e/%.c,$(O)/tests/e2e/%,$(filter-out tests/e2e/helper_%, \
              $(wildcard tests/e2e/*.c)))
BENCH    := $(patsubst tests/bench/%.c,$(O)/tests/bench/%,$(filter-out %.bpf.c tests/bench/helper_%, \
              $(wildcard tests/bench/*.c)))
BPFTEST_SKEL := $(patsubst tests/bpf/%.bpf.c,$(O)/skel/%.skel.h,$(wildcard tests/bpf/*.bpf.c))
BENCH_SKEL := $(patsubst tests/bench/%.bpf.c,$(O)/skel/%.skel.h,$(wildcard tests/bench/*.bpf.c))
FUZZ     := $(patsubst tests/fuzz/%.c,$(O)/tests/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
TEST_HELPERS = $(patsubst %.c,$(O)/%.o,$(wildcard tests/$(1)/helper_*.c))
# of another folder: plays with the relay engine as the unit tests do
HELPERS_test_shield_agrees := $(O)/tests/unit/helper_relay.o $(O)/tests/unit/helper_bytes.o

.PHONY: all help programs tests setup run test test-vm bench bench-vm check format fuzz clean install uninstall
.SECONDARY:
.DELETE_ON_ERROR:

all: programs ## build everything that an operator needs (build/)

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:[^#]*## /\t/' | \
		awk -F'\t' '{printf "  make %-10s %s\n", $$1, $$2}'

programs: $(PROGRAMS:%=$(O)/%)

tests: programs $(UNIT) $(BPFTEST) $(E2E) ## build the tests

setup: ## install what is missing (Debian packages)
	@scripts/setup

run: ## the whole way, live: source, relay, gateways; STREAM=FILE streams a file of yours
	@scripts/setup run
	@$(MAKE) -j"$$(nproc)" --no-print-directory programs
	@scripts/demo $(if $(STREAM),--stream '$(STREAM)')

test: ## unit, BPF and end-to-end tests, with sanitizers; ONLY='pattern ...' chooses, SHIELD=off|both
	@scripts/setup test
	@$(MAKE) -j"$$(nproc)" --no-print-directory SANITIZE=1 tests
	@$(MAKE) -j"$$(nproc)" --no-print-directory programs $(E2E)
	@AMT_TEST_SHIELD=$(or $(SHIELD),on) tests/run build/asan $(ONLY)

test-vm: ## what depends on the kernel, on Debian's kernels; KERNELS="6.1 6.12 7" chooses, PLAN=full or long is more
	@scripts/setup vm
	@$(MAKE) -j"$$(nproc)" --no-print-directory programs tests
	@tests/vm/run $(or $(PLAN),$(if $(ONLY),full,short)) '$(or $(KERNELS),6.1 6.12 7)' $(ONLY)

bench: ## measure, as ratios in one run; JSON=FILE writes the figures, PLOT=FILE a PNG, SECTIONS='name ...' chooses
	@scripts/setup $(if $(PLOT),bench,test)
	@$(MAKE) -j"$$(nproc)" --no-print-directory programs $(BENCH) $(O)/tests/e2e/flood
	@tests/bench/run $(if $(JSON),--json '$(JSON)') $(if $(PLOT),--plot '$(PLOT)') \
		$(if $(SECTIONS),--sections '$(SECTIONS)') \
		$(BENCH_FLAGS)

bench-vm: ## instructions a copy next to the Linux kernel's own AMT driver, in a guest; JSON=FILE writes them down
	@scripts/setup vm
	@$(MAKE) -j"$$(nproc)" --no-print-directory programs $(BENCH)
	@tests/vm/bench $(if $(JSON),--json '$(JSON)')

check: ## format, shellcheck, cppcheck, man pages, systemd unit
	@scripts/setup check
	@scripts/check

format: ## put all C files into the project's format
	$(Q)clang-format -i $$(git ls-files '*.c' '*.h')

fuzz: ## build the fuzz targets (clang, libFuzzer)
	@scripts/setup fuzz
	@$(MAKE) -j"$$(nproc)" --no-print-directory $(FUZZ)

clean: ## remove build/
	$(Q)rm -rf build

# ---- rules ---------------------------------------------------------------------------------------

$(O)/bpf/%.bpf.o: bpf/%.bpf.c Makefile
	$(call say,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@
	$(Q)$(LLVM_STRIP) -g $@

define SKELETON
$(call say,SKEL,$@)
@mkdir -p $(@D)
$(Q)$(BPFTOOL) gen skeleton $< name $* > $@
endef

$(O)/skel/%.skel.h: $(O)/bpf/%.bpf.o
	$(SKELETON)

$(O)/user/%.o: user/%.c Makefile | $(SKEL)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -c $< -o $@

$(LIB): $(LIB_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(PROGRAMS:%=$(O)/%): $(O)/%: $(O)/user/%.o $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $(LDLIBS)

$(O)/tests/%.o: tests/%.c Makefile | $(SKEL)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -Itests $(ALL_CFLAGS) -c $< -o $@

.SECONDEXPANSION:
$(UNIT) $(BPFTEST): $(O)/tests/%: $(O)/tests/%.o $$(call TEST_HELPERS,$$(subst /,,$$(dir $$*))) \
		$$(HELPERS_$$(notdir $$*)) $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ -lcmocka $(LDLIBS)

$(E2E): $(O)/tests/%: $(O)/tests/%.o $$(call TEST_HELPERS,e2e) $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $(LDLIBS)

$(O)/tests/%.bpf.o: tests/%.bpf.c Makefile
	$(call say,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@
	$(Q)$(LLVM_STRIP) -g $@

$(BENCH_SKEL): $(O)/skel/%.skel.h: $(O)/tests/bench/%.bpf.o
	$(SKELETON)

$(BPFTEST_SKEL): $(O)/skel/%.skel.h: $(O)/tests/bpf/%.bpf.o
	$(SKELETON)

$(O)/tests/bpf/test_siphash.o $(O)/tests/bpf/helper_judge.o: $(BPFTEST_SKEL)

$(O)/tests/bench/helper_chain.o: $(BENCH_SKEL)

$(BENCH): $(O)/tests/%: $(O)/tests/%.o $$(call TEST_HELPERS,bench) $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $(LDLIBS)

FUZZ_SRC := $(wildcard user/base/*.[ch] user/proto/*.[ch] tests/fuzz/*.h) \
            $(addprefix user/control/,server.c server.h listen.c listen.h) \
            $(addprefix user/gateway/,gateway.h engine.h absence.c answer.c cycle.c discovery.c \
              farewell.c gateway.c options.c report.c saved.c selection.c)

# libFuzzer needs clang; the sources it covers are compiled with the target, instrumented
$(FUZZ): $(O)/tests/fuzz/%: tests/fuzz/%.c $(FUZZ_SRC)
	$(call say,FUZZ,$@)
	@mkdir -p $(@D)
	$(Q)clang $(CPPFLAGS) -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all $(filter %.c,$^) -o $@ $(LDLIBS)

# ---- installation --------------------------------------------------------------------------------

SBIN := $(DESTDIR)$(PREFIX)/sbin
BIN  := $(DESTDIR)$(PREFIX)/bin
MAN  := $(DESTDIR)$(PREFIX)/share/man
UNIT_DIR := $(DESTDIR)$(PREFIX)/lib/systemd/system
CONF := $(DESTDIR)/etc/amt
COMPLETION := $(DESTDIR)$(PREFIX)/share/bash-completion/completions

install: programs ## into $(PREFIX), /usr/local by default
	install -d $(SBIN) $(BIN) $(MAN)/man5 $(MAN)/man7 $(MAN)/man8 $(UNIT_DIR) $(COMPLETION) $(CONF)
	install -m 755 $(O)/amtd $(O)/amt-ctl $(SBIN)
	install -m 755 $(O)/amt-load $(BIN)
	for page in man/*.5 man/*.7 man/*.8; do \
		if [ -f $$page ]; then install -m 644 $$page $(MAN)/man$${page##*.}; fi; done
	sed 's|/usr/local/sbin|$(PREFIX)/sbin|' scripts/amtd@.service >$(UNIT_DIR)/amtd@.service
	chmod 644 $(UNIT_DIR)/amtd@.service
	install -m 644 scripts/completion/amt-ctl $(COMPLETION)

uninstall: ## remove what install put there; configuration stays
	rm -f $(SBIN)/amtd $(SBIN)/amt-ctl $(BIN)/amt-load $(UNIT_DIR)/amtd@.service
	rm -f $(COMPLETION)/amt-ctl
	for page in man/*.[578]; do rm -f $(MAN)/man$${page##*.}/$${page##*/}; done
	if [ -d $(CONF) ]; then rmdir --ignore-fail-on-non-empty $(CONF); fi

-include $(shell find $(O) -name '*.d' 2>/dev/null)
