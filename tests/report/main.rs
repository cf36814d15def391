//! `make test-report`: the HTML report in a real browser, and JUnit's by its schema. It needs Chromium and its WebDriver, and
//! xmllint (Debian: `apt install chromium chromium-driver libxml2-utils`), and no cluster. Pictures are left in
//! `target/report-pictures`, to be looked at.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and its name says what it is about"
)]

mod browser;
mod fleet;
mod junit;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use browser::{Browser, Key};
use fleet::{HOSTILE, page, untouched};

/// The name of the namespace that is shown in full.
const CHOSEN: &str = "return document.querySelector('#detail h2')?.textContent";
/// What has the focus: its role and its label or text.
const FOCUS: &str =
    "const e = document.activeElement; return [e.getAttribute('role'), e.getAttribute('aria-label') || e.textContent]";

#[test]
fn it_asks_nobody_and_fails_nowhere() {
    for count in [0, 5] {
        let browser = Browser::open(&page(count), false);
        assert_eq!(browser.run("return performance.getEntriesByType('resource').length"), 0);
        for tab in ["findings", "drift", "baselines", "namespaces"] {
            browser.run(&format!("document.getElementById('tab-{tab}').click()"));
        }
        assert_eq!(browser.complaints(), Vec::<String>::new());
    }
}

