// Refreshes the page in place, so that scroll position, focus and what is typed
// stay. Without it the page asks for itself anew by its own header.
"use strict";
(() => {
  const every = Number(document.documentElement.dataset.refresh) * 1000;
  const trouble = document.getElementById("trouble");
  if (!every || !trouble) return;
  let shown = new Date();
  let asking = false;

  const clock = (time) => time.toISOString().slice(11, 19) + " UTC";

  function say(text, old) {
    document.documentElement.classList.toggle("old", old);
    if (trouble.textContent !== text) trouble.textContent = text;
    trouble.hidden = !text;
  }

  function selecting() {
    const selection = getSelection();
    return selection && !selection.isCollapsed && [...document.querySelectorAll("[data-live]")].some((part) => selection.containsNode(part, true));
  }

  // Puts the fresh parts in place of the old ones; focus stays on the same link.
  function swap(fresh) {
    const parts = [...document.querySelectorAll("[data-live]")].map((old) => [old, fresh.getElementById(old.id)]);
    if (parts.some(([, next]) => !next)) throw new Error("the answer is another page");
    const focused = document.activeElement;
    const href = focused && focused.getAttribute("href");
    for (const [old, next] of parts) old.replaceWith(document.adoptNode(next));
    document.title = fresh.title;
    const icon = document.querySelector("link[rel=icon]");
    const newIcon = fresh.querySelector("link[rel=icon]");
    if (icon && newIcon && icon.getAttribute("href") !== newIcon.getAttribute("href")) icon.replaceWith(document.adoptNode(newIcon));
    if (href && !focused.isConnected) {
      const same = [...document.querySelectorAll("[data-live] a")].find((link) => link.getAttribute("href") === href);
      if (same) same.focus({ preventScroll: true });
    }
  }

  async function refresh() {
    if (asking) return;
    if (selecting()) {
      say(`Not refreshed while text is selected: what you see is of ${clock(shown)}.`, false);
      return;
    }
    asking = true;
    try {
      // Not location.href, which may hold a user and a password.
      const answer = await fetch(location.origin + location.pathname + location.search, {
        cache: "no-store", signal: AbortSignal.timeout(Math.min(every, 20000)),
      });
      if (!answer.ok) throw new Error(`it answers ${answer.status} ${answer.statusText}`.trim());
      swap(new DOMParser().parseFromString(await answer.text(), "text/html"));
      shown = new Date();
      say("", false);
    } catch (error) {
      const why = error instanceof TypeError ? "it cannot be reached" : error.message;
      say(`The exporter does not answer as it should (${why}). What you see is old: of ${clock(shown)}.`, true);
    }
    asking = false;
  }

  setInterval(() => { if (!document.hidden) refresh(); }, every);
  // Whoever comes back to a page of last night must not take it for today's.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden || new Date() - shown < every) return;
    say(`Asking anew. What you see is old: of ${clock(shown)}.`, true);
    refresh();
  });
  addEventListener("pageshow", (event) => { if (event.persisted) refresh(); });
})();
