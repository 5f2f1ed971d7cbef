// Runs before the first paint, so that the page does not flash in the other colours. Charts and tests know the theme by
// the attribute alone.
(() => {
  const system = matchMedia('(prefers-color-scheme: dark)');
  const apply = () => {
    document.documentElement.dataset.theme = localStorage.getItem('theme') || (system.matches ? 'dark' : 'light');
  };
  system.addEventListener('change', apply);
  apply();
})();
