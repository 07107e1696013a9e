"use strict";
// What every page has: small tools, the server that it talks to, tables to take away, and how to ask from a program.

const $ = (id) => document.getElementById(id);
let server = { max_body_bytes: Infinity, can_decline: true, file_kinds: {}, certainties: {}, labels: [] };
let apiKey = ""; // held here only, and gone with the page

const percent = (share) => (share > 0 && share < 0.01 ? "under 1\u00a0%" : `${Math.round(share * 100)}\u00a0%`);
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
const number = (n) => n.toLocaleString("en");
const counted = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const oneLine = (text) => text.replace(/\s+/g, " ").trim();
const shortened = (text, most = 80) => (text.length > most ? `${text.slice(0, most)}…` : text);
const UNREACHABLE = "The server cannot be reached. Is it still running?";

function say(text) { $("status").textContent = text; }
function complain(text) { $("problem").textContent = text; }

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function button(text, onClick, attributes = {}) {
  const made = element("button", text, { type: "button", ...attributes });
  made.addEventListener("click", onClick);
  return made;
}

function inItem(...content) {
  const item = document.createElement("li");
  item.append(...content);
  return item;
}

// Waiting

/** Show that work is on its way: at once, with a share of it where that is known. */
function showProgress(text, done, of) {
  $("progress").hidden = false;
  if (of) $("progress-bar").value = done / of;
  else $("progress-bar").removeAttribute("value");
  $("progress-text").textContent = text;
}

function busy(isBusy) {
  $("ask").disabled = isBusy;
  $("stop").hidden = !isBusy;
  $("progress").hidden = !isBusy;
  $("ask-section").setAttribute("aria-busy", String(isBusy));
}

const shownSeconds = (seconds) => (seconds < 90 ? `${Math.max(1, Math.round(seconds))} s` : `${Math.round(seconds / 60)} min`);

// The server

const tooLarge = (bytes) => `The text is too large: ${megabytes(bytes)}. This server takes ${megabytes(server.max_body_bytes)} at once.`;
const problemText = (problem) => [problem.what, problem.fix && `What to do: ${problem.fix}.`].filter(Boolean).join(" ");

/** Fetch from the server, with its key; whoever sits here is asked for that where the server wants one. */
async function call(path, options = {}) {
  for (;;) {
    const headers = { ...options.headers, ...(apiKey ? { Authorization: `Bearer ${apiKey}` } : {}) };
    const response = await fetch(path, { ...options, headers });
    if (response.status !== 401) return response;
    await askForKey(apiKey !== "");
  }
}

function askForKey(isWrong) {
  $("key-part").hidden = false;
  $("key-help").textContent = isWrong ? "That is not its key." : "This server wants its key. It is not stored.";
  $("key").focus();
  return new Promise((resolve) => {
    $("key-form").addEventListener("submit", (event) => {
      event.preventDefault();
      apiKey = $("key").value.trim();
      $("key").value = "";
      $("key-part").hidden = true;
      resolve();
    }, { once: true });
  });
}

const postJson = (path, body, signal) => call(path, {
  method: "POST", body, headers: { "Content-Type": "application/json" }, signal,
});
const problemOf = async (response) => problemText(
  await response.json().catch(() => ({ what: `The server failed (${response.status}).` })),
);

/** Learn what answers, and what the server takes. */
async function meetServer() {
  try {
    server = await (await call("api/model")).json();
    $("model").textContent = [server.name, ...server.notes].join(" \u00b7 ");
    $("file").accept = Object.keys(server.file_kinds).join();
  } catch {
    complain(UNREACHABLE);
  }
}

// How sure it is

const certainty = (confidence) => Object.entries(server.certainties).find(([, least]) => confidence >= least)?.[0] ?? "";

/** A word, a bar and a figure for a confidence. */
function confidenceMark(confidence) {
  const { sure = 0.85, likely = 0.5 } = server.certainties;
  const bar = element("meter", "", { min: 0, max: 1, low: likely, high: sure, optimum: 1, value: confidence, "aria-hidden": "true" });
  const mark = element("span", "", { class: `certainty ${certainty(confidence).replace(" ", "-")}` });
  mark.append(element("strong", certainty(confidence)), bar, element("span", percent(confidence)));
  return mark;
}

// Tables to take away

