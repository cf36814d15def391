//! A browser, by WebDriver (<https://www.w3.org/TR/webdriver2/>): the few commands that the tests need.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

/// A key, by the code point that WebDriver has for it.
#[derive(Clone, Copy)]
pub enum Key {
    Tab,
    Enter,
    Escape,
    Left,
    Right,
    Down,
    Home,
    End,
}

impl Key {
    const fn code(self) -> &'static str {
        match self {
            Self::Tab => "\u{e004}",
            Self::Enter => "\u{e007}",
            Self::Escape => "\u{e00c}",
            Self::Left => "\u{e012}",
            Self::Right => "\u{e014}",
            Self::Down => "\u{e015}",
            Self::Home => "\u{e011}",
            Self::End => "\u{e010}",
        }
    }
}

/// A browser with one page open. Dropped, it ends.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
}

impl Browser {
    /// Opens a file.
    pub fn open(file: &Path, dark: bool) -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Chromium's WebDriver is needed: apt install chromium chromium-driver");
        // It says on which port it listens.
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let line = lines.find(|line| {
            line.as_ref()
                .is_ok_and(|line| line.contains("started successfully on port"))
        });
        let line = line.expect("chromedriver did not start").unwrap();
        let port = line.trim_end_matches('.').rsplit(' ').next().unwrap().parse().unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        let mut browser = Self {
            driver,
            port,
            session: String::new(),
        };
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--window-size=1440,1000",
        ];
        let options = json!({"args": arguments});
        let wanted =
            json!({"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}});
        let session = browser.ask("POST", "/session", &json!({"capabilities": {"alwaysMatch": wanted}}));
        session["sessionId"].as_str().unwrap().clone_into(&mut browser.session);
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        browser.command(
            "POST",
            "/goog/cdp/execute",
            &json!({"cmd": "Emulation.setEmulatedMedia", "params": media}),
        );
        browser.command("POST", "/url", &json!({"url": format!("file://{}", file.display())}));
        browser
    }

    /// Runs a script and answers what it returns.
    pub fn run(&self, script: &str) -> Value {
        self.command("POST", "/execute/sync", &json!({"script": script, "args": []}))
    }

    /// Presses keys, one after the other.
    pub fn press(&self, keys: &[Key]) {
        let actions: Vec<Value> = keys
            .iter()
            .flat_map(|key| ["keyDown", "keyUp"].map(|type_| json!({"type": type_, "value": key.code()})))
            .collect();
        let source = json!({"type": "key", "id": "keyboard", "actions": actions});
        self.command("POST", "/actions", &json!({"actions": [source]}));
    }

    /// What the browser complains of.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.command("POST", "/se/log", &json!({"type": "browser"}));
        log.as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["message"].to_string())
            .collect()
    }

    /// Keeps a picture of what is seen.
    pub fn picture(&self, name: &str) {
        let text = self.command("GET", "/screenshot", &Value::Null);
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("report-pictures");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{name}.png")), decoded(text.as_str().unwrap())).unwrap();
    }

    fn command(&self, method: &str, path: &str, body: &Value) -> Value {
        self.ask(method, &format!("/session/{}{path}", self.session), body)
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.port,
            body.len()
        )
        .unwrap();
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap();
            }
        }
        let mut reply = vec![0; length];
        reader.read_exact(&mut reply).unwrap();
        let mut reply: Value = serde_json::from_slice(&reply).unwrap();
        let value = reply["value"].take();
        assert!(value["error"].is_null(), "{path}: {value}");
        value
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() && !std::thread::panicking() {
            self.command("DELETE", "", &Value::Null);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// What base64 stands for.
fn decoded(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let bytes: Vec<u8> = text.bytes().filter(|byte| *byte != b'=').map(value).collect();
    let mut out = Vec::new();
    for four in bytes.chunks(4) {
        let whole = four.iter().fold(0_u32, |whole, part| whole << 6 | u32::from(*part)) << (6 * (4 - four.len()));
        out.extend(&whole.to_be_bytes()[1..four.len()]);
    }
    out
}
