// Listening: one sound at a time, and whichever is chosen plays on where the last one was.
{% include "views.js" %}
if (page.data.listening) {
  const { element } = page;
  const { title, line, swatch, picture, sdrOverTime } = page.views;
  const { stems, excerpts } = page.data.listening;
  const section = document.getElementById("compare");
  const [play, seek, time, loop, problem] = ["play", "seek", "time", "loop", "problem"].map((id) => document.getElementById(id));
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const sounds = new Map();  // by address
  let excerpt = excerpts[0];
  let chosen = { row: stems[0].name, column: "reference" };
  let stem = stems[0].name;  // the last one that was chosen, of which one sees the SDR
  let audio = null;
  let sdr = null;

  // What can be heard: columns are the reference and the compared trials, rows the mixture and the stems.
  const columns = () => ["reference", ...page.selected];
  const rows = () => [...(excerpt.mixture ? ["mixture"] : []), ...stems.map(({ name }) => name)];
  const heard = (row, column) => row === "mixture" ? excerpt.mixture
    : column === "reference" ? excerpt.references[row] : excerpt.trials[column]?.stems[row];
  const named = (row, column) => row === "mixture" ? "mixture" : `${row}, ${title(column)}`;

  const sound = (address) => {
    if (!sounds.has(address)) {
      const made = new Audio(address);
      made.preload = "auto";
      for (const kind of ["play", "pause", "ended"]) made.addEventListener(kind, () => made === audio && tell());
      made.addEventListener("timeupdate", () => made === audio && place());
      made.addEventListener("error", () => made === audio && (complain(), tell()));
      section.append(made);
      sounds.set(address, made);
    }
    return sounds.get(address);
  };
  const complain = (text = `This sound cannot be played: ${decodeURIComponent(audio.getAttribute("src"))}. A page that was moved needs its sounds beside it: unetsep report RUN --out FOLDER takes them along.`) => {
    problem.textContent = text;
    problem.hidden = !text;
  };
  // All that could be switched to next, so that it does not wait for the disk.
  const prepare = () => {
    for (const column of columns()) if (heard(chosen.row, column)) sound(heard(chosen.row, column).sound);
  };
  const start = async () => {
    if (!audio) return;
    audio.loop = loop.checked;
    prepare();
    const begun = audio.play();
    tell();
    try { await begun; } catch { /* another was chosen before it could begin, or it cannot be decoded */ }
  };
  const toggle = () => {
    if (!page.playing()) return start();
    audio.pause();
    tell();  // now: its event comes later
  };
  page.listen = (key) => { if (heard(stem, key)) choose(stem, key, { playing: true }); };
  page.playing = () => Boolean(audio && !audio.paused && !audio.error);

  const choose = (row, column, { playing = page.playing(), at = audio?.currentTime ?? 0 } = {}) => {
    const file = heard(row, column);
    if (!file) return;
    chosen = { row, column: row === "mixture" ? chosen.column : column };
    if (row !== "mixture") stem = row;
    const before = audio;
    audio = sound(file.sound);
    if (before && before !== audio) before.pause();
    if (before !== audio || at !== audio.currentTime) audio.currentTime = at;
    if (audio.error) complain();
    else complain("");
    if (playing) start();
    views();
    tell();
  };

  const tell = () => {
    const plays = page.playing();
    section.classList.toggle("plays", plays);
    play.setAttribute("aria-label", plays ? "pause" : "play");
    const words = `${plays ? "playing" : "chosen"}: ${named(chosen.row, chosen.column)}`;
    if (document.getElementById("playing").textContent !== words) document.getElementById("playing").textContent = words;
    place();
    if (plays && !still.matches) follow();
  };
  let following = 0;
  const follow = () => {
    cancelAnimationFrame(following);
    following = requestAnimationFrame(() => { if (page.playing()) { place(); follow(); } });
  };
  const place = () => {
    const at = audio?.currentTime ?? 0;
    section.style.setProperty("--at", Math.min(1, at / excerpt.seconds));
    seek.value = at;
    if (!page.playing()) seek.setAttribute("aria-valuetext", `${at.toFixed(1)} of ${excerpt.seconds.toFixed(1)} seconds`);
    time.textContent = `${at.toFixed(1)} / ${excerpt.seconds.toFixed(1)} s`;
    sdr?.place(at);
  };

  // The fields: a table of buttons with one tab stop.
  const field = (row, column, dB = "") => element("td", {}, element("button", {
    type: "button", "data-row": row, "data-column": column, "aria-pressed": "false", "aria-label": `${named(row, column)}${dB ? `, ${dB} dB` : ""}`,
  }, ...(dB ? [dB, element("span", { class: "unit" }, " dB")] : ["listen"])));
  const cell = (row, column) => {
    const file = heard(row, column);
    if (!file) return element("td", { class: "none" }, "no sound");
    return field(row, column, typeof file.usdr === "number" ? file.usdr.toFixed(1).replace("-", "−") : "");
  };
  const heading = (column, index) => {
    const { depth } = column === "reference" ? {} : page.data.trials[column].values;
    return element("th", { scope: "col" }, ...line(column), title(column), element("small", {},
      ...(index < 9 ? [element("kbd", { title: `press ${index + 1}` }, String(index + 1))] : []), depth === undefined ? "" : ` depth ${depth}`));
  };
  const desk = () => {
    const body = stems.map(({ name, colour }) => element("tr", {},
      element("th", { scope: "row" }, swatch(colour), name), ...columns().map((column) => cell(name, column))));
    if (excerpt.mixture) {
      const whole = field("mixture", "reference");
      whole.setAttribute("colspan", columns().length);
      body.unshift(element("tr", {}, element("th", { scope: "row" }, "mixture"), whole));
    }
    section.querySelector(".desk").replaceChildren(
      element("caption", {}, `${excerpt.track}, SDR in dB`), element("thead", {}, element("tr", {}, element("td", {}), ...columns().map(heading))), element("tbody", {}, ...body));
  };

  // Beside and below: how well each moment is separated, the chosen row of everybody, and who owns which bin.
  let [laid, shown] = ["", ""];
  const views = () => {
    const fields = JSON.stringify([page.selected, excerpts.indexOf(excerpt)]), now = `${fields} ${chosen.row}`;
    if (fields !== laid) desk();
    if (now !== shown) draw();
    [laid, shown] = [fields, now];
    for (const button of section.querySelectorAll("button[data-row]")) {
      const here = button.dataset.row === chosen.row && (chosen.row === "mixture" || button.dataset.column === chosen.column);
      button.classList.toggle("heard", here);
      if (button.matches(".picture")) continue;
      button.setAttribute("aria-pressed", here);
      button.tabIndex = here ? 0 : -1;
    }
  };
  const draw = () => {
    const { row } = chosen;
    const drawn = (row === "mixture" ? ["reference"] : columns()).filter((column) => heard(row, column)?.spectrogram);
    const maps = [["reference", excerpt.segmentation], ...page.selected.map((key) => [key, excerpt.trials[key]?.segmentation])].filter(([, map]) => map);
    const curves = page.selected.map((key) => ({ key, points: excerpt.trials[key]?.stems[stem]?.sdr ?? [] }));
    const measured = curves.filter(({ points }) => points.some(([, dB]) => dB !== null));
    sdr = measured.length ? sdrOverTime(measured, excerpt.seconds, stem) : null;
    section.querySelector(".over-time").replaceChildren(...(sdr ? [element("h3", {}, `SDR of ${stem} over time, dB`), sdr.host] : []));
    section.querySelector(".views").replaceChildren(
      element("h3", {}, row === "mixture" ? "Spectrogram of the mixture" : `Spectrograms of ${row}`),
      element("div", { class: "pictures" }, ...drawn.map((column) =>
        picture(heard(row, column).spectrogram, row, column, `spectrogram: ${named(row, column)}`, excerpt.marks))),
      ...(maps.length ? [
        element("h3", {}, "Which stem is the loudest in each bin"),
        element("ul", { class: "owners" }, ...stems.map(({ name, colour }) => element("li", {}, swatch(colour), name))),
        element("div", { class: "pictures" }, ...maps.map(([column, map]) => picture(map, stem, column, `segmentation: ${title(column)}`, excerpt.marks))),
      ] : []));
  };

  const moment = (event, box) => Math.max(0, Math.min(excerpt.seconds, excerpt.seconds * (event.clientX - box.left) / box.width));
  section.addEventListener("click", (event) => {
    const plot = event.target.closest(".plot");
    if (plot && audio) {
      audio.currentTime = moment(event, plot.getBoundingClientRect());
      place();
    }
    const button = event.target.closest("button[data-row]");
    if (!button) return;
    const { row, column } = button.dataset;
    const same = row === chosen.row && (row === "mixture" || column === chosen.column);
    // a key presses no place in a picture
    if (button.matches(".picture") && event.detail) choose(row, column, { playing: true, at: moment(event, button.getBoundingClientRect()) });
    else if (same) toggle();
    else choose(row, column, { playing: true });
  });
  section.addEventListener("pointerover", (event) => {
    const { row, column } = event.target.closest("button[data-row]")?.dataset ?? {};
    if (row && heard(row, column)) sound(heard(row, column).sound);
  });
  document.addEventListener("keydown", (event) => {
    const here = section.contains(event.target) || (event.target === document.body && page.playing());
    if (!here || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select, input[type=range]")) return;
    const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
    const within = event.target.closest(".desk");
    const go = (row, column) => {
      choose(row, column);
      if (within) section.querySelector('.desk button[aria-pressed="true"]')?.focus();
    };
    if (step && event.target.closest(".desk, .picture, #play")) {
      const [down, right] = step;
      const next = (list, now, by, can) => {  // the next one that can be heard
        const rest = by > 0 ? list.slice(list.indexOf(now) + 1) : list.slice(0, list.indexOf(now)).reverse();
        return rest.find(can) ?? now;
      };
      if (down) go(next(rows(), chosen.row, down, (row) => heard(row, chosen.column)), chosen.column);
      else if (chosen.row !== "mixture") go(chosen.row, next(columns(), chosen.column, right, (column) => heard(chosen.row, column)));
    } else if (event.key === "0" && excerpt.mixture) go("mixture", chosen.column);
    else if (/^[1-9]$/.test(event.key)) {
      const column = columns()[Number(event.key) - 1];
      if (column) go(stem, column);
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
  seek.addEventListener("keydown", (event) => {  // half a second each, not the slider's finest step
    const by = { ArrowRight: 0.5, ArrowUp: 0.5, ArrowLeft: -0.5, ArrowDown: -0.5 }[event.key];
    if (by === undefined || !audio) return;
    audio.currentTime = Math.max(0, Math.min(excerpt.seconds, audio.currentTime + by));
    place();
    event.preventDefault();
  });

  // Sounds of trials that are not compared any more, and of other tracks, are let go.
  const tidy = () => {
    const wanted = new Set(rows().flatMap((row) => columns().map((column) => heard(row, column)?.sound)));
    for (const [address, each] of sounds) {
      if (wanted.has(address)) continue;
      each.pause();
      each.remove();
      sounds.delete(address);
    }
  };
  const open = () => {
    seek.max = excerpt.seconds;
    const columnsNow = columns();
    const column = columnsNow.includes(chosen.column) && heard(stem, chosen.column) ? chosen.column : "reference";
    const row = [chosen.row, stem, ...rows()].find((each) => heard(each, column));
    chosen = { row: row ?? chosen.row, column };
    choose(chosen.row, column);
    tidy();
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
