"use strict";
// The folder that is served, where there is one: what of it is asked and shown. Its texts are fetched when they are opened.

const fetched = new Map(); // name and version → text and pages, as the server gave them
let listed = null; // the names that are in the list

const hasFolder = () => Number.isInteger(server.folder_documents);
const hasOwnTexts = () => textsToSend().length > 0;
const isAboutFolder = ({ documents }) => !documents.length;
const theDocuments = () => (server.folder_documents === 1 ? "the document" : `the ${counted(server.folder_documents, "document")}`);
const keyOf = ({ name, version }) => JSON.stringify([name, version]);

/** A document of the folder as a text of the page, which is empty until it is fetched. */
function folderText({ name, version }) {
  const held = fetched.get(keyOf({ name, version }));
  return { ...newText(name, held?.text, held?.pages), version, isHere: held !== undefined, isOther: false };
}

/** Which text on the page a candidate of a reply stands in; -1 if that one is not open. */
function placeOnPage(entry, { document }) {
  if (!isAboutFolder(entry)) return document;
  const named = keyOf(entry.reply.documents[document]);
  return texts.all.findIndex((each) => keyOf(each) === named);
}

/** Put the texts of a reply on the page, of a folder those with something worth showing; a candidate's is on show. */
function putTextsOf(entry, candidate) {
  const { documents, reply } = entry;
  if (!isAboutFolder(entry)) { putTexts(documents, candidate?.document ?? 0); return; }
  const numbers = [...new Set([candidate, ...worthShowing(reply)].map(({ document }) => document))].sort((a, b) => a - b);
  putTexts(numbers.map((each) => folderText(reply.documents[each])), numbers.indexOf(candidate.document));
}

/** Fetch the text that is on show, one of the folder, and say when it is there; null while another one is on show. */
async function fetchText(whenHere) {
  const text = texts.all[texts.at];
  readText(element("span", "Opening…", { class: "quiet" }));
  let found = null;
  try {
    const response = await call(`api/document?${new URLSearchParams({ name: text.name })}`);
    if (response.ok) found = await response.json();
    else complain(await problemOf(response));
  } catch {
    complain(UNREACHABLE);
  }
  if (texts.all[texts.at] !== text) return;
  if (!found) { readText(element("span", "This document cannot be shown.", { class: "quiet" })); return; }
  text.isOther = text.version !== "" && text.version !== found.version;
  if (text.isOther) complain(`${text.name} has changed since it was answered from: ask again.`);
  else text.version = found.version;
  Object.assign(text, { text: found.text, pages: found.pages, isHere: true });
  if (!text.isOther) fetched.set(keyOf(text), text);
  $("text").value = text.text;
  showSize();
  whenHere();
}

/** The list of the documents, in the place of a text. */
async function showFolder() {
  endMarking();
  for (const id of ["text", "reading", "change"]) $(id).hidden = true;
  $("folder-part").hidden = false;
  putTexts([]);
  showAsks();
  const response = await call("api/documents").catch(() => null);
  if (!response?.ok) { complain(response ? await problemOf(response) : UNREACHABLE); return; }
  const { total, names } = await response.json();
  tellOfFolder(total);
  if (listed === names.join("\n")) return; // so that nobody who goes through the list loses the place
  listed = names.join("\n");
  $("folder-list").replaceChildren(...names.map((name) => inItem(button(oneLine(name), () => {
    putTexts([folderText({ name, version: "" })]);
    $("reading").focus();
  }, { class: "plain" }))));
  $("folder-rest").hidden = names.length === total;
  $("folder-rest").textContent = `and ${number(total - names.length)} more, which are asked too`;
}

/** What the page is about, in words. */
function tellOfFolder(n) {
  server.folder_documents = n;
  $("title").textContent = `Ask ${counted(n, "document")}`;
  document.title = `${$("title").textContent} – distiltune`;
  $("what").textContent = "Ask a question: the document that answers it is opened, with the answer marked. Nothing is made up, and nothing beyond the documents is known.";
  $("ask-folder").textContent = `Ask ${theDocuments()} instead`;
}

/** Which texts the next question is asked of. */
function showAsks() {
  if (!hasFolder()) return;
  const isOwn = hasOwnTexts();
  const own = counted(textsToSend().length, "text");
  $("asks").textContent = isOwn ? `Your own ${own === "1 text" ? "text is" : `${own} are`} asked, and nothing else.` : `Asked of ${theDocuments()}.`;
  $("ask-folder").hidden = !isOwn;
  $("all-documents").hidden = isOwn || !$("folder-part").hidden;
  $("text-title").textContent = isOwn || !$("text").hidden ? "Text" : "Documents";
}

/** Let the page begin with the folder. */
function beginWithFolder() {
  tellOfFolder(server.folder_documents);
  $("asks-part").hidden = false;
  $("example").hidden = true;
  $("text-help").textContent = `To ask a text of your own instead, add it, or drop files or a folder here: ${$("text-help").textContent.replace(/^[^:]*: /, "").replace(/\s+/g, " ")}`;
  $("correct-none").textContent = "It is not in this document";
  $("correct-help").textContent = "Open the document that tells, and mark the right answer in it, with the mouse or with Shift and the arrow keys. It is kept on the server, with the text, for a training to come.";
  document.querySelector("main").classList.add("of-folder");
  document.querySelector("main").prepend($("ask-section"));
  $("all-documents").addEventListener("click", async () => { await showFolder(); $("folder-list").querySelector("button")?.focus(); });
  $("ask-folder").addEventListener("click", () => { keepDraft(); clearReply(); showFolder(); showHistory(); $("question").focus(); });
  arrows($("folder-list"));
  whenTextChanged = () => { showStale(); showAsks(); };
  showBlank = () => (hasOwnTexts() ? editText() : showFolder());
}
