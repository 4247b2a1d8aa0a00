// What listening looks like: spectrograms, maps of who owns which bin, and the SDR over time.
// All of them have their playhead at `--at`, a share of their width, which the player sets.
page.views = (() => {
  const { element } = page;
  const title = (column) => column === "reference" ? "reference" : `trial ${column}`;
  const line = (column) => column === "reference" ? [] : [element("i", { class: "line", style: `--swatch: ${page.colour(column)}` })];
  const swatch = (colour) => element("i", { class: "swatch", style: `--swatch: ${colour}` });

  // A picture that can be pressed at the moment to listen to; the keyboard has the slider for that.
  const picture = (address, row, column, alt, marks) => {
    const scale = Object.entries(marks).map(([name, share]) => element("i", { class: "mark", style: `bottom: ${100 * share}%`, "aria-hidden": "true" }, name));
    const button = element("button", { type: "button", class: "picture", tabindex: "-1", "data-row": row, "data-column": column,
      "aria-label": `${alt}; press to listen from a moment` }, element("img", { src: address, alt }), ...scale);
    return element("figure", {}, element("figcaption", {}, ...line(column), row === "mixture" ? "mixture" : title(column)), button);
  };

  // Lines over the excerpt, and below them what they are at the playhead; frames without SDR are gaps.
  const sdrOverTime = (curves, seconds, stem) => {
    const values = curves.flatMap(({ points }) => points.map(([, dB]) => dB)).filter((dB) => dB !== null);
    const top = Math.max(...values), bottom = Math.max(Math.min(...values), top - 30);  // what lies deeper says nothing more
    const step = [1, 2, 5, 10].find((each) => (top - bottom) / each <= 5) ?? 20;
    const [low, high] = [Math.floor(bottom / step) * step, Math.max(Math.ceil(top / step), Math.floor(bottom / step) + 1) * step];
    const up = (dB) => (dB - low) / (high - low);
    const every = [0.5, 1, 2, 5, 10, 15, 30, 60].find((each) => seconds / each <= 8) ?? 120;
    const steps = (from, to, by) => Array.from({ length: Math.floor((to - from) / by + 1e-6) + 1 }, (_, index) => from + index * by);

    const drawn = (tag, attributes, ...children) => {
      const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
      for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
      made.append(...children);
      return made;
    };
    const path = (points) => points.map(([at, dB], index) => dB === null ? "" :
      `${index && points[index - 1][1] !== null ? "L" : "M"}${(1000 * at / seconds).toFixed(1)} ${(100 - 100 * up(dB)).toFixed(2)}`).join("");
    const lines = curves.map(({ key, points }) => drawn("path", { d: path(points), stroke: page.colour(key) }));
    const plot = element("div", { class: "plot", "aria-hidden": "true" },
      ...steps(low, high, step).map((dB) => element("i", { class: `level${dB === 0 ? " zero" : ""}`, style: `bottom: ${100 * up(dB)}%` }, String(dB).replace("-", "−"))),
      ...steps(0, seconds, every).map((at) => element("i", { class: "second", style: `left: ${100 * at / seconds}%` }, `${at} s`)),
      drawn("svg", { viewBox: "0 0 1000 100", preserveAspectRatio: "none" }, drawn("g", { class: "mark-line" }, ...lines)));
    const now = curves.map(() => element("b", {}));
    const legend = element("ul", { class: "owners", "aria-hidden": "true" },
      ...curves.map(({ key }, index) => element("li", {}, ...line(key), `${title(key)} `, now[index])));
    const told = curves.map(({ key, points }) => {
      const known = points.map(([, dB]) => dB).filter((dB) => dB !== null);
      return `${title(key)} ${known.length ? `from ${Math.min(...known)} to ${Math.max(...known)} dB` : "none"}`;
    });
    const host = element("div", { id: "sdr-chart", role: "img", "aria-label": `SDR of ${stem} over time: ${told.join("; ")}` }, plot, legend);
    const place = (at) => {
      for (const [index, { points }] of curves.entries()) {
        const [nearest] = [...points].sort((a, b) => Math.abs(a[0] - at) - Math.abs(b[0] - at));
        const text = nearest?.[1] === null || !nearest ? "silent" : `${nearest[1].toFixed(1).replace("-", "−")} dB`;
        if (now[index].textContent !== text) now[index].textContent = text;
      }
    };
    return { host, plot, place };
  };

  return { title, line, swatch, picture, sdrOverTime };
})();
