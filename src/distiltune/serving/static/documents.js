"use strict";
// The texts on the page: one that is typed or several that are opened or dropped, of which one is on show.

const texts = { all: [newText()], at: 0 };
let whenTextShown = () => {}; // what a page does after another text was put on show
let whenTextChanged = () => {}; // and after something was typed or opened

let showBlank = editText; // what a page shows where there is nothing to read

function newText(name = "", text = "", pages = []) { return { name, text, pages }; }

/** Whether a text is one of the folder that is served: it has a version, is not written in, and is not sent. */
const isOfFolder = (text) => text.version !== undefined;

/** The text as a text box holds it: with bare line feeds; `pages` are moved with it. */
function withLineFeeds({ text, pages = [], ...others }) {
  if (!text.includes("\r")) return { ...others, text, pages };
  const points = pages.length ? Array.from(text) : [];
  let n = 0;
  let at = 0;
  const moved = pages.map((page) => {
    for (; at < page; at++) if (points[at] === "\r" && points[at + 1] === "\n") n++;
    return page - n;
  });
  return { ...others, text: text.replace(/\r\n?/g, "\n"), pages: moved };
}

/** What is in the text box belongs to the text that it shows. */
function keepText() {
  if ($("text").readOnly) return; // a part of it is being marked, or that of another text
  const shown = texts.all[texts.at];
  if (isOfFolder(shown)) return;
  const text = wellFormed($("text").value);
  if (shown.text === text) return;
  shown.text = text;
  shown.pages = []; // they stood elsewhere in what was there
}

/** All texts in which there is something, as they are sent. */
function textsToSend() {
  keepText();
  return texts.all.filter((each) => !isOfFolder(each) && each.text.trim()).map((each) => ({ ...each }));
}

const areSame = (some, others) => some.length === others.length
  && some.every(({ name, text }, i) => name === others[i].name && text === others[i].text);

function putTexts(all, at = 0) {
  texts.all = all.length ? all.map((each) => ({ ...each })) : [newText()];
  showText(Math.min(at, texts.all.length - 1));
}

function showText(at) {
  texts.at = at;
  $("text").value = texts.all[at].text;
  showTabs();
  showSize();
  whenTextShown();
}

/** The text box, to write into. */
function editText() {
  hideFolder();
  $("reading").hidden = true;
  $("text").hidden = false;
  endMarking();
  $("change").hidden = true;
}

function hideFolder() {
  if ($("folder-part")) $("folder-part").hidden = true;
}

function endMarking() {
  if (!$("text").readOnly) return;
  $("text").readOnly = false;
  $("text").value = texts.all[texts.at].text;
}

/** The text without a box around it, marked by whoever calls this. */
function readText(...content) {
  endMarking();
  hideFolder();
  $("reading").replaceChildren(...content);
  $("reading").hidden = false;
  $("text").hidden = true;
  $("change").hidden = isOfFolder(texts.all[texts.at]);
}

function showSize() {
  const n = countCodePoints($("text").value);
  $("size").textContent = n ? `${number(n)} characters` : "";
}

function showTabs() {
  $("tabs").hidden = texts.all.length < 2 && !isOfFolder(texts.all[0]);
  $("tabs").replaceChildren(...texts.all.map((each, i) => {
    const { name, text } = each;
    const called = name || shortened(oneLine(text), 20) || `Text ${i + 1}`;
    const choose = button(called, () => { keepText(); showText(i); $("tabs").querySelectorAll("li")[i].firstChild.focus(); });
    if (i === texts.at) choose.setAttribute("aria-current", "true");
    return isOfFolder(each) ? inItem(choose) : inItem(choose, button("×", () => removeText(i), { "aria-label": `Leave out ${called}`, class: "slim" }));
  }));
}

function removeText(i) {
  keepText();
  texts.all.splice(i, 1);
  if (!texts.all.length) texts.all.push(newText());
  showText(Math.min(texts.at > i ? texts.at - 1 : texts.at, texts.all.length - 1));
  showBlank();
  whenTextChanged();
  ($("tabs").querySelector("[aria-current]") ?? $("text")).focus();
}

/** Add texts beside those that are there; an empty one gives way. The first of them is put on show. */
function addTexts(some) {
  keepText();
  const kept = texts.all.filter((each) => !isOfFolder(each) && (each.text.trim() || each.name));
  const room = Math.max(0, (server.max_documents ?? Infinity) - kept.length);
  if (some.length > room) complain(`This page takes ${number(server.max_documents)} texts at once: ${counted(some.length - room, "text")} left out.`);
  const added = some.slice(0, room);
  if (!added.length) return;
  texts.all = [...kept, ...added];
  showText(kept.length);
  editText();
  whenTextChanged();
}

// Files

const endingOf = (name) => `.${name.split(".").pop().toLowerCase()}`;

