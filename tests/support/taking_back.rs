//! Somebody who takes repairs back before they are stored.

use super::OPERATOR_SERVICE_ACCOUNT;

/// An admission policy that opens a NetworkPolicy of one namespace whenever the operator closes it.
pub fn taking_back(name: &str, namespace: &str, policy: &str) -> String {
    format!(
        r#"
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {{name: {name}}}
spec:
  failurePolicy: Fail
  reinvocationPolicy: Never
  matchConstraints:
    resourceRules:
    - {{apiGroups: [networking.k8s.io], apiVersions: [v1], operations: [UPDATE], resources: [networkpolicies]}}
  matchConditions:
  - {{name: here, expression: "request.namespace == '{namespace}' && request.name == '{policy}'"}}
  - {{name: ours, expression: "request.userInfo.username.endsWith(':{OPERATOR_SERVICE_ACCOUNT}')"}}
  mutations:
  - patchType: JSONPatch
    jsonPatch:
      expression: '[JSONPatch{{op: "add", path: "/spec/ingress", value: [Object.spec.ingress{{}}]}}]'
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {{name: {name}}}
spec: {{policyName: {name}}}
"#
    )
}
