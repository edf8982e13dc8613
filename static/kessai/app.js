// Kessai's only script. Every page works without it; with it pages are live and double clicks are harmless.

const POLL_EVERY = 5000; // ms, when the event stream cannot be had
const FADE = 200; // ms

const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

// --- submit once: a form that was sent cannot be sent again until the page comes back -------------

function markBusy(event) {
  const form = event.target;
  if (event.defaultPrevented || form.method === "dialog" || form.dataset.repeatable !== undefined) return;
  if (form.dataset.sent !== undefined) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "";
  const button = event.submitter;
  if (!button) return;
  button.setAttribute("aria-busy", "true");
  button.setAttribute("aria-disabled", "true");
  const label = button.dataset.busy;
  if (label) {
    button.dataset.idle = button.textContent;
    button.textContent = label;
  }
}

function endBusy() {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  for (const button of document.querySelectorAll("[aria-busy='true']")) {
    button.removeAttribute("aria-busy");
    button.removeAttribute("aria-disabled");
    if (button.dataset.idle) button.textContent = button.dataset.idle;
  }
}

document.addEventListener("submit", markBusy);
window.addEventListener("pageshow", endBusy); // also when the page comes back from the history

// --- a form that comes back with a fault: its first wrong field is where one goes on, and it is seen ---

document.querySelector("main [aria-invalid='true']")?.focus();

// --- menus, dialogs, copying, printing ------------------------------------------------------------

function closeMenus(except) {
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    if (menu !== except) menu.open = false;
  }
}

document.addEventListener("click", (event) => {
  closeMenus(event.target.closest("details[data-menu]"));
  const opener = event.target.closest("[data-dialog]");
  if (opener) openDialog(event, opener.dataset.dialog);
  const copier = event.target.closest("[data-copy]");
  if (copier) copyFrom(copier);
  if (event.target.closest("[data-print]")) window.print();
  if (event.target instanceof HTMLDialogElement) event.target.close(); // the backdrop belongs to the dialog
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = document.querySelector("details[data-menu][open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});

function openDialog(event, id) {
  const dialog = document.getElementById(id);
  if (!dialog?.showModal) return;
  event.preventDefault();
  dialog.showModal();
}

async function copyFrom(button) {
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    announce(button.dataset.copied);
    button.title = button.dataset.copied;
  } catch {
    selectText(button.previousElementSibling ?? button); // no permission: mark it, so that Ctrl+C does it
  }
}

function selectText(element) {
  const range = document.createRange();
  range.selectNodeContents(element);
  const selection = window.getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
}

function announce(text) {
  const announcer = document.getElementById("announcer");
  if (!announcer || !text) return;
  announcer.textContent = "";
  window.setTimeout(() => {
    announcer.textContent = text;
  }, 50); // a change that readers notice, also for the same sentence twice
}

// --- passkeys: allauth's scripts say what went wrong, the page says it in words ----------------------

document.addEventListener("allauth.error", (event) => {
  const trouble = document.querySelector("[data-passkey-trouble]");
  if (!trouble) return;
  event.preventDefault();
  trouble.hidden = false;
});

// --- the browser's own time zone and language, where a form asks for them -------------------------

for (const field of document.querySelectorAll("input[data-time-zone], input[name='time_zone'][type='hidden']")) {
  field.value ||= Intl.DateTimeFormat().resolvedOptions().timeZone ?? "";
}

// --- live regions: news arrives, the page fetches itself and swaps what changed -------------------

class Live {
  constructor(url) {
    this.url = url;
    this.source = null;
    this.timer = null;
    this.lastId = "";
    this.refreshing = false;
    this.again = false;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.stop() : this.resume()));
    window.addEventListener("pagehide", () => this.stop());
    window.addEventListener("pageshow", (event) => event.persisted && this.resume());
    this.start();
  }

  start() {
    if (document.hidden || this.source || this.timer) return;
    const from = this.lastId ? `${this.url.includes("?") ? "&" : "?"}last_id=${encodeURIComponent(this.lastId)}` : "";
    this.source = new EventSource(this.url + from);
    this.source.addEventListener("activity", (event) => {
      this.lastId = event.lastEventId || this.lastId;
      this.refresh();
    });
    this.source.addEventListener("error", () => {
      // While it reconnects by itself leave it alone; closed for good means polling.
      if (this.source?.readyState === EventSource.CLOSED) this.poll();
    });
  }

  poll() {
    this.stop();
    this.timer = window.setInterval(() => this.refresh(), POLL_EVERY);
  }

  stop() {
    this.source?.close();
    this.source = null;
    window.clearInterval(this.timer);
    this.timer = null;
  }

  resume() {
    this.refresh(); // what happened while nobody looked
    this.start();
  }

  async refresh() {
    if (this.refreshing) {
      this.again = true;
      return;
    }
    this.refreshing = true;
    try {
      await swapRegions();
    } catch {
      // Unreachable just now: the next event, poll or glance tries again.
    } finally {
      this.refreshing = false;
    }
    if (this.again) {
      this.again = false;
      await this.refresh();
    }
  }
}

