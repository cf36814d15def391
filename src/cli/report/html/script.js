"use strict";
// All text is set as text: what a tenant wrote is shown, and never becomes part of the page.
(() => {
  const report = JSON.parse(document.getElementById("data").textContent);
  const SECTIONS = JSON.parse(document.getElementById("sections").textContent);
  const STATES = ["Blocked", "Conflict", "Drifted", "Weakened", "Pending", "Unknown", "Compliant", "NotSelected"];
  const SIGNS = { Blocked: "✕", Conflict: "⇄", Drifted: "≠", Weakened: "◐", Pending: "…", Unknown: "?", Compliant: "✓", NotSelected: "–" };
  const MEANS = {
    Blocked: "could not be written, or is held back", Conflict: "an older baseline holds something else", Drifted: "departs from what is declared",
    Weakened: "as declared, and something undoes it", Pending: "still to be worked on", Unknown: "could not be seen", Compliant: "as declared", NotSelected: "no baseline holds it",
  };
  const TITLES = { networkIsolation: "Network isolation", resourceQuotas: "Resource quotas", limitRanges: "Limit ranges", podSecurity: "Pod Security", access: "Access" };
  // From so many namespaces on they are grouped by how they stand, and those that are well are folded.
  const MANY = 40;
  // A group of more is folded however its namespaces stand: it would be drawn anew at each key that is typed.
  const LARGE = 250;
  const MOST_RECORDS = 200;
  const MOST_LANES = 12;

  const byId = (id) => document.getElementById(id);
  const title = (section) => TITLES[section] || section;
  function el(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === false || value === undefined || value === null) continue;
      if (name === "on") Object.entries(value).forEach(([event, listener]) => node.addEventListener(event, listener));
      else if (name === "color") node.style.setProperty("--c", `var(--${value})`);
      else if (name === "style") Object.entries(value).forEach(([key, text]) => node.style.setProperty(key, text));
      else node.setAttribute(name, value === true ? "" : value);
    }
    for (const child of children.flat()) if (child !== null && child !== undefined && child !== "") node.append(child);
    return node;
  }
  const badge = (state) => el("span", { class: "badge", color: state }, `${SIGNS[state] || ""} ${state}`.trim());
  const plain = (text) => el("span", { class: "badge plain" }, text);
  const plural = (count, one, many) => `${count.toLocaleString("en")} ${count === 1 ? one : many || one + "s"}`;
  const when = (text) => text.replace("T", " ").replace(/\.\d+/, "").replace(/Z$/, " UTC");
  const control = (namespace, section) => namespace.controls.find((c) => c.name === section);
  const findingsOf = (namespace) => [...namespace.controls.flatMap((c) => c.findings), ...namespace.findings];

  // ---- The head ----------------------------------------------------------------------------------------------------
  const source = report.source;
  const from = source.server ? `${source.server}${source.context ? ` (context ${source.context})` : ""}` : `the files ${(source.files || []).join(", ")}`;
  byId("source").append(
    `${when(report.generatedAt)} · from ${from} · judged by the operator's configuration: ${source.configuration}`,
    source.namespaces ? ` · only ${source.namespaces.join(", ")}` : "",
  );
  const count = (state) => report.namespaces.filter((n) => n.state === state).length;
  const counts = Object.fromEntries(STATES.map((state) => [state, count(state)]));
  const tile = (number, text, color) => el("div", { class: "tile" }, el("b", color ? { style: { color: `var(--${color})` } } : {}, String(number)), el("span", {}, text));
  const { summary } = report;
  byId("tiles").append(
    el("div", { class: "tile wide" },
      el("b", {}, `${summary.compliant} of ${summary.namespaces}`),
      el("span", {}, "namespaces in the declared state"),
      el("div", { class: "bar", role: "img", "aria-label": STATES.filter((s) => counts[s]).map((s) => `${s}: ${counts[s]}`).join(", ") },
        STATES.slice().reverse().filter((s) => counts[s]).map((s) => el("i", { color: s, style: { "flex-grow": String(counts[s]) }, title: `${s}: ${counts[s]}` })))),
    tile(summary.errors, "errors", summary.errors ? "Blocked" : "Compliant"),
    tile(summary.warnings, "warnings", summary.warnings ? "Weakened" : "Compliant"),
    tile(report.baselines.length, "baselines"),
    tile(report.exceptions.filter((e) => e.state === "Active").length, "active exceptions"),
  );
  if (report.unknown.length > 0) {
    const banner = byId("unknown");
    banner.hidden = false;
    banner.append(el("strong", {}, "This report is not whole: some of it may not be read."),
      el("ul", {}, report.unknown.map((u) => el("li", {}, el("code", {}, u.right), u.affects.length ? ` – unknown: ${u.affects.join(", ")}` : " – nothing here depends on it"))));
  }

  // ---- Tabs --------------------------------------------------------------------------------------------------------
  const records = report.namespaces.flatMap((n) => n.drift.records.map((r) => ({ ...r, namespace: n.name })));
  records.sort((a, b) => (a.seen < b.seen ? 1 : -1));
  const allFindings = [
    ...report.baselines.flatMap((b) => b.findings.map((f) => ({ place: b.name, f }))),
    ...report.exceptions.flatMap((e) => e.findings.map((f) => ({ place: e.name, f }))),
    ...report.namespaces.flatMap((n) => findingsOf(n).map((f) => ({ place: n.name, namespace: n, f }))),
  ];
  const TABS = [["namespaces", "Namespaces", report.namespaces.length], ["findings", "Findings", allFindings.length], ["drift", "Drift", records.length],
    ["baselines", "Baselines and exceptions", report.baselines.length + report.exceptions.length]];
  const drawn = new Set(["namespaces"]);
  function choose(name, focus) {
    for (const [id] of TABS) {
      const chosen = id === name;
      const tab = byId(`tab-${id}`);
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
      byId(`panel-${id}`).hidden = !chosen;
      if (chosen && focus) tab.focus();
    }
    if (!drawn.has(name)) {
      drawn.add(name);
      DRAW[name](byId(`panel-${name}`));
    }
  }
  byId("tabs").append(...TABS.map(([id, text, number], place) => el("button", {
    type: "button", role: "tab", id: `tab-${id}`, "aria-controls": `panel-${id}`,
    on: {
      click: () => choose(id),
      keydown: (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        const next = step ? (place + step + TABS.length) % TABS.length : { Home: 0, End: TABS.length - 1 }[event.key];
        if (next === undefined) return;
        event.preventDefault();
        choose(TABS[next][0], true);
      },
    },
  }, text, el("small", {}, number.toLocaleString("en")))));

  // ---- The heatmap -------------------------------------------------------------------------------------------------
  const grid = byId("grid");
  const columns = SECTIONS.filter((s) => report.namespaces.some((n) => control(n, s)));
  grid.style.setProperty("--columns", String(columns.length));
  grid.setAttribute("aria-colcount", String(columns.length + 2));
  const text = new Map(report.namespaces.map((n) => [n, [n.name, n.state, ...n.baselines.map((b) => b.name),
    ...findingsOf(n).map((f) => `${f.code} ${f.reason} ${f.object} ${f.message}`), ...n.controls.flatMap((c) => c.waived.flatMap((w) => w.exceptions))].join("\n").toLowerCase()]));
  const chosenStates = new Set();
  const folded = new Map();
  let selected = null;
  let at = { row: 0, column: 0 };
  let rows = [];

  const worst = (n) => STATES.indexOf(n.state);
  const inOrder = (list) => list.slice().sort((a, b) => worst(a) - worst(b) || (a.name < b.name ? -1 : 1));
  const GROUPS = {
    state: (n) => n.state,
    baseline: (n) => n.baselines.map((b) => b.name).join(" + ") || "(none)",
    prefix: (n) => (n.name.includes("-") ? `${n.name.split("-")[0]}-*` : n.name),
  };
  if (report.namespaces.length > MANY) byId("group").value = "state";

  function matching() {
    const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    return report.namespaces.filter((n) => (chosenStates.size === 0 || chosenStates.has(n.state)) && words.every((w) => text.get(n).includes(w)));
  }

  function draw() {
    const list = inOrder(matching());
    const by = byId("group").value;
    const parts = [head()];
    rows = [];
    if (by === "none") list.forEach((n) => parts.push(row(n)));
    else {
      const groups = new Map();
      list.forEach((n) => groups.set(GROUPS[by](n), [...(groups.get(GROUPS[by](n)) || []), n]));
      const names = [...groups.keys()].sort((a, b) => (by === "state" ? STATES.indexOf(a) - STATES.indexOf(b) : a < b ? -1 : 1));
      const narrowed = chosenStates.size > 0 || byId("search").value.trim() !== "";
      for (const name of names) {
        const key = `${by}/${name}`;
        const well = by === "state" && name === "Compliant" && report.namespaces.length > MANY && !narrowed;
        const usual = well || groups.get(name).length > LARGE;
        const isFolded = folded.has(key) ? folded.get(key) : usual;
        parts.push(groupRow(name, groups.get(name), by, isFolded, () => {
          folded.set(key, !isFolded);
          draw();
          [...grid.querySelectorAll(".group button")].find((b) => b.dataset.key === key)?.focus();
        }, key));
        if (!isFolded) groups.get(name).forEach((n) => parts.push(row(n)));
      }
    }
    grid.replaceChildren(...parts);
    grid.setAttribute("aria-rowcount", String(list.length + 1));
    byId("none").hidden = list.length > 0;
    byId("shown").textContent = list.length === report.namespaces.length ? plural(list.length, "namespace") : `${list.length} of ${plural(report.namespaces.length, "namespace")}`;
    at = { row: Math.min(at.row, Math.max(rows.length - 1, 0)), column: at.column };
    rove(false);
  }

  function head() {
    const titles = ["Namespace", ...columns.map(title), "Drift"];
    return el("div", { class: "row head", role: "row" }, titles.map((t) => el("div", { role: "columnheader" }, t)));
  }

  function groupRow(name, list, by, isFolded, toggle, key) {
    const well = list.filter((n) => n.state === "Compliant").length;
    return el("div", { class: "row group", role: "row" }, el("div", { role: "gridcell", "aria-colspan": String(columns.length + 2), color: by === "state" ? name : false },
      el("button", { type: "button", "aria-expanded": String(!isFolded), "data-key": key, on: { click: toggle } },
        el("span", { class: "chevron", "aria-hidden": "true" }, isFolded ? "▸" : "▾"), el("span", {}, name),
        el("small", {}, by === "state" ? plural(list.length, "namespace") : `${well} of ${plural(list.length, "namespace")} as declared`))));
  }

  function row(n) {
    const place = rows.length;
    const cell = (attributes, column, ...children) => el("div", { ...attributes, tabindex: "-1", on: {
      click: () => { at = { row: place, column }; rove(true); open(n, columns[column - 1]); },
    } }, ...children);
    const cells = [
      cell({ class: "name", role: "rowheader", color: n.state, title: n.name, "aria-label": `${n.name}: ${n.state}` }, 0, el("span", {}, n.name)),
      ...columns.map((section, i) => {
        const c = control(n, section);
        if (!c) return cell({ class: "cell none", role: "gridcell", "aria-label": `${title(section)}: not declared` }, i + 1, el("i", { "aria-hidden": "true" }, "–"));
        const found = c.findings.length;
        const tells = `${title(section)}: ${c.state}, ${c.mode === "Audit" ? "audited" : "enforced"}${found ? `, ${plural(found, "finding")}` : ""}${c.waived.length ? ", partly waived" : ""}`;
        return cell({ class: `cell ${c.mode} ${c.state}`, role: "gridcell", color: c.state, "aria-label": tells, title: tells }, i + 1,
          el("i", { "aria-hidden": "true" }, SIGNS[c.state], found ? ` ${found}` : "", c.waived.length ? " ※" : ""));
      }),
      cell({ class: "count", role: "gridcell", "aria-label": `drifted ${n.drift.total} times` }, columns.length + 1, n.drift.total ? n.drift.total.toLocaleString("en") : "·"),
    ];
    const node = el("div", { class: "row body", role: "row", "data-name": n.name, "aria-selected": String(selected === n) }, cells);
    rows.push({ n, node, cells });
    return node;
  }

  // One cell can be reached by tab; arrows move on from there.
  function rove(focus) {
    grid.querySelectorAll('[tabindex="0"]').forEach((cell) => { cell.tabIndex = -1; });
    const cell = rows[at.row]?.cells[at.column];
    if (!cell) return;
    cell.tabIndex = 0;
    if (focus) { cell.focus({ preventScroll: true }); rows[at.row].node.scrollIntoView({ block: "nearest" }); }
  }
  grid.addEventListener("keydown", (event) => {
    if (event.target.closest("button")) return;
    const page = 15;
    const moves = {
      ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1], PageDown: [page, 0], PageUp: [-page, 0],
    };
    const last = columns.length + 1;
    let { row: r, column: c } = at;
    if (moves[event.key]) { r += moves[event.key][0]; c += moves[event.key][1]; }
    else if (event.key === "Home") { c = 0; if (event.ctrlKey) r = 0; }
    else if (event.key === "End") { c = last; if (event.ctrlKey) r = rows.length - 1; }
    else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      if (rows[at.row]) { open(rows[at.row].n, columns[at.column - 1]); byId("detail").focus(); }
      return;
    } else return;
    event.preventDefault();
    at = { row: Math.max(0, Math.min(rows.length - 1, r)), column: Math.max(0, Math.min(last, c)) };
    rove(true);
  });
  byId("detail").addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const place = rows.findIndex((r) => r.n === selected);
    if (place >= 0) at = { row: place, column: at.column };
    rove(true);
  });

  byId("states").append(...STATES.filter((s) => counts[s]).map((s) => el("button", {
    type: "button", class: "chip", color: s, "aria-pressed": "false",
    on: { click: (event) => {
      if (!chosenStates.delete(s)) chosenStates.add(s);
      event.currentTarget.setAttribute("aria-pressed", String(chosenStates.has(s)));
      draw();
    } },
  }, el("span", { class: "dot", "aria-hidden": "true" }), `${s} ${counts[s].toLocaleString("en")}`)));
  byId("search").addEventListener("input", draw);
  byId("group").addEventListener("change", draw);
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("reset").addEventListener("click", () => {
    chosenStates.clear();
    byId("states").querySelectorAll("button").forEach((b) => b.setAttribute("aria-pressed", "false"));
    byId("search").value = "";
    draw();
    byId("search").focus();
  });
  byId("legend").append(
    ...STATES.filter((s) => s !== "NotSelected").map((s) => el("span", {}, el("i", { class: "key", color: s }, SIGNS[s]), `${s}: ${MEANS[s]}`)),
    el("span", {}, el("i", { class: "key solid", color: "NotSelected" }, "2"), "solid: enforced, with how many findings"),
    el("span", {}, el("i", { class: "key dashed", color: "NotSelected" }, "2"), "dashed: only audited"),
    el("span", {}, el("i", { class: "key", color: "NotSelected" }, "※"), "an exception waives some of it"),
  );

  // ---- One namespace -----------------------------------------------------------------------------------------------
  function open(n, section) {
    selected = n;
    rows.forEach((r) => r.node.setAttribute("aria-selected", String(r.n === n)));
    const detail = byId("detail");
    const held = n.baselines.map((b) => `${b.name} (${b.state}, generation ${b.generation}${b.deselected ? ", its labels are gone" : ""})`);
    detail.replaceChildren(
      el("div", { class: "line" }, el("h2", {}, n.name), badge(n.state)),
      el("p", { class: "muted" }, held.length ? `held by ${held.join(", ")}` : "no baseline holds it any more; what was created here stays"),
      n.findings.map(finding),
      ...n.controls.slice().sort((a, b) => STATES.indexOf(a.state) - STATES.indexOf(b.state)).map((c) => controlPart(c, c.name === section, n.state === "Compliant")),
      driftPart(n),
    );
    detail.scrollTop = 0;
    const lit = detail.querySelector(".lit");
    if (lit) detail.scrollTop = lit.offsetTop - detail.offsetTop - 8;
  }

  // A code, and where it is explained: that is outside of this page, and asked for only by who follows it.
  const code = (f) => (f.help ? el("a", { href: f.help, target: "_blank", rel: "noopener noreferrer" }, el("code", {}, f.code)) : el("code", {}, f.code));

  function finding(f) {
    const fields = f.fields || [];
    return el("div", { class: `finding ${f.severity}` },
      el("div", { class: "line" }, code(f), el("strong", {}, f.reason), el("span", { class: "muted" }, f.severity)),
      el("div", { class: "what" }, f.object ? el("span", { class: "mono" }, `${f.object}: `) : "", f.message),
      fields.some((x) => x.claimedBy && x.claimedBy !== "unknown")
        ? el("div", { class: "muted" }, "claimed by ", [...new Set(fields.map((x) => x.claimedBy).filter((x) => x && x !== "unknown"))].join(", ")) : "",
      f.mend ? el("div", { class: "mend" }, f.mend) : "");
  }

  function controlPart(c, lit, unfold) {
    const values = el("table", {}, el("thead", {}, el("tr", {}, ["Value", "Is", "Set by", "Asked for less"].map((t) => el("th", { scope: "col" }, t)))),
      el("tbody", {}, c.effective.map((v) => el("tr", {}, el("td", { class: "mono" }, v.field), el("td", { class: "mono" }, v.value), el("td", {}, v.baseline),
        el("td", {}, (v.askedLess || []).map((l) => `${l.baseline} (${l.value})`).join(", ") || "–")))));
    return el("div", { class: `control${lit ? " lit" : ""}` },
      el("div", { class: "line" }, el("h3", {}, title(c.name)), badge(c.state), plain(c.mode === "Audit" ? "audited" : "enforced")),
      c.waived.map((w) => el("p", { class: "muted" }, `※ waived: ${w.object || title(c.name)}${w.level ? ` to ${w.level}` : ""}, by ${w.exceptions.join(", ")}, until ${when(w.until)}`)),
      c.findings.map(finding),
      c.effective.length ? el("details", { open: lit || unfold }, el("summary", {}, `What holds, and who says so (${c.effective.length})`), values) : "");
  }

  function driftPart(n) {
    if (!n.drift.total) return "";
    return el("div", { class: "control" }, el("h3", {}, "Drift"),
      el("p", { class: "muted" }, `drifted ${plural(n.drift.total, "time")}, repaired ${plural(n.drift.repaired, "time")}`),
      n.drift.records.map((r) => el("div", { class: `finding ${r.repaired ? "note" : "error"}` }, recordText(r))));
  }
  function recordText(r) {
    return [el("div", { class: "line" }, el("strong", {}, when(r.seen)), el("span", { class: "muted" }, r.repaired ? `repaired ${when(r.repaired)}` : "not repaired")),
      el("div", { class: "what" }, el("span", { class: "mono" }, `${r.object} ${r.path || "(all of it)"}`)),
      r.expected || r.found ? el("div", { class: "mono muted" }, `declared ${r.expected || "nothing"}, found ${r.found || "nothing"}`) : "",
      el("div", { class: "muted" }, `claimed by ${r.claimedBy || "unknown"}${r.operation ? `, ${r.operation}` : ""}`)];
  }
  function show(name) {
    const n = report.namespaces.find((x) => x.name === name);
    if (!n) return;
    choose("namespaces");
    byId("search").value = "";
    chosenStates.clear();
    byId("states").querySelectorAll("button").forEach((b) => b.setAttribute("aria-pressed", "false"));
    const by = byId("group").value;
    if (by !== "none") folded.set(`${by}/${GROUPS[by](n)}`, false);
    draw();
    open(n);
    at = { row: rows.findIndex((r) => r.n === n), column: 0 };
    rove(true);
  }

  // ---- The other views ---------------------------------------------------------------------------------------------
  const ORDER = { error: 0, warning: 1, note: 2 };
  const DRAW = {
    findings(panel) {
      const groups = new Map();
      for (const one of allFindings) {
        const object = one.f.object.startsWith("Namespace/") ? "Namespace" : one.f.object;
        const key = JSON.stringify([one.f.code, object, one.f.message]);
        if (!groups.has(key)) groups.set(key, { ...one, object, places: [] });
        groups.get(key).places.push(one);
      }
      const list = [...groups.values()].sort((a, b) => ORDER[a.f.severity] - ORDER[b.f.severity] || b.places.length - a.places.length || (a.f.code < b.f.code ? -1 : 1));
      if (list.length === 0) { panel.append(el("p", { class: "card" }, "Nothing is found: all is as declared.")); return; }
      panel.append(el("div", { class: "card" }, el("h2", {}, "What is found, most serious first"),
        el("table", {}, el("thead", {}, el("tr", {}, ["Code", "", "Object", "What, and what to do", "Where"].map((t) => el("th", { scope: "col" }, t)))),
          el("tbody", {}, list.map((g) => el("tr", { class: g.f.severity }, el("td", {}, code(g.f)), el("td", {}, el("span", { class: "badge" }, g.f.severity)),
            el("td", { class: "mono" }, g.object), el("td", {}, g.f.message, el("div", { class: "muted" }, g.f.mend)), el("td", {}, places(g.places))))))));
    },
    drift(panel) {
      if (records.length === 0) { panel.append(el("p", { class: "card" }, "Nothing drifted, as far as the operator's reports tell.")); return; }
      const times = records.map((r) => Date.parse(r.seen));
      const first = times.reduce((a, b) => Math.min(a, b));
      const span = Math.max(times.reduce((a, b) => Math.max(a, b)) - first, 1);
      const by = new Map();
      records.forEach((r) => by.set(r.claimedBy || "unknown", [...(by.get(r.claimedBy || "unknown") || []), r]));
      const lanes = [...by.entries()].sort((a, b) => b[1].length - a[1].length);
      const shown = lanes.slice(0, MOST_LANES);
      const rest = lanes.slice(MOST_LANES).flatMap(([, list]) => list);
      if (rest.length) shown.push([`${lanes.length - MOST_LANES} others`, rest]);
      const told = el("div", { class: "finding note", role: "status", hidden: true });
      const dot = (r) => el("button", { type: "button", class: r.repaired ? "repaired" : "", color: r.repaired ? "Pending" : "Drifted",
        style: { left: `${2 + (96 * (Date.parse(r.seen) - first)) / span}%` }, "aria-label": `${when(r.seen)}: ${r.object} in ${r.namespace}, ${r.repaired ? "repaired" : "not repaired"}`,
        title: `${when(r.seen)}\n${r.namespace}: ${r.object} ${r.path}`,
        on: { click: () => { told.hidden = false; told.replaceChildren(el("div", {}, linkTo(r.namespace)), ...recordText(r).filter(Boolean)); } } });
      // One dot of a lane can be reached by tab; arrows move on from there, in time.
      const lane = (who, dots) => {
        dots.reverse();
        dots.forEach((d, i) => { d.tabIndex = i === dots.length - 1 ? 0 : -1; });
        return el("div", { class: "lane", role: "group", "aria-label": `Drift claimed by ${who}`, on: { keydown: (event) => {
          const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
          const next = dots[dots.indexOf(event.target) + (step || 0)];
          if (!step || !next) return;
          event.preventDefault();
          event.target.tabIndex = -1;
          next.tabIndex = 0;
          next.focus();
        } } }, dots);
      };
      const date = (ms) => when(new Date(ms).toISOString());
      panel.append(el("div", { class: "card" }, el("h2", {}, "When it drifted, and who claims to have done it"),
        el("p", { class: "muted" }, "By the name that each client states of itself: a claim, and no proof. A removal leaves none. Filled: repaired; hollow: only told."),
        el("div", { class: "timeline" }, shown.flatMap(([who, list]) => [el("div", { class: "who", title: who }, who), lane(who, list.slice(0, MOST_RECORDS).map(dot)), el("div", { class: "count" }, String(list.length))]),
          el("div", { class: "axis" }), el("div", { class: "axis" }, el("span", {}, date(first)), el("span", {}, date(first + span))), el("div", { class: "axis" })), told));
      panel.append(el("div", { class: "card" }, el("h2", {}, "The last ones"), recordTable(records.slice(0, MOST_RECORDS)),
        records.length > MOST_RECORDS ? el("p", { class: "muted" }, `and ${records.length - MOST_RECORDS} more; each namespace tells its own`) : ""));
    },
    baselines(panel) {
      const table = (headings, lines) => el("table", {}, el("thead", {}, el("tr", {}, headings.map((t) => el("th", { scope: "col" }, t)))), el("tbody", {}, lines));
      panel.append(el("div", { class: "card" }, el("h2", {}, "Baselines"), report.baselines.length === 0 ? el("p", { class: "muted" }, "There is none.")
        : table(["Name", "State", "Generation", "Namespaces", "What is to be said of it"], report.baselines.map((b) => el("tr", {}, el("td", {}, el("strong", {}, b.name)), el("td", {}, plain(b.state)),
          el("td", {}, b.generation === undefined ? "–" : String(b.generation)), el("td", {}, String(b.namespaces)), el("td", {}, b.findings.map(finding)))))));
      panel.append(el("div", { class: "card" }, el("h2", {}, "Exceptions"), report.exceptions.length === 0 ? el("p", { class: "muted" }, "There is none.")
        : table(["Name", "State", "Expires", "Namespaces", "Waives now", "Approver and reason"], report.exceptions.map((e) => el("tr", {}, el("td", {}, el("strong", {}, e.name)), el("td", {}, plain(e.state)),
          el("td", {}, e.expiresAt ? when(e.expiresAt) : "–"), el("td", {}, places(e.namespaces.map((place) => ({ place })))), el("td", {}, e.waives.join(", ") || "nothing"),
          el("td", {}, `${e.approver}: ${e.reason}`, e.findings.map(finding)))))));
    },
  };
  const linkTo = (name) => report.namespaces.some((n) => n.name === name)
    ? el("button", { type: "button", class: "link", on: { click: () => show(name) } }, name) : el("span", {}, name);
  function places(list) {
    const most = 3;
    const names = list.map((one) => one.place);
    const cell = el("span", {});
    const put = (some) => some.forEach((name, i) => cell.append(...(i || cell.childNodes.length ? [", "] : []), linkTo(name)));
    put(names.slice(0, most));
    if (names.length > most) {
      const more = el("button", { type: "button", class: "more", on: { click: () => { more.remove(); put(names.slice(most)); } } }, `and ${names.length - most} more`);
      return [cell, " ", more];
    }
    return [cell];
  }
  function recordTable(list) {
    return el("table", {}, el("thead", {}, el("tr", {}, ["Seen", "Namespace", "Object", "Field", "Claimed by", "Repaired"].map((t) => el("th", { scope: "col" }, t)))),
      el("tbody", {}, list.map((r) => el("tr", {}, el("td", {}, when(r.seen)), el("td", {}, linkTo(r.namespace)), el("td", { class: "mono" }, r.object), el("td", { class: "mono" }, r.path || "(all of it)"),
        el("td", {}, r.claimedBy || "unknown"), el("td", {}, r.repaired ? when(r.repaired) : "no")))));
  }

  choose("namespaces");
  draw();
  const start = inOrder(report.namespaces)[0];
  if (start && start.state !== "Compliant") open(start);
  else byId("detail").append(el("p", { class: "hint" }, report.namespaces.length ? "Choose a namespace: what holds there, which baseline says so, and what drifted." : "No baseline holds a namespace."));
})();
