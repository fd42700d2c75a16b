// Keeps the status page up to date and sends its actions without leaving it. Without this script all of it works by links and forms.
"use strict";

(() => {
  const PERIOD_MS = 2000;
  const PERIOD_MAX_MS = 15000;
  const TIMEOUT_MS = 10000;
  const base = new URL(".", location.origin + location.pathname);
  const live = document.getElementById("live");
  const search = document.querySelector("#filter input");
  let period = PERIOD_MS;
  let timer = 0;
  let asking = false;
  let again = false;

  const rows = () => [...document.querySelectorAll("tbody tr")];
  const url = (path) => new URL(path, base);

  function ask(path, options) {
    return fetch(url(path), { cache: "no-store", credentials: "same-origin", ...options });
  }

  async function answered(path) {
    const answer = await ask(path, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (!answer.ok) {
      throw new Error(`${answer.status} ${answer.statusText}`);
    }
    return answer;
  }

  function message(text, failed) {
    const area = document.querySelector("#content > [role=status]");
    area.className = failed ? "status_msg failed" : "status_msg";
    area.textContent = text;
  }

  function alive() {
    period = PERIOD_MS;
    live.className = "";
    live.textContent = "live";
  }

  function lost() {
    period = Math.min(period * 2, PERIOD_MAX_MS);
    live.className = "lost";
    live.textContent = "no answer, trying again";
  }

  // What decides over buttons and counts; descriptions are only text.
  function shape(list) {
    return list.map(([name, state]) => `${state} ${name}`).join("\n");
  }

  function shown() {
    return rows().map((row) => [row.dataset.name, row.dataset.state]);
  }

  async function update() {
    const news = await (await answered("live.json")).json();
    document.querySelector("#actions [name=token]").value = news.token;
    if (shape(news.rows) !== shape(shown())) {
      await renew();
    } else {
      rows().forEach((row, index) => {
        const text = row.cells[1].firstElementChild;
        if (text.textContent !== news.rows[index][2]) {
          text.textContent = news.rows[index][2];
        }
      });
    }
    filter();
  }

  // Takes what changed from a new page; rows that stay keep focus and selection.
  async function renew() {
    const page = new DOMParser().parseFromString(await (await answered("./")).text(), "text/html");
    for (const id of ["summary", "groups"]) {
      const [old, fresh] = [document, page].map((from) => from.getElementById(id));
      if (old.innerHTML !== fresh.innerHTML) {
        keepingFocus(() => old.replaceChildren(...fresh.childNodes));
      }
    }
    const [old, fresh] = [document, page].map((from) => from.querySelector("tbody"));
    if (!old || !fresh) {
      const parts = (from) => [...from.querySelectorAll("#actions > table, #actions > .empty")];
      const place = document.getElementById("groups");
      const made = parts(page);
      parts(document).forEach((part) => part.remove());
      place.after(...made);
      return;
    }
    const known = new Map(rows().map((row) => [row.dataset.name, row]));
    const next = [...fresh.rows].map((row) => {
      const before = known.get(row.dataset.name);
      return before && before.dataset.state === row.dataset.state ? settle(before, row) : row;
    });
    keepingFocus(() => old.replaceChildren(...next));
  }

  function settle(row, fresh) {
    row.className = fresh.className;
    row.cells[1].firstElementChild.textContent = fresh.cells[1].firstElementChild.textContent;
    return row;
  }

  function keepingFocus(change) {
    const held = document.activeElement;
    const [name, row] = [held && held.getAttribute("name"), held && held.closest("tr")];
    const group = held && held.getAttribute("aria-label");
    change();
    if (held && held.isConnected) {
      held.focus();
    } else if (row) {
      const now = rows().find((other) => other.dataset.name === row.dataset.name);
      const same = now && [...now.querySelectorAll("[name]")].find((control) => control.getAttribute("name") === name);
      (same || (now && now.querySelector("button, a:not(.hidden)")) || document.body).focus();
    } else if (group) {
      const same = [...document.querySelectorAll("#groups button")].find((b) => b.getAttribute("aria-label") === group);
      (same || document.body).focus();
    }
  }

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let matching = 0;
    for (const row of rows()) {
      const text = `${row.dataset.name} ${row.dataset.state} ${row.cells[1].textContent}`.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      matching += row.hidden ? 0 : 1;
    }
    const nothing = document.getElementById("nothing");
    if (nothing) {
      nothing.hidden = matching > 0;
    }
    document.querySelector("#actions [name=filter]").value = search.value;
  }

  function choose(text) {
    search.value = text;
    history.replaceState(null, "", text ? `./?filter=${encodeURIComponent(text)}` : "./");
    filter();
  }

  // One question at a time, none while nobody looks.
  async function tick() {
    clearTimeout(timer);
    if (document.hidden) {
      return;
    }
    if (asking) {
      again = true;
      return;
    }
    asking = true;
    try {
      await update();
      alive();
    } catch {
      lost();
    }
    asking = false;
    if (again) {
      again = false;
      tick();
    } else {
      timer = setTimeout(tick, period);
    }
  }

  // What concerns many programs wants a second click.
  function isSure(button) {
    if (button.closest("tr") || button.textContent.startsWith("Start") || button.classList.contains("sure")) {
      return true;
    }
    const text = button.textContent;
    button.classList.add("sure");
    button.textContent = `${text}?`;
    button.addEventListener("blur", () => {
      button.classList.remove("sure");
      button.textContent = text;
    }, { once: true });
    return false;
  }

  // A refusal that offers a button is about the token, which is renewed below; others say what to do.
  async function refusal(answer) {
    const notice = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(".notice");
    if (!notice || notice.querySelector("form")) {
      return "This page was too old and is renewed; please try again.";
    }
    return notice.querySelector("p").textContent;
  }

  async function act(button) {
    const target = new URL(button.getAttribute("formaction"), base);
    const token = document.querySelector("#actions [name=token]").value;
    button.disabled = true;
    button.setAttribute("aria-busy", "true");
    // Meanwhile the table shows how far it is.
    setTimeout(tick, 150);
    try {
      const answer = await ask(target, {
        method: "POST",
        headers: { Accept: "application/json" },
        body: new URLSearchParams({ token }),
      });
      if (answer.status === 403) {
        message(await refusal(answer), true);
      } else if (!answer.ok) {
        throw new Error(`${answer.status} ${answer.statusText}`);
      } else {
        const outcome = await answer.json();
        message(outcome.message, outcome.failed);
      }
    } catch (error) {
      message(`The daemon did not answer: ${error.message}`, true);
    }
    button.disabled = false;
    button.removeAttribute("aria-busy");
    if (button.classList.contains("sure")) {
      button.blur();
      button.dispatchEvent(new Event("blur"));
    }
    tick();
  }

  document.getElementById("actions").addEventListener("submit", (event) => {
    if (event.submitter && event.submitter.hasAttribute("formaction")) {
      event.preventDefault();
      if (isSure(event.submitter)) {
        act(event.submitter);
      }
    }
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("#summary a, #groups a");
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      choose(new URL(link.href).searchParams.get("filter") || "");
    }
  });
  document.getElementById("filter").addEventListener("submit", (event) => event.preventDefault());
  document.querySelector("#filter button").hidden = true;
  search.addEventListener("input", () => choose(search.value));
  document.addEventListener("visibilitychange", tick);
  // A message in the address would come back with each reload.
  if (new URLSearchParams(location.search).has("message")) {
    choose(search.value);
  }
  tick();
})();