/** Rows of cells as CSV, in which nothing is a formula to a spreadsheet. */
function toCsv(rows) {
  const cell = (value) => {
    const text = value === null || value === undefined ? "" : String(value);
    const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

/** The rows of a CSV or TSV. */
function fromCsv(text) {
  const first = text.slice(0, text.search(/[\r\n]|$/));
  const separator = [",", ";", "\t"].reduce((best, each) => (first.split(each).length > first.split(best).length ? each : best));
  const rows = [[]];
  let cell = "";
  let isQuoted = false;
  const endCell = () => { rows.at(-1).push(cell); cell = ""; };
  for (let i = text.charCodeAt(0) === 0xfeff ? 1 : 0; i < text.length; i++) {
    const sign = text[i];
    if (isQuoted) {
      if (sign !== '"') cell += sign;
      else if (text[i + 1] === '"') { cell += '"'; i++; } else isQuoted = false;
    } else if (sign === '"' && cell === "") isQuoted = true;
    else if (sign === separator) endCell();
    else if (sign === "\n" || sign === "\r") {
      if (sign === "\r" && text[i + 1] === "\n") i++;
      endCell();
      rows.push([]);
    } else cell += sign;
  }
  endCell();
  return rows.filter((row) => row.some((each) => each.trim()));
}

function download(name, type, text) {
  const link = element("a", "", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

async function copyText(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    say(`${what} copied.`);
  } catch {
    complain("The browser does not let this page copy. Mark it and copy it yourself.");
  }
}

/** Buttons that take a table away; `rows()` are its cells with the head first, `values()` the same as plain values. */
function tableButtons(name, rows, values) {
  return [
    button("CSV", () => download(`${name}.csv`, "text/csv", `\ufeff${toCsv(rows())}`), { "aria-label": "Save as CSV" }),
    button("JSON", () => download(`${name}.json`, "application/json", JSON.stringify(values(), null, 1)), { "aria-label": "Save as JSON" }),
    button("Copy", () => copyText(
      rows().map((row) => row.map((cell) => oneLine(String(cell ?? ""))).join("\t")).join("\n"), "The table is",
    ), { "aria-label": "Copy the table" }),
  ];
}

// Keys

/** Arrow keys, Home and End go through the buttons of a list. */
function arrows(list) {
  list.addEventListener("keydown", (event) => {
    const buttons = [...list.querySelectorAll("button")];
    const at = buttons.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    buttons[Math.min(buttons.length - 1, Math.max(0, to))].focus();
  });
}

/** Ctrl+Enter (on a Mac also Command+Enter) anywhere sends; Escape stops. */
function sendingKeys(send, stop) {
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !$("key-part").contains(event.target)) {
      event.preventDefault();
      send();
    }
    if (event.key === "Escape") stop();
  });
}

// From a program

/** Show how to ask the same from a program: `path` of the API, and a body without quotes of the shell in it. */
function showPrograms(path, body) {
  const url = new URL(path, document.baseURI).href;
  const json = JSON.stringify(body);
  const key = apiKey ? "Bearer KEY" : "";
  const python = `import json\nimport urllib.request\n\nbody = json.dumps(${json}).encode()\nheaders = {"Content-Type": "application/json"${key && `, "Authorization": "${key}"`}}\n`
    + `request = urllib.request.Request("${url}", body, headers)\nwith urllib.request.urlopen(request) as response:\n    print(json.load(response))`;
  const script = `const response = await fetch("${url}", {\n  method: "POST",\n  headers: { "Content-Type": "application/json"${key && `, Authorization: "${key}"`} },\n`
    + `  body: JSON.stringify(${json}),\n});\nconsole.log(await response.json());`;
  const curl = `curl ${url} \\\n  -H 'Content-Type: application/json' \\\n${key && `  -H 'Authorization: ${key}' \\\n`}  -d '${json}'`;
  $("programs").replaceChildren(...[["curl", curl], ["Python", python], ["JavaScript", script]].flatMap(([name, code]) => {
    const bar = element("div", "", { class: "bar" });
    bar.append(element("h3", name), element("span", "", { class: "spring" }), button("Copy", () => copyText(code, `The ${name} is`), { "aria-label": `Copy the ${name}` }));
    return [bar, element("pre", code, { tabindex: 0, "aria-label": name, role: "region", "data-language": name })];
  }));
}
