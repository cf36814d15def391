# What to run: `make help`.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c

CARGO ?= cargo
GO ?= go
# Each test with a control plane of its own takes about 550 MB.
TEST_THREADS ?= 4

controlplane := tests/controlplane
# kubectl (which brings kustomize along) is the machine's own, or else the one that is built with the control plane.
with-kubectl = export PATH="$$PATH:$$($(controlplane)/build.sh 2>/dev/null | sed -n 's/^assets=//p')"
results := target/test-results.txt

.DEFAULT_GOAL := help

# need-%: says in one line that a tool is missing, and where to get it.
where-cargo := https://rustup.rs
where-go := https://go.dev/dl
tool-cargo := $(CARGO)
tool-go := $(GO)
.PHONY: need-cargo need-go
need-cargo need-go: need-%:
	@command -v $(tool-$*) >/dev/null || { echo '$* is needed and was not found on the PATH; get it from $(where-$*)' >&2; exit 1; }

##@ See it

.PHONY: help
help: ## Show this help.
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } /^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The operator and the demo are built into one target directory, which cargo knows.
.PHONY: demo
demo: need-cargo controlplane ## Watch the operator at work on a cluster of its own. KEEP=1 leaves it running.
	@echo 'Building the operator and the demo (two to four minutes the first time) ...'
	@$(CARGO) build --locked --bins --example demo
	@$(with-kubectl); KEEP='$(KEEP)' $(CARGO) run --locked --quiet --example demo

##@ Develop

.PHONY: build
build: need-cargo ## Build the operator, optimised: target/release/security-baseline-operator.
	$(CARGO) build --locked --release

.PHONY: test
test: need-cargo controlplane ## Run all tests: unit, property, contract, and integration on a real control plane.
	@mkdir -p $(dir $(results))
	@echo 'Building and running all tests (the first build takes three to five minutes) ...'
	@$(with-kubectl); \
	if $(CARGO) test --locked --no-fail-fast -- --test-threads=$(TEST_THREADS) 2>&1 | tee $(results); then \
	  verdict='All tests passed.'; status=0; \
	else \
	  verdict='Tests FAILED. The logs of the control plane and the operator are kept in target/test-logs.'; status=1; \
	fi; \
	printf '\n%s\n' "$$verdict"; \
	grep -E '^test result:|^error: ' $(results) || true; \
	exit $$status

.PHONY: test-report
test-report: need-cargo ## Test the HTML report in a real browser (needs Chromium and its WebDriver).
	@for tool in chromium chromedriver; do command -v $$tool >/dev/null || \
	  { echo "$$tool is needed and was not found on the PATH; on Debian: apt install chromium chromium-driver" >&2; exit 1; }; done
	$(CARGO) test --locked --test report

# Built optimised, the operator too. Cargo's own test harness has no part in it.
.PHONY: bench
bench: need-cargo controlplane ## Measure beside a bare client: N=300 namespaces, or N=10000 (an hour); PARTS=convergence,rest,... chooses.
	@N='$(N)' PARTS='$(PARTS)' REPEATS='$(REPEATS)' $(CARGO) bench --locked --quiet --bench scale

.PHONY: bench-smoke
bench-smoke: need-cargo controlplane ## Check what no clock decides: requests for each object, requests at rest, writes at a start, memory.
	@N='$(or $(N),200)' SMOKE=1 $(CARGO) bench --locked --quiet --bench scale

.PHONY: lint
lint: need-cargo need-go ## Check the format, and let the linters look (warnings are errors).
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --all-targets -- --deny warnings
	@cd $(controlplane) && unformatted=$$(gofmt -l .) && \
	  { [ -z "$$unformatted" ] || { echo "gofmt would change: $$unformatted (run: gofmt -w $(controlplane))" >&2; exit 1; }; }
	cd $(controlplane) && GOTOOLCHAIN=local $(GO) vet .

.PHONY: generate
generate: need-cargo generate-crds generate-manifests ## Write all generated files: crds/, docs/reference/ and config/install.yaml.

.PHONY: generate-crds
generate-crds: need-cargo
	@$(CARGO) run --locked --quiet -- generate

.PHONY: generate-manifests
generate-manifests: controlplane
	@$(with-kubectl); $(call install-yaml,config/install.yaml)

.PHONY: verify-generated
verify-generated: need-cargo controlplane ## Fail if a generated file is not what `make generate` writes.
	@$(with-kubectl); fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; mkdir -p "$$fresh/crds" "$$fresh/config"; \
	$(CARGO) run --locked --quiet -- generate --root "$$fresh"; \
	$(call install-yaml,$$fresh/config/install.yaml); \
	if diff -ru crds "$$fresh/crds" --exclude=kustomization.yaml && diff -ru docs/reference "$$fresh/docs/reference" && diff -u config/install.yaml "$$fresh/config/install.yaml"; then \
	  echo 'The generated files are fresh.'; \
	else \
	  echo 'Generated files are stale, see the difference above. Mend it with: make generate' >&2; exit 1; \
	fi

# install-yaml FILE: writes what `kubectl apply -k config/default` would apply.
define install-yaml
text=$$(kubectl kustomize config/default) && { \
  echo '# Generated from config/default, where the reasons stand, by `make generate-manifests`'; \
  echo '# (kubectl kustomize config/default). Do not edit.'; \
  printf '%s\n' "$$text"; } > $(1)
endef

.PHONY: controlplane
controlplane: need-go ## Build the test control plane, once per version: 5 to 10 minutes, then cached in ~/.cache.
	@$(controlplane)/build.sh >/dev/null

.PHONY: clean
clean: need-cargo ## Remove what was built here. The cached control plane stays.
	$(CARGO) clean
