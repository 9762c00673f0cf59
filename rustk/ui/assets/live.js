// Keeps the page up to date: asks for it again every few seconds, and takes over what has changed, node by node, so that
// focus, scroll positions and opened details stay.
"use strict";
(() => {
  const root = document.documentElement, said = document.getElementById("said"), gone = document.getElementById("gone");
  const seconds = () => Number(document.querySelector("main").dataset.seconds) || 3;
  let tag = "", failing = 0, timer = 0, toldAt = 0, here = null;

  root.classList.add("js");

  // The matrix is a grid of one tab stop: arrow keys, Home, End and the page keys move in it.
  function arrange(main) {
    const matrix = main.querySelector("table.matrix");
    if (!matrix) return;
    matrix.setAttribute("role", "grid");
    const links = [...matrix.querySelectorAll("td a")];
    const current = links.find(link => link.getAttribute("href") === here) || links[0];
    for (const link of links) link.tabIndex = link === current ? 0 : -1;
  }

  function step(event) {
    const link = event.target.closest && event.target.closest("table.matrix td a");
    if (!link || event.altKey || event.metaKey) return;
    const rows = [...link.closest("tbody").rows], row = link.closest("tr"), place = link.closest("td").cellIndex;
    const at = rows.indexOf(row), cells = [...row.querySelectorAll("td a")], column = cells.indexOf(link);
    const down = {ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10}[event.key];
    let next = null;
    if (down) next = rows[Math.min(Math.max(at + down, 0), rows.length - 1)].cells[place];
    else if (event.key === "ArrowRight") next = cells[column + 1];
    else if (event.key === "ArrowLeft") next = cells[column - 1];
    else if (event.key === "Home") next = event.ctrlKey ? rows[0].querySelector("td a") : cells[0];
    else if (event.key === "End") next = event.ctrlKey ? [...rows[rows.length - 1].querySelectorAll("td a")].pop() : cells[cells.length - 1];
    else return;
    event.preventDefault();
    if (next && next.nodeName === "TD") next = next.querySelector("a");
    if (next) next.focus();
  }

  function remember(event) {
    const link = event.target.closest && event.target.closest("table.matrix td a");
    if (!link) return;
    here = link.getAttribute("href");
    for (const other of document.querySelectorAll("table.matrix td a[tabindex='0']")) other.tabIndex = -1;
    link.tabIndex = 0;
  }

  const kept = element => element.nodeName === "DETAILS" ? ["open"] : [];

  // Make `now` say what `then` says, with as few changes as there can be. What has an id is known by it.
  function take(now, then) {
    if (now.isEqualNode(then)) return;
    for (const {name} of [...now.attributes]) if (!then.hasAttribute(name) && !kept(now).includes(name)) now.removeAttribute(name);
    for (const {name, value} of [...then.attributes]) if (now.getAttribute(name) !== value) now.setAttribute(name, value);
    const known = new Map([...now.children].filter(child => child.id).map(child => [child.id, child]));
    const wanted = new Set([...then.children].map(child => child.id).filter(Boolean));
    let at = now.firstChild;
    for (const node of [...then.childNodes]) {
      while (at && at.id && !wanted.has(at.id)) { const old = at; at = at.nextSibling; old.remove(); }
      const fits = other => other && other.nodeType === node.nodeType && other.nodeName === node.nodeName;
      const same = node.id ? known.get(node.id) : at && !at.id && fits(at) ? at : null;
      if (!same || !fits(same)) { now.insertBefore(document.importNode(node, true), at); continue; }
      if (same === at) at = at.nextSibling; else now.insertBefore(same, at);
      if (node.nodeType === Node.ELEMENT_NODE) take(same, node);
      else if (same.nodeValue !== node.nodeValue) same.nodeValue = node.nodeValue;
    }
    while (at) { const old = at; at = at.nextSibling; old.remove(); }
  }

  // A screen reader is told what changed in a sentence, failures at once and the rest now and then.
  function announce(before, after) {
    const urgent = after.alarm !== before.alarm && after.alarm;
    if (after.announce === said.dataset.told || (!urgent && Date.now() - toldAt < 15000)) return;
    if (!urgent && after.announce === before.announce && said.dataset.told === undefined) return;
    toldAt = Date.now();
    said.dataset.told = after.announce;
    said.textContent = urgent ? `${after.alarm}. ${after.announce}` : after.announce;
  }

  function update(text) {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    const main = document.querySelector("main"), then = fresh.querySelector("main");
    if (!then) return;
    const before = {...main.dataset}, focused = document.activeElement;
    const log = main.querySelector(".log"), atEnd = log && log.scrollHeight - log.scrollTop - log.clientHeight < 8;
    arrange(then);
    take(main, then);
    if (focused && focused !== document.activeElement && focused.isConnected) focused.focus({preventScroll: true});
    const grown = main.querySelector(".log");
    if (grown && atEnd) grown.scrollTop = grown.scrollHeight;
    document.title = fresh.title;
    announce(before, main.dataset);
  }

  async function ask() {
    clearTimeout(timer);
    if (document.hidden) return;  // whoever comes back asks again
    try {
      const headers = tag ? {"If-None-Match": tag} : {};
      const answer = await fetch(location.pathname + location.search, {headers, cache: "no-store", signal: AbortSignal.timeout(20000)});
      if (answer.status === 304) { /* nothing new */ }
      else if ((answer.headers.get("content-type") || "").startsWith("text/html")) {
        tag = answer.headers.get("etag") || "";
        update(await answer.text());
      } else throw new Error(String(answer.status));
      failing = 0;
      if (gone.textContent) gone.textContent = "";
    } catch (error) {
      failing += 1;
      const text = "The server does not answer: what stands here may be old. It is asked again.";
      if (failing > 1 && gone.textContent !== text) gone.textContent = text;
    }
    timer = setTimeout(ask, seconds() * 1000 * Math.min(failing + 1, 5));
  }

  document.addEventListener("keydown", step);
  document.addEventListener("focusin", remember);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
  arrange(document);
  const log = document.querySelector(".log");
  if (log) log.scrollTop = log.scrollHeight;
  timer = setTimeout(ask, seconds() * 1000);
})();
