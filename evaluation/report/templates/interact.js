document.documentElement.classList.add("js");

// Sorting: a button in every heading that has something to sort by. Rows of reference stay last.
for (const table of document.querySelectorAll("table.sortable")) {
  table.querySelectorAll("thead th").forEach((head, i) => {
    if (!head.dataset.sort) return;
    const text = head.dataset.sort === "text";
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      const up = now ? now === "descending" : text;
      table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const value = (row) => Number(row.cells[i].dataset.value);
      const order = text
        ? (a, b) => (up ? 1 : -1) * a.cells[i].textContent.localeCompare(b.cells[i].textContent, undefined, { numeric: true })
        : (a, b) => (isNaN(value(a)) - isNaN(value(b))) || (up ? 1 : -1) * (value(a) - value(b));
      const rows = [...table.tBodies[0].rows];
      table.tBodies[0].append(
        ...rows.filter((row) => !row.classList.contains("reference")).sort(order),
        ...rows.filter((row) => row.classList.contains("reference")));
    });
  });
}

// One panel at a time, chosen in a box that exists only where scripts run.
for (const tools of document.querySelectorAll(".tools")) tools.hidden = false;
for (const box of document.querySelectorAll("select[data-choose]")) {
  const panels = document.getElementById(box.dataset.choose).querySelectorAll("[data-panel]");
  const show = () => panels.forEach((panel) => { panel.hidden = panel.dataset.panel !== box.value; });
  box.addEventListener("change", show);
  show();
}

// Rows whose name holds all words that were typed.
for (const box of document.querySelectorAll("input[data-filters]")) {
  const rows = document.getElementById(box.dataset.filters).querySelectorAll("tr[data-filter]");
  const status = document.querySelector(`[data-status="${box.dataset.filters}"]`);
  const names = new Set([...rows].map((row) => row.dataset.filter));
  box.addEventListener("input", () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (name) => words.every((word) => name.toLowerCase().includes(word));
    rows.forEach((row) => { row.hidden = !fits(row.dataset.filter); });
    status.textContent = words.length ? `${[...names].filter(fits).length} of ${names.size} ${status.dataset.of || "groups"}` : "";
  });
}

// What a point says, beside the pointer.
const tip = document.createElement("div");
tip.id = "tip";
tip.hidden = true;
tip.setAttribute("aria-hidden", "true"); // the tables say the same
document.body.append(tip);
document.addEventListener("pointermove", (event) => {
  const at = event.target instanceof Element ? event.target.closest("[data-tip]") : null;
  tip.hidden = !at;
  if (!at) return;
  tip.textContent = at.dataset.tip;
  const room = innerWidth - tip.offsetWidth - 8;
  tip.style.left = `${Math.max(8, Math.min(event.clientX + 14, room))}px`;
  tip.style.top = `${event.clientY + 18 + tip.offsetHeight > innerHeight ? event.clientY - tip.offsetHeight - 10 : event.clientY + 18}px`;
});
document.addEventListener("pointerleave", () => { tip.hidden = true; });
document.addEventListener("keydown", (event) => { if (event.key === "Escape") tip.hidden = true; });
