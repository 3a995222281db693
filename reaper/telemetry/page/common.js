"use strict";
// Of all pages: what is hidden without scripts is shown, and commands can be copied.
window.reaper = (() => {
  const copied = async (button) => {
    const code = button.previousElementSibling;
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      // Over plain http to another host there is no clipboard: the text is selected, and copied the old way.
      getSelection().selectAllChildren(code);
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  };
  const copyButton = () => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.setAttribute("aria-label", "Copy the command");
    return button;
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.copy");
    if (button) copied(button);
  });
  document.querySelectorAll("[data-script]").forEach((element) => { element.hidden = false; });
  return { copyButton };
})();
