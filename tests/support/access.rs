//! Identities other than the admin: ServiceAccounts, and tenants.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec},
    core::v1::{Namespace, ServiceAccount},
    rbac::v1::{ClusterRole, ClusterRoleBinding, RoleBinding},
};
use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use super::{
    eventually,
    plane::{ControlPlane, cluster_of},
};

/// How long tokens live. Nothing that uses them lives longer.
const TOKEN_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The team that owns a namespace: a ServiceAccount with the ClusterRole `admin` in it, which may also read and patch
/// the Namespace object itself, and nothing else.
pub struct Tenant {
    /// A client with the tenant's token.
    pub client: Client,
    /// A kubeconfig with the tenant's token.
    pub kubeconfig: PathBuf,
    /// The user's name as the API server knows it.
    pub user: String,
}

impl ControlPlane {
    /// Writes a kubeconfig with a token of a ServiceAccount that exists. The token is valid for 24 hours.
    ///
    /// # Errors
    /// When the API server gives no token, as for a ServiceAccount that does not exist.
    pub async fn kubeconfig_for_service_account(&self, namespace: &str, name: &str) -> Result<PathBuf> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin().await?, namespace);
        let spec = TokenRequestSpec {
            audiences: Vec::new(), // those of the API server itself
            expiration_seconds: Some(i64::try_from(TOKEN_LIFETIME.as_secs())?),
            ..Default::default()
        };
        let request = TokenRequest {
            spec,
            ..Default::default()
        };
        let token = accounts
            .create_token_request(name, &PostParams::default(), &request)
            .await
            .with_context(|| format!("a token for ServiceAccount {namespace}/{name}"))?
            .status
            .context("the reply holds no token")?
            .token;
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "controlplane",
            "clusters": [{"name": "controlplane", "cluster": cluster_of(self.admin_kubeconfig())?}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": "controlplane", "context": {"cluster": "controlplane", "user": name}}],
        });
        let path = self.info().dir.join(format!("{namespace}.{name}.kubeconfig"));
        // Written beside and renamed, since another test may be reading the one of before.
        let mut file = tempfile::NamedTempFile::new_in(&self.info().dir)?;
        serde_json::to_writer_pretty(&mut file, &kubeconfig)?;
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o600))?;
        file.persist(&path)?;
        Ok(path)
    }

    /// A client with a token of a ServiceAccount that exists.
    ///
    /// # Errors
    /// As [`kubeconfig_for_service_account`](Self::kubeconfig_for_service_account).
    pub async fn client_for_service_account(&self, namespace: &str, name: &str) -> Result<Client> {
        let kubeconfig = self.kubeconfig_for_service_account(namespace, name).await?;
        self.client(&kubeconfig).await
    }

    /// Creates the namespace if it is not there, with the labels given.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn namespace(&self, name: &str, labels: &[(&str, &str)]) -> Result<Namespace> {
        let labels: serde_json::Map<_, _> = labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), json!(value)))
            .collect();
        let namespaces: Api<Namespace> = Api::all(self.admin().await?);
        apply(
            &namespaces,
            name,
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"labels": labels}}),
        )
        .await
    }

    /// Makes a tenant of a namespace that exists, and waits until its rights hold.
    ///
    /// # Errors
    /// When the API server refuses, or the rights do not hold within 30 s.
    pub async fn tenant(&self, namespace: &str) -> Result<Tenant> {
        const NAME: &str = "tenant";
        let admin = self.admin().await?;
        let (core, rbac) = ("v1", "rbac.authorization.k8s.io/v1");
        let subjects = json!([{"kind": "ServiceAccount", "name": NAME, "namespace": namespace}]);
        let role = |name: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name});
        let cluster_role = format!("tenant-of-{namespace}");

        let accounts: Api<ServiceAccount> = Api::namespaced(admin.clone(), namespace);
        apply(&accounts, NAME, json!({"apiVersion": core, "kind": "ServiceAccount"})).await?;
        let bindings: Api<RoleBinding> = Api::namespaced(admin.clone(), namespace);
        let binding =
            json!({"apiVersion": rbac, "kind": "RoleBinding", "roleRef": role("admin"), "subjects": subjects});
        apply(&bindings, NAME, binding).await?;
        let rules = json!([{
            "apiGroups": [""],
            "resources": ["namespaces"],
            "resourceNames": [namespace],
            "verbs": ["get", "patch", "update"],
        }]);
        let roles: Api<ClusterRole> = Api::all(admin.clone());
        apply(
            &roles,
            &cluster_role,
            json!({"apiVersion": rbac, "kind": "ClusterRole", "rules": rules}),
        )
        .await?;
        let binding = json!({
            "apiVersion": rbac,
            "kind": "ClusterRoleBinding",
            "roleRef": role(&cluster_role),
            "subjects": subjects,
        });
        let bindings: Api<ClusterRoleBinding> = Api::all(admin);
        apply(&bindings, &cluster_role, binding).await?;

        let kubeconfig = self.kubeconfig_for_service_account(namespace, NAME).await?;
        let client = self.client(&kubeconfig).await?;
        // The API server's authorizer learns of bindings by watches of its own.
        for (resource, name) in [("configmaps", ""), ("namespaces", namespace)] {
            eventually("the tenant's rights hold", Duration::from_secs(30), async || {
                ensure!(
                    may_patch(&client, namespace, resource, name).await?,
                    "may not patch {resource} yet"
                );
                Ok(())
            })
            .await?;
        }
        Ok(Tenant {
            client,
            kubeconfig,
            user: format!("system:serviceaccount:{namespace}:{NAME}"),
        })
    }
}

/// Applies an object as the rig; `body` need not repeat the name.
async fn apply<K>(api: &Api<K>, name: &str, mut body: serde_json::Value) -> Result<K>
where
    K: Resource + Clone + std::fmt::Debug + DeserializeOwned + Serialize,
{
    body["metadata"]["name"] = json!(name);
    let params = PatchParams::apply("test-rig").force();
    api.patch(name, &params, &Patch::Apply(body))
        .await
        .with_context(|| format!("applying {name}"))
}

/// Asks the API server whether this client may patch an object.
async fn may_patch(client: &Client, namespace: &str, resource: &str, name: &str) -> Result<bool> {
    let attributes = ResourceAttributes {
        namespace: Some(namespace.to_owned()),
        resource: Some(resource.to_owned()),
        name: Some(name.to_owned()),
        verb: Some("patch".to_owned()),
        ..Default::default()
    };
    let spec = SelfSubjectAccessReviewSpec {
        resource_attributes: Some(attributes),
        ..Default::default()
    };
    let review = SelfSubjectAccessReview {
        spec,
        ..Default::default()
    };
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let reply = reviews.create(&PostParams::default(), &review).await?;
    Ok(reply.status.is_some_and(|status| status.allowed))
}
