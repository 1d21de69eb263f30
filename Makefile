# Two commands do all the set-up: make demo, make test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FOLDERS := simreal robots randomization deploy configs
SOURCES := $(shell find $(FOLDERS) -name '*.py' -o -name '*.yaml' -o -name '*.xml' -o -name '*.js' -o -name '*.onnx' -o -name '*.npz' -o -name py.typed | sort)
# A strict editable install links each file: it is made anew when a file comes or goes.
FILE_LIST := $(shell echo '$(SOURCES)' | cksum | cut -d' ' -f1)
INSTALLED := $(VENV)/installed-$(FILE_LIST)
# setuptools tells of a strict install in a block that looks like a fault.
PIP := PYTHONWARNINGS='ignore:Editable installation' $(BIN)/python -m pip install --quiet

.PHONY: install demo test format docs check-long clean

install: $(INSTALLED)

$(VENV)/dependencies: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip
	$(PIP) 'setuptools>=77' wheel
	$(PIP) --editable '.[all]' --config-settings editable_mode=strict
	touch $@

$(INSTALLED): $(VENV)/dependencies
	$(PIP) --editable . --no-deps --no-build-isolation --config-settings editable_mode=strict
	rm -f $(VENV)/installed-*
	touch $@

demo: install
	$(BIN)/simreal demo

# The tests of a file share what they train: --dist loadfile keeps them in one process.
# mypy and import-linter would take the folder simreal/ that they are started in for the whole package.
test: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	cd $(VENV) && bin/mypy --config-file ../pyproject.toml --cache-dir ../.mypy_cache
	cd $(VENV) && bin/lint-imports --no-logo --no-cache --config ../pyproject.toml
	OMP_NUM_THREADS=1 $(BIN)/pytest -m 'not long' -n 2 --dist loadfile

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: install
	$(BIN)/python -c 'from simreal.config_pages import parameter_page; print(parameter_page(), end="")' > docs/parameters.md
	$(BIN)/python -c 'from simreal.config_pages import robot_page; print(robot_page(), end="")' > docs/robot_yaml.md
	$(BIN)/python -c 'from simreal.config_pages import experiment_page; print(experiment_page(), end="")' > docs/experiment.md
	$(BIN)/python -c 'from simreal.config_pages import agent_page; print(agent_page(), end="")' > docs/agents.md
	$(BIN)/python -c 'from simreal.config_pages import observation_page; print(observation_page(), end="")' > docs/observations.md

check-long: install
	$(BIN)/pytest -m long

clean:
	rm -rf $(VENV) build dist *.egg-info
