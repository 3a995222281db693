"use strict";
// Acts: a form becomes one POST with the person's token in its header. The token stays in this tab.
(() => {
  const KEY = "reaper-token";
  const field = document.getElementById("token");
  if (!field) return;
  field.value = sessionStorage.getItem(KEY) ?? "";
  field.addEventListener("change", () => sessionStorage.setItem(KEY, field.value));
  document.getElementById("forget").addEventListener("click", () => {
    sessionStorage.removeItem(KEY);
    field.value = "";
  });

  const send = async (act, body) => {
    const answer = await fetch(`acts/${act}`, {
      method: "POST", cache: "no-store", credentials: "omit", redirect: "error", body: JSON.stringify(body),
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${field.value.trim()}` },
    });
    const isJson = answer.headers.get("Content-Type") === "application/json";
    const found = isJson ? await answer.json() : { error: (await answer.text()).trim() };
    if (!answer.ok) throw new Error(found.error);
    return found;
  };

  const carryOut = async (form, isChosen) => {
    const { act } = form.dataset;
    const body = JSON.parse(form.dataset.body);
    if (isChosen) {
      delete body.where;
      body.ids = [...document.querySelectorAll("input[name=id]:checked")].map((box) => box.value);
      if (!body.ids.length) throw new Error("choose rows first");
    }
    for (const input of form.querySelectorAll("input")) if (input.value.trim()) body[input.name] = input.value.trim();
    if (!field.value.trim()) {
      field.focus();
      throw new Error("give your token first");
    }
    if (act !== "pause" && act !== "resume") {
      // The number that is asked about is the number that is touched: another one by then is refused.
      const { chosen } = await send(act, { ...body, dry_run: true });
      if (!chosen) throw new Error("nothing fits any more");
      if (!confirm(`${form.getAttribute("aria-label")}: ${chosen.toLocaleString("en")} of them?`)) return "nothing was done";
      body.count = chosen;
    }
    const done = await send(act, body);
    return "changed" in done ? `done: ${done.changed.toLocaleString("en")} of ${done.chosen.toLocaleString("en")}` : "done";
  };

  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form.act");
    if (!form) return;
    event.preventDefault();
    const result = form.querySelector(".result");
    result.textContent = "…";
    const buttons = form.querySelectorAll("button");
    buttons.forEach((button) => { button.disabled = true; });
    carryOut(form, "chosen" in (event.submitter?.dataset ?? {}))
      .then((words) => { result.textContent = words; }, (error) => { result.textContent = `not done: ${error.message}`; })
      .finally(() => buttons.forEach((button) => { button.disabled = false; }));
  });
})();
