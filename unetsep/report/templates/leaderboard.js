// Sorts a table by the clicked heading: numbers by their exact value, best known order first, unmeasured ones last.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  for (const [column, heading] of [...table.tHead.rows[0].cells].entries()) {
    heading.querySelector("button").addEventListener("click", () => {
      const direction = heading.getAttribute("aria-sort") === "descending" ? "ascending" : "descending";
      const sign = direction === "ascending" ? 1 : -1;
      const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
      const compare = (a, b) => {
        const [x, y] = [value(a), value(b)];
        if (x === "" || y === "") return (x === "") - (y === "");
        return sign * (isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y);
      };
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", direction);
      body.append(...[...body.rows].sort(compare));
    });
  }
}
// One sound at a time, and a link to a trial opens it.
document.addEventListener("play", (event) => {
  for (const player of document.querySelectorAll("audio")) if (player !== event.target) player.pause();
}, true);
const open = () => document.querySelector(`details${location.hash || "#none"}`)?.setAttribute("open", "");
window.addEventListener("hashchange", open);
open();
