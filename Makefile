# kubectl brings kustomize along.
KUBECTL ?= kubectl

.PHONY: generate-manifests
generate-manifests: ## Build config/install.yaml from config/default and crds
	@text=$$($(KUBECTL) kustomize config/default) && \
	  printf '%s\n%s\n' '# Generated from config/default by "make generate-manifests" (kubectl kustomize config/default). Do not edit: comments and reasons are there.' "$$text" > config/install.yaml
