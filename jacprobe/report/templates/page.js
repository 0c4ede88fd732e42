"use strict";
(() => {
  const by = (id) => document.getElementById(id);
  const claims = [...document.querySelectorAll("details.claim")];
  const homes = claims.map((claim) => claim.parentElement);
  const groups = [...document.querySelectorAll("section.group")];
  const toggles = [...document.querySelectorAll(".verdicts button")];
  const order = new Map(toggles.map((toggle, place) => [toggle.dataset.verdict, place]));
  const words = new Map();
  const said = (claim) => {
    if (!words.has(claim)) words.set(claim, (claim.firstElementChild.textContent + " " + claim.dataset.models).toLowerCase());
    return words.get(claim);
  };
  const number = (text) => (text === "" || text === "None" ? NaN : Number(text));
  const last = (a, b) => (Number.isNaN(a) ? (Number.isNaN(b) ? 0 : 1) : Number.isNaN(b) ? -1 : a - b);
  const keys = {
    verdict: (a, b) => order.get(a.dataset.verdict) - order.get(b.dataset.verdict),
    surprise: (a, b) => b.dataset.surprise - a.dataset.surprise,
    p: (a, b) => last(number(a.dataset.p), number(b.dataset.p)),
    effect: (a, b) => last(-number(a.dataset.effect), -number(b.dataset.effect)),
    n: (a, b) => last(number(a.dataset.n), number(b.dataset.n)),
    id: (a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0),
  };

  const filter = () => {
    const shown = new Set(toggles.filter((t) => t.getAttribute("aria-pressed") === "true").map((t) => t.dataset.verdict));
    const [kind, ...rest] = by("by-family").value.split(":");
    const family = rest.join(":");
    const model = by("by-model").value;
    const terms = by("find").value.toLowerCase().split(/\s+/).filter(Boolean);
    const surprises = by("surprises").checked;
    let count = 0;
    for (const claim of claims) {
      const fits =
        shown.has(claim.dataset.verdict) &&
        (!kind || claim.dataset[kind] === family) &&
        (!model || claim.dataset.models.split("|").includes(model)) &&
        (!surprises || claim.dataset.surprise === "1") &&
        terms.every((term) => said(claim).includes(term));
      claim.hidden = !fits;
      count += fits;
    }
    const flat = by("sort").value !== "";
    for (const group of groups) group.hidden = flat || !group.querySelector("details.claim:not([hidden])");
    by("shown").textContent = count.toLocaleString("en");
    by("nothing").hidden = count > 0;
    by("clear").hidden = count === claims.length;
  };

  const sort = () => {
    const key = by("sort").value;
    const target = by("sorted");
    target.hidden = !key;
    if (key) target.append(...[...claims].sort(keys[key]));
    else claims.forEach((claim, place) => homes[place].append(claim));
    filter();
  };

  const clear = () => {
    for (const toggle of toggles) toggle.setAttribute("aria-pressed", "true");
    for (const id of ["by-family", "by-model", "find"]) by(id).value = "";
    by("surprises").checked = false;
    filter();
  };

  // Of a large ledger what rows open to stands compressed, a block of rows together.
  const blocks = new Map();
  const block = (name) => {
    if (!blocks.has(name)) {
      const bytes = Uint8Array.from(atob(by("block-" + name).textContent), (c) => c.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
      blocks.set(name, new Response(stream).json());
    }
    return blocks.get(name);
  };
  const unpack = async (claim) => {
    const name = claim.dataset.block;
    if (!name) return;
    delete claim.dataset.block;
    claim.append(document.createRange().createContextualFragment((await block(name))[claim.id]));
  };

  const follow = () => {
    let id = location.hash.slice(1);
    try { id = decodeURIComponent(id); } catch { return; }
    const claim = by(id);
    if (!claim || !claim.matches("details.claim")) return;
    if (claim.hidden) clear();
    unpack(claim);
    claim.open = true;
    claim.scrollIntoView({ behavior: "instant" });
    claim.firstElementChild.focus({ preventScroll: true });
  };

  for (const toggle of toggles)
    toggle.addEventListener("click", () => {
      toggle.setAttribute("aria-pressed", String(toggle.getAttribute("aria-pressed") !== "true"));
      filter();
    });
  for (const id of ["by-family", "by-model", "surprises"]) by(id).addEventListener("change", filter);
  by("find").addEventListener("input", filter);
  by("sort").addEventListener("change", sort);
  for (const id of ["clear", "clear-all"]) by(id).addEventListener("click", () => { clear(); by("find").focus(); });
  document.addEventListener("toggle", (event) => event.target.matches("details.claim") && unpack(event.target), true);
  document.addEventListener("click", (event) => {
    const to = event.target.closest('a[href^="#"]');
    if (to && to.getAttribute("href") === location.hash) follow();
  });
  addEventListener("hashchange", follow);
  // Browsers put back what was chosen before a reload, and scroll to a fragment after this script.
  if (by("sort").value) sort();
  else filter();
  addEventListener("load", () => setTimeout(follow));
})();
