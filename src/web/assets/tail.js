// Shows the end of a log as it grows. Without this script the page has a link that asks again.
"use strict";

(() => {
  const PERIOD_MS = 2000;
  // Much text is not asked for so often.
  const LARGE_BYTES = 65536;
  const LARGE_PERIOD_MS = 10000;
  const TIMEOUT_MS = 10000;
  const live = document.getElementById("live");
  const text = document.getElementById("tail");
  const page = new URL(location.origin + location.pathname + location.search);
  const period = Number(text.dataset.limit) > LARGE_BYTES ? LARGE_PERIOD_MS : PERIOD_MS;
  let timer = 0;
  let asking = false;

  const atEnd = () => innerHeight + scrollY >= document.documentElement.scrollHeight - 40;

  async function update() {
    const answer = await fetch(page, { cache: "no-store", credentials: "same-origin", signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (!answer.ok) {
      throw new Error(String(answer.status));
    }
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("tail");
    if (fresh.textContent !== text.textContent) {
      const follow = atEnd();
      text.textContent = fresh.textContent;
      if (follow) {
        scrollTo(0, document.documentElement.scrollHeight);
      }
    }
  }

  async function tick() {
    clearTimeout(timer);
    if (document.hidden || asking) {
      return;
    }
    asking = true;
    try {
      // Text that is being selected is left alone.
      if (getSelection().isCollapsed) {
        await update();
      }
      live.className = "";
      live.textContent = "live";
    } catch {
      live.className = "lost";
      live.textContent = "no answer, trying again";
    }
    asking = false;
    timer = setTimeout(tick, period);
  }

  document.addEventListener("visibilitychange", tick);
  scrollTo(0, document.documentElement.scrollHeight);
  tick();
})();
