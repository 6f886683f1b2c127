// Set the theme before anything is painted.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const chosen = localStorage.getItem("theme") || "auto";
    const theme = chosen === "auto" ? (dark.matches ? "dark" : "light") : chosen;
    document.documentElement.dataset.bsTheme = theme;
  };
  apply();
  dark.addEventListener("change", apply);
  window.mdlcTheme = {
    next() {
      const order = ["auto", "light", "dark"];
      const chosen = localStorage.getItem("theme") || "auto";
      localStorage.setItem("theme", order[(order.indexOf(chosen) + 1) % order.length]);
      apply();
    },
    name: () => localStorage.getItem("theme") || "auto",
  };
})();
