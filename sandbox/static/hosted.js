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

// A page that comes out of the back-forward cache can be sent again.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) window.location.reload();
});

document.querySelectorAll("details.tests").forEach((details) => {
  if (window.innerWidth < 720) details.open = false;
});
