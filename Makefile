# Two commands matter: `make demo` and `make test`. Everything else serves them.
PYTHON ?= python3
SERVE ?= 1
STEPS ?= 10000
RUN = $(PYTHON) bootstrap.py
DEV = $(PYTHON) bootstrap.py --dev
BESIDE_SERVERS = $(DEV) python -m mdlc_site.local with-servers
LOCK = $(DEV) uv pip compile -q --upgrade --generate-hashes --python-version 3.11
NO_SECRET = SECRET_KEY=read-by-tools-that-import-the-settings-and-serve-nobody

.PHONY: demo test check lint format types contracts migrations deploy-check supply bill advisories machine doors fuzz faults attacks mutants bench load lock openapi screenshots clean

demo:
	@SERVE=$(SERVE) $(RUN) python -m mdlc_site.local demo

test:
	@$(DEV) python -m pytest -n 2 --dist loadfile $(ARGS)

check: lint types contracts migrations deploy-check supply test

lint:
	@$(DEV) ruff check .
	@$(DEV) ruff format --check .
	@$(DEV) djangofmt --check templates

format:
	@$(DEV) ruff check --fix .
	@$(DEV) ruff format .
	@$(DEV) djangofmt templates

types:
	@$(NO_SECRET) $(DEV) mypy

contracts:
	@$(NO_SECRET) $(DEV) lint-imports --no-logo

migrations:
	@$(BESIDE_SERVERS) python manage.py makemigrations --check --dry-run

deploy-check:
	@SITE_URL=https://handoff.example ALLOWED_HOSTS=handoff.example \
		$(BESIDE_SERVERS) python manage.py check --deploy --fail-level WARNING

# What the product is made of, as far as it can be known without a network: locks, licences, bill of materials.
supply:
	@$(DEV) python -m supply check

# Write the bill of materials anew, after a change of the locks.
bill:
	@$(DEV) python -m supply bill

# Ask whether anything that is locked is known to be weak; 2 at the end where nobody answers.
advisories:
	@$(DEV) python -m supply advisories

# So many random acts of the whole cast; after each, every invariant must hold.
machine:
	@$(DEV) python -m pytest -n 0 -s tests/handoff/test_invariants_machine.py --steps $(STEPS)

# Ask every door as everybody, write the tables anew, and show what changed.
doors:
	@$(DEV) python -m pytest -n 2 --dist loadfile tests/doors --write-doors; git --no-pager diff -U0 -- tests/doors/*.csv

bench:
	@$(DEV) python -m benchmarks

# A working day of so many people and clients for so many minutes, then four times what the site can do: make load MINUTES=1
load:
	@$(DEV) python -m benchmarks.capacity --minutes $(or $(MINUTES),10) --people $(or $(PEOPLE),200) \
		--clients $(or $(CLIENTS),20) $(ARGS)

openapi:
	@$(BESIDE_SERVERS) python manage.py spectacular --file docs/openapi.yaml

# Send so many generated requests to each operation of the API: make fuzz EXAMPLES=100 SEED=1
fuzz:
	@$(DEV) python -m pytest -n 0 -s tests/doors/test_fuzzing.py --examples $(or $(EXAMPLES),50) --seed $(or $(SEED),2026)

# Break something at every moment of the fault matrix, so many times each: make faults TRIALS=10 CELLS=F1,F3-M10
# Or so many faults at random times on whole processes: make faults STACK=100
faults:
	@$(DEV) python -m pytest -n 0 -s $(if $(STACK),tests/faults/test_whole_stack.py --stack $(STACK),\
		tests/faults --trials $(or $(TRIALS),1) $(if $(CELLS),--cells $(CELLS)))

# Run the tests of the table of attacks, and tell how many were tried.
attacks:
	@$(DEV) python -m tests.attacks $(ARGS)

# Change the guards one at a time, and tell which changes no test notices: make mutants MUTANTS=300 DRAW=7 ONLY=critical
mutants:
	@$(DEV) python -m tests.mutants --only=$(ONLY) --mutants=$(or $(MUTANTS),0) --draw=$(or $(DRAW),2026) $(if $(TESTS),--tests=$(TESTS)) $(if $(SECONDS),--seconds=$(SECONDS)) $(if $(AGAIN),--again)

screenshots:
	@$(DEV) python -m pytest tests/browser/test_screenshots.py --screenshots docs/screenshots

# Pin everything anew, the transitive ones too, with hashes.
lock:
	@$(LOCK) requirements-uv.in -o requirements-uv.txt
	@$(LOCK) engine/requirements.in -o engine/requirements.txt
	@$(LOCK) requirements.in -o requirements.txt
	@$(LOCK) engine/requirements-dask.in -o engine/requirements-dask.txt
	@$(LOCK) requirements-dev.in -o requirements-dev.txt
	@$(MAKE) --no-print-directory bill

# What the demo keeps, and what tools remember. The next start looks at .venv again, and finds it as it was.
clean:
	@rm -rf var .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .venv/installed.json
