// Nothing is built here: this pins the module that carries the CRDs of ServiceMonitor and PrometheusRule, and the tests take
// these from the module cache (tests/install/valid.rs). It is the newest version that the module proxy has.
module securitybaseline.dev/tests/tools/prometheus-operator

go 1.26.6

require github.com/prometheus-operator/prometheus-operator v0.85.0 // indirect
