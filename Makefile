# `make demo`, `make docs` and `make test` do all set-up; they need Python 3.11 or later and make.
PYTHON ?= python3.11
VENV ?= .venv
DEMO_MINUTES ?= 3.5

READY = $(VENV)/ready
PHDNET = $(VENV)/bin/phdnet-tf
# Whole files, for their tests share models, and in the order of `tests/conftest.py`.
PYTEST = $(VENV)/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo docs test test-fast lint benchmark benchmark-serving constraints clean

$(READY): constraints.txt pyproject.toml setup.py
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

# Trains on drawn four-chamber images, then meets images it has not seen; the shipped
# weights meet drawn short axes.
demo: $(READY)
	rm -rf demo
	$(PHDNET) phantom demo/unseen --view 4ch --subjects 40 --seed 1
	$(PHDNET) train --view 4ch --time-limit $(DEMO_MINUTES) --models demo/models --runs demo/runs
	$(PHDNET) predict demo/unseen/DICOM/phantom_000? --models demo/models --maps --output demo/predictions
	$(PHDNET) evaluate --data demo/unseen --models demo/models --output demo/evaluation
	$(PHDNET) phantom demo/short_axis --view sa --subjects 3 --seed 1
	$(PHDNET) predict demo/short_axis/DICOM --model weights/phdnet_tf_weights/sa-acdc \
	  --output demo/shipped
	@echo
	@echo "The last table is by the shipped weights. They learnt from real hearts, and these are"
	@echo "drawn: 'LOW' and 'NOT RECOGNISED' mark what a human has to check."
	@echo "Look at demo/predictions/*/*.png, demo/shipped/*/*/*.png, demo/evaluation/error_curve.png"

# The site, in `site/`. The tutorial's commands run on the way, with a minute of training.
docs: $(READY)
	rm -rf site build/tutorial
	mkdir -p build/tutorial
	PATH="$(abspath $(VENV))/bin:$$PATH" NO_MKDOCS_2_WARNING=1 \
	  $(VENV)/bin/python -m mkdocs build
	@echo "Open site/index.html"

test: $(READY)
	$(PYTEST)

# For the edit loop: what trains, exports, or starts a server or a process is left out.
test-fast: $(READY)
	$(PYTEST) -m "not slow"

# The hook in .pre-commit-config.yaml runs this, so that there is one list of checks.
lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/codespell

benchmark: $(READY)
	$(VENV)/bin/python benchmarks/speed/package.py

benchmark-serving: $(READY)
	$(VENV)/bin/python benchmarks/speed/serving.py

# The newest versions that go together, written down.
constraints:
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -e ".[dev]"
	sed -i '/^#/!d' constraints.txt
	$(VENV)/bin/pip freeze --exclude-editable >> constraints.txt
	touch $(READY)

clean:
	rm -rf $(VENV) demo site build dist *.egg-info
