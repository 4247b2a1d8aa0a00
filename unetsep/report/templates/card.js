// The card of the trial that is pointed at: its U, what it costs, and how it was configured.
{
  const host = document.getElementById("card");
  const { element } = page;
  const pairs = (list, className) =>
    element("dl", { class: className }, ...list.flatMap(([name, text]) => [element("dt", {}, name), element("dd", {}, text)]));

  page.show = (key) => {
    if (host.dataset.trial === key) return;
    host.dataset.trial = key;
    const trial = page.data.trials[key];
    const drawing = element("div", { class: "drawing" });
    drawing.innerHTML = trial.u;  // drawn by unetsep from class names and numbers, escaped there
    const toggle = element("button", { type: "button", class: "compare", "data-toggle": key });
    const commands = trial.commands.map(([purpose, command]) =>
      element("p", { class: "note" }, `${purpose}: `, element("code", {}, command)));
    const config = trial.config ? [element("p", { class: "note" }, element("a", { href: trial.config }, "the whole config"))] : [];
    host.replaceChildren(
      element("h3", {}, `Trial ${key}`, trial.onFront ? " ● on the front" : ""),
      element("p", { class: "score" }, trial.score),
      ...(trial.u ? [drawing] : []),
      toggle,
      pairs(trial.stems, "figures"),
      pairs(trial.card, "figures"),
      element("details", { open: "" }, element("summary", {}, "Settings"), pairs(trial.choices, "figures"), ...config),
      element("details", {}, element("summary", {}, "Use it"), ...commands),
    );
    if (!commands.length) host.lastChild.remove();
    if (!trial.choices.length && !config.length) host.querySelector("details")?.remove();
    mark(page.selected);
  };

  // Every button that toggles a trial says whether it is compared.
  const mark = (selected) => {
    for (const button of document.querySelectorAll("[data-toggle]")) {
      const pressed = selected.includes(button.dataset.toggle);
      button.setAttribute("aria-pressed", pressed);
      if (button.matches(".compare")) button.textContent = pressed ? "Compared below: leave it out" : "Compare it below";
    }
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-toggle]");
    if (button) page.toggle(button.dataset.toggle);
  });
  for (const kind of ["pointerover", "focusin"]) {
    document.addEventListener(kind, (event) => {
      const thumb = event.target.closest?.(".thumb");
      if (thumb) page.show(thumb.dataset.toggle);
    });
  }
  const first = page.selected[0] ?? Object.keys(page.data.trials)[0];
  if (first) page.show(first);
  page.onselect(mark);
}
