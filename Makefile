# make            build/libfd.a, the tool build/fd and the examples
# make test       build and run the tests
# make check      the tests of every variant, with warnings as errors
# make demo       the main job: train, sample on three grids, figures in out/demo (DATA=file: other images)
# make thesis     the tables of the thesis at a small scale (DATA=images LABELS=labels: of others): out/thesis
# make hash       are the bits here those of other machines? (V=strict)
# make cross      the same by other compilers and on emulated machines, with some of the tests
# make mcu        functions on an emulated microcontroller, and what each part costs there
# make bench      how fast, beside FFTW, OpenBLAS and PyTorch where they are installed: out/bench
# make experiments  lists what is in examples/README.md, with commands and minutes
# make setup      install the one package that a build needs: libstb-dev
# make clean
#
# make test NAME=fft   only the groups of tests whose name starts so (make bench: the rows)
# make V=name     one variant, in build/name: double serial scalar clang sanitize strict
# make STRICT=1   V=strict: the same bits from every compiler and machine

CC      = gcc
V       = float
ifdef STRICT
V       = strict
endif
WARN    = -std=c99 -pedantic -Wall -Wextra -Wshadow -Wstrict-prototypes
OPT     = -O3
MARCH   = -march=native
B       = build/$(V)

ifeq ($(V),float)
B       = build
else ifeq ($(V),double)
DEFS    = -DFD_DOUBLE
else ifeq ($(V),serial)
OMP     =
# gcc vectorises the plain loops of this variant itself, and would contract products and sums in
# their bodies and in their tails differently: the same number would depend on its place.
else ifeq ($(V),scalar)
DEFS    = -DFD_SCALAR
FMA     = -ffp-contract=off
else ifeq ($(V),clang)
CC      = clang
else ifeq ($(V),sanitize)
OPT     = -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all
else ifeq ($(V),strict)
DEFS    = -DFD_STRICT
FMA     = -ffp-contract=off
else
$(error V=$(V): expected float double serial scalar clang sanitize strict)
endif

# The compiler is asked once for each variant which of these flags it has. Of -ffp-contract gcc takes
# "on" for "off", and clang's "fast" contracts across statements. -fno-math-errno: nothing reads errno,
# and a square root is then one instruction.
HASH   := \#
# Never -o /dev/null: some compilers, run by root, replace it.
ask     = $(shell t=$$(mktemp -d) && printf '$(2)\n' | \
    $(CC) $(1) -x c -c -o $$t/o - 2>/dev/null && echo $(1); rm -rf "$$t")
# (musl-gcc finds a library for OpenMP that wants another libc)
ifeq ($(origin OMP),undefined)
OMP    := $(if $(findstring musl,$(CC)),,$(call ask,-fopenmp,$(HASH)include <omp.h>))
endif
ifeq ($(origin FMA),undefined)
FMA    := $(if $(findstring clang,$(shell $(CC) --version)),-ffp-contract=on,-ffp-contract=fast)
endif
MARCH  := $(call ask,$(MARCH),int x;)
# float is to be computed as float, not as double (s390x) or in 80 bits (x87): bits are promised
HAS    := defined FLT_EVAL_METHOD && FLT_EVAL_METHOD && FLT_EVAL_METHOD != 16
EXACT  := $(HASH)include <float.h>\n$(HASH)if $(HAS)\n$(HASH)error\n$(HASH)endif\nint x;
ifeq ($(origin EVAL),undefined)
EVAL   := $(call ask,-std=c99,$(EXACT))
ifneq ($(EVAL),-std=c99)
EVAL   := $(call ask,-std=c99 -fexcess-precision=fast,$(EXACT))
endif
ifndef EVAL
EVAL   := $(call ask,-msse2 -mfpmath=sse,$(EXACT))
endif
EVAL   := $(filter-out -std=c99,$(EVAL))
endif
# which headers an object depends on, where the compiler can say it
DEPS   := $(if $(call ask,-MMD -MP -MF $$t/d,int x;),-MMD -MP)
ifndef DEPS
DEPS   := $(if $(call ask,-MD -MF $$t/d,int x;),-MD)
endif
# the package's headers for compilers that do not look into /usr/include: see setup
AFTER  := $(call ask,-idirafter build/include,int x;)

