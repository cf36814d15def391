//! A report as JUnit XML: a suite for each namespace with a case for each control, and one for the baselines and
//! exceptions themselves. What is found is a failure; what could not be seen is an error.
//!
//! The format has no owner; what is written here is what its readers have in common: `testsuites`, `testsuite` with
//! counts, `testcase` with `classname`, at most one `failure` or `error` with `message` and `type`, and `system-out`.

use super::model::{Finding, Report, State};

/// A case: its class, its name, what is found, and whether it could be seen.
struct Case<'a> {
    class: &'a str,
    name: &'a str,
    findings: Vec<&'a Finding>,
    unknown: bool,
}

/// The report as XML.
pub fn text(report: &Report) -> String {
    let mut suites: Vec<(&str, Vec<Case<'_>>)> = Vec::new();
    let baselines = report.baselines.iter().map(|baseline| Case {
        class: "SecurityBaseline",
        name: &baseline.name,
        findings: baseline.findings.iter().collect(),
        unknown: false,
    });
    suites.push(("SecurityBaselines", baselines.collect()));
    let exceptions = report.exceptions.iter().map(|exception| Case {
        class: "BaselineException",
        name: &exception.name,
        findings: exception.findings.iter().collect(),
        unknown: false,
    });
    suites.push(("BaselineExceptions", exceptions.collect()));
    for namespace in &report.namespaces {
        let controls = namespace.controls.iter().map(|control| Case {
            class: &namespace.name,
            name: &control.name,
            findings: control.findings.iter().collect(),
            unknown: control.state == State::Unknown,
        });
        let own = Case {
            class: &namespace.name,
            name: "membership",
            findings: namespace.findings.iter().collect(),
            unknown: false,
        };
        suites.push((&namespace.name, controls.chain([own]).collect()));
    }
    let all = || suites.iter().flat_map(|(_, cases)| cases);
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    xml += &format!(
        "<testsuites name=\"security-baseline\" tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"0\">\n",
        all().count(),
        all().filter(|case| case.fails()).count(),
        all().filter(|case| case.unknown).count(),
    );
    for (name, cases) in &suites {
        xml += &format!(
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"0\" time=\"0\" timestamp=\"{}\">\n",
            escaped(name),
            cases.len(),
            cases.iter().filter(|case| case.fails()).count(),
            cases.iter().filter(|case| case.unknown).count(),
            report.generated_at,
        );
        for case in cases {
            xml += &case.xml();
        }
        xml += "  </testsuite>\n";
    }
    xml + "</testsuites>\n"
}

impl Case<'_> {
    fn fails(&self) -> bool {
        !self.unknown && self.findings.iter().any(|finding| finding.counts())
    }

    fn xml(&self) -> String {
        let (failing, others): (Vec<&Finding>, Vec<&Finding>) =
            self.findings.iter().copied().partition(|finding| finding.counts());
        let mut inner = String::new();
        if self.unknown {
            inner += "      <error message=\"it could not be seen\" type=\"Unknown\">Some of what it depends on may not be read; the report's `unknown` names the rights.</error>\n";
        } else if let Some(first) = failing.first() {
            let more = match failing.len() {
                1 => String::new(),
                count => format!(" (and {} more)", count - 1),
            };
            inner += &format!(
                "      <failure message=\"{}\" type=\"{}\">{}</failure>\n",
                escaped(&format!("{}{more}", told(first))),
                escaped(&first.code),
                escaped(&lines(&failing)),
            );
        }
        if !others.is_empty() {
            inner += &format!("      <system-out>{}</system-out>\n", escaped(&lines(&others)));
        }
        let head = format!(
            "    <testcase classname=\"{}\" name=\"{}\" time=\"0\"",
            escaped(self.class),
            escaped(self.name)
        );
        if inner.is_empty() {
            head + "/>\n"
        } else {
            format!("{head}>\n{inner}    </testcase>\n")
        }
    }
}

fn told(finding: &Finding) -> String {
    format!("{} {}: {}", finding.code, finding.object, finding.message)
}

fn lines(findings: &[&Finding]) -> String {
    let lines = findings.iter().map(|finding| told(finding));
    lines.collect::<Vec<_>>().join("\n")
}

/// A text as it may stand in XML 1.0: what the format has no place for is left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\t' | '\n' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_has_no_place_for_is_left_out() {
        assert_eq!(
            escaped("a<b>&\"\u{1b}\u{0}\n"),
            "a&lt;b&gt;&amp;&quot;\u{fffd}\u{fffd}\n"
        );
    }
}
