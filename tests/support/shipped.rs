//! The operator as it is shipped: the Deployment's arguments, environment and ServiceAccount, and the ConfigMap's file.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;

use super::{ControlPlane, Operator, OperatorOptions, free_port, proxy::Proxy};

/// The shipped manifests installed, and the operator running as their Deployment would run it.
pub struct Stage {
    /// The operator's process. Dropped before the directory of its configuration.
    pub operator: Operator,
    binary: PathBuf,
    shipped: Shipped,
}

/// What the shipped Deployment runs, made to fit this machine.
struct Shipped {
    args: Vec<String>,
    env: Vec<(String, String)>,
    port: u16,
    config: TempDir,
    /// The namespace and the name of its ServiceAccount.
    account: (String, String),
    /// The way to the API server, if not the direct one.
    kubeconfig: Option<PathBuf>,
}

/// The manifests that a user installs.
pub fn install_yaml() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/install.yaml")
}

impl Shipped {
    /// Reads the Deployment and the ConfigMap out of `config/install.yaml`.
    fn read(change: impl FnOnce(&mut Value)) -> Result<Self> {
        Self::of(&std::fs::read_to_string(install_yaml())?, change)
    }

    /// Reads the Deployment and the ConfigMap out of manifests. Of the configuration only `listen` is changed, to a free
    /// port on loopback, and whatever `change` changes.
    fn of(manifests: &str, change: impl FnOnce(&mut Value)) -> Result<Self> {
        let documents: Vec<Value> = serde_saphyr::from_multiple(manifests)?;
        let of_kind = |kind: &str| {
            documents
                .iter()
                .find(|d| d["kind"] == kind)
                .with_context(|| format!("no {kind}"))
        };
        let deployment = of_kind("Deployment")?;
        let pod = &deployment["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        let text_of = |value: &Value| value.as_str().map(ToOwned::to_owned).context("no text");
        let namespace = text_of(&deployment["metadata"]["namespace"])?;
        let text = of_kind("ConfigMap")?["data"]["config.yaml"]
            .as_str()
            .context("no config.yaml")?;

        let port = free_port()?;
        let mut configuration: Value = serde_saphyr::from_str(text)?;
        configuration["listen"] = format!("127.0.0.1:{port}").into();
        change(&mut configuration);
        let config = tempfile::Builder::new().prefix("operator-config-").tempdir()?;
        std::fs::write(
            config.path().join("config.yaml"),
            serde_saphyr::to_string(&configuration)?,
        )?;

        let here = config.path().to_str().context("a path that is no text")?.to_owned();
        let args = container["args"]
            .as_array()
            .context("no args")?
            .iter()
            .filter_map(Value::as_str);
        // `Operator` says `run` itself.
        let args = args
            .filter(|a| *a != "run")
            .map(|a| a.replace("/etc/security-baseline-operator", &here))
            .collect();
        let env = container["env"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|e| {
                let value = match e["valueFrom"]["fieldRef"]["fieldPath"].as_str()? {
                    "metadata.namespace" => namespace.as_str(),
                    _ => "security-baseline-operator-0",
                };
                Some((e["name"].as_str()?.to_owned(), value.to_owned()))
            })
            .collect();
        Ok(Self {
            args,
            env,
            port,
            config,
            account: (namespace, text_of(&pod["serviceAccountName"])?),
            kubeconfig: None,
        })
    }

    /// The same with these arguments more.
    fn with(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    async fn spawn(&self, plane: &ControlPlane, binary: &Path) -> Result<Operator> {
        let mut options = OperatorOptions::new(binary, self.port).args(self.args.clone());
        options.env.clone_from(&self.env);
        options.kubeconfig = match &self.kubeconfig {
            Some(kubeconfig) => Some(kubeconfig.clone()),
            None => {
                let (namespace, name) = &self.account;
                Some(plane.kubeconfig_for_service_account(namespace, name).await?)
            }
        };
        Operator::spawn(plane, options).await
    }
}

impl Stage {
    /// Installs what is shipped, as it is, and runs the operator until it is ready.
    ///
    /// # Errors
    /// When the API server refuses the manifests, or the operator does not become ready.
    pub async fn on(plane: &ControlPlane, binary: &Path) -> Result<Self> {
        Self::with(plane, binary, |_| {}).await
    }

    /// The same with a changed configuration.
    ///
    /// # Errors
    /// As [`Stage::on`].
    pub async fn with(plane: &ControlPlane, binary: &Path, change: impl FnOnce(&mut Value)) -> Result<Self> {
        plane.install(&install_yaml()).await?;
        Self::run(plane, binary, Shipped::read(change)?).await
    }

    /// The same, with a proxy between the operator and the API server.
    ///
    /// # Errors
    /// As [`Stage::on`].
    pub async fn behind_proxy(
        plane: &ControlPlane,
        binary: &Path,
        change: impl FnOnce(&mut Value),
    ) -> Result<(Self, Proxy)> {
        plane.install(&install_yaml()).await?;
        let proxy = Proxy::start(plane).await?;
        let mut shipped = Shipped::read(change)?;
        shipped.kubeconfig = Some(proxy.kubeconfig());
        Ok((Self::run(plane, binary, shipped).await?, proxy))
    }

    /// Runs the operator as manifests say that have been installed before, until it is ready.
    ///
    /// # Errors
    /// When they hold no Deployment and ConfigMap of the operator's, or it does not become ready.
    pub async fn of(
        plane: &ControlPlane,
        binary: &Path,
        manifests: &str,
        change: impl FnOnce(&mut Value),
    ) -> Result<Self> {
        Self::run(plane, binary, Shipped::of(manifests, change)?).await
    }

    /// The same where what is shipped has been installed before, without waiting until the operator is ready.
    ///
    /// # Errors
    /// When there is no ServiceAccount for the operator, or no such executable.
    pub async fn spawn(plane: &ControlPlane, binary: &Path, change: impl FnOnce(&mut Value)) -> Result<Self> {
        let shipped = Shipped::read(change)?;
        Ok(Self {
            operator: shipped.spawn(plane, binary).await?,
            binary: binary.to_owned(),
            shipped,
        })
    }

    /// One of several replicas, as which what is shipped has been installed before: with these arguments more. It is ready,
    /// which it is also while it stands by.
    ///
    /// # Errors
    /// As [`Stage::on`].
    pub async fn replica(
        plane: &ControlPlane,
        binary: &Path,
        args: &[&str],
        change: impl FnOnce(&mut Value),
    ) -> Result<Self> {
        Self::run(plane, binary, Shipped::read(change)?.with(args)).await
    }

    /// The same behind this proxy, without waiting until it is ready.
    ///
    /// # Errors
    /// As [`Stage::spawn`].
    pub async fn replica_behind(
        proxy: &Proxy,
        plane: &ControlPlane,
        binary: &Path,
        args: &[&str],
        change: impl FnOnce(&mut Value),
    ) -> Result<Self> {
        let mut shipped = Shipped::read(change)?.with(args);
        shipped.kubeconfig = Some(proxy.kubeconfig());
        Ok(Self {
            operator: shipped.spawn(plane, binary).await?,
            binary: binary.to_owned(),
            shipped,
        })
    }

    async fn run(plane: &ControlPlane, binary: &Path, shipped: Shipped) -> Result<Self> {
        let mut operator = shipped.spawn(plane, binary).await?;
        operator.ready(std::time::Duration::from_secs(60)).await?;
        Ok(Self {
            operator,
            binary: binary.to_owned(),
            shipped,
        })
    }

    /// Starts the operator again, after it was ended or killed, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn restart(&mut self, plane: &ControlPlane) -> Result<()> {
        self.begin_again(plane).await?;
        self.operator.ready(std::time::Duration::from_secs(60)).await
    }

    /// The same without waiting.
    ///
    /// # Errors
    /// When there is no ServiceAccount for it, or no such executable.
    pub async fn begin_again(&mut self, plane: &ControlPlane) -> Result<()> {
        self.operator = self.shipped.spawn(plane, &self.binary).await?;
        Ok(())
    }

    /// Lets the operator go on after this process, until the control plane ends. Answers where its log is.
    ///
    /// # Errors
    /// When `sh` cannot be run.
    pub fn keep(self, plane: &ControlPlane) -> Result<PathBuf> {
        let config = self.shipped.config.keep();
        self.operator.keep(plane.info().pid, &config)
    }

    /// Where the operator's configuration file is.
    pub fn config_file(&self) -> PathBuf {
        self.shipped.config.path().join("config.yaml")
    }
}
