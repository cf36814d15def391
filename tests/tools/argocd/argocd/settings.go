package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/settings"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"sigs.k8s.io/yaml"
)

// overrides reads how Argo CD treats kinds that it does not know: from a file, argocd-cm as somebody installs it, or from a
// folder in the layout that Argo CD has its own in.
func overrides(path string) (map[string]v1alpha1.ResourceOverride, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return ofFolder(path)
	}
	return ofConfigMap(path)
}

// ofConfigMap has Argo CD itself read its settings.
func ofConfigMap(path string) (map[string]v1alpha1.ResourceOverride, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	config := &corev1.ConfigMap{}
	if err := yaml.Unmarshal(text, config); err != nil {
		return nil, err
	}
	labels := map[string]string{"app.kubernetes.io/part-of": "argocd"}
	config.Namespace, config.Labels = "argocd", labels
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "argocd-secret", Namespace: "argocd", Labels: labels}}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	return settings.NewSettingsManager(ctx, fake.NewClientset(config, secret), "argocd").GetResourceOverrides()
}

func ofFolder(root string) (map[string]v1alpha1.ResourceOverride, error) {
	found := map[string]v1alpha1.ResourceOverride{}
	kinds, err := filepath.Glob(filepath.Join(root, "*", "*"))
	if err != nil {
		return nil, err
	}
	for _, folder := range kinds {
		health, err := optional(filepath.Join(folder, "health.lua"))
		if err != nil {
			return nil, err
		}
		actions, err := actionsOf(filepath.Join(folder, "actions"))
		if err != nil {
			return nil, err
		}
		key := filepath.Base(filepath.Dir(folder)) + "/" + filepath.Base(folder)
		found[key] = v1alpha1.ResourceOverride{HealthLua: health, Actions: actions}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s holds no GROUP/KIND", root)
	}
	return found, nil
}

// actionsOf is a folder of actions as the one setting that they are in argocd-cm.
func actionsOf(folder string) (string, error) {
	discovery, err := optional(filepath.Join(folder, "discovery.lua"))
	if err != nil || discovery == "" {
		return "", err
	}
	actions := v1alpha1.ResourceActions{ActionDiscoveryLua: discovery}
	scripts, err := filepath.Glob(filepath.Join(folder, "*", "action.lua"))
	if err != nil {
		return "", err
	}
	for _, script := range scripts {
		text, err := os.ReadFile(script)
		if err != nil {
			return "", err
		}
		name := filepath.Base(filepath.Dir(script))
		actions.Definitions = append(actions.Definitions, v1alpha1.ResourceActionDefinition{Name: name, ActionLua: string(text)})
	}
	text, err := yaml.Marshal(actions)
	return string(text), err
}

func optional(path string) (string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(text), err
}
