# The two commands: `make demo` shows the promise, `make test` checks it. Both install what they need.
PYTHON ?= python3
AIRFLOW ?= 3.3
VENV ?= .venv
# uv is taken from the same index as pip.
export UV_INDEX_URL ?= $(PIP_INDEX_URL)
ifeq ($(UV_INDEX_URL),)
unexport UV_INDEX_URL
endif

.PHONY: demo test judges kill-matrix lint venv bench soak constraints clean

venv: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints/airflow-$(AIRFLOW).txt
	@echo "Installing Airflow $(AIRFLOW) and the provider into $(VENV) ..."
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints/airflow-$(AIRFLOW).txt uv
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(VENV)/bin/uv pip install --quiet --compile-bytecode \
		-c constraints/airflow-$(AIRFLOW).txt --group dev -e '.[testing]'
	@touch $@

demo: venv
	$(VENV)/bin/python -m demo $(ARGS)

# What needs no Airflow of its own runs in two processes; a real Airflow wants the machine for itself.
test: venv lint
	$(VENV)/bin/python -m pytest -n 2 -m 'not live and not judges'
	$(VENV)/bin/python -m pytest -m live

# Every way a task can stop, in every style, REPEAT times over: about half an hour each. It writes docs/guarantees.md.
REPEAT ?= 1
RESULTS ?= kill-matrix.jsonl
kill-matrix: venv
	rm -f $(RESULTS)
	KILL_MATRIX_RESULTS=$(abspath $(RESULTS)) REPEAT=$(REPEAT) $(VENV)/bin/python -m pytest tests/kill_matrix \
		--ignore tests/kill_matrix/test_page.py; \
		status=$$?; $(VENV)/bin/python -m tests.kill_matrix.report $(RESULTS) && exit $$status

# What the packaging world says of wheel and sdist, and the unit tests against the installed wheel.
judges: venv
	$(VENV)/bin/python -m pytest tests/judges -m 'judges or not judges'

lint: venv
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

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

# Take the newest versions of everything; Airflow itself stays where the file's name says.
constraints: venv
	rm -rf $(VENV)-fresh
	$(PYTHON) -m venv $(VENV)-fresh
	VIRTUAL_ENV=$(CURDIR)/$(VENV)-fresh $(VENV)/bin/uv pip install --quiet uv \
		'apache-airflow==$(AIRFLOW).*' --group dev -e '.[testing]'
	VIRTUAL_ENV=$(CURDIR)/$(VENV)-fresh $(VENV)/bin/uv pip freeze --exclude-editable > constraints/airflow-$(AIRFLOW).txt
	rm -rf $(VENV)-fresh

clean:
	rm -rf $(VENV) $(VENV)-bench .pytest_cache .mypy_cache .ruff_cache
