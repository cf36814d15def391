// Command kstatus reads objects from its standard input, a JSON array, and writes for each what kstatus makes of it: the
// one that Flux is built with, and the one that it came from. A JSON array again, in the same order.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	flux "github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	upstream "sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

type answer struct {
	Flux     string `json:"flux"`
	Upstream string `json:"upstream"`
	Message  string `json:"message"`
}

func run() error {
	var objects []map[string]any
	if err := json.NewDecoder(os.Stdin).Decode(&objects); err != nil {
		return err
	}
	answers := make([]answer, 0, len(objects))
	for _, content := range objects {
		// As if read from the API: whole numbers are int64, not float64.
		text, err := json.Marshal(content)
		if err != nil {
			return err
		}
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(text); err != nil {
			return err
		}
		ofFlux, err := flux.Compute(object)
		if err != nil {
			return err
		}
		ofUpstream, err := upstream.Compute(object)
		if err != nil {
			return err
		}
		answers = append(answers, answer{ofFlux.Status.String(), ofUpstream.Status.String(), ofFlux.Message})
	}
	return json.NewEncoder(os.Stdout).Encode(answers)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "kstatus:", err)
		os.Exit(1)
	}
}
