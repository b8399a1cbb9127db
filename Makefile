# nginx-redis-cache: every task by one word. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

MODULE := build/ngx_http_redis_cache_module.so
VENV := .venv
# Wagtail's own, for test-apps.
APPS_VENV := build/apps-venv

# Yours win; without them nginx's headers are configured from Debian's nginx-dev.
export NGINX_SOURCE_DIR ?= /usr/share/nginx/src
export NGINX_BUILD_DIR ?= $(CURDIR)/build/nginx-objs

.PHONY: help build run test test-pure test-django test-e2e test-servers \
	test-apps test-matrix soak sanitize bench fuzz deb test-package matrix test-configure dist test-dist check \
	lint format clean

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

build: ## the module, at build/; NGINX=/path/to/nginx or a source directory for another nginx
	@scripts/setup.sh build
	@NGINX="$(NGINX)" scripts/build.sh $(MODULE)

run: build ## the demo: Redis, nginx and a Django application; ONCE=1 shows MISS and HIT and ends
	@scripts/setup.sh run
	@demo/run.py $(if $(ONCE),--once)

test: build test-pure test-django test-e2e ## all tests

test-pure: ## unit and property tests of the pure half; needs no nginx
	@scripts/setup.sh build
	cargo test --no-default-features

# Every interpreter that pyenv has; without it those on the PATH.
test-django: $(VENV)/ready ## the Django package: lint, types, wheel, tests; ARGS="-s tests" for all versions
	@scripts/setup.sh test
	cd integrations/django && PYENV_VERSION="$$(pyenv versions --bare 2>/dev/null | paste -sd:)" \
		$(CURDIR)/$(VENV)/bin/python -m nox --no-error-on-missing-interpreters $(ARGS)

test-e2e: build $(VENV)/ready ## end-to-end tests with the real nginx and Redis; ARGS="-k name" selects
	@scripts/setup.sh test
	$(VENV)/bin/python -m pytest tests/e2e tests/soak -n 6 --dist worksteal $(ARGS)

soak: build $(VENV)/ready ## the long form of the fault suite: about half an hour
	@scripts/setup.sh test
	SOAK=full $(VENV)/bin/python -m pytest tests/soak $(ARGS)

sanitize: $(VENV)/ready ## the end-to-end tests with AddressSanitizer in nginx and module; ARGS="-k name", TESTS=files
	@scripts/setup.sh test
	@NGINX="$(NGINX)" scripts/sanitize.sh $(or $(TESTS),tests/e2e tests/soak) \
		-n 4 --dist worksteal $(ARGS)

bench: build $(VENV)/ready ## what a hit costs, beside nginx's own ways; ARGS="--quick" for less
	@scripts/setup.sh bench
	$(VENV)/bin/python benches/bench.py $(ARGS)

fuzz: ## every fuzz target, a minute each; needs cargo-fuzz
	cd fuzz && for target in fuzz_targets/*.rs; do \
		cargo fuzz run $$(basename $$target .rs) --sanitizer none --target-dir ../target/fuzz -- \
			-max_total_time=60 -max_len=65536 || exit 1; done

$(APPS_VENV)/ready: tests/apps/requirements.txt
	python3 -m venv $(APPS_VENV)
	$(APPS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r tests/apps/requirements.txt
	@touch $@

test-apps: build $(VENV)/ready $(APPS_VENV)/ready ## WordPress, MediaWiki, Wagtail and DokuWiki behind the recipes of nginx-conf/
	@scripts/setup.sh apps
	$(VENV)/bin/python -m pytest tests/apps $(ARGS)

test-matrix: build $(VENV)/ready ## the smoke test against the nginx of three Debian suites
	@scripts/setup.sh test
	$(VENV)/bin/python -m pytest tests/matrix $(ARGS)

test-servers: build $(VENV)/ready ## with each Redis and Valkey that Debian's suites have; prints a table
	@scripts/setup.sh test
	$(VENV)/bin/python -m pytest tests/servers -n 4 --dist worksteal $(ARGS)

deb: ## the Debian package for this machine's nginx, in build/deb/
	@scripts/setup.sh package
	@scripts/make-deb.sh

test-package: $(VENV)/ready ## the life of that package in a throw-away root: apt, HIT, MISS, storing, reload, upgrades, purge
	@scripts/setup.sh package
	@scripts/test-packages.sh

matrix: $(VENV)/ready ## builds and tests the package in roots of three Debian suites; prints a table
	@scripts/setup.sh package
	@scripts/test-packages.sh bookworm trixie forky

test-configure: $(VENV)/ready ## nginx's own build, `make build NGINX=` and the spec, with a source of nginx
	@scripts/setup.sh package
	$(VENV)/bin/python -m pytest tests/configure $(ARGS)

dist: ## a release, in build/dist/: module, debug symbols, source, crates, SBOM, licences
	@scripts/setup.sh package
	@NGINX="$(NGINX)" scripts/dist.sh build/dist

test-dist: dist ## makes it once more elsewhere and compares the bytes
	@NGINX="$(NGINX)" scripts/check-reproducible.sh build/dist

check: ## rustfmt, clippy and tests of the pure half: no nginx, no venv, under a minute
	@scripts/check.sh
	cargo test --quiet --no-default-features

lint: build $(VENV)/ready ## rustfmt, clippy, dependencies, nginx -t on every sample
	@scripts/setup.sh test
	@scripts/lint.sh

format: ## rustfmt
	cargo fmt

$(VENV)/ready: tests/requirements.txt
	@scripts/setup.sh test
	python3 -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@

clean: ## remove what was built
	rm -rf build target $(VENV) integrations/django/.nox
