package main

import (
	"encoding/json"
	"os"
	"slices"
	"strings"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/health"
	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// verdict is what Argo CD makes of an object.
type verdict struct {
	Health *health.HealthStatus `json:"health"`
	// Actions are those that it offers, by name.
	Actions []v1alpha1.ResourceAction `json:"actions"`
	// Results are the objects that the actions that are not disabled would write.
	Results map[string]*unstructured.Unstructured `json:"results"`
}

// runLua reads objects from the standard input, a JSON array, and writes a verdict for each, in the same order.
func runLua(settings string) error {
	known, err := overrides(settings)
	if err != nil {
		return err
	}
	var texts []json.RawMessage
	if err := json.NewDecoder(os.Stdin).Decode(&texts); err != nil {
		return err
	}
	verdicts := make([]verdict, 0, len(texts))
	for _, text := range texts {
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(text); err != nil {
			return err
		}
		made, err := judge(known, object)
		if err != nil {
			return err
		}
		verdicts = append(verdicts, made)
	}
	return json.NewEncoder(os.Stdout).Encode(verdicts)
}

func judge(known map[string]v1alpha1.ResourceOverride, object *unstructured.Unstructured) (verdict, error) {
	made := verdict{Actions: []v1alpha1.ResourceAction{}, Results: map[string]*unstructured.Unstructured{}}
	var err error
	if made.Health, err = health.GetResourceHealth(object, lua.ResourceHealthOverrides(known)); err != nil {
		return made, err
	}
	vm := lua.VM{ResourceOverrides: known}
	discovery, err := vm.GetResourceActionDiscovery(object)
	if err != nil || len(discovery) == 0 {
		return made, err
	}
	if made.Actions, err = vm.ExecuteResourceActionDiscovery(object, discovery); err != nil {
		return made, err
	}
	slices.SortFunc(made.Actions, func(a, b v1alpha1.ResourceAction) int { return strings.Compare(a.Name, b.Name) })
	for _, action := range made.Actions {
		if action.Disabled {
			continue
		}
		definition, err := vm.GetResourceAction(object, action.Name)
		if err != nil {
			return made, err
		}
		impacted, err := vm.ExecuteResourceAction(object.DeepCopy(), definition.ActionLua, nil)
		if err != nil {
			return made, err
		}
		for _, resource := range impacted {
			made.Results[action.Name] = resource.UnstructuredObj
		}
	}
	return made, nil
}
