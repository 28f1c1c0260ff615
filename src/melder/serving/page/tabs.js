// Link and Review, as tabs: one is open, arrows go from one to the other, and #review is an address.
const tabs = [...document.querySelectorAll("[role=tab]")];
const panel = (tab) => document.getElementById(tab.getAttribute("aria-controls"));

export function openTab(identity) {
  for (const tab of tabs) {
    const open = tab.id === identity;
    tab.ariaSelected = String(open);
    tab.tabIndex = open ? 0 : -1;
    panel(tab).hidden = !open;
  }
}

for (const [place, tab] of tabs.entries()) {
  tab.addEventListener("click", () => openTab(tab.id));
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const other = tabs.at((place + step) % tabs.length);
    openTab(other.id);
    other.focus();
  });
}
