package main

import (
	"encoding/json"
	"os"

	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/argo/diff"
	"github.com/argoproj/argo-cd/v3/util/argo/normalizers"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// comparison is what an Application says, and what is there.
type comparison struct {
	Live              *unstructured.Unstructured           `json:"live"`
	Desired           *unstructured.Unstructured           `json:"desired"`
	IgnoreDifferences []v1alpha1.ResourceIgnoreDifferences `json:"ignoreDifferences"`
}

// runDiff reads comparisons from the standard input, a JSON array, and writes for each whether it is out of sync.
func runDiff(settings string) error {
	known, err := overrides(settings)
	if err != nil {
		return err
	}
	var comparisons []comparison
	if err := json.NewDecoder(os.Stdin).Decode(&comparisons); err != nil {
		return err
	}
	outOfSync := make([]bool, 0, len(comparisons))
	for _, compared := range comparisons {
		config, err := diff.NewDiffConfigBuilder().
			WithDiffSettings(compared.IgnoreDifferences, known, true, normalizers.IgnoreNormalizerOpts{}).
			WithTracking("", string(v1alpha1.TrackingMethodAnnotation)).
			WithNoCache().
			Build()
		if err != nil {
			return err
		}
		result, err := diff.StateDiff(compared.Live, compared.Desired, config)
		if err != nil {
			return err
		}
		outOfSync = append(outOfSync, result.Modified)
	}
	return json.NewEncoder(os.Stdout).Encode(outOfSync)
}
