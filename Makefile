# `make help` lists the targets.
SWIFT  ?= swift
PREFIX ?= /usr/local
DESTDIR ?=
STAGE  ?= .build/stage

.PHONY: help setup build demo test faults check fuzz sanitize bench bench-peers deb install uninstall stage clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-10s %s\n", $$1, $$2 }' Makefile

setup: ## install the Debian packages that are missing
	@scripts/setup.sh

build: ## build programs and plugins
	$(SWIFT) build -c release

demo: setup build ## start the daemon, drop photos, show what the sinks wrote
	@scripts/demo.sh

test: ## build and run every test
	@scripts/setup.sh python3-venv
	$(SWIFT) build -c release
	$(SWIFT) build -c release --build-tests
	LOOKOUT_PYTHON=$$(scripts/peers.sh) $(SWIFT) test -c release --skip-build

faults: setup ## break everything that can break and look whether the promise holds (as root; SCENARIO=name for one)
	$(SWIFT) build -c release
	@! pkg-config --exists fuse3 || $(CC) -O2 -Wall -Wextra -o .build/release/lookout-faults-disk \
	  $$(pkg-config --cflags fuse3) Tests/Faults/Disk/disk.c $$(pkg-config --libs fuse3)
	.build/release/lookout-faults --report docs/RELIABILITY.md $(SCENARIO)

check: setup ## format, warnings, imports, man pages
	@! for page in man/*; do groff -man -Tutf8 -ww "$$page" 2>&1 >/dev/null; done | grep .
	$(SWIFT) format lint --strict -r Sources Tests plugins Package.swift
	$(SWIFT) build -c release --scratch-path .build/check -Xswiftc -warnings-as-errors \
	  --explicit-target-dependency-import-check error

bench: build ## measure this build on this machine
	.build/release/lookout bench

PYTHON ?= python3
MODELS ?= /tmp/networks
PHOTOS ?= /tmp/photos
bench-peers: build ## compare with other engines; see benchmarks/README.md for what PYTHON, MODELS and PHOTOS need
	$(PYTHON) benchmarks/peers/run.py --models '$(MODELS)' --photos '$(PHOTOS)/500x375'
	$(PYTHON) benchmarks/peers/run.py --models '$(MODELS)' --photos '$(PHOTOS)/500x375' --batch 1 --lookout-form lanes \
	  --precision fp32 resnet18
	$(PYTHON) benchmarks/peers/run.py --models '$(MODELS)' --photos '$(PHOTOS)/500x375' --lookout-engine openblas \
	  --peers onnxruntime,openvino --precision fp32 resnet18
	$(PYTHON) benchmarks/peers/footprint.py --models '$(MODELS)' --photos '$(PHOTOS)/500x375'
	$(PYTHON) benchmarks/peers/folders.py --models '$(MODELS)' \
	  --photos '$(PHOTOS)/500x375,$(PHOTOS)/1920x1080,$(PHOTOS)/4000x3000'
TARGET  ?= imaging
SECONDS ?= 60
fuzz: setup ## fuzz a reader of strangers' bytes: TARGET=imaging SECONDS=60
	@SWIFT='$(SWIFT)' scripts/fuzz.sh '$(TARGET)' '$(SECONDS)'

deb: setup build ## Debian packages in .build/deb
	@scripts/deb.sh

sanitize: setup ## the whole test suite under AddressSanitizer, UndefinedBehaviorSanitizer and ThreadSanitizer
	@SWIFT='$(SWIFT)' scripts/sanitize.sh

install: ## copy what was built below DESTDIR/PREFIX (run `make build` first)
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' scripts/install.sh

uninstall: ## remove what `install` copied; results, state and configuration stay
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' scripts/uninstall.sh

stage: build ## an installed tree in .build/stage, to look at or to pack
	rm -rf '$(STAGE)'
	@PREFIX=/usr DESTDIR='$(STAGE)' scripts/install.sh

clean: ## remove what was built
	$(SWIFT) package clean
	rm -rf .build/check '$(STAGE)'
