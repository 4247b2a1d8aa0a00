// The page's one state: which trials are compared. Everything that shows them listens to it.
const page = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const listeners = [];
  const COLOURS = ["#2a9d8f", "#e07a5f", "#5b6ee1", "#c99700", "#b05fb5", "#7a8a2e"];  // told apart on white and on black
  const known = (keys) => [...new Set(keys)].filter((key) => Object.hasOwn(data.trials, key));
  const KEPT = `unetsep compares ${location.pathname}`;
  // Of a link that was sent, the address knows; of a reload after a jump within the page, the session.
  const remembered = () => {
    try {
      const [, keys] = location.hash.match(/^#compare=(.*)$/) ?? [];
      return keys !== undefined ? keys.split(",").map(decodeURIComponent) : JSON.parse(sessionStorage.getItem(KEPT));
    } catch { return null; }  // not written by us, or a private window
  };
  const given = remembered();
  let selected = known(Array.isArray(given) ? given : data.selected);
  const page = {
    data,
    get selected() { return selected; },
    // Keys that are no trial's are left out. The address remembers them, so that a reload or a link shows the same.
    select(keys) {
      selected = known(keys);
      try { sessionStorage.setItem(KEPT, JSON.stringify(selected)); } catch { /* private windows keep nothing */ }
      history.replaceState(null, "", `#compare=${selected.map(encodeURIComponent).join(",")}`);
      for (const listener of listeners) listener(selected);
    },
    add(key) { if (!selected.includes(key)) page.toggle(key); },
    toggle(key) {
      page.select(selected.includes(key) ? selected.filter((other) => other !== key) : [...selected, key]);
    },
    onselect(listener) {
      listeners.push(listener);
      listener(selected);
    },
    // A compared trial's colour, by its place among them.
    colour(key) { return COLOURS[Math.max(0, selected.indexOf(key)) % COLOURS.length]; },
    // An element with attributes and children; children that are text stay text.
    element(tag, attributes = {}, ...children) {
      const element = document.createElement(tag);
      for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
      element.append(...children);
      return element;
    },
  };
  return page;
})();
