"use strict";
// The page: a text, a question, the answer marked in the text. Nothing is stored; the sitting ends with the page.

const MAX_QUESTIONS = 32;
const LEAST_CONFIDENCE = 0.001;

let asking = null; // the AbortController of the request on its way
const sitting = []; // { text, reply }, in the order asked
let shown = null; // the entry that is on the page

// The text

function editText() {
  $("reading").hidden = true;
  $("text").hidden = false;
  $("change").hidden = true;
  showSize();
}

function showSize() {
  const n = countCodePoints($("text").value);
  $("size").textContent = n ? `${n.toLocaleString("en")} characters` : "";
}

/** Show the text with all candidates marked, the one numbered `current` strongly, and scroll to that. */
function readText(entry, current) {
  const candidates = worthShowing(entry.reply);
  const places = utf16Places(entry.text, candidates.flatMap(({ start, end }) => [start, end]));
  const reading = $("reading");
  reading.replaceChildren();
  let last = 0;
  for (const { start, end, number } of candidates.sort((a, b) => a.start - b.start)) {
    const [from, to] = [places.get(start), places.get(end)];
    reading.append(entry.text.slice(last, from), element("mark", entry.text.slice(from, to), { "data-number": number }));
    last = to;
  }
  reading.append(entry.text.slice(last));
  reading.hidden = false;
  $("text").hidden = true;
  $("change").hidden = false;
  point(current);
}

/** Mark one candidate strongly; -1 marks none. */
function point(number) {
  for (const mark of $("reading").querySelectorAll("mark")) {
    const isIt = mark.dataset.number === String(number);
    mark.classList.toggle("shown", isIt);
    if (isIt) {
      const box = $("reading");
      const offset = mark.getBoundingClientRect().top - box.getBoundingClientRect().top;
      if (offset < 0 || offset > box.clientHeight - 40) box.scrollTop += offset - box.clientHeight / 3;
    }
  }
}

function opened(text, isFile) {
  $("text").value = text;
  editText();
  if (isFile) $("question").focus();
}

// Asking

async function ask(questions, text, passages) {
  complain("");
  say("");
  $("announcement").textContent = "";
  if (!text.trim()) { complain("There is no text to look in yet."); $("text").focus(); return null; }
  if (!questions.every((question) => question.trim())) { complain("Type a question first."); $("question").focus(); return null; }
  const asked = { questions, documents: [{ text }] };
  if (passages !== undefined) asked.passages = passages;
  const body = new Blob([JSON.stringify(asked)]);
  if (body.size > server.max_body_bytes) { complain(tooLarge(body.size)); return null; }
  asking = new AbortController();
  busy(true);
  try {
    const response = await fetch("api/answers/stream", {
      method: "POST", body, headers: { "Content-Type": "application/json" }, signal: asking.signal,
    });
    if (!response.ok) {
      complain(problemText(await response.json().catch(() => ({ what: `The server failed (${response.status}).` }))));
      return null;
    }
    return await readLines(response.body);
  } catch (error) {
    if (error.name === "AbortError") say("Stopped.");
    else complain("The server cannot be reached. Is it still running?");
    return null;
  } finally {
    asking = null;
    busy(false);
  }
}

/** The replies of a streamed answer; shows the progress that comes before them. */
async function readLines(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const message = JSON.parse(line);
      if (message.kind === "replies") return message.replies;
      if (message.kind === "problem") { complain(problemText(message)); return null; }
      showProgress(message.read, message.of);
    }
  }
  complain("The server broke off before it had answered. Is it still running?");
  return null;
}

function busy(isBusy) {
  $("ask").disabled = isBusy;
  $("stop").hidden = !isBusy;
  $("progress").hidden = true;
  $("ask-section").setAttribute("aria-busy", String(isBusy));
}

function showProgress(read, of) {
  if (of < 8) return; // done before a person could read it
  $("progress").hidden = false;
  $("progress-bar").value = of ? read / of : 0;
  $("progress-text").textContent = `${read.toLocaleString("en")} of ${of.toLocaleString("en")} windows read`;
}

async function askFromForm(passages) {
  if (asking) return;
  const text = wellFormed($("text").value);
  const replies = await ask([wellFormed($("question").value)], text, passages);
  if (replies) add(text, replies);
}

function add(text, replies) {
  for (const reply of replies) sitting.push({ text, reply });
  show(sitting.at(-1));
}

// The answer

function show(entry) {
  shown = entry;
  const { reply } = entry;
  if ($("text").value !== entry.text) { $("text").value = entry.text; showSize(); }
  $("question").value = reply.question;
  $("reply").hidden = false;
  const { answer } = reply;
  $("answer").replaceChildren(element("bdi", answer ? oneLine(answer.text) : "The text does not tell."));
  $("answer").classList.toggle("none", !answer);
  const confidence = answer ? answer.confidence : reply.no_answer_confidence;
  const place = answer ? `, line ${answer.line.toLocaleString("en")}` : "";
  $("confidence").textContent = `Confidence ${percent(confidence)}${place}`;
  showSentence(answer);
  $("remark").textContent = remarks(reply).join(" ");
  $("everything").hidden = reply.read_share >= 1;
  showOthers(reply);
  readText(entry, answer ? 0 : -1);
  showHistory();
  const said = answer ? `Answer: ${oneLine(answer.text)}.` : "The text does not tell.";
  $("announcement").textContent = `${said} Confidence ${percent(confidence)}. ${countOthers(reply)}`;
}

