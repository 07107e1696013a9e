"use strict";
// The sitting: what was asked, oldest first, and what was typed and not asked, so that neither is ever lost.

const MAX_LINKED_QUESTIONS = 32;
const sitting = []; // entries { documents, question, title, said, show, ... }; those without a `show` were not asked
let shown = null; // the entry that is on the page
let whenMet = () => {}; // what a page does when it knows what the server takes, before a link is restored

/** What is typed now. */
const typed = () => ({ documents: textsToSend(), question: $("question")?.value ?? "" });
const isTyped = (entry) => {
  const { documents, question } = typed();
  return question.trim() === entry.question.trim() && areSame(documents, entry.documents);
};

/** Keep what was typed and not asked as an entry of its own. */
function keepDraft() {
  const { documents, question } = typed();
  if ((!documents.length && !question.trim()) || sitting.some(isTyped)) return;
  sitting.push({ documents, question, title: shortened(oneLine(question || documents[0].text)), said: "not asked yet" });
}

/** Add what was asked and answered; a draft of the same goes. */
function addEntries(entries) {
  const drafts = sitting.filter((each) => !each.show && entries.some((entry) => entry.question === each.question && areSame(entry.documents, each.documents)));
  for (const draft of drafts) sitting.splice(sitting.indexOf(draft), 1);
  sitting.push(...entries);
  showEntry(entries[0]);
}

function showEntry(entry) {
  shown = entry.show ? entry : null;
  putTexts(entry.documents);
  if ($("question")) { $("question").value = entry.question; }
  if (entry.show) entry.show(entry);
  else { showBlank(); $("reply").hidden = true; }
  showStale();
  showHistory();
}

/** Nothing that was said of other words may look as if it were said of these. */
function clearReply() {
  shown = null;
  $("reply").hidden = true;
  $("correct-part").hidden = true;
  if ($("reading").hidden) { showBlank(); $("reading").replaceChildren(); } else readText(texts.all[texts.at].text);
  showStale();
}

function showStale() {
  const isStale = shown !== null && !isTyped(shown);
  $("stale").hidden = !isStale;
  for (const id of ["reply", "reading"]) $(id).classList.toggle("stale", isStale);
}

function showHistory() {
  $("history-part").hidden = !sitting.length;
  $("link-part").hidden = true;
  $("history").replaceChildren(...sitting.map((entry) => {
    const choose = button("", () => {
      keepDraft();
      showEntry(entry);
      ($("history").querySelector("[aria-current]") ?? $("question") ?? $("text")).focus();
    });
    if (entry === shown) choose.setAttribute("aria-current", "true");
    choose.append(element("bdi", entry.title), element("bdi", entry.said, { class: "said" }));
    return inItem(choose);
  }).reverse());
}

async function makeLink() {
  const documents = shown?.documents ?? textsToSend();
  const asked = sitting.filter((entry) => entry.show && areSame(entry.documents, documents)).flatMap(({ question }) => question.split("\n"));
  const questions = [...new Set(asked.filter((each) => each.trim()))].slice(-MAX_LINKED_QUESTIONS);
  const fragment = await sittingToFragment({ documents: documents.map(({ name, text }) => ({ name, text })), questions });
  if (!fragment) return complain("The text is too long to be put into a link.");
  history.replaceState(null, "", `#${fragment}`);
  $("link-text").value = location.href;
  $("link-part").hidden = false;
  const ofText = $("question") ? "It holds the text and the questions themselves." : "It holds the text itself.";
  const holds = documents.length ? ofText : "It holds the questions themselves, for people who can reach this page.";
  try {
    await navigator.clipboard.writeText(location.href);
    say(`The link is copied. ${holds}`);
  } catch {
    $("link-text").select();
    say(`This is the link. ${holds}`);
  }
}

/** What a link holds, put on the page; null if the address has none. */
async function linkedSitting() {
  const found = await fragmentToSitting(location.hash.slice(1));
  if (!found) {
    if (location.hash.startsWith("#s=")) complain("The link is damaged: no sitting can be read from it.");
    return null;
  }
  keepDraft();
  clearReply();
  putTexts(found.documents.map(({ name, text }) => withLineFeeds(newText(name, text))));
  showBlank();
  return found;
}

/** What all pages do at their start; `send` asks, `stop` breaks off, `restore` asks again what a link holds. */
async function startSitting({ send, stop, restore, example }) {
  $("form").addEventListener("submit", (event) => { event.preventDefault(); send(); });
  $("stop").addEventListener("click", stop);
  sendingKeys(send, stop);
  $("link").addEventListener("click", makeLink);
  $("example").addEventListener("click", () => { keepDraft(); showHistory(); example(); });
  arrows($("history"));
  takeFiles();
  whenTextChanged = showStale;
  window.addEventListener("hashchange", restore);
  await meetServer();
  whenMet();
  await restore();
}

/** Send an answer set right; true if the server has kept it. */
async function sendCorrection(correction) {
  complain("");
  try {
    const response = await postJson("api/corrections", JSON.stringify(correction));
    if (!response.ok) { complain(await problemOf(response)); return false; }
    say("Kept, for a training to come. Thank you.");
    return true;
  } catch {
    complain(UNREACHABLE);
    return false;
  }
}
