# hilbench: `make demo` and `make test` are all that a newcomer needs; both install what they use.
PYTHON ?= python3.11
VENV   ?= .venv
BIN    := $(VENV)/bin
RUN_ARGS ?=

.PHONY: help demo test check lint typecheck firmware protocol wheel test-wheel test-references bench-link \
        bench-uno bench-energy bench-store bench-runtime soak bench-up packages packages-dev venv fuzz clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: packages venv firmware ## bench the zoo on five emulated boards and show the table (RUN_ARGS="--vectors all")
	$(BIN)/hilbench demo $(RUN_ARGS)

test: packages-dev venv firmware check ## lint, types, contracts, and every test
	HILBENCH_NO_SKIPS=1 $(BIN)/python -m pytest

check: venv ## ruff, mypy, import contracts, the CI recipe, generated files, clang-format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows docs/ci/hilbench.yml
	$(BIN)/check-jsonschema --builtin-schema custom.github-workflows-require-timeout docs/ci/hilbench.yml
	$(BIN)/python -m hilbench.protocol.generate_c --check
	$(BIN)/python -m hilbench.models.planner.generate_c --check
	$(MAKE) -C device_firmware format-check
	clang-format --dry-run --Werror hilbench/drivers/emulators/*/*.c hilbench/drivers/emulators/*/*.cpp

firmware: packages ## build the image of every port
	$(MAKE) -C device_firmware all

protocol: venv ## make the C headers and spec tables again from their Python source
	$(BIN)/python -m hilbench.protocol.generate_c
	$(BIN)/python -m hilbench.models.planner.generate_c

wheel: packages-dev venv firmware ## dist/*.whl with the firmware images inside
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	@ls -l dist/*.whl

test-wheel: wheel ## the wheel in a clean environment outside the checkout
	PYTHON=$(PYTHON) tools/test_wheel.sh

# The other host reference, ai-edge-litert with numpy 2, and the other pandas (pip chose 3 for $(VENV)), in an
# environment of its own.
test-references: firmware $(VENV)-litert/.stamp ## the tests again with ai-edge-litert, numpy 2 and pandas 2
	HILBENCH_NO_SKIPS=1 $(VENV)-litert/bin/python -m pytest $(REFERENCE_TESTS)

REFERENCE_TESTS := tests/models tests/measurement tests/runs tests/gate tests/report tests/end_to_end \
                   tests/cli/test_runs_export.py

$(VENV)-litert/.stamp: pyproject.toml
	$(PYTHON) -m venv $(VENV)-litert
	$(VENV)-litert/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(VENV)-litert/bin/python -m pip install --quiet pyserial cobs "numpy>=2" "pandas>=2.1,<3" rich pyelftools \
		tflite "ai-edge-litert>=1.3" --group dev
	$(VENV)-litert/bin/python -m pip install --quiet --no-deps --editable .
	@touch $@

bench-uno: venv firmware ## goodput of the emulated Uno's line, results/bench/uno.json
	$(BIN)/python benchmarks/bench_uno.py $(RUN_ARGS)

bench-energy: packages-dev venv ## decoding of power samples and live capture, results/bench/energy.json
	$(BIN)/python benchmarks/bench_energy.py $(RUN_ARGS)

bench-store: packages-dev venv ## gate and report of 1,000,000 inferences, results/bench/store.json
	PYTHONPATH=. $(BIN)/python benchmarks/bench_store.py

bench-runtime: packages-dev venv firmware ## instructions, arena and flash beside TFLM's; float32; results/bench/
	$(BIN)/python benchmarks/bench_runtime.py $(RUN_ARGS)
	$(BIN)/python benchmarks/bench_float.py

soak: packages-dev venv firmware ## kill -9 at POINTS seeded points of a run; MLPerf Tiny, VECTORS each, on all boards (BOARDS=); GRAPHS random networks
	PYTHONPATH=. $(BIN)/python -m tests.bench.kill_points $(or $(POINTS),2000) $(or $(SEED),1)
	PYTHONPATH=.:tests $(BIN)/python -m tests.models.test_random_networks $(or $(GRAPHS),2000)
	PYTHONPATH=. $(BIN)/python -m tests.end_to_end.mlperf $(or $(VECTORS),200) $(BOARDS)

bench-up: packages-dev venv firmware ## bootloaders on PTYs to try the flashing tools on, until Ctrl-C (RUN_ARGS='--fault "bit flip"')
	$(BIN)/hilbench bench-up $(RUN_ARGS)

bench-link: venv firmware ## goodput and harness overhead in real time, results/bench/link.json
	$(BIN)/python benchmarks/bench_link.py $(RUN_ARGS)

fuzz: packages-dev ## fuzz the packet parser and the command loop (FUZZ_SECONDS=600)
	$(MAKE) -C device_firmware fuzz

packages: ## Debian/Ubuntu packages that demo needs
	@tools/install_packages.sh

packages-dev:
	@tools/install_packages.sh --dev

venv: $(VENV)/.stamp ## the Python environment from pyproject.toml

$(VENV)/.stamp: pyproject.toml | packages
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $@

clean: ## remove built images and caches; results stay
	$(MAKE) -C device_firmware clean
	rm -rf dist .mypy_cache .ruff_cache .pytest_cache
