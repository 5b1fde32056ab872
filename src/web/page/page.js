"use strict";
const live = document.getElementById("live");
const filter = document.getElementById("filter");
const link = document.getElementById("link");

function localTimes() {
  for (const time of live.querySelectorAll("time")) {
    const moment = new Date(time.dateTime);
    time.title = time.dateTime;
    time.textContent = moment.toLocaleString();
  }
}

let asked = 0;
async function draw() {
  const query = new URLSearchParams(new FormData(filter));
  const mine = ++asked;
  const answer = await fetch("/fragment?" + query);
  if (!answer.ok) return;
  const text = await answer.text();
  if (mine !== asked) return;
  const open = new Map([...live.querySelectorAll("details")].map((one) => [one.id, one.open]));
  const focused = live.contains(document.activeElement)
    ? document.activeElement.closest("details")?.id : null;
  const verdict = document.getElementById("verdict")?.textContent;
  const fresh = new DOMParser().parseFromString(text, "text/html");
  for (const one of fresh.querySelectorAll("details")) {
    if (open.has(one.id)) one.open = open.get(one.id);
  }
  const old = document.getElementById("verdict");
  const next = fresh.getElementById("verdict");
  // The element stays, so that a screen reader says what changed, and only then.
  if (old && next) {
    old.className = next.className;
    if (verdict !== next.textContent) old.textContent = next.textContent;
    next.replaceWith(old);
  }
  live.replaceChildren(...fresh.body.childNodes);
  if (focused) document.getElementById(focused)?.querySelector("summary")?.focus();
  localTimes();
}

let soon;
function drawSoon() {
  clearTimeout(soon);
  soon = setTimeout(() => draw().catch(() => {}), 150);
}
filter.addEventListener("input", drawSoon);
filter.addEventListener("submit", (event) => { event.preventDefault(); drawSoon(); });

const events = new EventSource("/events");
events.addEventListener("changed", drawSoon);
events.onopen = () => { link.textContent = "live"; };
events.onerror = () => { link.textContent = "connection lost, trying again"; };

const order = document.getElementById("order");
if (order) {
  const token = document.getElementById("token");
  token.value = sessionStorage.getItem("token") ?? "";
  order.addEventListener("submit", async (event) => {
    event.preventDefault();
    const answer = document.getElementById("answer");
    const verb = event.submitter?.value ?? "reconcile";
    const target = document.getElementById("which").value;
    const query = verb !== "reconcile" && target ? "?target=" + encodeURIComponent(target) : "";
    sessionStorage.setItem("token", token.value);
    try {
      const response = await fetch("/api/v1/" + verb + query, {
        method: "POST", headers: { Authorization: "Bearer " + token.value },
      });
      answer.textContent = response.ok ? verb + ": accepted" : await response.text();
    } catch {
      answer.textContent = "the daemon does not answer";
    }
  });
}
localTimes();
