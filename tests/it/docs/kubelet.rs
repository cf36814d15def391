//! What a kubelet does for the operator: it brings the ConfigMap into the pod.

use std::path::PathBuf;
use std::pin::pin;

use futures::StreamExt;
use kube::Api;
use kube::api::DynamicObject;
use kube::runtime::watcher::watch_object;

/// Writes the operator's configuration to its file whenever the ConfigMap changes, until the watch breaks.
pub async fn bring(configs: Api<DynamicObject>, file: PathBuf) {
    let mut seen = pin!(watch_object(configs, "security-baseline-operator"));
    while let Some(Ok(config)) = seen.next().await {
        let text = config.and_then(|config| Some(config.data["data"]["config.yaml"].as_str()?.to_owned()));
        if let Some(text) = text {
            // Whole or not at all, as a kubelet does it.
            let new = file.with_extension("new");
            std::fs::write(&new, text).unwrap();
            std::fs::rename(new, &file).unwrap();
        }
    }
}
