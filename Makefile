# The two commands: `make demo` shows the promise, `make test` checks it. Both install what they need.
PYTHON ?= python3
AIRFLOW ?= 3.3
VENV ?= .venv
# The matrix leaves out what only lint and judges need.
GROUP ?= dev
# What `make test-matrix` runs, TESTS on each and JOBS of them at the same time, and what `make constraints` writes. With
# LIVE=1 the tests on a running Airflow are among them.
VERSIONS ?= 2.11 3.0 3.1 3.2 3.3 3.3-py3.12 3.3-py3.13
TESTS ?= tests --ignore=tests/judges --ignore=tests/docs/test_site.py --ignore=tests/test_bench.py $(if $(LIVE),,--ignore=tests/live --ignore=tests/kill_matrix)
JOBS ?= 1
# uv is taken from the same index as pip.
export UV_INDEX_URL ?= $(PIP_INDEX_URL)
ifeq ($(UV_INDEX_URL),)
unexport UV_INDEX_URL
endif

.PHONY: demo test test-versions test-matrix judges browser mutants kill-matrix kill-matrix-celery kill-matrix-versions lint docs \
	venv bench soak constraints clean

venv: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints/airflow-$(AIRFLOW).txt
	@echo "Installing Airflow $(AIRFLOW) and the provider into $(VENV) ..."
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints/airflow-$(AIRFLOW).txt uv
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(VENV)/bin/uv pip install --quiet --compile-bytecode \
		-c constraints/airflow-$(AIRFLOW).txt -r constraints/airflow-$(AIRFLOW).in --group $(GROUP) -e '.[testing]'
	@touch $@

demo: venv
	$(VENV)/bin/python -m demo $(ARGS)

# What needs no Airflow of its own waits more than it works: three processes. A real Airflow wants the machine for itself.
test: venv lint
	$(VENV)/bin/python -m pytest -n 3 -m 'not live and not judges and not browser' --cov --cov-report=term
	$(VENV)/bin/python -m pytest -m live

# Every way a task can stop, in every style, REPEAT times over: about half an hour each. It writes docs/guarantees.md.
# On PostgreSQL where it is installed; KILL_MATRIX_DATABASE=sqlite or =postgres insists.
REPEAT ?= 1
RESULTS ?= kill-matrix.jsonl
kill-matrix: venv
	rm -f $(RESULTS)
	KILL_MATRIX_RESULTS=$(abspath $(RESULTS)) REPEAT=$(REPEAT) $(VENV)/bin/python -m pytest tests/kill_matrix \
		--ignore tests/kill_matrix/test_page.py --ignore tests/kill_matrix/test_versions_page.py --ignore tests/kill_matrix/test_on_celery.py \
		--ignore tests/kill_matrix/test_on_every_version.py; \
		status=$$?; $(VENV)/bin/python -m tests.kill_matrix.report $(RESULTS) && exit $$status

# The same for the ways in which the executor has a part: two Celery workers, Redis, PostgreSQL; about 20 minutes.
kill-matrix-celery: RESULTS = kill-matrix-celery.jsonl
kill-matrix-celery:
	@$(MAKE) --no-print-directory venv VENV=$(VENV)-celery GROUP=celery
	@$(VENV)-celery/bin/python -m tests.kill_matrix.servers
	rm -f $(RESULTS)
	KILL_MATRIX_DATABASE=postgres KILL_MATRIX_RESULTS=$(abspath $(RESULTS)) REPEAT=$(REPEAT) \
		$(VENV)-celery/bin/python -m pytest tests/kill_matrix/test_on_celery.py; \
		status=$$?; $(VENV)-celery/bin/python -m tests.kill_matrix.report $(RESULTS) && exit $$status

# The usual ways and the kills, on every version of Airflow: some minutes each.
kill-matrix-versions: RESULTS = kill-matrix-versions.jsonl
kill-matrix-versions:
	rm -f $(RESULTS)
	KILL_MATRIX_RESULTS=$(abspath $(RESULTS)) $(PYTHON) tests/matrix.py 2.11 3.0 3.1 3.2 $(AIRFLOW) \
		--tests tests/kill_matrix/test_on_every_version.py; \
		status=$$?; $(PYTHON) -m tests.kill_matrix.report_versions $(RESULTS) && exit $$status

