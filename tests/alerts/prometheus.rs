//! A real Prometheus, which scrapes one operator and evaluates the shortened rules twice a second.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::rules;
use crate::support::{eventually, free_port, http_get};
use crate::tools::folder;

/// How long Prometheus may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Prometheus as a process of its own. Dropped, it is killed.
pub struct Prometheus {
    child: Child,
    /// Kills it when this process is gone and could not.
    watchdog: Child,
    port: u16,
    _folder: TempDir,
}

impl Prometheus {
    /// Starts it, and waits until it has scraped the operator that serves on this port of 127.0.0.1.
    pub async fn scraping(operator: u16) -> Self {
        let folder_of_its_own = tempfile::Builder::new().prefix("prometheus-").tempdir().unwrap();
        let folder_path = folder_of_its_own.path();
        let write = |name: &str, content: &Value| {
            std::fs::write(folder_path.join(name), serde_json::to_vec(content).unwrap()).unwrap();
        };
        // JSON is YAML too.
        write("rules.yaml", &rules::shortened());
        write(
            "prometheus.yaml",
            &json!({
                "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"},
                "rule_files": ["rules.yaml"],
                "scrape_configs": [{
                    "job_name": "security-baseline-operator",
                    "honor_labels": true,
                    "static_configs": [{"targets": [format!("127.0.0.1:{operator}")]}],
                }],
            }),
        );
        let port = free_port().unwrap();
        let log = std::fs::File::create(folder_path.join("log")).unwrap();
        let child = Command::new(folder("PROMETHEUS").join("prometheus"))
            .arg(format!(
                "--config.file={}",
                folder_path.join("prometheus.yaml").display()
            ))
            .arg(format!("--storage.tsdb.path={}", folder_path.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let watchdog = Command::new("sh")
            .args(["-c", "cat >/dev/null; kill -9 $0 2>/dev/null", &child.id().to_string()])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let prometheus = Self {
            child,
            watchdog,
            port,
            _folder: folder_of_its_own,
        };
        let scraped = eventually("Prometheus has scraped the operator", PATIENCE, async || {
            let up = prometheus.try_query("up == 1").await?;
            ensure!(up.len() == 1, "{up:?}");
            Ok(())
        })
        .await;
        if let Err(error) = scraped {
            let log = std::fs::read_to_string(prometheus._folder.path().join("log"));
            panic!("{error:#}; its log: {}", log.unwrap_or_default());
        }
        prometheus
    }

    /// The samples that a query answers with now.
    pub async fn query(&self, query: &str) -> Vec<Value> {
        self.try_query(query)
            .await
            .unwrap_or_else(|error| panic!("{query}: {error:#}"))
    }

    async fn try_query(&self, query: &str) -> Result<Vec<Value>> {
        let data = self.get(&format!("/api/v1/query?query={}", encoded(query))).await?;
        Ok(data["result"].as_array().cloned().unwrap_or_default())
    }

    /// The alert of this name with these labels among others, if it is pending or firing.
    pub async fn alert(&self, name: &str, labels: &[(&str, &str)]) -> Result<Option<Value>> {
        let data = self.get("/api/v1/alerts").await?;
        let alerts = data["alerts"].as_array().context("no alerts")?;
        let meant = |alert: &&Value| {
            let has = |(label, value): (&str, &str)| alert["labels"][label] == value;
            has(("alertname", name)) && labels.iter().copied().all(has)
        };
        Ok(alerts.iter().find(meant).cloned())
    }

    async fn get(&self, path: &str) -> Result<Value> {
        let (code, body) = http_get(self.port, path).await?;
        ensure!(code == 200, "{path} answers {code}: {body}");
        let mut answer: Value = serde_json::from_str(&body)?;
        Ok(answer["data"].take())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // The watchdog goes first: the process id is Prometheus' own until it is waited for.
        for process in [&mut self.watchdog, &mut self.child] {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// As it may stand in a URL.
fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    text.bytes()
        .map(|b| {
            if plain(b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}
