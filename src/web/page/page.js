"use strict";
const live = document.getElementById("live");
const filter = document.getElementById("filter");
const link = document.getElementById("link");
document.documentElement.classList.add("scripted");

// Moments as people say them; the exact one is in the title.
const steps = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
function sayTimes() {
  for (const time of live.querySelectorAll("time")) {
    const moment = new Date(time.dateTime);
    const away = (moment - Date.now()) / 1000;
    const [unit, size] = steps.find(([, size]) => Math.abs(away) >= size) ?? steps[3];
    const text = away <= 0 && time.dataset.over ? time.dataset.over
      : Math.abs(away) > 30 * 86400 ? moment.toLocaleDateString()
      : relative.format(Math.round(away / size), unit);
    if (time.textContent !== text) time.textContent = text;
    time.title = moment.toLocaleString();
  }
}

// Turns one tree into another and touches only what differs, so that focus, selection, scrolling
// and what somebody opened stay as they are.
function isSame(one, other) {
  return one.nodeType === other.nodeType && one.nodeName === other.nodeName
    && one.dataset?.key === other.dataset?.key;
}
// Attributes that belong to the reader.
const own = ["open", "value", "selected"];
function morph(old, fresh) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  if (old.nodeName === "TIME" && old.dateTime === fresh.dateTime) return;
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !own.includes(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (!own.includes(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  morphChildren(old, fresh);
}
function morphChildren(old, fresh) {
  const keyed = new Map();
  for (const child of old.children) if (child.dataset.key) keyed.set(child.dataset.key, child);
  let next = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const known = wanted.dataset?.key ? keyed.get(wanted.dataset.key) : next;
    if (known && isSame(known, wanted)) {
      if (known === next) next = next.nextSibling;
      else old.insertBefore(known, next);
      morph(known, wanted);
    } else {
      old.insertBefore(wanted, next);
    }
  }
  while (next) {
    const gone = next;
    next = next.nextSibling;
    gone.remove();
  }
}

// On a wall the past of a single target stands open beside its connections, unless the reader closes it.
const wall = matchMedia("(min-width: 100rem)");
const opened = new WeakSet();
function openPast() {
  if (!wall.matches) return;
  for (const past of live.querySelectorAll(".target:only-child > .past > details")) {
    if (!opened.has(past)) past.open = true;
    opened.add(past);
  }
}

function shown() {
  const query = new URLSearchParams(new FormData(filter));
  for (const [name, value] of [...query]) if (!value) query.delete(name);
  return query.toString();
}
let asked = 0;
async function draw() {
  const mine = ++asked;
  const answer = await fetch("/fragment?" + shown());
  if (!answer.ok) throw new Error(answer.statusText);
  const text = await answer.text();
  if (mine !== asked) return;
  morphChildren(live, new DOMParser().parseFromString(text, "text/html").body);
  const verdict = document.getElementById("verdict");
  if (verdict) document.title = verdict.textContent + " · apinizer-gitops";
  sayTimes();
  openPast();
}
let soon;
function drawSoon() {
  clearTimeout(soon);
  soon = setTimeout(() => draw().catch(() => say("off", "The daemon does not answer")), 100);
}
function filterChanged() {
  const query = shown();
  history.replaceState(null, "", query ? "?" + query : location.pathname);
  drawSoon();
}
filter.addEventListener("input", filterChanged);
filter.addEventListener("submit", (event) => { event.preventDefault(); filterChanged(); });
document.addEventListener("keydown", (event) => {
  const types = event.target.closest("input, select, textarea, dialog");
  if (event.key !== "/" || types || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  document.getElementById("q").focus();
});

function say(state, text) {
  link.className = "link " + state;
  if (link.textContent !== text) link.textContent = text;
}
const events = new EventSource("/events");
events.addEventListener("changed", drawSoon);
events.onopen = () => say("on", "Live");
events.onerror = () => say("off", "Connection lost, trying again");

const answer = document.getElementById("answer");
let fading;
function tell(text) {
  clearTimeout(fading);
  answer.textContent = text;
  fading = setTimeout(() => { answer.textContent = ""; }, 8000);
}
function askForToken() {
  const ask = document.getElementById("ask");
  const input = document.getElementById("token");
  input.value = "";
  ask.returnValue = "";
  ask.showModal();
  return new Promise((resolve) => {
    ask.addEventListener("close", () => {
      const given = ask.returnValue === "ok" ? input.value : "";
      input.value = "";
      resolve(given);
    }, { once: true });
  });
}
async function order(verb, target) {
  const token = sessionStorage.getItem("token") || await askForToken();
  if (!token) return;
  const query = target ? "?target=" + encodeURIComponent(target) : "";
  const response = await fetch("/api/v1/" + verb + query, {
    method: "POST", headers: { Authorization: "Bearer " + token },
  });
  if (response.ok) {
    sessionStorage.setItem("token", token);
    tell(verb + (target ? " " + target : "") + ": accepted");
  } else {
    if (response.status === 401) sessionStorage.removeItem("token");
    tell(response.status === 401 ? "The token is wrong" : await response.text());
  }
}
document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-verb]");
  if (button) {
    order(button.dataset.verb, button.dataset.target).catch(() => tell("The daemon does not answer"));
  }
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  const opened = event.target.closest("a[data-open]");
  if (opened) {
    event.preventDefault();
    const target = document.getElementById("target");
    target.value = target.value === opened.dataset.open ? "" : opened.dataset.open;
    filterChanged();
  }
  const state = event.target.closest("a[data-state]");
  if (state) {
    event.preventDefault();
    const select = document.getElementById("state");
    select.value = select.value === state.dataset.state ? "" : state.dataset.state;
    filterChanged();
  }
});

sayTimes();
openPast();
wall.addEventListener("change", openPast);
setInterval(sayTimes, 5000);
