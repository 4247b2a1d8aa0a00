// The leaderboard: sorts by a heading, shows what the filter lets through, and compares what is ticked.
{
  const table = document.getElementById("trials");
  const [body, headings] = [table.tBodies[0], [...table.tHead.rows[0].cells]];

  // Numbers by their exact value, the largest first; what was not measured comes last.
  for (const [column, heading] of headings.entries()) {
    heading.querySelector("button")?.addEventListener("click", () => {
      const direction = heading.getAttribute("aria-sort") === "descending" ? "ascending" : "descending";
      const sign = direction === "ascending" ? 1 : -1;
      const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
      const compare = (a, b) => {
        const [x, y] = [value(a), value(b)];
        if (x === "" || y === "") return (x === "") - (y === "");
        return sign * (isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y);
      };
      for (const other of headings) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", direction);
      body.append(...[...body.rows].sort(compare));
    });
  }

  // Everything that a condition can be about, by the names that one would type: usdr, vocals, params, depth, block, skip_at.1.
  const facts = new Map(Object.values(page.data.trials).map((trial) => [trial.key, new Map([
    ...Object.entries(trial.values).map(([key, value]) => [key.toLowerCase(), value]),
    ...trial.choices.map(([name, value]) => [name.toLowerCase(), value.toLowerCase()]),
  ])]));
  const names = new Set([...facts.values()].flatMap((of) => [...of.keys()]));
  const holds = { "<": (a, b) => a < b, ">": (a, b) => a > b, "<=": (a, b) => a <= b, ">=": (a, b) => a >= b, "=": (a, b) => a === b };

  const condition = (word) => {
    const [, name, sign, bound] = word.match(/^([^<>=]+)(<=|>=|<|>|=)(.+)$/) ?? [];
    if (!name) return (row) => row.textContent.toLowerCase().includes(word);
    if (!names.has(name)) throw new Error(`there is no ${name}; there are ${[...names].join(", ")}`);
    return (row) => {
      const fact = facts.get(row.dataset.trial).get(name);
      if (fact === undefined) return false;
      return isNaN(bound) || isNaN(fact) ? holds[sign](String(fact), bound) : holds[sign](Number(fact), Number(bound));
    };
  };
  const field = document.getElementById("filter");
  const filter = () => {
    const count = document.getElementById("filter-count");
    try {
      const words = field.value.toLowerCase().match(/(?:"[^"]*"?|[^\s"])+/g) ?? [];  // "2 x 1" is one word
      const conditions = words.map((word) => condition(word.replaceAll('"', "")));
      for (const row of body.rows) row.hidden = !conditions.every((each) => each(row));
      const shown = [...body.rows].filter((row) => !row.hidden).length;
      count.textContent = conditions.length ? `${shown} of ${body.rows.length} trials.` : "";
      field.removeAttribute("aria-invalid");
    } catch (error) {  // half-typed, as `dep<`: what was shown stays
      count.textContent = `${error.message}.`;
      field.setAttribute("aria-invalid", "true");
    }
  };
  field.addEventListener("input", filter);
  filter();  // a reloaded page may have kept the field's text

  body.addEventListener("change", (event) => {
    if (event.target.name === "compare") page.toggle(event.target.value);
  });
  body.addEventListener("pointerover", (event) => {
    const row = event.target.closest("tr[data-trial]");
    if (row) page.show(row.dataset.trial);
  });
  page.onselect((selected) => {
    for (const box of body.querySelectorAll("input[name=compare]")) {
      box.checked = selected.includes(box.value);
      box.closest("tr").classList.toggle("selected", box.checked);
    }
  });
}