async function swapRegions() {
  const answer = await fetch(window.location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
  if (answer.redirected && new URL(answer.url).pathname !== window.location.pathname) {
    window.location.assign(answer.url); // the page moved on, or the session ended
    return;
  }
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const old of document.querySelectorAll("[data-live-region]")) {
    const next = fresh.querySelector(`[data-live-region="${CSS.escape(old.dataset.liveRegion)}"]`);
    if (next && comparable(old) !== comparable(next) && !inUse(old)) swap(old, next);
  }
}

// The CSRF token is masked anew in every answer; it is no change.
function comparable(region) {
  const copy = region.cloneNode(true);
  for (const field of copy.querySelectorAll("input[name='csrfmiddlewaretoken']")) field.remove();
  for (const ghost of copy.querySelectorAll(".live-old")) ghost.remove();
  for (const details of copy.querySelectorAll("details")) details.open = false;
  return copy.innerHTML.replace(/\s+/g, " ").trim();
}

function inUse(region) {
  if (region.querySelector("dialog[open], form[data-sent]")) return true;
  return region.contains(document.activeElement) && document.activeElement.matches("input, select, textarea");
}

function swap(old, next) {
  const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
  const opened = [...old.querySelectorAll("details")].map((details) => details.open);
  const said = sayings(old);
  const ghost = calm.matches ? null : ghostOf(old);
  old.replaceChildren(...next.childNodes);
  old.querySelectorAll("details").forEach((details, index) => {
    details.open = Boolean(opened[index]);
  });
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  const saying = sayings(old);
  if (saying !== said) announce(saying);
  if (ghost) crossFade(old, ghost);
  old.dispatchEvent(new CustomEvent("kessai:swapped", { bubbles: true }));
}

function sayings(region) {
  return [...region.querySelectorAll("[data-live-says]")].map((element) => element.dataset.liveSays).join(" ");
}

function ghostOf(region) {
  const ghost = document.createElement("div");
  ghost.className = "live-old";
  ghost.setAttribute("aria-hidden", "true");
  ghost.inert = true;
  ghost.append(...[...region.childNodes].map((node) => node.cloneNode(true)));
  for (const element of ghost.querySelectorAll("[id]")) element.removeAttribute("id");
  return ghost;
}

function crossFade(region, ghost) {
  region.append(ghost);
  for (const child of region.children) {
    if (child !== ghost) child.animate([{ opacity: 0 }, { opacity: 1 }], { duration: FADE, easing: "ease-out" });
  }
  const fading = ghost.animate([{ opacity: 1 }, { opacity: 0 }], { duration: FADE, easing: "ease-out" });
  fading.finished.finally(() => ghost.remove());
}

const liveFrame = document.querySelector("[data-live-url]");
const live = liveFrame ? new Live(liveFrame.dataset.liveUrl) : null;

// --- asking: a form that is offered after a while, and once is sent without a click -----------------

let offered = 0;

function offerQuestion() {
  const form = document.querySelector("form[data-ask-after], form[data-ask-once]");
  window.clearTimeout(offered);
  if (form) offered = window.setTimeout(() => offer(form), Number(form.dataset.askAfter ?? 0) * 1000);
}

async function offer(form) {
  if (!form.isConnected) return; // news came meanwhile
  form.hidden = false;
  delete form.dataset.askAfter;
  if (form.dataset.askOnce === undefined || document.hidden) return;
  delete form.dataset.askOnce;
  try {
    await fetch(form.action, { method: "POST", body: new FormData(form), redirect: "manual" });
  } catch {
    // Unreachable just now: the button is there.
  }
  await live?.refresh();
}

document.addEventListener("kessai:swapped", offerQuestion);
offerQuestion();
