// Keys for those who have many questions to answer; every page works without this file.
(() => {
  "use strict";
  const search = document.getElementById("q");
  const help = document.getElementById("keyboard");
  const rows = () => Array.from(document.querySelectorAll("a.row, a[data-row]"));

  const step = (by) => {
    const all = rows();
    if (!all.length) return;
    const at = all.indexOf(document.activeElement);
    const next = at < 0 ? (by > 0 ? 0 : all.length - 1) : at + by;
    all[Math.max(0, Math.min(all.length - 1, next))].focus();
  };

  const typing = (target) =>
    target instanceof HTMLElement &&
    (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (typing(event.target)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (help && help.open) return;
    const keys = {
      "/": () => search && (search.focus(), search.select()),
      j: () => step(1),
      k: () => step(-1),
      "?": () => help && help.showModal(),
    };
    if (Object.hasOwn(keys, event.key)) {
      event.preventDefault();
      keys[event.key]();
    }
  });

  if (navigator.clipboard) {
    for (const button of document.querySelectorAll("button[data-copy]")) {
      button.hidden = false;
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
        const said = button.textContent;
        button.textContent = document.body.dataset.copied;
        setTimeout(() => (button.textContent = said), 1500);
      });
    }
  }
})();
