// Small conveniences; every page works without them.
(() => {
  const name = () => document.querySelectorAll("[data-theme-name]").forEach((e) => (e.textContent = mdlcTheme.name()));
  name();

  document.addEventListener("click", (event) => {
    const toggle = event.target.closest("[data-toggle]");
    if (toggle) {
      const open = document.getElementById(toggle.dataset.toggle).classList.toggle("is-open");
      toggle.setAttribute("aria-expanded", String(open));
    }
    if (event.target.closest("[data-theme-toggle]")) {
      mdlcTheme.next();
      name();
    }
    const copy = event.target.closest("[data-copy]");
    if (copy && navigator.clipboard) {
      navigator.clipboard.writeText(copy.dataset.copy).then(() => (copy.dataset.copied = "true"));
    }
  });

  // Esc closes the menu of narrow screens, and gives the focus back to its button.
  document.addEventListener("keydown", (event) => {
    const open = event.key === "Escape" && document.querySelector("[data-toggle][aria-expanded=true]");
    if (!open) return;
    open.click();
    open.focus();
  });

  document.addEventListener("submit", (event) => {
    const words = event.target.dataset.confirm;
    if (words && !window.confirm(words)) event.preventDefault();
  });

  // "/" goes to the filter, "g" and a letter to a page.
  let waiting = false;
  const places = { i: "/", h: "/handoffs/", m: "/models/", e: "/environments/", d: "/deployments/", a: "/audit/" };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    if (event.key === "/") {
      const filter = document.querySelector("[data-filter], input[type=search]");
      if (filter) {
        event.preventDefault();
        filter.focus();
      }
    } else if (waiting && places[event.key]) {
      location.href = places[event.key];
    }
    waiting = event.key === "g";
  });

  // A part that asks for itself anew keeps open what its reader opened.
  let open = [];
  document.addEventListener("htmx:beforeSwap", (event) => {
    open = [...event.detail.target.querySelectorAll("details[open][id]")].map((e) => e.id);
  });
  document.addEventListener("htmx:afterSwap", () => {
    open.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
    open = [];
  });

  // After a swap, put a problem before the reader's eyes.
  document.addEventListener("htmx:afterSwap", () => {
    const problem = document.querySelector("[role=alert][tabindex]");
    if (problem) problem.focus();
  });
})();
