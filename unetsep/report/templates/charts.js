// Draws the charts when they come near the window, and keeps them to what is selected.
{
  const views = new Map();
  // A trial that is pressed is compared and heard; the card, its drawing and the leaderboard leave it out again.
  const press = (key) => {
    page.show(key);
    page.add(key);
    page.listen?.(key);
  };
  // Whoever crosses other points on the way to the card keeps the card's trial.
  let waiting = 0;
  const dwell = (key) => {
    clearTimeout(waiting);
    if (key !== undefined) waiting = setTimeout(() => page.show(key), 80);
  };
  const keyOf = (item) => item?.datum?.key;

  const draw = async (host) => {
    const name = host.dataset.chart;
    if (host.dataset.drawn === name) return;
    host.dataset.drawn = name;
    const spec = { ...page.data.charts[name], datasets: { ...page.data.charts[name].datasets, trials: page.data.rows, curves: curves(page.selected) } };
    const { view } = await vegaEmbed(host, spec, { renderer: "svg", actions: false, tooltip: false });
    views.get(host)?.finalize();
    views.set(host, view);
    update(view, page.selected);
    view.addEventListener("click", (event, item) => {
      const key = keyOf(item);
      if (key === undefined) return;
      press(key);
    });
    view.addEventListener("mouseover", (event, item) => dwell(keyOf(item)));
    view.addEventListener("mouseout", () => dwell(undefined));
    if ("points" in host.dataset) reachable(host);
    await view.runAsync();
    host.dispatchEvent(new CustomEvent("drawn", { bubbles: true }));
  };

  // What the compared trials learned, as rows.
  const curves = (selected) =>
    selected.flatMap((key) => page.data.trials[key].curve.map(([epochs, score], index, all) => (
      { key, epochs, score, colour: page.colour(key), words: `trial ${key}`, last: index === all.length - 1 })));

  const has = (view, kind, name) => name in (view.getState({ signals: () => true, data: () => true })[kind] ?? {});
  const update = (view, selected) => {
    if (has(view, "signals", "selected")) view.signal("selected", selected);
    if (has(view, "data", "curves")) view.data("curves", curves(selected));
    view.runAsync();
  };

  // One tab stop for all points of a chart; arrows go to the next and the last one, Enter and space compare.
  const reachable = (host) => {
    const points = () => [...host.querySelectorAll(".mark-symbol path[aria-label]")]
      .sort((a, b) => a.getBoundingClientRect().x - b.getBoundingClientRect().x);
    const [first] = points();
    for (const point of points()) point.setAttribute("tabindex", point === first ? 0 : -1);
    for (const point of points()) point.setAttribute("role", "button");
    if (host.dataset.reachable) return;
    host.dataset.reachable = "true";
    host.addEventListener("focusin", (event) => {
      const key = keyOf(event.target.__data__);
      if (key !== undefined) page.show(key);
    });
    host.addEventListener("keydown", (event) => {
      const key = keyOf(event.target.__data__);
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (key === undefined) return;
      if (step) {
        const all = points();
        const next = all[(all.indexOf(event.target) + step + all.length) % all.length];
        event.target.setAttribute("tabindex", -1);
        next.setAttribute("tabindex", 0);
        next.focus();
      } else if (event.key === "Enter" || event.key === " ") press(key);
      else return;
      event.preventDefault();
    });
  };

  const hosts = [...document.querySelectorAll("[data-chart]")];
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) draw(entry.target);
  }, { rootMargin: "600px" });
  for (const host of hosts) near.observe(host);
  page.drawAll = () => Promise.all(hosts.map(draw));  // for printing, which scrolls nowhere
  addEventListener("beforeprint", page.drawAll);

  document.getElementById("against")?.addEventListener("change", (event) => {
    const host = document.getElementById("front-chart");
    host.dataset.chart = `front-${event.target.value}`;
    draw(host);
  });
  page.onselect((selected) => { for (const view of views.values()) update(view, selected); });
}
