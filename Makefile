# Two commands matter: `make demo` and `make test`. Everything else serves them.
PYTHON ?= python3
SERVE ?= 1
RUN = $(PYTHON) bootstrap.py
DEV = $(PYTHON) bootstrap.py --dev

.PHONY: demo test check lint format types contracts migrations deploy-check bench lock openapi screenshots clean

demo:
	@SERVE=$(SERVE) $(RUN) python -m mdlc_site.local demo

test:
	@$(DEV) python -m pytest -n 2 --dist loadgroup $(ARGS)

check: lint types contracts migrations deploy-check test

lint:
	@$(DEV) ruff check .
	@$(DEV) ruff format --check .
	@$(DEV) djangofmt --check templates

format:
	@$(DEV) ruff check --fix .
	@$(DEV) ruff format .
	@$(DEV) djangofmt templates

types:
	@$(DEV) mypy

contracts:
	@$(DEV) lint-imports

migrations:
	@$(DEV) python -m mdlc_site.local with-servers python manage.py makemigrations --check --dry-run

deploy-check:
	@SITE_URL=https://handoff.example ALLOWED_HOSTS=handoff.example DEBUG=false \
		$(DEV) python -m mdlc_site.local with-servers python manage.py check --deploy --fail-level WARNING

bench:
	@$(DEV) python -m benchmarks

openapi:
	@$(DEV) python -m mdlc_site.local with-servers python manage.py spectacular --file docs/openapi.yaml

screenshots:
	@$(DEV) python -m pytest -q tests/browser/test_screenshots.py --screenshots docs/screenshots

# Pin everything, the transitive ones too, with hashes.
lock:
	@$(DEV) uv pip compile -q --generate-hashes --python-version 3.11 engine/requirements.in -o engine/requirements.txt
	@$(DEV) uv pip compile -q --generate-hashes --python-version 3.11 requirements.in -o requirements.txt
	@$(DEV) uv pip compile -q --generate-hashes --python-version 3.11 requirements-dev.in -o requirements-dev.txt

clean:
	@rm -rf var
