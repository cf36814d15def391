# What to run: `make help`.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c

CARGO ?= cargo
GO ?= go
# Each test with a control plane of its own takes about 550 MB.
TEST_THREADS ?= 4

controlplane := tests/controlplane
chart := config/helm/security-baseline-operator
# kubectl (which brings kustomize along) is the machine's own, or else the one that is built with the control plane.
with-kubectl = export PATH="$$PATH:$$($(controlplane)/build.sh 2>/dev/null | sed -n 's/^assets=//p')"
results := target/test-results.txt
# Where a tool's folder is, built if need be: $(call tool,NAME).
tool = $$(tests/tools/build.sh $(1))

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

# A kubeconfig that is stated on the command line; one that is merely exported is no wish to try things on its cluster.
demo-kubeconfig := $(if $(filter command,$(firstword $(origin KUBECONFIG))),$(abspath $(KUBECONFIG)))

# The operator and the demo are built into one target directory, which cargo knows.
.PHONY: demo
demo: need-cargo $(if $(demo-kubeconfig),,controlplane) ## Watch the operator at work on a cluster of its own (KEEP=1 leaves it running), or on KUBECONFIG=FILE.
	@echo 'Building the operator and the demo (two to four minutes the first time) ...'
	@$(CARGO) build --locked --bins --example demo
	@$(if $(demo-kubeconfig),,$(with-kubectl);) KEEP='$(KEEP)' YES='$(YES)' DEMO_KUBECONFIG='$(demo-kubeconfig)' \
	  $(CARGO) run --locked --quiet --example demo

##@ Ship it

.PHONY: static
static: need-cargo ## Build the operator as a static executable: target/static/.
	@.ci/static

.PHONY: image
image: need-cargo ## Build the container image with buildah: target/image/, an OCI archive.
	@.ci/image

.PHONY: release
release: need-cargo need-go ## Make all that a release page carries, reproducibly: target/release-files/.
	@HELM=$(call tool,helm)/helm .ci/release

##@ Develop

.PHONY: build
build: need-cargo ## Build the operator, optimised: target/release/security-baseline-operator.
	$(CARGO) build --locked --release

# Read by tests/controlplane/build.sh, and by the tests.
ifdef KUBERNETES
export KUBERNETES
endif

.PHONY: test
test: need-cargo controlplane ## Run all tests: unit, property, contract, integration; KUBERNETES=v1.34.4 on another version.
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
test-report: need-cargo ## Test the HTML report in a real browser, and JUnit's by its schema (needs Chromium, its WebDriver and xmllint).
	@for tool in chromium chromedriver xmllint; do command -v $$tool >/dev/null || \
	  { echo "$$tool is needed and was not found on the PATH; on Debian: apt install chromium chromium-driver libxml2-utils" >&2; exit 1; }; done
	$(CARGO) test --locked --test report

.PHONY: test-install
test-install: need-cargo need-go controlplane ## Install, upgrade, roll back and uninstall what is shipped, with the real Helm.
	@echo 'Building Helm and kubeconform from source (a few minutes the first time, then cached in ~/.cache) ...'
	@$(with-kubectl); export HELM=$(call tool,helm)/helm KUBECONFORM=$(call tool,kubeconform)/kubeconform; \
	$(CARGO) build --locked --bins --example demo; \
	$(CARGO) test --locked --test install -- --test-threads=$(TEST_THREADS)

# The other checkout is a clone, so it holds what is committed: `make image release` first looks at what is not.
again := target/release-again
.PHONY: test-release
test-release: need-cargo need-go controlplane ## Make image and release in two checkouts, compare them, and run what they hold (needs root and buildah).
	@$(MAKE) --no-print-directory image release
	@rm -rf $(again); git clone --quiet . $(again)/checkout
	@cd $(again)/checkout; export HELM=$(call tool,helm)/helm; .ci/image ../image; .ci/release ../release-files
	@$(with-kubectl); IMAGE=$(CURDIR)/target/image RELEASE=$(CURDIR)/target/release-files AGAIN=$(CURDIR)/$(again) \
	  $(CARGO) test --locked --test release

.PHONY: test-alerts
test-alerts: need-cargo need-go controlplane ## See each alert fire and resolve, with a real Prometheus; check rules, metrics and dashboard.
	@echo 'Building Prometheus and amtool from source (ten minutes the first time, then cached in ~/.cache) ...'
	@$(with-kubectl); export PROMETHEUS=$(call tool,prometheus) AMTOOL=$(call tool,alertmanager); \
	$(CARGO) build --locked --bins; \
	$(CARGO) test --locked --test alerts -- --test-threads=$(TEST_THREADS)

.PHONY: test-gitops
test-gitops: need-cargo need-go controlplane ## Let the real Flux and Argo CD apply baselines, and read their health (needs redis-server).
	@command -v redis-server >/dev/null || \
	  { echo 'redis-server is needed and was not found on the PATH; on Debian: apt install redis-server' >&2; exit 1; }
	@echo 'Building kustomize-controller and parts of Argo CD from source (10 to 20 minutes the first time, then cached in ~/.cache) ...'
	@$(with-kubectl); export FLUX=$(call tool,flux) ARGOCD=$(call tool,argocd)/argocd KUSTOMIZE=$(call tool,kustomize); \
	$(CARGO) test --locked --test gitops -- --test-threads=$(TEST_THREADS)

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
	@cd $(controlplane) && unformatted=$$(gofmt -l . ../tools) && \
	  { [ -z "$$unformatted" ] || { echo "gofmt would change: $$unformatted (run: gofmt -w $(controlplane) tests/tools)" >&2; exit 1; }; }
	cd $(controlplane) && GOTOOLCHAIN=local $(GO) vet .

.PHONY: deny
deny: need-cargo ## Check the dependencies' licenses, sources and duplicates (needs cargo-deny).
	@$(CARGO) deny --version >/dev/null 2>&1 || { echo 'cargo-deny is needed; install it: cargo install cargo-deny --locked' >&2; exit 1; }
	$(CARGO) deny --locked check licenses bans sources

.PHONY: generate
generate: need-cargo generate-crds generate-manifests generate-chart generate-argocd ## Write all generated files: crds/, docs/reference/, config/install.yaml, the chart's files, the patch for Argo CD.

.PHONY: generate-crds
generate-crds: need-cargo
	@$(CARGO) run --locked --quiet -- generate

.PHONY: generate-manifests
generate-manifests: controlplane
	@$(with-kubectl); $(call install-yaml,config/install.yaml)

.PHONY: generate-chart
generate-chart: generate-crds
	@config/helm/copy-files.sh $(chart)/files

.PHONY: generate-argocd
generate-argocd:
	@config/argocd/patch.sh >config/argocd/argocd-cm.yaml

.PHONY: verify-generated
verify-generated: need-cargo controlplane ## Fail if a generated file is not what `make generate` writes.
	@$(with-kubectl); fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; mkdir -p "$$fresh/crds" "$$fresh/config"; \
	$(CARGO) run --locked --quiet -- generate --root "$$fresh"; \
	$(call install-yaml,$$fresh/config/install.yaml); \
	config/helm/copy-files.sh "$$fresh/files"; \
	config/argocd/patch.sh >"$$fresh/argocd-cm.yaml"; \
	if diff -ru crds "$$fresh/crds" --exclude=kustomization.yaml && diff -ru docs/reference "$$fresh/docs/reference" && \
	  diff -u config/install.yaml "$$fresh/config/install.yaml" && diff -ru $(chart)/files "$$fresh/files" && \
	  diff -u config/argocd/argocd-cm.yaml "$$fresh/argocd-cm.yaml"; then \
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