/** A file's text, read by the server, or here if the page says how; its problem as an error. */
async function textOfFile(file, signal) {
  const ending = endingOf(file.name);
  const kind = server.file_kinds[ending];
  if (!kind) throw new Error("no file of a known kind");
  if (file.size > server.max_body_bytes) throw new Error(tooLarge(file.size));
  if (tableEndings.includes(ending)) return { ...newText(file.name, decoded(await file.arrayBuffer())), notes: [] };
  const response = await call(`api/text?kind=${kind}`, {
    method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" }, signal,
  });
  if (!response.ok) throw new Error(await problemOf(response));
  const found = await response.json();
  return { ...newText(file.name, found.text, found.pages), notes: found.notes };
}

let tableEndings = []; // endings of the names of files whose cells the page itself reads

function decoded(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("windows-1252").decode(bytes);
  }
}

async function openFiles(files) {
  if (!files.length) return;
  complain("");
  say("");
  const read = [];
  const problems = [];
  const notes = [];
  for (const [i, file] of files.entries()) {
    showProgress(`Opening ${file.name}…`, i, files.length > 1 ? files.length : 0);
    try {
      const { notes: found, ...text } = withLineFeeds(await textOfFile(file));
      read.push(text);
      notes.push(...found.map((note) => (files.length > 1 ? `${file.name}: ${note}` : note)));
    } catch (error) {
      problems.push(`${file.name}: ${error instanceof TypeError ? UNREACHABLE : error.message}`);
    }
  }
  $("progress").hidden = true;
  addTexts(read);
  if (problems.length) {
    const kinds = problems.some((each) => each.endsWith("a known kind")) ? ` Known are ${Object.keys(server.file_kinds).join(", ")}.` : "";
    complain([$("problem").textContent, `${counted(problems.length, "file")} not opened. ${problems.join("; ")}.${kinds}`].filter(Boolean).join(" "));
  }
  const n = read.reduce((sum, { text }) => sum + countCodePoints(text), 0);
  const name = read.length === 1 ? `${read[0].name} is open` : `${number(read.length)} files are open`;
  if (read.length) say([`${name}: ${number(n)} characters.`, ...notes].join(" "));
}

/** All files of what was dropped, those in folders too, by their paths. */
async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files];
  const found = [];
  for (const entry of entries) await collectFiles(entry, found);
  return found;
}

async function collectFiles(entry, found) {
  if (entry.isFile) {
    found.push(await new Promise((resolve, reject) => { entry.file(resolve, reject); }));
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((resolve, reject) => { reader.readEntries(resolve, reject); });
    if (!some.length) return;
    for (const each of some.sort((a, b) => (a.name < b.name ? -1 : 1))) await collectFiles(each, found);
  }
}

/** Open what is chosen or dropped: files, folders, or text dragged here. */
function takeFiles() {
  for (const [opener, input] of [["open", "file"], ["open-folder", "folder"]]) {
    $(opener).addEventListener("click", () => $(input).click());
    $(input).addEventListener("change", async () => {
      const files = [...$(input).files];
      $(input).value = "";
      await openFiles(files);
    });
  }
  const area = $("text-section");
  const dropping = (isOver) => (event) => { event.preventDefault(); area.classList.toggle("dropping", isOver); };
  document.addEventListener("dragover", dropping(true));
  document.addEventListener("dragleave", dropping(false));
  document.addEventListener("drop", async (event) => {
    dropping(false)(event);
    const text = event.dataTransfer.getData("text/plain");
    const files = await droppedFiles(event.dataTransfer);
    if (files.length) await openFiles(files);
    else if (text) addTexts([withLineFeeds(newText("", text))]);
  });
  $("add").addEventListener("click", () => {
    keepText();
    if (isOfFolder(texts.all[0])) putTexts([]);
    if (texts.all.every((each) => each.text.trim())) { texts.all.push(newText()); showText(texts.all.length - 1); }
    editText();
    $("text").focus();
  });
  $("change").addEventListener("click", () => { editText(); $("text").focus(); });
  $("text").addEventListener("input", () => { keepText(); showSize(); showTabs(); whenTextChanged(); });
}

// A part of a text that somebody marks

/** Show a text to mark a part of: a box that is not written into, so that keys mark as well as a pointer does. */
function markText(from = 0, to = 0) {
  editText();
  const box = $("text");
  box.readOnly = true;
  box.focus();
  box.setSelectionRange(from, to);
}

/** What is marked, without white space at its ends: its text and where it is, in code points; null if nothing is. */
function markedPart() {
  const { value, selectionStart, selectionEnd } = $("text");
  const part = value.slice(selectionStart, selectionEnd);
  if (!part.trim()) return null;
  const start = countCodePoints(value.slice(0, selectionStart + part.length - part.trimStart().length));
  const text = part.trim();
  return { text, start, end: start + countCodePoints(text) };
}
