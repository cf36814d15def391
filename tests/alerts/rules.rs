//! The rules as they are shipped, and the same with everything that takes time in a sixtieth of it.

use serde_json::Value;

use crate::stage::file;

/// The shipped rules, as a Prometheus without its operator reads them.
pub fn shipped() -> Value {
    let text = std::fs::read_to_string(file("config/prometheus/rules.yaml")).unwrap();
    let mut object: Value = serde_saphyr::from_str(&text).unwrap();
    object["spec"].take()
}

/// All alerts of some rules.
pub fn alerts(rules: &Value) -> impl Iterator<Item = &Value> {
    let groups = rules["groups"].as_array().unwrap().iter();
    groups.flat_map(|group| group["rules"].as_array().unwrap())
}

/// The shipped rules with minutes made seconds: every duration, be it that of a rule or of a range, and every number of 60 or
/// more in an expression, which is a time in seconds, is divided by 60.
pub fn shortened() -> Value {
    let mut rules = shipped();
    for group in rules["groups"].as_array_mut().unwrap() {
        for rule in group["rules"].as_array_mut().unwrap() {
            rule["expr"] = sixtieth(rule["expr"].as_str().unwrap()).into();
            for time in ["for", "keep_firing_for"] {
                if let Some(lasts) = rule[time].as_str() {
                    rule[time] = sixtieth(lasts).into();
                }
            }
        }
    }
    rules
}

/// Divides what is a time by 60. Numbers in names, in quotes and with a fraction are none.
fn sixtieth(text: &str) -> String {
    let mut result = String::new();
    let mut rest = text;
    let mut quoted = false;
    let mut before = ' ';
    while let Some(next) = rest.chars().next() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number = digits > 0 && !quoted && !(before.is_ascii_alphanumeric() || before == '_' || before == '.');
        if !number {
            quoted ^= next == '"';
            result.push(next);
            before = next;
            rest = &rest[next.len_utf8()..];
            continue;
        }
        let value: u64 = rest[..digits].parse().unwrap();
        let unit = rest[digits..].chars().next().filter(|c| "hm".contains(*c));
        result += &match unit {
            Some('h') => format!("{value}m"),
            Some(_) => format!("{value}s"),
            None if value >= 60 => (value / 60).to_string(),
            None => value.to_string(),
        };
        rest = &rest[digits + usize::from(unit.is_some())..];
        before = '0';
    }
    result
}

#[test]
fn what_takes_time_is_divided_and_nothing_else() {
    for (shipped, expected) in [
        ("15m", "15s"),
        ("1h", "1m"),
        ("a_99 > 300", "a_99 > 5"),
        (
            "sum(rate(x_total{code=~\"401|429|5..|none\"}[5m])) > 0.1",
            "sum(rate(x_total{code=~\"401|429|5..|none\"}[5s])) > 0.1",
        ),
        (
            "(x - time() < 86400) > 0 and max_over_time(y[1h]) < 2 * z",
            "(x - time() < 1440) > 0 and max_over_time(y[1m]) < 2 * z",
        ),
    ] {
        assert_eq!(sixtieth(shipped), expected);
    }
}