# On the oldest versions: all tests that need no running Airflow, but the pages' and one on HTTP that takes a minute.
test-versions:
	$(PYTHON) tests/matrix.py 2.11 3.0 --jobs 2 --tests "-n 2 tests/unit tests/dag_runs tests/test_example_dags.py \
		tests/test_imports.py tests/test_what_airflow_sees.py --ignore=tests/unit/test_faults_during_cancel.py"

test-matrix:
	$(PYTHON) tests/matrix.py $(VERSIONS) --jobs $(JOBS) --tests "$(TESTS)"

# What the packaging world says of wheel and sdist, and the unit tests against the installed wheel.
judges: venv
	$(VENV)/bin/python -m pytest tests/judges -m 'judges or not judges'

# The connection form, a task's page and its log in a real browser: Debian's package `chromium`. What the tests see is
# kept in SCREENSHOTS; with SCREENSHOTS=docs/images they are the pictures of the README.
SCREENSHOTS ?= screenshots

$(VENV)/.browser: $(VENV)/.installed
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(VENV)/bin/uv pip install --quiet -c constraints/airflow-$(AIRFLOW).txt --group browser
	@touch $@

browser: $(VENV)/.browser
	SCREENSHOTS=$(abspath $(SCREENSHOTS)) $(VENV)/bin/python -m pytest tests/browser -m browser

# Whether the tests notice when the core, the record or the callbacks are changed: what they did not notice is listed. ARGS
# names mutants to judge again, after a new test: ARGS='airflow_provider_freddy.core.cancel*'.
$(VENV)/.mutants: $(VENV)/.installed
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(VENV)/bin/uv pip install --quiet -c constraints/airflow-$(AIRFLOW).txt --group mutants
	@touch $@

mutants: $(VENV)/.mutants
	$(if $(ARGS),,rm -rf mutants)
	$(VENV)/bin/mutmut run --max-children $(JOBS) $(ARGS)
	$(VENV)/bin/mutmut results

lint: venv
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

# The pages as a site, with every warning an error; a part of `make test` does the same.
docs: venv
	$(VENV)/bin/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "The site is at docs/_build/html/index.html"

# The peers live in an environment of their own: the provider needs none of them. One that cannot be installed is
# left out, and the table says so.
BENCH_PEERS ?= databricks dbt-cloud airbyte openai

$(VENV)-bench/.installed: $(VENV)/.installed
	@echo "Installing the providers to compare with into $(VENV)-bench ..."
	$(PYTHON) -m venv $(VENV)-bench
	VIRTUAL_ENV=$(CURDIR)/$(VENV)-bench $(VENV)/bin/uv pip install --quiet --compile-bytecode \
		-c constraints/airflow-$(AIRFLOW).txt 'apache-airflow==$(AIRFLOW).*' psutil uvloop -e '.[testing]'
	@for peer in $(BENCH_PEERS); do \
		VIRTUAL_ENV=$(CURDIR)/$(VENV)-bench $(VENV)/bin/uv pip install --quiet --compile-bytecode \
			-c constraints/airflow-$(AIRFLOW).txt apache-airflow-providers-$$peer \
			|| echo "Could not install the $$peer provider: its rows will be missing."; \
	done
	@touch $@

bench: $(VENV)-bench/.installed
	$(VENV)-bench/bin/python -m bench --plain-python $(VENV)/bin/python $(ARGS)

# Half an hour under random faults: nothing grows, nothing is left running.
soak: venv
	$(VENV)/bin/python -m bench.soak $(ARGS)

# Write the constraints anew, with the newest of everything that goes with each Airflow version.
constraints: venv
	for version in $(sort $(foreach name,$(VERSIONS),$(firstword $(subst -py, ,$(name))))); do \
		groups=tests; test $$version = $(AIRFLOW) && groups="dev celery mutants"; \
		$(VENV)/bin/uv pip compile --quiet --upgrade --python-version 3.11 --no-header --no-annotate \
			--extra testing $$(printf -- '--group pyproject.toml:%s ' browser $$groups) --output-file constraints/airflow-$$version.txt \
			constraints/airflow-$$version.in pyproject.toml || exit 1; \
	done

clean:
	rm -rf $(VENV) .venv-* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .coverage* docs/_build mutants \
		screenshots kill-matrix*.jsonl
