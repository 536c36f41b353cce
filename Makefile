# make help lists every target with its sentence.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := build

VERSION ?= 0.1.0
COMMIT  ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null)
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)
BUILD   := CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)'

# Tools are built once for each tools/go.sum and found again by every clone.
TOOLS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/prism-test/$(shell git hash-object tools/go.sum | cut -c1-16)/bin
export TOOLS VERSION

TARGETS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
FUZZTIME ?= 30s

.PHONY: help build dev day mutants test test-faults test-containers containers fuzz lint format generate matrix cover bench pictures release cross tools clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build prismd and prismctl into bin/
	@mkdir -p bin
	$(BUILD) -o bin/ ./cmd/...

dev: build ## build both programs and run `prismctl dev up` in this folder
	bin/prismctl dev up

test: ## the whole suite with its set-up: checks, tests with the race detector, coverage gate, matrix, cross-builds, end to end, quick faults
	tools/test.sh

test-faults: build ## the fault tests in their full forms (an hour or two); writes docs/faults.md
	tools/faults.sh

test-containers: ## the tests on containers, on the engine that answers or one of its own (two minutes)
	tools/containers.sh -v

containers: ## build prism-compose, with which prismctl dev runs stacks in containers, and put it where it is found
	tools/compose.sh

day: build ## drive a working day in a terminal (tmux) and keep what it shows in docs/day
	PRISM_TEST_BIN=$(CURDIR)/bin PRISM_DAY=$(CURDIR)/docs/day go test -count=1 ./test/e2e -run '^TestAWorkingDay$$'

SEED ?= 6
mutants: ## break twenty lines of docs/interface.md, drawn by SEED, and see that their tests are red (a quarter of an hour)
	go run ./test/mutants -seed $(SEED) -n 20 -write docs/interface.md

fuzz: ## run each fuzz target for FUZZTIME (30s)
	tools/fuzz.sh $(FUZZTIME)

lint: tools ## format, vet, staticcheck, protos (lint and breaking changes)
	tools/lint.sh

format: tools ## write every Go file as gofumpt wants it
	$(TOOLS)/gofumpt -w $$(git ls-files -co --exclude-standard '*.go' | grep -v '\.pb\.go$$')

generate: tools ## make everything that is made: Go of the protos, forwarders, reference pages (no diff when nothing changed)
	tools/generate.sh

matrix: ## run the conformance suite on every driver and write docs/matrix.{md,json}
	tools/matrix.sh docs

cover: ## run the tests once and print the coverage of every package against its threshold
	tools/cover.sh

bench: build ## print the table of speed and memory beside what people know (minutes; wants a quiet machine)
	go build -trimpath -o bin/prism-bench ./test/bench
	cd test/real/nats && go build -o $(CURDIR)/bin/nats-server github.com/nats-io/nats-server/v2
	cd test/real/ghz && go build -o $(CURDIR)/bin/ghz github.com/bojand/ghz/cmd/ghz
	bin/prism-bench -bin bin -md docs/bench.md

pictures: build ## make the pictures and reports in docs/ from real runs
	tools/pictures-load.sh
	tools/pictures-ui.sh

release: ## build the programs for six targets into dist/, with checksums
	@rm -rf dist && mkdir -p dist
	@for t in $(TARGETS); do \
		os=$${t%/*} arch=$${t#*/}; echo "$$os/$$arch"; \
		mkdir -p dist/prism_$(VERSION)_$${os}_$$arch; \
		GOOS=$$os GOARCH=$$arch $(BUILD) -o dist/prism_$(VERSION)_$${os}_$$arch/ ./cmd/prismd ./cmd/prismctl; \
		[ $$os = windows ] || (cd stacks/native/compose && CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch go build -trimpath -ldflags '-s -w' -o $(CURDIR)/dist/prism_$(VERSION)_$${os}_$$arch/prism-compose .); \
		cp LICENSE README.md dist/prism_$(VERSION)_$${os}_$$arch/; \
		tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C dist -cf - prism_$(VERSION)_$${os}_$$arch | gzip -n > dist/prism_$(VERSION)_$${os}_$$arch.tar.gz; \
		rm -r dist/prism_$(VERSION)_$${os}_$$arch; \
	done
	@cd dist && sha256sum *.tar.gz > SHA256SUMS && cat SHA256SUMS

cross: ## build and vet both programs for darwin/arm64 and windows/amd64
	tools/cross.sh darwin/arm64 windows/amd64

tools: $(TOOLS)/.built ## build the tools into the user's cache folder, once

$(TOOLS)/.built:
	@echo "tools: building into the cache folder (once, about a minute)"
	@mkdir -p $(TOOLS)
	@cd tools && GOBIN=$(TOOLS) go install tool && touch $@

clean: ## remove what the targets built
	rm -rf bin dist coverage.out
