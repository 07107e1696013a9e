"use strict";
// What every page has: small tools, files opened or dropped, and the server that it talks to.

const $ = (id) => document.getElementById(id);
let server = { max_body_bytes: Infinity, can_decline: true, file_kinds: {} };

const percent = (share) => (share > 0 && share < 0.01 ? "under 1\u00a0%" : `${Math.round(share * 100)}\u00a0%`);
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
const oneLine = (text) => text.replace(/\s+/g, " ").trim();

function say(text) { $("status").textContent = text; }
function complain(text) { $("problem").textContent = text; }

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** Read a file on the server, and hand its text and name on. */
async function openFile(file, opened) {
  complain("");
  const kind = server.file_kinds[`.${file.name.split(".").pop().toLowerCase()}`];
  if (!kind) return complain(`${file.name} is no file of a known kind: ${Object.keys(server.file_kinds).join(", ")}.`);
  if (file.size > server.max_body_bytes) return complain(tooLarge(file.size));
  say(`Opening ${file.name}…`);
  try {
    const response = await fetch(`api/text?kind=${kind}`, {
      method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" },
    });
    const found = await response.json();
    say("");
    if (!response.ok) return complain(problemText(found));
    opened(found.text, true);
    say([`${file.name} is open: ${found.characters.toLocaleString("en")} characters.`, ...found.notes].join(" "));
  } catch {
    say("");
    complain("The server cannot be reached. Is it still running?");
  }
}

const tooLarge = (bytes) => `The text is too large: ${megabytes(bytes)}. This server takes ${megabytes(server.max_body_bytes)} at once.`;
const problemText = (problem) => [problem.what, problem.fix && `What to do: ${problem.fix}.`].filter(Boolean).join(" ");

/** Open what is chosen or dropped: files, or text dragged here; `opened(text, isFile)` gets it. */
function takeFiles(opened) {
  $("open").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => {
    if ($("file").files.length) openFile($("file").files[0], opened);
    $("file").value = "";
  });
  const area = $("text-section");
  const dropping = (isOver) => (event) => { event.preventDefault(); area.classList.toggle("dropping", isOver); };
  document.addEventListener("dragover", dropping(true));
  document.addEventListener("dragleave", dropping(false));
  document.addEventListener("drop", (event) => {
    dropping(false)(event);
    const [file] = event.dataTransfer.files;
    const text = event.dataTransfer.getData("text/plain");
    if (file) openFile(file, opened);
    else if (text) opened(text, false);
  });
}

/** Learn what answers, and what the server takes. */
async function meetServer() {
  try {
    server = await (await fetch("api/model")).json();
    $("model").textContent = [server.name, ...server.notes].join(" \u00b7 ");
  } catch {
    complain("The server cannot be reached. Is it still running?");
  }
}
