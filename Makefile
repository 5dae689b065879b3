# The verbs of a day: `make help` lists them. A stamp in .venv says what is installed; it is older than pyproject.toml
# when that has to be done again.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3.13 python3.12 python3.11 python3
DEVICE ?= $(if $(wildcard /proc/driver/nvidia/version)$(shell command -v nvidia-smi),gpu,cpu)
PROTOS := $(wildcard proto/beholder/*/*.proto)
.DEFAULT_GOAL := help

.PHONY: help run test check export bench scorers opinion taste soak overload performance peers install-check gpu-check gpu-bench proto baseline models clean

help: ## list the verbs
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

run: $(VENV)/.serve ## install, export the default scorers, serve on 127.0.0.1:50051
	@$(BIN)/python -c "$$are_built" || $(MAKE) --no-print-directory export ARGS=
	@exec $(BIN)/beholder serve $(ARGS)

test: $(VENV)/.dev ## run the tests; ARGS="-k queue" picks some
	@$(BIN)/beholder export
	@$(BIN)/pytest $(ARGS)

check: $(VENV)/.dev ## lint, types, import contracts, wire, generated code, committed graphs
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint proto
	$(BIN)/buf format --diff --exit-code proto
	$(BIN)/buf breaking proto --against proto/baseline.binpb
	@rm -rf .cache/generated && mkdir -p .cache/generated
	@$(call generate,.cache/generated)
	diff -r -x __init__.py -x __pycache__ .cache/generated/beholder/v1 service/beholder/v1
	diff -r -x __init__.py -x __pycache__ .cache/generated/beholder/inference_v2 service/beholder/inference_v2
	@$(MAKE) --no-print-directory models

export: $(VENV)/.export ## build the default scorers' graphs; ARGS="--all" or names pick others
	@$(BIN)/beholder export $(ARGS)

bench: $(VENV)/.dev ## measure the service against a plain loop over the same work; ARGS="-s psnr" picks a scorer
	@$(BIN)/beholder export
	@$(BIN)/beholder bench $(ARGS)

scorers: $(VENV)/.dev ## measure every scorer against its peer and write docs/scorers.md; ARGS="ssim" picks some
	@$(BIN)/beholder export
	@PYTHONPATH=tests $(BIN)/python -m bench.scorer_table $(ARGS)

opinion: $(VENV)/.dev ## ask how far the scorers agree with people (hours); write docs/human_opinion.json
	@$(BIN)/beholder export
	@PYTHONPATH=tests $(BIN)/python -m bench.human_opinion $(ARGS)

taste: $(VENV)/.dev ## measure how tastes are learned (minutes) and write docs/taste.md; ARGS=--render only writes it
	@$(BIN)/beholder export
	@PYTHONPATH=tests $(BIN)/python -m bench.taste $(ARGS)

soak: $(VENV)/.dev ## long proofs under load (15 min): good, bad, cancelled, killed; tastes told by a crowd; replicas
	@$(BIN)/beholder export
	@$(BIN)/pytest -m slow tests/load $(ARGS)

overload: $(VENV)/.dev ## simulate overload (10 min); write docs/overload.json and .svg
	@PYTHONPATH=tests $(BIN)/python -m load.overload $(ARGS)

performance: $(VENV)/.dev ## measure a server beside what the machine can do (40 min); ARGS=--render writes docs/throughput.md
	@$(BIN)/beholder export
	@PYTHONPATH=tests $(BIN)/python -m bench.performance $(ARGS)

peers: $(VENV)/.dev ## install and measure other servers on the same job (30 min); write docs/peers.md
	@$(BIN)/beholder export
	@PYTHONPATH=tests $(BIN)/python -m bench.peers --folder .cache/peers $(ARGS)

install-check: $(VENV)/.dev ## install the serving extra into an empty environment: no torch, and how large
	@$(BIN)/pytest -m slow tests/test_wheel.py $(ARGS)

gpu-check: $(VENV)/.dev ## prove on a GPU machine that CUDA runs the scorers and agrees with the CPU
	@$(BIN)/beholder export
	@PYTHONPATH=tests $(BIN)/python -m bench.gpu_check $(ARGS)

gpu-bench: $(VENV)/.dev ## measure every way of using a GPU (10 min); ARGS=--write writes docs/gpu.md
	@$(BIN)/beholder export
	@PYTHONPATH=tests $(BIN)/python -m bench.gpu_bench $(ARGS)

proto: $(VENV)/.dev ## generate service/beholder/v1 and inference_v2 from proto/
	@$(call generate,service)

baseline: $(VENV)/.dev ## at a release: record the wire that later versions must not break
	$(BIN)/buf build proto --exclude-source-info --output proto/baseline.binpb

models: $(VENV)/.dev ## prove that export.py still makes each committed graph, byte for byte
	@mkdir -p .cache/models
	@git ls-files 'models/*/*.onnx' | xargs -P 2 -I GRAPH $(BIN)/python -c "$$make_again" GRAPH

clean: ## remove the environment, caches and graphs that can be built again
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	git clean -fqX models

# Whether every default graph is there, so that serving needs no torch.
define are_built
import sys
from beholder.export import choose, is_built
from beholder.scoring.catalog import load_catalog, shipped_models
sys.exit(not all(map(is_built, choose(load_catalog([shipped_models()]), []))))
endef
export are_built

# Makes one committed graph again and compares the bytes.
define make_again
import pathlib, subprocess, sys
graph = pathlib.Path(sys.argv[1])
again = pathlib.Path('.cache/models', graph.parent.name + '-' + graph.name)
command = [sys.executable, graph.with_name('export.py'), '--output', again] + ['--map'] * (graph.stem == 'map')
subprocess.run(command, check=True)
same = again.read_bytes() == graph.read_bytes()
print(graph, 'is what export.py makes' if same else 'is NOT what export.py makes', sep=': ')
sys.exit(not same)
endef
export make_again

define generate
PATH="$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -Iproto --python_out=$(1) --grpc_python_out=$(1) \
  --mypy_out=quiet:$(1) --mypy_grpc_out=quiet:$(1) $(PROTOS)
endef

$(VENV)/.made:
	@python=; for name in $(PYTHON); do \
	  "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && python=$$name && break; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "Beholder needs Python 3.11 or newer; none of these is: $(PYTHON)" >&2; \
	  echo "Name yours: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; \
	fi; \
	echo "==> $(VENV), with $$($$python --version)"; \
	if "$$python" -c 'import ensurepip' 2>/dev/null; then \
	  "$$python" -m venv $(VENV); \
	elif "$$python" -m pip --version >/dev/null 2>&1; then \
	  "$$python" -m venv --without-pip $(VENV) && "$$python" -m pip --python $(BIN)/python install --quiet pip; \
	else \
	  echo "$$python has neither pip nor ensurepip; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; \
	fi
	@touch $@

$(VENV)/.serve: pyproject.toml | $(VENV)/.made
	@echo "==> what serving needs, for $(DEVICE)"
	@$(BIN)/pip install --editable '.[$(DEVICE)]'
	@touch $@

$(VENV)/.export: pyproject.toml | $(VENV)/.made
	@echo "==> what building graphs needs (torch: the largest part)"
	@$(BIN)/pip install --editable '.[$(DEVICE),export]'
	@touch $@ $(VENV)/.serve

$(VENV)/.dev: pyproject.toml | $(VENV)/.made
	@echo "==> what tests and checks need"
	@$(BIN)/pip install --editable '.[$(DEVICE),export,dev]'
	@touch $@ $(VENV)/.export $(VENV)/.serve
