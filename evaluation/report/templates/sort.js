for (const table of document.querySelectorAll("table.sortable")) {
  table.querySelectorAll("thead th").forEach((head, i) => {
    if (!head.dataset.sort) return;
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") === "descending";
      table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const value = (row) => Number(row.cells[i].dataset.value);
      const order = (a, b) => (isNaN(value(a)) - isNaN(value(b))) || (up ? 1 : -1) * (value(a) - value(b));
      const rows = [...table.tBodies[0].rows];
      table.tBodies[0].append(
        ...rows.filter((row) => !row.classList.contains("reference")).sort(order),
        ...rows.filter((row) => row.classList.contains("reference")));
    });
  });
}
