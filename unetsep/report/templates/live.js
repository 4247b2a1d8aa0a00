// A watched page looks for a newer one: it takes its place while nobody is busy here, and else offers itself.
{
  const version = "{{ range(10 ** 15) | random }}";  // `watch` reads it here and writes that of the newest into version.js
  const EVERY = 3000;  // milliseconds between two looks
  const QUIET = 20000;  // milliseconds after the last key or click in which a reader is not disturbed
  const KEPT = `unetsep ${location.pathname}`;
  const { element } = page;

  const style = element("style", {}, `
    .live { position: fixed; right: 1rem; bottom: 1rem; z-index: 5; display: flex; gap: .75rem; align-items: baseline;
      padding: .5rem .9rem; border: 1px solid var(--line); border-radius: 10px; background: var(--raised); font-size: .875rem;
      box-shadow: 0 2px 12px #0003; }
    .live[hidden] { display: none; }
    .live:not(.offers) { color: var(--soft); }
    .live:not(.offers) button { display: none; }
    .live button { border-color: var(--accent); }
    @media (max-width: 38rem) { .live { left: 1rem; justify-content: space-between; } }
    @media print { .live { display: none; } }`);
  const words = element("span", {});
  const button = element("button", { type: "button" }, "Show them");
  const bar = element("div", { class: "live", role: "status", hidden: "" }, words, button);
  document.head.append(style);
  document.body.append(bar);

  const kept = (() => {
    try {
      const text = sessionStorage.getItem(KEPT);
      sessionStorage.removeItem(KEPT);
      return JSON.parse(text);
    } catch { return null; }  // private windows
  })();
  const tried = kept?.wanted;  // where a reload brought no newer page, another would not either
  let [acted, over, timer] = [-Infinity, false, 0];
  for (const kind of ["pointerdown", "keydown", "wheel", "input", "touchmove"]) {
    addEventListener(kind, () => { acted = performance.now(); }, { capture: true, passive: true });
  }
  const plays = () => page.playing?.() || [...document.querySelectorAll("audio")].some((sound) => !sound.paused);
  const busy = () => plays() || (!document.hidden && (performance.now() - acted < QUIET || !getSelection().isCollapsed));

  // What a reload would forget. The compared trials stand in the address.
  const fields = () => [...document.querySelectorAll("main select[id], main input[id]")];
  const keep = (wanted) => {
    const sorted = document.querySelector("#trials [aria-sort]");
    sessionStorage.setItem(KEPT, JSON.stringify({
      wanted,
      shown: document.getElementById("card")?.dataset.trial,
      fields: fields().map((field) => [field.id, field.type === "checkbox" ? field.checked : field.value]),
      sorted: sorted && [sorted.cellIndex, sorted.getAttribute("aria-sort")],
      focus: document.activeElement?.id,
    }));
  };
  const restore = (kept) => {
    for (const [id, value] of kept.fields) {
      const field = document.getElementById(id);
      const [key, kind] = field?.type === "checkbox" ? ["checked", "change"] : ["value", field?.matches("select") ? "change" : "input"];
      if (!field || field[key] === value) continue;
      if (field.matches("select") && ![...field.options].some((option) => option.value === value)) continue;
      field[key] = value;
      field.dispatchEvent(new Event(kind, { bubbles: true }));
    }
    if (kept.sorted) {
      const heading = document.querySelector("#trials thead").rows[0].cells[kept.sorted[0]];
      for (let turn = 0; turn < 2 && heading?.getAttribute("aria-sort") !== kept.sorted[1]; turn++) heading?.querySelector("button")?.click();
    }
    if (kept.shown in page.data.trials) page.show(kept.shown);
    if (kept.focus) document.getElementById(kept.focus)?.focus({ preventScroll: true });
  };
  const reload = (wanted) => {
    try { keep(wanted); } catch { /* private windows keep nothing */ }
    location.reload();
  };
  button.addEventListener("click", () => reload(""));

  addEventListener("newest", ({ detail }) => {
    const known = detail.version === version;
    over = detail.over && known;
    if (!known && detail.version !== tried && !busy()) return reload(detail.version);
    if (!known) bar.classList.add("offers");
    if (!known) words.textContent = "There are new results.";
    else if (!over) words.textContent = "Live: follows the sweep";
    else if (bar.hidden && !kept) return;  // opened after the end: a page like any other
    else words.textContent = "The end: no newer results will come.";
    bar.hidden = false;
    if (over) setTimeout(() => bar.remove(), 15000);
  });
  const look = () => {
    clearTimeout(timer);
    const script = element("script", { src: `version.js?${Date.now()}` });
    script.onload = script.onerror = () => {
      script.remove();
      if (!over) timer = setTimeout(look, EVERY);
    };
    document.head.append(script);
  };
  addEventListener("visibilitychange", () => { if (!over) look(); });

  if (kept) restore(kept);
  look();
}
