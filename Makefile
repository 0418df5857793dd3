# Two commands do everything on a fresh Debian machine: `make demo` and `make test`. Both set up what is missing.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PY := .venv/bin/python
READY := .venv/.ready
STANDIN := build/standin

.PHONY: help setup packages grub demo test fast synth check boot-matrix fuzz bench battery clean

help: ## list what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: packages $(READY) grub ## install what is missing: Debian packages, the virtual environment, GRUB's images

packages:
	@./setup/packages.sh

$(READY): pyproject.toml constraints.txt
	@./setup/venv.sh
	@touch $@

grub: packages $(READY)
	@test -s build/grub/version || $(PY) -m assets.grub_images build/grub

demo: setup ## the main job on embedded clouds: a client image made and booted at home for real, a server replicated by it, launched and booted there; ends with a table of times; TARGET=google instead of azure
	@$(PY) -m localcloud.demo "$(or $(TARGET),azure)"

test: setup ## all tests: the fast ones with coverage, the embedded clouds, then real boots by BIOS and UEFI
	@./setup/tests.sh

fast: setup ## the fast tests alone, with coverage
	@$(PY) -m pytest -n 2 -m "not embedded and not assets and not boot and not standin and not live" --cov

synth: setup ## the CloudFormation template and the functions' packages, into cdk.out; judged by cdk-nag, needs no Node.js
	@$(PY) app.py $(if $(DEPLOYMENT),-c deployment=$(DEPLOYMENT))

check: setup synth ## linters, types, layers, the template, the state machine's definition
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy && .venv/bin/lint-imports
	@# W3005: the CDK writes dependencies out that CloudFormation would find by itself.
	@.venv/bin/cfn-lint --ignore-checks W3005 --template 'cdk.out/*.template.json'
	@./setup/definition.sh

boot-matrix: setup ## boot the image on two firmwares and three buses, and the VHD as such
	@$(PY) -m pytest -m matrix tests/e2e -v

battery: setup ## every call of whole runs disturbed in turn, and 500 servers at once, in virtual time; a table of how each ended
	@set -o pipefail; $(PY) -m pytest -q -s -m battery tests/virtual -o log_level=ERROR | grep -v '^{'

fuzz: setup ## 100,000 damaged ISOs and initrds
	@$(PY) tests/fuzz/fuzz_readers.py --count 100000

bench: setup ## how quick the conversions and the transfers are, against their limits and against others
	@./setup/packages.sh pigz
	@$(PY) -m benchmarks.convert
	@$(PY) -m benchmarks.transfer
	@$(PY) -m benchmarks.gcetar
	@$(PY) -m benchmarks.upload

clean: ## remove what was built; the virtual environment stays
	rm -rf build cdk.out .coverage .pytest_cache .mypy_cache .ruff_cache