#[test]
fn what_a_tenant_wrote_is_shown_and_does_nothing() {
    let browser = Browser::open(&page(5), false);
    browser.run("window.alert = () => { window.harmed = true; }");
    browser.run("document.getElementById('tab-drift').click(); document.querySelectorAll('.lane button').forEach((b) => b.click())");
    browser.run("document.getElementById('tab-baselines').click(); document.getElementById('tab-findings').click()");
    let shown = browser.run("return document.body.textContent");
    assert!(
        shown.as_str().unwrap().contains(HOSTILE),
        "it is shown as it was written"
    );
    assert_eq!(
        browser.run("return [document.images.length, document.scripts.length, window.harmed === true]"),
        json!([0, 3, false])
    );
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn the_timeline_of_drift_has_a_lane_for_each_who_claims_it_and_a_dot_tells_what_they_did() {
    let browser = Browser::open(&page(5), false);
    browser.run("document.getElementById('tab-drift').click()");
    let lanes = browser.run(
        "return [...document.querySelectorAll('.timeline .lane')].map((lane) => [lane.previousElementSibling.textContent,
            lane.querySelectorAll('button').length, lane.querySelectorAll('button.repaired').length, lane.getAttribute('aria-label')])",
    );
    let lane = |who: &str, all: usize, repaired: usize| json!([who, all, repaired, format!("Drift claimed by {who}")]);
    let mut others = [lane(HOSTILE, 1, 0), lane("helm", 1, 1)];
    let mut found = lanes.as_array().unwrap().clone();
    let rest = found.split_off(1);
    assert_eq!(found, [lane("kubectl-edit", 2, 2)], "who did most comes first");
    others.sort_by_key(Value::to_string);
    let mut rest = rest;
    rest.sort_by_key(Value::to_string);
    assert_eq!(rest, others);
    browser.run("document.querySelector('.timeline .lane[aria-label$=helm] button').click()");
    let told = browser.run("return document.querySelector('#panel-drift [role=status]').textContent");
    let told = told.as_str().unwrap();
    for part in [
        "team-",
        "NetworkPolicy/security-baseline-default-deny-ingress",
        "claimed by helm",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn it_can_be_used_by_keyboard_alone() {
    let browser = Browser::open(&page(5), false);
    // From the top: the link that skips, the tabs (one stop), the filters, the grid (one stop).
    let mut stops = Vec::new();
    for _ in 0..14 {
        browser.press(&[Key::Tab]);
        let at = browser.run(FOCUS);
        stops.push(at[1].as_str().unwrap_or_default().to_owned());
        if ["rowheader", "gridcell"].contains(&at[0].as_str().unwrap_or_default()) {
            break;
        }
    }
    assert!(
        stops[0].contains("Skip") && stops[1].starts_with("Namespaces"),
        "{stops:?}"
    );
    let first = stops.last().unwrap().clone();
    assert!(first.starts_with("team-"), "{stops:?}");
    let outline = browser.run("return getComputedStyle(document.activeElement).outlineStyle + getComputedStyle(document.activeElement).outlineWidth");
    assert_eq!(outline, "solid3px", "one sees where one is");

    browser.press(&[Key::Down]);
    let second = browser.run(FOCUS)[1].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    browser.press(&[Key::Right]);
    let cell = browser.run(FOCUS);
    assert_eq!(cell[0], "gridcell");
    assert!(cell[1].as_str().unwrap().starts_with("Pod Security: "), "{cell}");
    browser.press(&[Key::Enter]);
    let name = second.split(':').next().unwrap();
    assert_eq!(browser.run(CHOSEN), name);
    assert_eq!(browser.run("return document.activeElement.id"), "detail");
    browser.press(&[Key::Escape]);
    assert_eq!(browser.run(FOCUS), cell, "back to where one was");
    browser.press(&[Key::End, Key::Home]);
    assert_eq!(browser.run(FOCUS)[0], "rowheader");

    browser.run("document.getElementById('tab-namespaces').focus()");
    browser.press(&[Key::Right, Key::Right]);
    assert_eq!(
        browser.run("return [document.activeElement.id, document.getElementById('panel-drift').hidden]"),
        json!(["tab-drift", false])
    );
    browser.press(&[Key::Tab]);
    let dot = browser.run(FOCUS);
    browser.press(&[Key::Left, Key::Enter]);
    assert_ne!(browser.run(FOCUS), dot);
    assert_eq!(
        browser.run("return document.querySelector('#panel-drift [role=status]').hidden"),
        false
    );
}

#[test]
fn what_stands_where_is_told_to_those_who_do_not_see_it() {
    let browser = Browser::open(&page(5), false);
    let roles = browser.run(
        "const count = (s) => document.querySelectorAll(s).length;
         return [count('[role=grid]'), count('[role=grid] > [role=row]'), count('[role=columnheader]'), count('[role=rowheader][aria-label]'),
                 count('[role=gridcell]:not([aria-label])'), count('[role=tab][aria-controls]'), count('[role=tabpanel][aria-labelledby]'), count('[tabindex=\"0\"][role=gridcell], [tabindex=\"0\"][role=rowheader]')]",
    );
    assert_eq!(roles, json!([1, 6, 7, 5, 0, 4, 4, 1]));
    // No state is told by its colour alone.
    let signs = browser
        .run("return [...document.querySelectorAll('.cell:not(.none) > i')].every((i) => i.textContent.trim() !== '')");
    assert_eq!(signs, true);
    let names = browser.run("return [...document.querySelectorAll('button, input, select')].filter((e) => !(e.textContent || e.getAttribute('aria-label') || e.labels?.length)).length");
    assert_eq!(names, 0, "everything that can be used has a name");
}

#[test]
fn a_thousand_namespaces_can_be_read() {
    let path = page(1000);
    let began = Instant::now();
    let browser = Browser::open(&path, false);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let rows = |browser: &Browser| {
        browser
            .run("return document.querySelectorAll('.row.body').length")
            .as_u64()
            .unwrap()
    };
    let all = rows(&browser);
    assert!(all > 50 && all < 900, "what is well is folded: {all}");
    let compliant = browser.run("return [...document.querySelectorAll('.group button')].find((b) => b.textContent.includes('Compliant')).getAttribute('aria-expanded')");
    assert_eq!(compliant, "false");
    let drawn = browser.run("const began = performance.now(); const s = document.getElementById('search'); s.value = 'team-77'; s.dispatchEvent(new Event('input')); return performance.now() - began");
    assert!(drawn.as_f64().unwrap() < 1000.0, "{drawn} ms");
    assert_eq!(rows(&browser), 11, "team-77 and team-770 to team-779");
    browser.run("const s = document.getElementById('search'); s.value = 'nothing like this'; s.dispatchEvent(new Event('input'))");
    assert_eq!(browser.run("return document.getElementById('none').hidden"), false);
    browser.run("document.getElementById('reset').click()");
    assert_eq!(rows(&browser), all);
    browser.run("document.querySelector('#states button').click()");
    let chosen = browser.run("return [...new Set([...document.querySelectorAll('.row.body .name')].map((e) => e.getAttribute('aria-label').split(': ')[1]))]");
    assert_eq!(chosen, json!(["Blocked"]));
    browser
        .run("const g = document.getElementById('group'); g.value = 'baseline'; g.dispatchEvent(new Event('change'))");
    assert!(
        browser
            .run("return document.querySelector('.group').textContent")
            .as_str()
            .unwrap()
            .contains("tenants")
    );
    browser.picture("thousand");
}

#[test]
fn a_thousand_namespaces_of_which_none_is_well_are_folded_too() {
    let browser = Browser::open(&untouched(1000), false);
    let rows = "return document.querySelectorAll('.row.body').length";
    let state = "return [...document.querySelectorAll('.group button')].map((b) => b.getAttribute('aria-expanded'))";
    assert_eq!((browser.run(rows), browser.run(state)), (json!(0), json!(["false"])));
    let drawn = browser.run("const began = performance.now(); const s = document.getElementById('search'); s.value = 't'; s.dispatchEvent(new Event('input')); return performance.now() - began");
    assert!(drawn.as_f64().unwrap() < 300.0, "{drawn} ms");
    assert_eq!(browser.run(rows), 0, "all of them match, and stay folded");
    // By keyboard: the group unfolds and keeps the focus, and from there one comes to the namespaces.
    browser.run("document.querySelector('.group button').focus()");
    browser.press(&[Key::Enter]);
    assert_eq!((browser.run(rows), browser.run(state)), (json!(1000), json!(["true"])));
    assert_eq!(
        browser.run("return document.activeElement.getAttribute('aria-expanded')"),
        "true"
    );
    browser.press(&[Key::Tab]);
    assert_eq!(browser.run(FOCUS)[0], "rowheader");
}

/// How well the text of a cell or badge is told from its ground, by WCAG 2: the worst of all that are shown on one colour.
const CELLS: &str = "
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const light = (colour) => {
      canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
      const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const worst = {};
    for (const node of document.querySelectorAll('.cell:not(.none) > i, .badge, .key.solid')) {
      const style = getComputedStyle(node);
      if (style.backgroundImage !== 'none') continue;
      const [x, y] = [light(style.color), light(style.backgroundColor)].sort((p, q) => q - p);
      const name = node.parentElement.className + ' ' + node.className;
      worst[name] = Math.min((x + 0.05) / (y + 0.05), worst[name] || 99);
    }
    return worst;";

#[test]
fn what_stands_in_cells_can_be_read_in_the_dark_and_in_the_light() {
    for dark in [false, true] {
        let browser = Browser::open(&page(40), dark);
        let all = browser.run(CELLS);
        let all = all.as_object().unwrap();
        assert!(all.len() > 4, "{all:?}");
        for (cell, ratio) in all {
            assert!(ratio.as_f64().unwrap() >= 4.5, "{cell}, dark {dark}: {ratio}");
        }
    }
}

/// How well two colours are told apart, by WCAG 2.
const CONTRAST: &str = "
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const light = (colour) => {
      canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
      const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const root = getComputedStyle(document.documentElement);
    const of = (name) => root.getPropertyValue(name).trim();
    const ratio = (a, b) => { const [x, y] = [light(of(a)), light(of(b))].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
    return Object.fromEntries(['--text', '--muted', '--accent', '--Blocked', '--Drifted', '--Weakened', '--Compliant', '--Pending', '--Conflict', '--Unknown'].map((name) => [name, Math.min(ratio(name, '--card'), name === '--text' || name === '--muted' ? ratio(name, '--page') : 99)]))";

#[test]
fn it_can_be_read_in_the_dark_and_in_the_light() {
    let mut grounds = Vec::new();
    for dark in [false, true] {
        let browser = Browser::open(&page(5), dark);
        grounds.push(browser.run("return getComputedStyle(document.body).backgroundColor"));
        let contrast = browser.run(CONTRAST);
        for (name, ratio) in contrast.as_object().unwrap() {
            let least = if ["--text", "--muted", "--accent"].contains(&name.as_str()) {
                4.5
            } else {
                3.0
            };
            assert!(
                ratio.as_f64().unwrap() >= least,
                "{name} in {}: {ratio}",
                if dark { "the dark" } else { "the light" }
            );
        }
        for tab in ["namespaces", "findings", "drift", "baselines"] {
            browser.run(&format!("document.getElementById('tab-{tab}').click()"));
            browser.picture(&format!("{}-{tab}", if dark { "dark" } else { "light" }));
        }
    }
    assert_ne!(grounds[0], grounds[1]);
    assert_eq!(grounds[0], Value::from("rgb(245, 246, 248)"));
}

#[test]
fn the_heatmap_leads_to_what_holds_and_why() {
    let browser = Browser::open(&page(5), false);
    browser.run("[...document.querySelectorAll('.row.body')].find((r) => r.dataset.name === 'team-2').querySelectorAll('.cell')[1].click()");
    assert_eq!(browser.run(CHOSEN), "team-2");
    let detail = browser.run("return document.getElementById('detail').textContent");
    let detail = detail.as_str().unwrap();
    for told in [
        "held by tenants",
        "SB-NET-008",
        "NetworkPolicy/open",
        "Talk to whoever owns the object",
        "What holds, and who says so",
    ] {
        assert!(detail.contains(told), "{told}: {detail}");
    }
    let values =
        browser.run("return [...document.querySelectorAll('#detail .control.lit tbody tr')].map((r) => r.textContent)");
    assert!(values.to_string().contains("defaultDenyIngresstenants"), "{values}");
    // And from a finding to its namespace.
    browser.run("document.getElementById('tab-findings').click(); [...document.querySelectorAll('#panel-findings .link')].find((b) => b.textContent === 'team-1').click()");
    assert_eq!(browser.run(CHOSEN), "team-1");
    assert_eq!(
        browser.run("return document.getElementById('panel-namespaces').hidden"),
        false
    );
}
