# Each target sets up what it needs; a second call does not set up again.
PYTHON ?= python3
DEVICE ?= $(if $(shell command -v nvidia-smi 2>/dev/null),gpu,cpu)
BIN := .venv/bin
TORCH := torch==2.13.0

.PHONY: setup check test test-real demo bench report

setup: .venv/ready

.venv/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "oasis_ray needs Python 3.11 or newer: make PYTHON=python3.11 setup"; exit 1; }
	@echo "Setting up .venv for this machine ($(DEVICE) packages, some 4 GB, a few minutes)"
	$(PYTHON) -m venv .venv
ifeq ($(DEVICE),cpu)
	@# Torch for the CPU: from where pip is set up to look, else from PyTorch's own index.
	$(BIN)/pip install -qq $(TORCH)+cpu || $(BIN)/pip install -q $(TORCH) --index-url https://download.pytorch.org/whl/cpu
endif
	$(BIN)/pip install -q -e '.[$(DEVICE),dev]'
ifeq ($(DEVICE),cpu)
	@# Built for CUDA, and transformers imports them where they are present.
	$(BIN)/pip uninstall -q -y torchaudio torchcodec
	$(BIN)/python -m oasis_ray.torchvision
endif
	@touch $@
