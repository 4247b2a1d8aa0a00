// Listening: one sound at a time, and whichever is chosen plays on where the last one was.
if (page.data.listening) {
  const { element } = page;
  const { stems, excerpts } = page.data.listening;
  const section = document.getElementById("compare");
  const [play, seek, time, loop] = ["play", "seek", "time", "loop"].map((id) => document.getElementById(id));
  const sounds = new Map();  // by address
  let excerpt = excerpts[0];
  let chosen = { row: stems[0].name, column: "reference" };
  let audio = null;
  let sdr = null;  // the view of the SDR over time

  // What can be heard: columns are the reference and the compared trials, rows the mixture and the stems.
  const columns = () => ["reference", ...page.selected];
  const title = (column) => column === "reference" ? "reference" : `trial ${column}`;
  const heard = (row, column) => row === "mixture" ? excerpt.mixture
    : column === "reference" ? excerpt.references[row] : excerpt.trials[column]?.stems[row];
  const named = (row, column) => row === "mixture" ? "mixture" : `${row}, ${title(column)}`;

  const sound = (address) => {
    if (!sounds.has(address)) {
      const made = new Audio(address);
      made.preload = "auto";
      for (const kind of ["play", "pause", "ended"]) made.addEventListener(kind, () => made === audio && tell());
      made.addEventListener("timeupdate", () => made === audio && place());
      sounds.set(address, made);
    }
    return sounds.get(address);
  };
  const start = async () => {
    if (!audio) return;
    audio.loop = loop.checked;
    for (const row of stems) for (const column of columns()) {  // so that switching does not wait for the disk
      const file = heard(row.name, column);
      if (file) sound(file.sound);
    }
    try { await audio.play(); } catch { /* another was chosen before it could begin, or it cannot be decoded */ }
  };
  const toggle = () => audio && (audio.paused ? start() : audio.pause());
  page.playing = () => Boolean(audio && !audio.paused);

  const choose = (row, column, { playing = page.playing(), at = audio?.currentTime ?? 0 } = {}) => {
    const file = heard(row, column);
    if (!file) return;
    chosen = { row, column };
    const before = audio;
    audio = sound(file.sound);
    if (before && before !== audio) before.pause();
    if (before !== audio || at !== audio.currentTime) audio.currentTime = at;
    if (playing) start();
    for (const button of section.querySelectorAll(".desk button")) {
      const here = button.dataset.row === row && (row === "mixture" || button.dataset.column === column);
      button.setAttribute("aria-pressed", here);
      button.tabIndex = here ? 0 : -1;
    }
    views();
    tell();
  };

  const tell = () => {
    const plays = page.playing();
    section.classList.toggle("plays", plays);
    play.textContent = plays ? "❚❚" : "▶";
    play.setAttribute("aria-label", plays ? "pause" : "play");
    document.getElementById("playing").textContent = `${plays ? "playing" : "chosen"}: ${named(chosen.row, chosen.column)}`;
    place();
    if (plays) requestAnimationFrame(follow);
  };
  const follow = () => { if (page.playing()) { place(); requestAnimationFrame(follow); } };
  const place = () => {
    const at = audio?.currentTime ?? 0;
    section.style.setProperty("--at", Math.min(1, at / excerpt.seconds));
    seek.value = at;
    seek.setAttribute("aria-valuetext", `${at.toFixed(1)} of ${excerpt.seconds.toFixed(1)} seconds`);
    time.textContent = `${at.toFixed(1)} / ${excerpt.seconds.toFixed(1)} s`;
    if (sdr && Math.abs((sdr.signal("at") ?? 0) - at) > 0.05) sdr.signal("at", at).runAsync();
  };

  // The fields: a table of buttons with one tab stop.
  const field = (row, column, text) => element("button", {
    type: "button", "data-row": row, "data-column": column, "aria-pressed": "false", "aria-label": `${named(row, column)}${text ? `, ${text}` : ""}`,
  }, text || "listen");
  const cell = (row, column) => {
    if (!heard(row, column)) return element("td", { class: "none" }, "no sound");
    const score = column === "reference" ? undefined : page.data.trials[column].values[row];
    return element("td", {}, field(row, column, score === undefined ? "" : `${score.toFixed(1)} dB`));
  };
  const mark = (column) => column === "reference" ? [] : [element("i", { class: "line", style: `--swatch: ${page.colour(column)}` })];
  const desk = () => {
    const table = section.querySelector(".desk");
    const head = element("tr", {}, element("td", {}), ...columns().map((column) => element("th", { scope: "col" }, ...mark(column), title(column))));
    const rows = stems.map(({ name, colour }) => element("tr", {},
      element("th", { scope: "row" }, element("i", { class: "swatch", style: `--swatch: ${colour}` }), name),
      ...columns().map((column) => cell(name, column))));
    if (excerpt.mixture) {
      const whole = element("td", { colspan: columns().length }, field("mixture", "reference", ""));
      rows.unshift(element("tr", {}, element("th", { scope: "row" }, "mixture"), whole));
    }
    table.replaceChildren(
      element("caption", { class: "unseen" }, `${excerpt.track}: what to listen to; numbers are the trials' scores over all tracks`),
      element("thead", {}, head), element("tbody", {}, ...rows));
  };

  // Below: the chosen stem of everybody, who owns which bin, and how well each moment is separated.
  const picture = (address, row, column, alt) => {
    const button = element("button", {
      type: "button", class: `picture${chosen.column === column && row === chosen.row ? " heard" : ""}`, tabindex: "-1",
      "data-row": row, "data-column": column, "aria-label": `${alt}; press to listen from a moment`,
    }, element("img", { src: address, alt }));
    return element("figure", {}, element("figcaption", {}, ...mark(column), row === "mixture" ? "mixture" : title(column)), button);
  };
  let shown = "";
  const views = () => {
    const now = JSON.stringify([chosen, page.selected, excerpt.track]);
    if (now === shown) return;
    shown = now;
    const { row } = chosen;
    const drawn = (row === "mixture" ? ["reference"] : columns()).filter((column) => heard(row, column)?.spectrogram);
    const maps = [["reference", excerpt.segmentation], ...page.selected.map((key) => [key, excerpt.trials[key]?.segmentation])].filter(([, map]) => map);
    const over = element("div", { class: "chart", id: "sdr-chart" });
    const curves = row === "mixture" ? [] : page.selected.flatMap((key) => (excerpt.trials[key]?.stems[row]?.sdr ?? []).map(([at, dB]) => ({ key, at, dB, colour: page.colour(key) })));
    const measured = curves.some(({ dB }) => dB !== null);
    section.querySelector(".views").replaceChildren(
      element("h3", {}, row === "mixture" ? "The mixture" : `Spectrograms of ${row}`),
      element("div", { class: "pictures" }, ...drawn.map((column) => picture(heard(row, column).spectrogram, row, column, `spectrogram: ${named(row, column)}`))),
      ...(measured ? [element("h3", {}, `SDR of ${row} over time`), over] : []),
      ...(maps.length ? [
        element("h3", {}, "Who owns which bin"),
        element("ul", { class: "owners" }, ...stems.map(({ name, colour }) => element("li", {}, element("i", { class: "swatch", style: `--swatch: ${colour}` }), name))),
        element("div", { class: "pictures" }, ...maps.map(([column, map]) => picture(map, row, column, `segmentation: ${title(column)}`))),
      ] : []));
    sdr?.finalize();
    sdr = null;
    if (measured) over_time(over, curves);
  };
  const over_time = async (host, values) => {
    const spec = {
      config: Object.values(page.data.charts)[0]?.config, width: "container", height: 150,
      description: `SDR over time of ${chosen.row} in dB, frames of one second`,
      params: [{ name: "at", value: audio?.currentTime ?? 0 }],
      layer: [
        { data: { values }, mark: { type: "line", strokeWidth: 2, invalid: "break-paths-show-path-domains" }, encoding: {
          x: { field: "at", type: "quantitative", title: "seconds", axis: { tickMinStep: 1, format: "~g" }, scale: { domain: [0, excerpt.seconds], nice: false } },
          y: { field: "dB", type: "quantitative", title: "SDR, dB", scale: { zero: false } },
          detail: { field: "key", type: "nominal" }, color: { field: "colour", type: "nominal", scale: null } } },
        { data: { values: [{}] }, mark: { type: "rule", color: "var(--ink)", aria: false }, encoding: { x: { datum: { expr: "at" }, type: "quantitative" } } },
      ],
    };
    const { view } = await vegaEmbed(host, spec, { renderer: "svg", actions: false, tooltip: false });
    if (host.isConnected) sdr = view;
    else view.finalize();
  };

  section.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-row]");
    if (!button) return;
    const { row, column } = button.dataset;
    const same = row === chosen.row && (row === "mixture" || column === chosen.column);
    if (button.matches(".picture")) {
      const box = button.getBoundingClientRect();
      const at = event.detail ? excerpt.seconds * (event.clientX - box.left) / box.width : audio?.currentTime;  // a key has no place
      choose(row, column, { playing: true, at });
    } else if (same) toggle();
    else choose(row, column, { playing: true });
  });
  section.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select, input[type=range]")) return;
    const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
    const rows = [...(excerpt.mixture ? ["mixture"] : []), ...stems.map(({ name }) => name)];
    const go = (row, column) => {
      choose(row, column);
      const button = [...section.querySelectorAll(".desk button")].find((each) => each.getAttribute("aria-pressed") === "true");
      if (event.target.closest(".desk")) button?.focus();
    };
    if (step && event.target.closest(".desk")) {
      const next = (list, now, by) => list[Math.max(0, Math.min(list.length - 1, list.indexOf(now) + by))];
      go(next(rows, chosen.row, step[0]), next(columns(), chosen.column, step[1]));
    } else if (/^[1-9]$/.test(event.key)) {
      const column = columns()[Number(event.key) - 1];
      if (column) go(chosen.row, column);
    } else if (event.key === " " && !event.target.closest("button, input")) toggle();
    else return;
    event.preventDefault();
  });
  play.addEventListener("click", toggle);
  loop.addEventListener("change", () => { if (audio) audio.loop = loop.checked; });
  seek.addEventListener("input", () => {
    if (audio) audio.currentTime = Number(seek.value);
    place();
  });
  const open = () => {
    seek.max = excerpt.seconds;
    desk();
    const column = chosen.row === "mixture" || heard(chosen.row, chosen.column) ? chosen.column : "reference";
    choose(heard(chosen.row, column) ? chosen.row : "mixture", column);
  };
  document.getElementById("track")?.addEventListener("change", (event) => {
    const playing = page.playing();
    audio?.pause();
    excerpt = excerpts[Number(event.target.value)];
    audio = null;
    open();
    if (playing) start();
  });
  page.onselect(open);
}
