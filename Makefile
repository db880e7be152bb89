# make            build/libfd.a, the tool build/fd and the examples
# make test       build and run the tests
# make check      the tests of every variant, with warnings as errors
# make demo       the main job: train, sample on three grids, figures in out/demo (DATA=file: other images)
# make thesis     the tables of the thesis at a small scale (DATA=images LABELS=labels: of others): out/thesis
# make hash       are the bits here those of other machines? (V=strict)
# make cross      the same by other compilers and on emulated machines, with some of the tests
# make python     examples/python, the library from Python (V=double: in double)
# make ranks      several processes (MPI) give the bits of one
# make mcu        functions on an emulated microcontroller, and what each part costs there
# make web        the library in a browser: one page, build/fd.html, with the bits of a desktop
#                 (CHROMIUM=1: and install that browser, to use the page in it)
# make bench      how fast, beside FFTW, OpenBLAS and PyTorch where they are installed: out/bench
# make index      which line implements which equation of which paper
# make experiments  lists the others, with their minutes of one core and memory; make NAME runs one
# make install    the library, float and double, and the tool: PREFIX=/usr/local DESTDIR= MARCH=
# make amalgam    the library as one header: build/fd_all.h
# make fuzz       readers and parsers under libFuzzer (NAME=npy RUNS=10000000: one of them, long)
# make valgrind   tests under valgrind (NAME=fft);  make tsan  threads under ThreadSanitizer
# make coverage   which lines and branches the tests reach
# make starve     everything where one piece of memory cannot be had (MOST=100000: each in turn), or
#                 one call of the system for a file fails
# make kill       runs that are killed at any instant and taken up again (ROUNDS=100)
# make setup      install the one package that a build needs, libstb-dev; a plain make never does
# make clean
#
# make test NAME=fft   only the groups of tests whose name starts so (make bench: the rows)
# make V=name     one variant, in build/name: double serial scalar plain clang sanitize strict
# make MPI=1      build/mpi/fd, whose train, sample and posterior run as several processes (mpicc)
# make STRICT=1   V=strict: the same bits from every compiler and machine

CC      = gcc
V       = float
ifdef STRICT
V       = strict
endif
ifdef MPI
V       = mpi
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
# gcc vectorises the loops of these two variants itself, and would contract products and sums in
# their bodies and in their tails differently: the same number would depend on its place.
else ifeq ($(V),scalar)
DEFS    = -DFD_SCALAR
FMA     = -ffp-contract=off
else ifeq ($(V),plain)
DEFS    = -DFD_PLAIN
FMA     = -ffp-contract=off
else ifeq ($(V),clang)
CC      = clang
else ifeq ($(V),sanitize)
OPT     = -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all
else ifeq ($(V),strict)
DEFS    = -DFD_STRICT
FMA     = -ffp-contract=off
else ifeq ($(V),mpi)
CC      = mpicc
DEFS    = -DFD_MPI
ifeq ($(shell command -v $(CC)),)
$(error MPI=1 needs mpicc: sudo apt-get install openmpi-bin libopenmpi-dev)
endif
else ifeq ($(V),fuzz)
CC      = clang
OMP     =
OPT     = -O1 -g -fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all $(SEEN)
SEEN    = -fsanitize=fuzzer-no-link
DEFS    = -DFD_SMALL -fsanitize-ignorelist=tests/fuzz.ignore
else ifeq ($(V),valgrind)
OMP     =
MARCH   = -march=x86-64-v2
OPT     = -O1 -g
DEFS    = -DFD_VALGRIND
else ifeq ($(V),tsan)
OMP     =
OPT     = -O1 -g -fsanitize=thread
else ifeq ($(V),coverage)
CC      = clang
FMA     = -ffp-contract=off
# vectors of 32 bytes on every machine, as tests/coverage.txt expects them
MARCH   = -march=x86-64-v3
# counted in the file itself, so that processes that end by _exit count, too
OPT     = -O1 -fprofile-instr-generate -fcoverage-mapping -mllvm -runtime-counter-relocation
else ifeq ($(V),starve)
OMP     =
OPT     = -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all
DEFS    = -D_DEFAULT_SOURCE -D_POSIX_C_SOURCE=200809L -DFD_IMPL= -include tests/starve.h
else
$(error V=$(V): expected float double serial scalar plain clang sanitize strict mpi)
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