function showSentence(answer) {
  $("sentence").hidden = !answer;
  if (!answer) return;
  const from = answer.start - answer.sentence_start;
  const to = from + countCodePoints(answer.text);
  const places = utf16Places(answer.sentence, [from, to]);
  const [start, end] = [places.get(from), places.get(to)];
  $("sentence").replaceChildren(
    answer.sentence.slice(0, start), element("mark", answer.sentence.slice(start, end)), answer.sentence.slice(end),
  );
}

function remarks(reply) {
  const found = [...reply.notes];
  if (reply.read_share < 1) found.push(`Only the likeliest ${percent(reply.read_share)} of this long text was read.`);
  if (!server.can_decline) found.push("This model gives an answer to every question, also where the text does not tell: mind the confidence.");
  return found;
}

/** The candidates worth showing, numbered by their rank: the answer, and what is not next to impossible. */
const worthShowing = (reply) => reply.candidates.map((candidate, number) => ({ ...candidate, number }))
  .filter(({ confidence, number }) => (reply.answer && number === 0) || confidence >= LEAST_CONFIDENCE);
const others = (reply) => worthShowing(reply).filter(({ number }) => !reply.answer || number > 0);
const countOthers = (reply) => `Other candidates: ${others(reply).length}.`;

function showOthers(reply) {
  $("others-title").textContent = reply.answer ? "Other candidates" : "What came closest";
  $("others-part").hidden = !others(reply).length;
  const home = reply.answer ? 0 : -1;
  $("others").replaceChildren(...others(reply).map(({ text, confidence, number }) => {
    const button = element("button", "", { type: "button" });
    button.append(element("bdi", oneLine(text)), element("span", percent(confidence), { class: "quiet" }));
    for (const kind of ["mouseenter", "focus", "click"]) button.addEventListener(kind, () => point(number));
    for (const kind of ["mouseleave", "blur"]) button.addEventListener(kind, () => point(home));
    const item = document.createElement("li");
    item.append(button);
    return item;
  }));
}

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

// The sitting

function showHistory() {
  $("history-part").hidden = false;
  $("link-part").hidden = true;
  $("history").replaceChildren(...sitting.map((entry) => {
    const { reply } = entry;
    const button = element("button", "", { type: "button" });
    if (entry === shown) button.setAttribute("aria-current", "true");
    button.append(
      element("bdi", oneLine(reply.question)),
      element("bdi", reply.answer ? oneLine(reply.answer.text) : "the text does not tell", { class: "said" }),
    );
    button.addEventListener("click", () => {
      show(entry);
      $("history").querySelector("[aria-current]").focus();
    });
    const item = document.createElement("li");
    item.append(button);
    return item;
  }).reverse());
}

async function makeLink() {
  const text = shown.text;
  const questions = sitting.filter((entry) => entry.text === text).map((entry) => entry.reply.question);
  const fragment = await sittingToFragment({ text, questions: [...new Set(questions)].slice(-MAX_QUESTIONS) });
  if (!fragment) return complain("The text is too long to be put into a link.");
  history.replaceState(null, "", `#${fragment}`);
  $("link-text").value = location.href;
  $("link-part").hidden = false;
  try {
    await navigator.clipboard.writeText(location.href);
    say("The link is copied. It holds the text and the questions themselves.");
  } catch {
    $("link-text").select();
    say("This is the link. It holds the text and the questions themselves.");
  }
}

async function restore() {
  const found = await fragmentToSitting(location.hash.slice(1));
  if (!found) {
    if (location.hash.startsWith("#s=")) complain("The link is damaged: no sitting can be read from it.");
    return;
  }
  $("text").value = found.text;
  editText();
  const text = wellFormed($("text").value);
  const questions = found.questions.filter((question) => question.trim()).slice(0, MAX_QUESTIONS);
  if (!questions.length) return;
  const replies = await ask(questions, text);
  if (replies) add(text, replies);
}

// Wiring

async function start() {
  $("form").addEventListener("submit", (event) => { event.preventDefault(); askFromForm(); });
  $("everything").addEventListener("click", () => askFromForm(0));
  $("stop").addEventListener("click", () => asking?.abort());
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") asking?.abort(); });
  $("change").addEventListener("click", () => { editText(); $("text").focus(); });
  $("text").addEventListener("input", showSize);
  $("link").addEventListener("click", makeLink);
  arrows($("others"));
  arrows($("history"));
  takeFiles(opened);
  window.addEventListener("hashchange", restore);
  await meetServer();
  await restore();
}

start();
