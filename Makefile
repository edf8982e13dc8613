# GNU make 3.81 (macOS) and newer.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PY := .venv/bin/python

# The first Python that is new enough; python3 where none is, so that the sentence about it can be said.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	  "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo "$$p"; exit; }; \
	done; echo python3)

# What a deployment would set, so that `check --deploy` judges the settings and not this machine.
DEPLOYED := SECRET_KEY=an-example-that-is-long-enough-for-the-check-and-used-nowhere-else-0123456789 \
	SITE_URL=https://billing.example.com ALLOWED_HOSTS=billing.example.com \
	DATABASE_URL=postgres://nobody@127.0.0.1:9/none REDIS_URL=redis://127.0.0.1:9/0 \
	STRIPE_SECRET_KEY=sk_test_000000000000000000000000 STRIPE_WEBHOOK_SECRET=whsec_check

.PHONY: help
help: ## Show what there is
	@echo "Kessai. Try it with: make demo"
	@echo
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

.PHONY: demo
demo: .venv/demo ## Start the whole portal on this machine; Ctrl-C stops it
	@exec $(PY) -m config.demo

.PHONY: demo-reset
demo-reset: .venv/demo ## Forget everything the demo has kept (.local)
	@exec $(PY) -m config.demo --reset

# More workers than cores: tests wait for PostgreSQL, a sandbox, a browser.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(max(2, (os.cpu_count() or 1) * 3 // 2))')

.PHONY: test
test: .venv/dev ## Run every test, in parallel; ARGS="-k checkout" narrows it
	@exec $(PY) -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder $(ARGS)

.PHONY: check
check: .venv/dev ## Formatter, linter, types, import contracts, migrations, deployment checks
	@echo "· format";     $(PY) -m ruff format --check --quiet .
	@echo "· lint";       $(PY) -m ruff check --quiet .
	@echo "· types";      SECRET_KEY=check $(PY) -m mypy --no-error-summary accounts billing ops config sandbox
	@echo "· imports";    .venv/bin/lint-imports --no-cache > .venv/imports.log 2>&1 || { cat .venv/imports.log; exit 1; }
	@echo "· migrations"; $(DEPLOYED) $(PY) -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	@echo "· deployment"; $(DEPLOYED) $(PY) manage.py check --deploy --fail-level WARNING

.PHONY: bench
bench: .venv/dev ## Measure waits, doors, mirror, resync, read model beside their peers; ARGS="mirror" narrows it
	@exec $(PY) -m tests.bench $(ARGS)

.PHONY: bench-sandbox
bench-sandbox: .venv/dev ## Measure the sandbox: requests, lists, a month for 10,000 subscriptions, memory
	@exec $(PY) -m sandbox.bench $(ARGS)

.PHONY: lint-fix
lint-fix: .venv/dev ## Format, and fix what the linter can fix
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix .

.PHONY: messages
messages: .venv/dev ## Gather translatable texts into locale/ (needs GNU gettext)
	@command -v xgettext >/dev/null || { echo "GNU gettext is missing: apt install gettext, or brew install gettext."; exit 1; }
	@SECRET_KEY=messages $(PY) manage.py makemessages --locale ja --no-location --no-wrap --ignore .venv --ignore .local --ignore tests --ignore sandbox

# Stamps: packages are installed anew when a list of them has changed.
.venv/demo: requirements.txt requirements-demo.txt constraints.txt
	@$(PYTHON) config/bootstrap.py requirements-demo.txt
	@touch $@

.venv/dev: requirements.txt requirements-demo.txt requirements-dev.txt constraints.txt
	@$(PYTHON) config/bootstrap.py requirements-dev.txt
	@touch .venv/demo $@