ifeq ($(V),mpi)
PROGS   = $(B)/fd
endif

PIECE    = $(if $(filter double,$(V)),fd-double,fd)

all: $(B)/libfd.a $(PROGS)

$(B)/libfd.a: $(LIB:%=$(B)/%.o)
	@rm -f $@
	ar rcs $@ $^

$(B)/%.o: %.c Makefile | build/include/setup
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(DEPS) -c -o $@ $<

# Tests and programs are compiled with -O1, since all the work is in the library.
$(B)/%.o: tests/%.c Makefile | build/include/setup
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -O1 $(DEPS) -c -o $@ $<

$(B)/test: $(TESTS) $(B)/libfd.a
	$(CC) $(CFLAGS) -o $@ $^ -lm

define program
$$(B)/$(basename $(notdir $(1))): $(1) $$(B)/libfd.a Makefile
	$$(CC) $$(CFLAGS) -O1 $$(DEPS) $$(if $$(DEPS),-MF $$@.example.d) -o $$@ $$< $$(B)/libfd.a -lm
endef
$(foreach c,$(PROGSRC),$(eval $(call program,$(c))))

-include $(wildcard $(B)/*.d $(B)/pic/*.d $(B)/files/*.d)

# ---- Tests --------------------------------------------------------------------------------------

# Long ones first. The tool's own tests run where the tool may differ, all programs are compiled
# where the compiler may say something else of them.
VARIANTS = sanitize clang double plain float strict scalar serial
TOOLED   = sanitize double float
WHOLE    = clang double float serial
TRIED    = fd bridge choice judge loss model nets operator own static thesis train

# Tests choose their numbers of threads themselves, so that two cores do two things at a time.
SUM      = env OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} sh tests/sum.sh -p 2

ready: $(B)/test all
tried: $(B)/test $(TRIED:%=$(B)/%)

test: ready
	@$(SUM) "$(B)/test $(NAME)" $(if $(NAME),,"sh tests/tool.sh $(B)" "sh tests/conform.sh $(B)" \
	    "sh tests/layers.sh $(B)" "sh tests/index.sh check")

check:
	@vs="$(VARIANTS)"; command -v clang >/dev/null || $(call install,clang) || \
	    { echo "skipped: the variant clang"; vs="$(filter-out clang,$(VARIANTS))"; }; \
	set --; for v in $$vs; do \
	    b=build/$$v; [ $$v != float ] || b=build; \
	    case " $(WHOLE) " in *" $$v "*) what=ready ;; *) what=$$b/test ;; esac; \
	    [ $$v != sanitize ] || what=tried; \
	    if $(MAKE) --no-print-directory -s V=$$v WERROR=-Werror $$what; then \
	        set -- "$$@" "echo 'the variant $$v:'; $$b/test" "sh tests/layers.sh $$b"; \
	        case " $(TOOLED) " in *" $$v "*) set -- "$$@" "sh tests/tool.sh $$b" "sh tests/conform.sh $$b" ;; esac; \
	    else set -- "$$@" "echo 'the variant $$v does not compile'; false"; fi; \
	done; \
	$(SUM) "$$@" "sh tests/index.sh check"

# The bits are those of tests/data/hash.txt: see tests/hash.c.
$(B)/hash: tests/hash.c $(B)/libfd.a Makefile
	$(CC) $(CFLAGS) -O1 $(DEPS) $(if $(DEPS),-MF $(B)/hash.example.d) -o $@ $< $(B)/libfd.a -lm

hash: | build/include/setup
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

# ---- Python -------------------------------------------------------------------------------------

python-tools: | build/include/setup
	@python3 -c 'import numpy' 2>/dev/null || /usr/bin/python3 -c 'import numpy' 2>/dev/null || \
	    $(call install,python3-numpy)
python: python-tools $(B)/fd $(B)/lib$(PIECE).so
	@env OMP_NUM_THREADS=1 sh tests/python.sh $(B)/lib$(PIECE).so $(filter double,$(V))

# ---- Several processes --------------------------------------------------------------------------

ranks-tools: | build/include/setup
	@command -v mpicc >/dev/null && command -v mpirun >/dev/null || \
	    $(call install,openmpi-bin libopenmpi-dev)
ranks: ranks-tools $(B)/fd
	@$(MAKE) --no-print-directory -s MPI=1
	@sh tests/ranks.sh $(B)/fd build/mpi/fd

# ---- A microcontroller --------------------------------------------------------------------------

ifeq ($(V),strict)
$(B)/mcu-tables: examples/mcu/tables.c examples/mcu/mcu.h $(B)/libfd.a
	$(CC) $(CFLAGS) -O1 -o $@ $< $(B)/libfd.a -lm
$(B)/mcu-tables.c: $(B)/mcu-tables
	$(B)/mcu-tables >$@.tmp && mv $@.tmp $@
$(B)/mcu: $(addprefix examples/mcu/,mcu.c host.c board.h mcu.h) $(B)/mcu-tables.c $(B)/libfd.a
	$(CC) $(CFLAGS) -Iexamples/mcu -DDESKTOP=65536 -O1 -o $@ $(filter %.c %.a,$^) -lm
endif

mcu-tools: | build/include/setup
	@command -v arm-none-eabi-gcc >/dev/null && command -v qemu-system-arm >/dev/null || \
	    $(call install,gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm)
mcu: mcu-tools
	@$(MAKE) --no-print-directory -s V=strict build/strict/mcu
	@sh examples/mcu/mcu.sh build/strict/mcu build/strict/mcu-tables.c

# ---- A browser ----------------------------------------------------------------------------------
#
# The same program for a desktop (build/strict/web) and as wasm, which is put into the page together
# with the desktop's hashes. It imports nothing.

ifeq ($(V),strict)
WASM  = clang --target=wasm32-wasi
WOPT  = -Os -DNDEBUG -DFD_NO_STDIO $(DEFS) $(FMA) -fno-math-errno -ffunction-sections -fdata-sections
comma := ,
WLINK = -nostartfiles -Wl,--no-entry,--gc-sections,--strip-all,-z,stack-size=262144
WEBS  = $(patsubst %,build/web/%.o,$(LIB) web web-weights)
vpath %.c examples/web $(B)

$(B)/web-weights.c: examples/web/clothes.w8 Makefile
	@mkdir -p $(@D)
	@{ printf '#include "web.h"\nconst unsigned char web_weights[] = {\n'; \
	   od -An -v -tu1 $< | sed 's/ *\([0-9][0-9]*\)/\1,/g'; \
	   echo '};'; echo 'const int web_weights_size = sizeof web_weights;'; } >$@.tmp && mv $@.tmp $@
$(B)/web: $(addprefix examples/web/,web.c host.c web.h) $(B)/web-weights.c $(B)/libfd.a
	$(CC) $(CFLAGS) -Iexamples/web -O1 -o $@ $(filter %.c %.a,$^) -lm
$(WEBS): build/web/%.o: %.c fd.h examples/web/web.h Makefile
	@mkdir -p $(@D)
	$(WASM) $(WOPT) -I. -Iexamples/web -c -o $@ $<
build/web/fd.wasm: $(WEBS)
	$(WASM) $(WLINK) $(patsubst %,-Wl$(comma)--export=web_%,line ask more name size data hash key) \
	    -o $@ $^ -lm
build/web/hashes.txt: $(B)/web examples/web/questions.txt
	@mkdir -p $(@D)
	$(B)/web <examples/web/questions.txt >$@.tmp && mv $@.tmp $@
build/fd.html: examples/web/page.html build/web/fd.wasm build/web/hashes.txt
	gzip -9 -n -c build/web/fd.wasm | base64 >build/web/wasm.txt
	sed -e '/^@WASM@$$/{r build/web/wasm.txt' -e 'd}' -e '/^@HASHES@$$/{r build/web/hashes.txt' \
	    -e 'd}' $< >$@.tmp && mv $@.tmp $@
endif

# the weights of the page's network, of a trained model: see examples/web/pack.c
$(B)/web-pack: examples/web/pack.c examples/web/web.h $(B)/libfd.a
	$(CC) $(CFLAGS) -Iexamples/web -O1 -o $@ $(filter %.c %.a,$^) -lm

web-tools: | build/include/setup
	@t=$$(mktemp) && echo 'int main(void) { return 0; }' | clang --target=wasm32-wasi -x c -o $$t - \
	    2>/dev/null; s=$$?; rm -f "$$t"; [ $$s = 0 ] || \
	    $(call install,clang lld wasi-libc libclang-rt-dev-wasm32)
	@command -v node >/dev/null || command -v chromium >/dev/null || $(call install,nodejs)
	@[ -z "$(CHROMIUM)" ] || command -v chromium >/dev/null || $(call install,chromium) || true
web: web-tools
	@$(MAKE) --no-print-directory -s V=strict build/fd.html
	@echo "wrote build/fd.html, $$(wc -c <build/fd.html) bytes: open it in a browser"
	@sh tests/web.sh build/fd.html

# ---- Faults --------------------------------------------------------------------------------------

# An input costs less the fewer branches and comparisons the fuzzer follows: fuzz-files, for what
# reads, follows branches of fd.c and of the tool; fuzz those of nn.c and values compared, too.
ifeq ($(V),fuzz)
$(B)/fft.o $(B)/sde.o $(B)/files/nn.o: SEEN =
$(B)/files/fd.o $(B)/fuzz-files: SEEN = -fsanitize=fuzzer-no-link -fno-sanitize-coverage=trace-cmp
$(B)/files/%.o: %.c Makefile | build/include/setup
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(DEPS) -c -o $@ $<
$(B)/fuzz: $(LIB:%=$(B)/%.o)
$(B)/fuzz-files: $(patsubst %,$(B)/%.o,files/fd files/nn fft sde)
$(B)/fuzz $(B)/fuzz-files: tests/fuzz.c Makefile
	$(CC) $(subst fuzzer-no-link,fuzzer,$(CFLAGS)) -Wl,--wrap=fopen,--wrap=fclose $(DEPS) \
	    $(if $(DEPS),-MF $@.example.d) -o $@ $< $(filter %.o,$^) -lm
endif

# all readers and parsers for SECONDS each, or NAME for RUNS inputs; what fails: build/fuzz/found
SECONDS = 20
fuzz: | build/include/setup
	@printf 'int LLVMFuzzerTestOneInput(const char *p, unsigned long n) { return 0 * p[n]; }\n' | \
	    clang -fsanitize=fuzzer -x c -o build/has-fuzzer - 2>/dev/null || \
	    $(call install,clang libclang-rt-dev)
	@$(MAKE) --no-print-directory -s V=fuzz build/fuzz/fuzz build/fuzz/fuzz-files
	@sh tests/fuzz.sh build/fuzz "$(NAME)" "$(RUNS)" $(SECONDS)

# One process with several threads of its own: see tests/threads.c.
ifeq ($(V),tsan)
$(B)/threads: tests/threads.c $(B)/libfd.a Makefile
	$(CC) $(CFLAGS) $(DEPS) $(if $(DEPS),-MF $(B)/threads.example.d) -o $@ $< $(B)/libfd.a \
	    -lm -lpthread
endif
tsan: | build/include/setup
	@$(MAKE) --no-print-directory -s V=tsan build/tsan/threads
	build/tsan/threads build/tsan/threads.npy

# what takes minutes under valgrind, not hours; NAME='fft tape': groups whose name starts so
VALGRIND = spaces random cov files read metrics processes models training losses exact
valgrind: | build/include/setup
	@printf '#include <valgrind/memcheck.h>\n' | $(CC) -E -x c - >/dev/null 2>&1 \
	    && command -v valgrind >/dev/null || $(call install,valgrind)
	@$(MAKE) --no-print-directory -s V=valgrind build/valgrind/test
	@for g in $(if $(NAME),$(NAME),$(VALGRIND)); do echo "$$g:"; \
	    TEST_BRIEF=1 valgrind -q --error-exitcode=9 build/valgrind/test $$g || exit 1; done

# Lines and branches that the tests reach, those of make starve among them. NAME: groups whose name
# starts so, alone.
coverage: | build/include/setup
	@command -v clang >/dev/null && command -v llvm-cov >/dev/null || $(call install,clang llvm)
	@$(MAKE) --no-print-directory -s V=coverage build/coverage/test build/coverage/starve
	@rm -f build/coverage/*.profraw
	@[ -f /usr/share/i18n/locales/de_DE ] || $(call install,locales)
	@[ -d build/locale/de_DE.utf8 ] || { mkdir -p build/locale; \
	    localedef -i de_DE -f UTF-8 build/locale/de_DE.utf8; }
	@LOCPATH=$$PWD/build/locale \
	    LLVM_PROFILE_FILE=build/coverage/test%c.profraw build/coverage/test $(NAME) \
	    >build/coverage/out; s=$$?; tail -n 1 build/coverage/out; \
	    [ $$s = 0 ] || { cat build/coverage/out; exit 1; }
	@$(if $(NAME),,LLVM_PROFILE_FILE=build/coverage/starve%c.profraw build/coverage/starve "" $(MOST))
	@sh tests/coverage.sh build/coverage

# Each piece of memory in turn cannot be had, and each call of the system fails: see tests/starve.c.
STARVED = $(foreach f,fopen fdopen fseek ftell fread fwrite fflush fsync fclose rename open mmap, \
              -Xlinker --wrap=$f)
ifeq ($(V),starve)
$(B)/starve: tests/starve.c tests/hash.c $(B)/libfd.a Makefile
	$(CC) $(CFLAGS) $(DEPS) $(if $(DEPS),-MF $(B)/starve.example.d) $(STARVED) -o $@ $< $(B)/libfd.a -lm
endif
ifeq ($(V),coverage)
$(B)/starve: tests/starve.c tests/hash.c tests/starve.h $(LIB:%=%.c) fd.h Makefile
	$(CC) $(CFLAGS) -D_DEFAULT_SOURCE -D_POSIX_C_SOURCE=200809L -DFD_IMPL= -include tests/starve.h \
	    $(STARVED) -o $@ tests/starve.c $(LIB:%=%.c) -lm
endif
MOST   ?= 1000
starve: | build/include/setup
	@$(MAKE) --no-print-directory -s V=starve build/starve/starve
	build/starve/starve "$(NAME)" $(MOST)

ROUNDS ?= 100
kill: $(B)/fd
	@sh tests/kill.sh $(B) $(ROUNDS)

# ---- Speed --------------------------------------------------------------------------------------

$(B)/bench: tests/bench.c $(B)/libfd.a Makefile
	$(CC) $(CFLAGS) $(DEPS) $(if $(DEPS),-MF $(B)/bench.example.d) -o $@ $< $(B)/libfd.a -lm -ldl

# Threads spin for a while and stay on their core, ours and those of the peers.
bench: $(B)/bench
	@env -u OMP_WAIT_POLICY OMP_PROC_BIND=true $(B)/bench "$(NAME)"

index:
	@sh tests/index.sh

# ---- Packages -----------------------------------------------------------------------------------

# $(call install,names) installs by apt-get, as root or with a sudo that asks no password; otherwise it says
# what to install. apt-get does one thing at a time: a rule that installs depends on those that do so before.
install = { s=; [ "`id -u`" = 0 ] || s="sudo -n"; i="$$s env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300"; \
	command -v apt-get >/dev/null && $$s true 2>/dev/null && \
	echo "installing $(1): $${s:+sudo }apt-get install -y $(1)" && \
	{ $$i install -y $(1) || { $$i update && $$i install -y $(1); }; } >/dev/null 2>&1 || \
	{ echo "please install: sudo apt-get install $(1)" >&2; false; }; }

# A plain make installs nothing: it says what is missing. Goals that are to do all by themselves do.
ifneq ($(filter-out all $(B)/% amalgam install clean,$(MAKECMDGOALS)),)
stb     = $(call install,libstb-dev)
else
stb     = { echo "stb_image_write.h is missing: make setup installs it (Debian: libstb-dev)" >&2; false; }
endif

# build/include has the package alone: a compiler for another libc must not see /usr/include
setup: build/include/setup
build/include/setup:
	@mkdir -p build/include
	@has() { printf '#include <stb/stb_image_write.h>\n#include <stb/stb_easy_font.h>\n' | \
	    $(CC) $(AFTER) -E -x c - >/dev/null 2>&1; }; \
	for d in /usr/include /usr/local/include; do \
	    [ ! -d $$d/stb ] || ln -sfn $$d/stb build/include/stb; done; \
	has || { $(stb) && ln -sfn /usr/include/stb build/include/stb && has; }
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

build/data/labels: build/data/fashion-mnist
	@[ -s $< ] || { echo "needs Fashion-MNIST: Debian's dataset-fashion-mnist" >&2; exit 1; }
	gunzip -c $(subst images-idx3,labels-idx1,$(FASHION)) >$@.tmp && mv $@.tmp $@

IMAGES = build/data/fashion-mnist
LABELED = $(IMAGES) build/data/labels

# ---- The thesis's tables: an hour or two; a run that was stopped goes on ------------------------

ifdef DATA
thesis: $(B)/thesis
	nice $(B)/thesis --threads 1 --data "$(DATA)" $(if $(LABELS),--labels "$(LABELS)") $(THESIS)
else
thesis: $(B)/thesis $(LABELED)
	nice $(B)/thesis --threads 1 --data build/data/fashion-mnist --labels build/data/labels $(THESIS)
endif

# ---- Experiments: what the papers report, and what they leave open -------------------------------
#
# $(call exp,name,time of one core,memory in MB,what it asks,arguments,what it needs): results go to
# out/; those that were kept are in examples/, with a page on them. ARGS replaces the arguments.

define experiment
asked    += $(1)
line_$(1) = '$(1)' '$(2)' '$(3)' '$(4)'
$(1): $$(B)/$(1) $(6)
	nice $$(B)/$(1) $$(if $$(ARGS),$$(ARGS),$(5))
endef
exp = $(eval $(call experiment,$(1),$(2),$(3),$(4),$(5),$(6)))

CLOTHES = --data $(IMAGES) --labels build/data/labels --threads 1

$(call exp,choice,3 min,12,which covariance should the noise have?,--train 2000 --threads 1)
$(call exp,defaults,30 s,5,which scheme at which times for which process?)
$(call exp,bound,40 s,11,what is a bound on W2 worth beside W2?)
$(call exp,cubic,17 s,13,what still holds with a forward drift that is not linear?)
$(call exp,noise,75 s,4,in which norm is a score learned?,1000)
$(call exp,correct,17 s,6,predictor or corrector at equal cost?)
$(call exp,alias,3 s,3,what does a grid lose?)
$(call exp,denoise,20 s,84,do networks beat the best linear denoiser?,--data $(IMAGES) --threads 1,$(IMAGES) out/thesis)
$(call exp,classes,4 min,242,what does guidance to a class buy?,$(CLOTHES),$(LABELED))
$(call exp,allen,27 s,23,can noise be made by an equation that is not linear?)
$(call exp,flow,20 min,250,does an operator trained on 64x64 draw a flow on 256x256?)
$(call exp,volcano,4 min,68,which noise suits interferograms?)
$(call exp,outlines,5 min,370,what do signed distances gain over images?,$(LABELED),$(LABELED))
$(call exp,steps,9 min,13,which loss for few steps?,2000)
$(call exp,levels,10 s,6,how good must early scores be if the last Langevin chain is long?)
$(call exp,latent,5 min,16,can a few numbers stand for a function?,$(CLOTHES),$(LABELED))
$(call exp,hybrid,4 min,17,does a field above an operator gain?,$(CLOTHES),$(LABELED))
$(call exp,vae,1 min,14,what noise may a likelihood of functions have?)
$(call exp,gan,3 min,22,can a critic replace the score?,$(CLOTHES),$(LABELED))
$(call exp,onestep,2 min,14,can one evaluation do what fifty do?,4000)
$(call exp,poisson,75 s,11,what does a network find that sees only gradients?,3000)
$(call exp,darcy,14 min,50,what is the ground like given 36 pressures? every method and chains,4)
$(call exp,posteriorbench,3 min,40,how near does each method come to a posterior that is known?,2)
$(call exp,mesh,3 min,5,which posterior methods hold on every grid?,100)
$(call exp,clothes,45 s,158,what is the rest of an image?,--data $(IMAGES) --model out/demo/model.safetensors,out/demo/model.safetensors)
$(call exp,well,90 s,12,how is a path drawn whose ends are known?)
$(call exp,match,10 min,281,how do trousers become dresses?,$(LABELED) 1 3 700,$(LABELED))
$(call exp,shapes,62 s,52,how does one outline become another?)
$(call exp,control,40 s,52,how is a random function steered to values?)
$(call exp,reward,28 s,9,how does a model learn what a reward asks for?)

out/demo/model.safetensors:
	@echo "needs the network of make demo" >&2; exit 1

out/thesis:
	@echo "needs the networks of make thesis (THESIS='--table 5.1')" >&2; exit 1

# the thesis has its own line: other images, other labels
asked += thesis
line_thesis = 'thesis' '90 min' '242' 'do the tables of the thesis hold in small?'

experiments:
	@printf '%-12s %8s %6s  %s\n' 'make' 'one core' 'MB' 'what it asks'
	@$(foreach e,$(asked),printf '%-12s %8s %6s  %s\n' $(line_$(e));)

# ---- Installation: the library in float and in double side by side, and the tool ------------------
#
# pkg-config fd, or fd-double, whose flags have -DFD_DOUBLE; the header is one for both.

PREFIX  ?= /usr/local
VERSION := $(shell sed -n 's/^.define FD_VERSION_TEXT "\(.*\)"/\1/p' fd.h)
SONAME   = lib$(PIECE).so.$(firstword $(subst ., ,$(VERSION)))
TO       = $(DESTDIR)$(PREFIX)

$(B)/pic/%.o: %.c Makefile | build/include/setup
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -fPIC $(DEPS) -c -o $@ $<

$(B)/lib$(PIECE).so: $(LIB:%=$(B)/pic/%.o)
	$(CC) $(CFLAGS) -shared -Wl,-soname,$(SONAME) -o $@ $^ -lm

install: $(B)/fd
	$(MAKE) --no-print-directory STRICT= V=float piece
	$(MAKE) --no-print-directory STRICT= V=double piece
	install -d "$(TO)/bin" "$(TO)/include"
	install -m 755 $(B)/fd "$(TO)/bin/fd"
	install -m 644 fd.h "$(TO)/include/fd.h"
	@echo "installed the tool, fd.h and the library in float and in double into $(TO)"

piece: $(B)/libfd.a $(B)/lib$(PIECE).so
	install -d "$(TO)/lib/pkgconfig"
	install -m 644 $(B)/libfd.a "$(TO)/lib/lib$(PIECE).a"
	install -m 755 $(B)/lib$(PIECE).so "$(TO)/lib/lib$(PIECE).so.$(VERSION)"
	ln -sf lib$(PIECE).so.$(VERSION) "$(TO)/lib/$(SONAME)"
	ln -sf $(SONAME) "$(TO)/lib/lib$(PIECE).so"
	@printf '%s\n' 'prefix=$(PREFIX)' 'Name: $(PIECE)' 'Version: $(VERSION)' \
	    'Description: function-space diffusion models, $(V)' \
	    'Cflags: -I$${prefix}/include $(strip $(DEFS) $(OMP))' \
	    'Libs: -L$${prefix}/lib -l$(PIECE) -lm $(OMP)' >"$(TO)/lib/pkgconfig/$(PIECE).pc"

# One header with all of it: a program defines FD_IMPLEMENTATION in one of its files, before any header.
amalgam: build/fd_all.h
build/fd_all.h: fd.h $(LIB:%=%.c) Makefile
	@mkdir -p $(@D)
	@{ printf '%s\n' '/* fd_all.h -- the library as one header. In one file of a program, before any' \
	    ' * header: #define FD_IMPLEMENTATION */' '#ifdef FD_IMPLEMENTATION' '#define FD_IMPL' \
	    '#if !defined(_POSIX_C_SOURCE) && (defined(__unix__) || defined(__APPLE__))' \
	    '#define _POSIX_C_SOURCE 200809L' '#endif' '#endif'; cat fd.h; echo '#ifdef FD_IMPLEMENTATION'; \
	  for f in $(LIB); do grep -v -e '^#include "fd.h"' -e '^#define FD_IMPL$$' $$f.c; done; echo '#endif'; } >$@.tmp
	@mv $@.tmp $@
	@echo "wrote $@"

clean:
	rm -rf build

.PHONY: all ready tried test check hash cross python python-tools ranks ranks-tools mcu mcu-tools web web-tools fuzz tsan valgrind coverage starve kill bench \
    setup demo thesis experiments index install piece amalgam clean $(asked)
