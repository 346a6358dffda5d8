# Everything runs in .venv, made on first use; nothing else on the machine changes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo test test-lowest test-ray test-wheel constraints-run sbom chaos check schema fuzz format clean bench bench-peers bench-quick bench-plan bench-quality quality-faults
help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

demo: $(READY)  ## Install, then run a whole backfill against a loopback API and an embedded MongoDB
	$(BIN)/python -m runner profile=demo

test: $(READY)  ## Install, then run all tests
	$(BIN)/python -m pytest -n 3

LOWEST := .venv-lowest
# What the runner needs at the lower bounds of pyproject.toml; the tools of the tests as they come.
test-lowest:  ## Run the quick tests against the oldest supported dependencies
	$(PYTHON) -m venv $(LOWEST)
	$(PYTHON) -c "import re, tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; o = p['optional-dependencies']; print(*(re.sub(r'>=([^,;]+)(,[^;]*)?', r'==\1', d) for d in p['dependencies'] + o['report']), *o['embedded'], *o['dev'], sep='\n')" > $(LOWEST)/lowest.txt
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $(LOWEST)/lowest.txt 'hatchling>=1.26' editables
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(LOWEST)/bin/python -m pytest -m "not slow"

RAY := .venv-ray
# In an environment of its own: Ray is large, and wants an older cloudpickle than joblib.
test-ray:  ## Run sweeps on a real Ray cluster of two nodes on this machine
	$(PYTHON) -m venv $(RAY)
	$(RAY)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement constraints-ray.txt
	$(RAY)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(RAY)/bin/python -m pytest tests/product/test_ray_process.py

PYTHONS ?= python3.11 python3.12 python3.13 python3.14
test-wheel:  ## Install the wheel into a clean environment per Python (PYTHONS), and run the demo there
	.ci/test_wheel $(PYTHONS)

constraints-run: $(READY)  ## Write constraints-run.txt anew: of constraints.txt what a run needs
	$(BIN)/python .ci/constraints_run.py

SBOM := .venv-sbom
sbom:  ## Write sbom.cdx.json (CycloneDX) and licenses.md of what constraints-run.txt installs
	$(PYTHON) -m venv $(SBOM)/run
	$(SBOM)/run/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement constraints-run.txt
	$(PYTHON) -m venv $(SBOM)/tools
	$(SBOM)/tools/bin/python -m pip install --quiet --disable-pip-version-check cyclonedx-bom==7.5.0 pip-licenses==5.5.5
	$(SBOM)/tools/bin/cyclonedx-py environment $(SBOM)/run/bin/python --output-file sbom.cdx.json
	$(SBOM)/tools/bin/pip-licenses --python $(SBOM)/run/bin/python --format markdown --with-urls --output-file licenses.md

N := 200
SEED := $(shell od -An -N4 -tx4 /dev/urandom | tr -d ' ')
chaos: $(READY)  ## Kill the product N times (200) in every way, and compare what is stored with the truth
	$(BIN)/python -m tests.robustness.chaos -n $(N) --seed $(SEED) --report docs/reliability.md

bench: $(READY)  ## Measure the load beside a plain loop, the ceilings and dlt if it is there; writes docs/performance.md (15 minutes)
	$(BIN)/python -m benchmarks --report docs/performance.md

DLT := .venv-dlt
# In an environment of its own: nothing of the runner needs it. Its python is what make bench looks for.
$(DLT)/.ready: benchmarks/requirements-dlt.txt
	$(PYTHON) -m venv $(DLT)
	$(DLT)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	touch $@
bench-peers: $(DLT)/.ready  ## Install dlt beside the runner, so that make bench measures it, too

bench-quick: $(READY)  ## The same in a minute; fails where a figure is not half as good as it should be
	$(BIN)/python -m benchmarks --quick

bench-plan: $(READY)  ## What job=plan costs for 98 and for 12,000 stations over ten years
	$(BIN)/python -m benchmarks.plan
bench-quality: $(READY)  ## Time checks and page of five million readings; writes docs/performance.md (15 minutes)
	$(BIN)/python -m benchmarks.quality --report docs/performance.md

quality-faults: $(READY)  ## How many of 81 injected faults the checks find; needs ../shared/data/beijing, writes docs/quality.md (6 minutes)
	$(BIN)/python -m benchmarks.faults --report docs/quality.md

# Words of a dialect that readers have to translate; CONTRIBUTING names what to write in their place.
DIALECT := '\btold\b|None where|\b(comes|came) of\b|[Ww]hat became of|\bso many\b|\ba row a\b'
check: $(READY)  ## Lint, types, import rules, dead code, known vulnerabilities (where they can be looked up)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/vulture
	$(BIN)/python .ci/audit.py
	! grep -rnE --include=*.py --include=*.yaml --include=*.md $(DIALECT) runner conf docs README.md

SECONDS ?= 60
fuzz: $(READY)  ## Draw other examples for all property tests, then fuzz the four readers by coverage, SECONDS each (Linux, x86-64)
	HYPOTHESIS_PROFILE=search $(BIN)/python -m pytest -n 3 -m hypothesis --timeout=0
	$(BIN)/python -m tests.robustness.fuzz --seconds $(SECONDS)

schema: $(READY)  ## Write conf/schema/ and the table of docs/settings.md anew, from the declarations
	$(BIN)/python -m runner.cli.schema

format: $(READY)  ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## Remove the virtual environment, caches, and what demo runs left
	rm -rf $(VENV) $(LOWEST) $(RAY) $(DLT) .venv-wheel $(SBOM) sbom.cdx.json licenses.md .venv-audit .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist data runs multirun
