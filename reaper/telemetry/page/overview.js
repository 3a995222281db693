"use strict";
(() => {
  const EVERY_MS = 2000, AWAY_MS = 4000, WITHIN_MS = 8000;
  const SVG = "http://www.w3.org/2000/svg";
  const of = (id) => document.getElementById(id);
  // Texts only, never markup: what comes from outside cannot become an element.
  const put = (element, text) => { if (element.textContent !== text) element.textContent = text; };
  const { copyButton } = window.reaper;
  let held = false, timer = 0, lastAt = of("at").textContent, lostAt = 0;

  // Elements are kept and their texts changed, so that a selection or a reading position stays.
  const sync = (host, rows, make, fill) => {
    while (host.children.length > rows.length) host.lastElementChild.remove();
    while (host.children.length < rows.length) host.append(make());
    rows.forEach((row, index) => fill(host.children[index], row));
  };
  const cells = (count) => () => {
    const row = document.createElement("tr");
    for (let index = 0; index < count; index++) {
      const cell = row.appendChild(document.createElement(index ? "td" : "th"));
      if (!index) cell.scope = "row";
    }
    return row;
  };
  const fillCells = (row, texts) => texts.forEach((text, index) => put(row.children[index], text));
  const notice = () => {
    const item = document.createElement("li");
    item.append(...["strong", "span", "span", "p"].map((name) => document.createElement(name)));
    item.children[2].className = "todo";
    item.children[3].className = "command";
    item.children[3].append(document.createElement("code"), copyButton());
    return item;
  };
  const fillNotice = (item, notice) => {
    item.dataset.kind = notice.kind;
    [notice.title, notice.detail, notice.todo].forEach((text, index) => {
      put(item.children[index], text);
      item.children[index].hidden = !text;
    });
    item.children[3].hidden = !notice.command;
    put(item.children[3].firstElementChild, notice.command);
  };

  const draw = (counts) => {
    let chart = of("chart").firstElementChild;
    if (!chart) {
      chart = document.createElementNS(SVG, "svg");
      chart.setAttribute("viewBox", `0 0 ${counts.length} 1`);
      chart.setAttribute("preserveAspectRatio", "none");
      chart.setAttribute("role", "img");
      chart.setAttribute("aria-labelledby", "chart-words");
      of("chart").append(chart);
      of("axis").hidden = false;
    }
    const most = Math.max(...counts, 1);
    sync(chart, counts, () => document.createElementNS(SVG, "rect"), (bar, count) => {
      const height = count / most;
      const at = Array.prototype.indexOf.call(chart.children, bar);
      Object.entries({ x: at + 0.1, width: 0.8, y: 1 - height, height }).forEach(([name, value]) => bar.setAttribute(name, value));
    });
  };

  const plot = (name, chart) => {
    const svg = of(`${name}-plot`).firstElementChild;
    svg.setAttribute("aria-label", chart.words);
    sync(svg, chart.bars, () => document.createElementNS(SVG, "rect"), (bar, [slot, y, height, kind]) => {
      Object.entries({ class: `k-${kind}`, x: slot + 0.05, width: 0.9, y, height }).forEach(([key, value]) => bar.setAttribute(key, value));
    });
    put(of(`${name}-top`), chart.top);
    sync(of(`${name}-keys`), chart.keys, () => document.createElement("li"), (item, [kind, words]) => {
      item.className = `k-${kind}`;
      put(item, words);
    });
  };

  const show = (view) => {
    for (const [id, text] of Object.entries(view.texts)) put(of(id), text);
    document.title = view.title;
    of("state").dataset.kind = view.kind;
    sync(of("notices"), view.notices, notice, fillNotice);
    sync(of("outcomes"), view.outcomes, cells(2), fillCells);
    sync(of("reapers"), view.reapers, cells(5), fillCells);
    draw(view.counts);
    Object.entries(view.charts).forEach(([name, chart]) => plot(name, chart));
    lastAt = view.texts.at;
    lostAt = 0;
    delete document.body.dataset.lost;
    of("contact").hidden = true;
  };

  const lose = (why) => {
    lostAt ||= Date.now();
    const [title, detail] = of("contact").firstElementChild.children;
    document.body.dataset.lost = "";
    document.title = "No contact · reaper";
    of("state").dataset.kind = "bad";
    put(of("state"), "No contact with this reaper");
    put(of("said"), "No contact with this reaper");
    put(title, `No contact for ${Math.round((Date.now() - lostAt) / 1000)} s: ${why}`);
    put(detail, `What is shown below is as of ${lastAt}. This page goes on asking.`);
    of("contact").hidden = false;
  };

  const ask = async () => {
    clearTimeout(timer);
    try {
      const answer = await fetch("page.json", { cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(WITHIN_MS) });
      if (!answer.ok) throw new Error(`it answered ${answer.status}`);
      const view = await answer.json();
      if (view.page !== document.body.dataset.page) throw new Error("another version answers now, load this page again");
      if (!held) show(view);
    } catch (error) {
      if (!held) lose(error.constructor === Error ? error.message : "it does not answer");
    }
    clearTimeout(timer);
    if (!held && !document.hidden) timer = setTimeout(ask, lostAt ? AWAY_MS : EVERY_MS);
  };

  of("hold").hidden = false;
  of("hold").addEventListener("click", () => {
    held = !held;
    put(of("hold"), held ? "Go on updating" : "Stop updating");
    if (held) clearTimeout(timer); else ask();
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden && !held) ask(); });
  ask();
})();