CFLAGS  = $(WARN) $(WERROR) $(OPT) $(MARCH) $(FMA) $(EVAL) -fno-math-errno $(OMP) $(DEFS) \
          -I. -Itests -Iexamples/tool $(AFTER)
LIB     = fd fft nn sde
PROGSRC = $(wildcard examples/*.c examples/tool/*.c examples/study/*.c)
PROGS   = $(patsubst %.c,$(B)/%,$(notdir $(PROGSRC)))
TESTS   = $(patsubst tests/%.c,$(B)/%.o,$(wildcard tests/test*.c))

# Threads that wait must sleep: spinning starves the others where more run than there are cores.
export OMP_WAIT_POLICY ?= passive

ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 2)
endif

all: $(B)/libfd.a $(PROGS)

$(B)/libfd.a: $(LIB:%=$(B)/%.o)
	@rm -f $@
	ar rcs $@ $^

$(B)/%.o: %.c Makefile | build/include/setup
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(DEPS) -c -o $@ $<

$(B)/%.o: tests/%.c Makefile | build/include/setup
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(DEPS) -c -o $@ $<

$(B)/test: $(TESTS) $(B)/libfd.a
	$(CC) $(CFLAGS) -o $@ $^ -lm

# Programs are compiled with -O1, since all the work is in the library.
define program
$$(B)/$(basename $(notdir $(1))): $(1) $$(B)/libfd.a Makefile
	$$(CC) $$(CFLAGS) -O1 $$(DEPS) $$(if $$(DEPS),-MF $$@.example.d) -o $$@ $$< $$(B)/libfd.a -lm
endef
$(foreach c,$(PROGSRC),$(eval $(call program,$(c))))

-include $(wildcard $(B)/*.d)

# ---- Tests --------------------------------------------------------------------------------------

VARIANTS = float double serial scalar strict clang sanitize

test: $(B)/test all
	@sh tests/sum.sh "$(B)/test $(NAME)" $(if $(NAME),,"sh tests/layers.sh $(B)" "sh tests/tool.sh $(B)")

check:
	@v="$(VARIANTS)"; command -v clang >/dev/null || $(call install,clang) || \
	    { echo "skipped: the variant clang"; v="$(filter-out clang,$(VARIANTS))"; }; \
	set --; for v in $$v; do set -- "$$@" "$(MAKE) --no-print-directory -s V=$$v WERROR=-Werror test"; done; \
	sh tests/sum.sh "$$@"

# The bits are those of tests/data/hash.txt: see tests/hash.c.
$(B)/hash: tests/hash.c $(B)/libfd.a Makefile
	$(CC) $(CFLAGS) -O1 $(DEPS) $(if $(DEPS),-MF $(B)/hash.example.d) -o $@ $< $(B)/libfd.a -lm

hash:
	@$(MAKE) --no-print-directory -s V=strict build/strict/hash
	build/strict/hash tests/data/hash.txt

# the groups of tests that say most about a machine
SOME     = random fft cov files tape samplers
SOMESRC  = $(patsubst %,tests/%.c,test test_core test_fft test_space test_files test_tape test_sde)
$(B)/some: $(SOMESRC) tests/test.h $(B)/libfd.a Makefile
	$(CC) $(CFLAGS) -O1 '-DGROUPS=$(patsubst %,X(%),$(SOME))' -o $@ $(SOMESRC) $(B)/libfd.a -lm

# Other compilers, vector widths and machines. make cross NAME='musl|s390x' ONLY=hash: those, without
# the tests.
cross: build/include/setup
	@need() { command -v $$1 >/dev/null || { shift; $(call install,$$*); }; }; \
	sh tests/cross.sh --packages "$(NAME)" | sort -u | while read -r line; do need $$line </dev/null || true; done
	@ONLY=$(ONLY) sh tests/cross.sh "$(NAME)"

# ---- A microcontroller --------------------------------------------------------------------------

ifeq ($(V),strict)
$(B)/mcu-tables: examples/mcu/tables.c examples/mcu/mcu.h $(B)/libfd.a
	$(CC) $(CFLAGS) -O1 -o $@ $< $(B)/libfd.a -lm
$(B)/mcu-tables.c: $(B)/mcu-tables
	$(B)/mcu-tables >$@.tmp && mv $@.tmp $@
$(B)/mcu: $(addprefix examples/mcu/,mcu.c host.c board.h mcu.h) $(B)/mcu-tables.c $(B)/libfd.a
	$(CC) $(CFLAGS) -Iexamples/mcu -O1 -o $@ $(filter %.c %.a,$^) -lm
endif

mcu:
	@command -v arm-none-eabi-gcc >/dev/null && command -v qemu-system-arm >/dev/null || \
	    $(call install,gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm)
	@$(MAKE) --no-print-directory -s V=strict build/strict/mcu
	@sh examples/mcu/mcu.sh build/strict/mcu build/strict/mcu-tables.c

# ---- Speed --------------------------------------------------------------------------------------

$(B)/bench: tests/bench.c $(B)/libfd.a Makefile
	$(CC) $(CFLAGS) $(DEPS) $(if $(DEPS),-MF $(B)/bench.example.d) -o $@ $< $(B)/libfd.a -lm -ldl

# Threads spin for a while and stay on their core, ours and those of the peers.
bench: $(B)/bench
	@env -u OMP_WAIT_POLICY OMP_PROC_BIND=true $(B)/bench "$(NAME)"

experiments:
	@awk '/^## /{ t = substr($$0, 4) } /^    /{ if (t) print "\n" t; t = ""; print }' examples/README.md

# ---- Packages -----------------------------------------------------------------------------------

# $(call install,names) installs by apt-get, as root or with a sudo that asks no password; otherwise it says
# what to install. apt-get does one thing at a time: a rule that installs depends on those that do so before.
install = { s=; [ "`id -u`" = 0 ] || s="sudo -n"; i="$$s env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300"; \
	command -v apt-get >/dev/null && $$s true 2>/dev/null && echo "installing $(1)" && \
	{ $$i install -y $(1) || { $$i update && $$i install -y $(1); }; } >/dev/null 2>&1 || \
	{ echo "please install: sudo apt-get install $(1)" >&2; false; }; }

# build/include has the package alone: a compiler for another libc must not see /usr/include
setup: build/include/setup
build/include/setup:
	@mkdir -p build/include
	@has() { printf '#include <stb/stb_image_write.h>\n#include <stb/stb_easy_font.h>\n' | \
	    $(CC) $(AFTER) -E -x c - >/dev/null 2>&1; }; \
	for d in /usr/include /usr/local/include; do \
	    [ ! -d $$d/stb ] || ln -sfn $$d/stb build/include/stb; done; \
	has || { $(call install,libstb-dev) && ln -sfn /usr/include/stb build/include/stb && has; }
	@touch $@

# ---- The demo -----------------------------------------------------------------------------------

FASHION = /usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz
ifdef DATA
demo: $(B)/demo
	$(B)/demo --data "$(DATA)" $(DEMO)
else
demo: $(B)/demo build/data/fashion-mnist
	@if [ -s build/data/fashion-mnist ]; then d=build/data/fashion-mnist; else d=fields; \
	    echo "demo: no Fashion-MNIST: training on the built-in mixture of random fields"; fi; \
	set -x; $(B)/demo --data $$d $(DEMO)
endif

build/data/fashion-mnist: | build/include/setup
	@[ -f $(FASHION) ] || $(call install,dataset-fashion-mnist) || true
	@mkdir -p $(@D)
	@[ ! -f $(FASHION) ] || { gunzip -c $(FASHION) >$@.tmp && mv $@.tmp $@; }

# ---- The thesis's tables: an hour or two; a run that was stopped goes on ------------------------

ifdef DATA
thesis: $(B)/thesis
	nice $(B)/thesis --threads 1 --data "$(DATA)" $(if $(LABELS),--labels "$(LABELS)") $(THESIS)
else
thesis: $(B)/thesis build/data/fashion-mnist
	@[ -s build/data/fashion-mnist ] || { echo "thesis: needs Fashion-MNIST, or DATA=images LABELS=labels" >&2; exit 1; }
	gunzip -c $(subst images-idx3,labels-idx1,$(FASHION)) >build/data/fashion-mnist-labels
	nice $(B)/thesis --threads 1 --data build/data/fashion-mnist --labels build/data/fashion-mnist-labels $(THESIS)
endif

clean:
	rm -rf build

.PHONY: all test check hash cross mcu bench setup demo thesis experiments clean
