# kubectl brings kustomize along.
KUBECTL ?= kubectl

.PHONY: generate-manifests
generate-manifests: ## Build config/install.yaml from config/default
	@text=$$($(KUBECTL) kustomize config/default) && { \
	  echo '# Generated from config/default, where the reasons stand, by `make generate-manifests`'; \
	  echo '# (kubectl kustomize config/default). Do not edit.'; \
	  printf '%s\n' "$$text"; } > config/install.yaml
