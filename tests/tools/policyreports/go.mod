// Nothing is built here: this pins the modules that carry the CRDs of policy reports, and the tests take these from the
// module cache (tests/it/policy_reports/crds.rs).
module securitybaseline.dev/tests/tools/policyreports

go 1.26.6

require (
	github.com/kyverno/kyverno v1.19.1 // indirect
	github.com/openreports/reports-api v0.2.1 // indirect
)
