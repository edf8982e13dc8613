// Convenience only: every page works without it.
document.addEventListener("click", (event) => {
  const card = event.target.closest("[data-card]");
  if (!card) return;
  const form = document.querySelector("form:has([name=number])");
  form.elements.number.value = card.dataset.card;
  form.elements.expiry.value = "12 / " + String((new Date().getFullYear() + 3) % 100).padStart(2, "0");
  form.elements.cvc.value = "123";
  form.querySelector("button.main").focus();
});

document.addEventListener("input", (event) => {
  const field = event.target;
  if (field.name === "number" && field.selectionStart === field.value.length) {
    field.value = field.value.replace(/\D/g, "").slice(0, 19).replace(/(.{4})(?=.)/g, "$1 ");
  }
  if (field.name === "expiry" && !event.inputType.startsWith("delete")) {
    const digits = field.value.replace(/\D/g, "").slice(0, 4);
    if (digits.length >= 2) field.value = digits.slice(0, 2) + " / " + digits.slice(2);
  }
});

document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-once]");
  if (!form) return;
  if (form.dataset.sent) return event.preventDefault();
  form.dataset.sent = "yes";
  const button = event.submitter || form.querySelector("button.main");
  button.setAttribute("aria-busy", "true");
  button.textContent = form.dataset.wait;
});

// A promotion code changes the sums beside the card form and leaves what was typed there.
document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-swap]");
  if (!form) return;
  event.preventDefault();
  const data = new URLSearchParams(new FormData(form, event.submitter));
  const answer = await fetch(form.action, { method: "POST", body: data });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const here = document.querySelector("form[data-pays]"), there = page.querySelector("form[data-pays]");
  if (!there) return window.location.reload();
  document.querySelector(".summary").replaceWith(page.querySelector(".summary"));
  if (here.dataset.pays === there.dataset.pays) {
    here.querySelector("button.main").textContent = there.querySelector("button.main").textContent;
  } else {
    document.querySelector("main").replaceWith(page.querySelector("main"));
  }
  document.querySelector(".code input, .code button").focus();
});

// A page that comes out of the back-forward cache can be sent again.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) window.location.reload();
});

document.querySelectorAll("details.tests").forEach((details) => {
  if (window.innerWidth < 720) details.open = false;
});
