// Copying ids and JSON. Everything else of the console works without a script of ours.
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
