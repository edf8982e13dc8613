// Copying ids and JSON, fragments that come as a stream, and where a graph opens. Everything else of the console works without a script of ours.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy], [data-copy-from]");
  if (!button) return;
  const source = button.dataset.copyFrom;
  const text = source ? document.getElementById(source).textContent : button.dataset.copy;
  try {
    await navigator.clipboard.writeText(text);
    button.dataset.copied = "yes";
  } catch {
    button.dataset.copied = "no"; // no permission, or no HTTPS: the text can still be selected
  }
  setTimeout(() => delete button.dataset.copied, 1500);
});

// A button with data-stream posts its form there; each frame of the answer takes the place of the one before. Leaving the
// page, pressing again or pressing the button with data-stream-stop closes the connection, and the work ends.
const streams = new Map();

document.addEventListener("click", (event) => {
  const stop = event.target.closest("[data-stream-stop]");
  if (stop) return streams.get(stop.dataset.streamStop)?.abort();
  const button = event.target.closest("[data-stream]");
  if (button) show(button, document.getElementById(button.dataset.streamInto));
});

async function show(button, place) {
  streams.get(place.id)?.abort();
  const ending = new AbortController();
  streams.set(place.id, ending);
  const stop = document.querySelector(`[data-stream-stop="${place.id}"]`);
  stop.hidden = false;
  place.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(button.dataset.stream, {
      method: "POST",
      body: new FormData(button.form),
      headers: { Accept: "text/event-stream" },
      signal: ending.signal,
    });
    if (!answer.ok) throw new Error(answer.statusText);
    for await (const frame of framesOf(answer.body.pipeThrough(new TextDecoderStream()).getReader())) {
      place.innerHTML = frame; // written by the server, which escapes
    }
  } catch (error) {
    if (error.name !== "AbortError") {
      const said = document.createElement("p");
      said.className = "field-error";
      said.setAttribute("role", "alert");
      said.textContent = button.dataset.streamLost;
      place.prepend(said);
    }
  }
  if (streams.get(place.id) !== ending) return;
  stop.hidden = true;
  place.removeAttribute("aria-busy");
}

async function* framesOf(reader) {
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) yield JSON.parse(part.replace(/^data: /, ""));
  }
}

// A fault's line leads there in the text.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-line]");
  if (!button) return;
  const text = document.getElementById(button.dataset.lineOf);
  const lines = text.value.split("\n");
  const line = Number(button.dataset.line) - 1;
  const begin = lines.slice(0, line).join("\n").length + (line ? 1 : 0);
  text.focus();
  text.setSelectionRange(begin, begin + lines[line].length);
  text.scrollTop = Math.max(line * parseFloat(getComputedStyle(text).lineHeight) - text.clientHeight / 2, 0);
});

// A form that was sent is not sent again: a button pressed twice acts once.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || event.defaultPrevented || form.matches("[hx-post]")) return;
  if (form.dataset.sent) return event.preventDefault();
  form.dataset.sent = "yes";
  for (const button of form.querySelectorAll("button[type=submit], button:not([type])")) button.setAttribute("aria-disabled", "true");
});

window.addEventListener("pageshow", (event) => {
  if (!event.persisted) return; // come back to by the browser's own button: it may be sent again
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll("[aria-disabled]")) button.removeAttribute("aria-disabled");
  }
});

// A graph that has no room opens where it matters: at the state where the execution stands or failed, else at its first.
function openGraphs(within) {
  for (const graph of within.querySelectorAll(".picture")) {
    const state = graph.querySelector(".state.running:not(.box)") ?? graph.querySelector(".state.failed:not(.box)") ?? graph.querySelector(".state:not(.box)");
    if (!state) continue;
    const [frame, box] = [graph.getBoundingClientRect(), state.getBoundingClientRect()];
    graph.scrollLeft += box.left + box.width / 2 - frame.left - frame.width / 2;
    graph.scrollTop += Math.max(box.bottom - frame.bottom + 60, 0);
  }
}

document.addEventListener("DOMContentLoaded", () => openGraphs(document));
document.addEventListener("htmx:load", (event) => openGraphs(event.target));

// What a step was given and gave is fetched when it is opened, once. ("toggle" does not rise: it is caught on its way down.)
document.addEventListener("toggle", (event) => {
  const details = event.target;
  if (details.open && details.dataset.load && !details.dataset.loaded) load(details);
}, true);

async function load(details) {
  details.dataset.loaded = "yes";
  const place = details.querySelector("[data-into]");
  try {
    const answer = await fetch(details.dataset.load, { headers: { "HX-Request": "true" } });
    if (!answer.ok || answer.redirected) throw new Error(answer.statusText);
    place.innerHTML = await answer.text(); // written by the server, which escapes
  } catch {
    delete details.dataset.loaded;
    place.textContent = details.dataset.lost;
  }
}

// What was opened stays open when a part of the page is fetched anew, with what was fetched for it; so does who was there.
let opened = [];
let focused = "";

function selectorOf(element) {
  if (element.id) return `#${CSS.escape(element.id)}`;
  if (element.matches("summary") && element.parentElement.id) return `#${CSS.escape(element.parentElement.id)} > summary`;
  return element.matches("a[href]") ? `a[href="${CSS.escape(element.getAttribute("href"))}"]` : "";
}

document.addEventListener("htmx:beforeSwap", (event) => {
  opened = [...event.target.querySelectorAll("details[open][id]")];
  focused = event.target.contains(document.activeElement) ? selectorOf(document.activeElement) : "";
});
document.addEventListener("htmx:afterSwap", () => {
  for (const before of opened) {
    const now = document.getElementById(before.id);
    if (!now || now === before) continue;
    if (before.dataset.load) {
      now.querySelector("[data-into]").replaceWith(before.querySelector("[data-into]"));
      if (before.dataset.load === now.dataset.load && before.dataset.loaded) now.dataset.loaded = "yes";
    }
    now.open = true;
  }
  if (focused) document.querySelector(focused)?.focus({ preventScroll: true });
});
