"use strict";
// The page: texts, questions, each answer marked in its text. Nothing is stored; the sitting ends with the page.

const LEAST_CONFIDENCE = 0.001;
const EXAMPLE = {
  text: "Calder Quay is a harbour town of about 9,400 people on the north bank of the Sorrel estuary. It grew around a single stone pier, built in 1641 by the salt merchant Josiah Threll, and received its market charter only in 1703.\n\nFor two centuries the town lived on herring, but after the shoals moved east in 1888 most families turned to boatbuilding. The oldest street, Pitch Lane, is only 1.8 metres wide.",
  question: "Who had the stone pier built?",
};
const PROGRAM = { questions: ["Who signs the lease?"], documents: [{ text: "The lease is signed by the treasurer, in blue ink." }] };

let asking = null; // the AbortController of the request on its way
let pinned = -1; // the candidate that stays marked, where one was chosen by a click
let pointed = -1; // the one that is marked now

// The text

/** Show the text that is on show with the candidates in it marked. */
function readMarked() {
  if (!shown) return;
  const here = texts.all[texts.at];
  const { text } = here;
  if (isOfFolder(here) ? !here.isHere : isAboutFolder(shown)) return; // it is on its way
  if (!isOfFolder(here) && shown.documents[texts.at]?.text !== text) { editText(); return; } // one that was not asked about
  const candidates = here.isOther ? [] : worthShowing(shown.reply).filter((each) => placeOnPage(shown, each) === texts.at);
  const places = utf16Places(text, candidates.flatMap(({ start, end }) => [start, end]));
  const content = [];
  let last = 0;
  for (const { start, end, number: rank } of candidates.sort((a, b) => a.start - b.start)) {
    const [from, to] = [places.get(start), places.get(end)];
    content.push(text.slice(last, from), element("mark", text.slice(from, to), { "data-number": rank }));
    last = to;
  }
  readText(...content, text.slice(last));
  highlight(pointed);
}

/** Show a document of the folder, which has come, or one that was open before. */
function showHere() {
  if (!$("correct-part").hidden) markAnswer();
  else if (shown) readMarked();
  else readText(texts.all[texts.at].text);
  showAsks();
}

/** Mark one candidate strongly, and put its text on show; -1 marks none. */
function point(rank) {
  pointed = rank;
  const candidate = shown?.reply.candidates[rank];
  const at = candidate ? placeOnPage(shown, candidate) : texts.at;
  if (at === -1) putTextsOf(shown, candidate); // which marks its candidates
  else if (at !== texts.at && !$("reading").hidden) showText(at);
  highlight(rank);
}

function highlight(rank) {
  for (const mark of $("reading").querySelectorAll("mark")) {
    const isIt = mark.dataset.number === String(rank);
    mark.classList.toggle("shown", isIt);
    if (isIt) {
      const box = $("reading");
      const offset = mark.getBoundingClientRect().top - box.getBoundingClientRect().top;
      if (offset < 0 || offset > box.clientHeight - 40) box.scrollTop += offset - box.clientHeight / 3;
    }
  }
}

// Asking

const questionsOf = (value) => value.split("\n").map((line) => wellFormed(line.trim())).filter(Boolean);

async function ask(questions, documents, passages) {
  complain("");
  say("");
  $("announcement").textContent = "";
  if (!documents.length && !hasFolder()) { complain("There is no text to look in yet."); $("text").focus(); return null; }
  if (!questions.length) { complain("Type a question first."); $("question").focus(); return null; }
  if (questions.length > server.max_questions) { complain(`This server takes ${server.max_questions} questions at once; these are ${questions.length}.`); return null; }
  const asked = documents.length ? { questions, documents } : { questions };
  if (passages !== undefined) asked.passages = passages;
  const body = new Blob([JSON.stringify(asked)]);
  if (body.size > server.max_body_bytes) { complain(tooLarge(body.size)); return null; }
  asking = new AbortController();
  busy(true);
  showProgress("Reading…");
  try {
    const response = await postJson("api/answers/stream", body, asking.signal);
    if (!response.ok) { complain(await problemOf(response)); return null; }
    return await readLines(response.body);
  } catch (error) {
    if (error.name === "AbortError") say("Stopped.");
    else complain(UNREACHABLE);
    return null;
  } finally {
    asking = null;
    busy(false);
  }
}

/** The last line of a streamed answer; shows the progress that comes before it. */
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
      if (message.kind === "replies") return message;
      if (message.kind === "problem") { complain(problemText(message)); return null; }
      const left = message.seconds_left ? `, about ${shownSeconds(message.seconds_left)} left` : "";
      if (message.read || left) showProgress(`${number(message.read)} of ${number(message.of)} windows read${left}`, message.read, message.of);
    }
  }
  complain("The server broke off before it had answered. Is it still running?");
  return null;
}

async function askFromForm(passages) {
  if (asking) return;
  const documents = textsToSend();
  const questions = questionsOf($("question").value);
  clearReply();
  const found = await ask(questions, documents, passages);
  if (found) add(questions, documents, found);
}

function add(questions, documents, found) {
  const batch = { documents, question: questions.join("\n"), found };
  addEntries(found.replies.map((reply) => ({
    ...batch,
    reply,
    title: oneLine(reply.question),
    said: saidOf(reply, documents),
    show: showReply,
  })));
}

const wasRead = (reply) => reply.read_share > 0;
const doNotTell = (documents) => (documents.length ? "the text does not tell" : "the documents do not tell");
const saidOf = (reply, documents) => (reply.answer ? oneLine(reply.answer.text) : wasRead(reply) ? doNotTell(documents) : "not read in time");
const confidenceOf = (reply) => (reply.answer ? reply.answer.confidence : reply.no_answer_confidence);
const placeOf = ({ document, document_name: name, page, line }) => [name || (shown?.documents.length > 1 && `text ${document + 1}`), page ? `page ${number(page)}` : `line ${number(line)}`].filter(Boolean).join(", ");

// The answer

function showReply(entry) {
  const { reply, found } = entry;
  const { answer } = reply;
  pinned = answer ? 0 : -1;
  pointed = pinned;
  $("reply").hidden = false;
  $("correct-part").hidden = true;
  $("correct").hidden = !server.takes_corrections;
  showMany(entry);
  $("asked").hidden = found.replies.length < 2;
  $("asked").textContent = reply.question;
  $("answer").replaceChildren(element("bdi", answer ? oneLine(answer.text) : wasRead(reply) ? `${capital(doNotTell(entry.documents))}.` : "Nothing was read in time."));
  $("answer").classList.toggle("none", !answer);
  $("confidence").hidden = !wasRead(reply);
  $("confidence").replaceChildren(confidenceMark(confidenceOf(reply)), ...(answer ? [element("span", placeOf(answer))] : []));
  showSentence(answer);
  $("remark").textContent = remarks(entry).join(" ");
  const seconds = found.seconds_for_all;
  const all = isAboutFolder(entry) ? "Read all documents" : "Read the whole text";
  $("everything").hidden = reply.read_share >= 1 || (isAboutFolder(entry) && seconds > server.max_answer_seconds);
  $("everything").textContent = seconds ? `${all} (about ${shownSeconds(seconds)})` : all;
  showOthers(reply);
  if (isAboutFolder(entry) && !answer) showFolder();
  else putTextsOf(entry, answer);
  readMarked();
  const said = answer ? `Answer: ${oneLine(answer.text)}.` : $("answer").textContent;
  $("announcement").textContent = `${said} ${certainty(confidenceOf(reply))}, confidence ${percent(confidenceOf(reply))}. ${countOthers(reply)}`;
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

function remarks({ documents, reply, found }) {
  const said = [...reply.notes];
  if (reply.read_share < 1 && found.complete && documents.length) said.push(`Only the likeliest ${percent(reply.read_share)} of this long text was read.`);
  const limit = server.max_answer_seconds;
  if (found.seconds_for_all > limit) said.push(`Reading all of it takes longer than the ${shownSeconds(limit)} that this server gives an answer: you would get the best of what is read by then.`);
  if (!server.calibrated) said.push("How sure it says it is was not fitted to validation data.");
  return said;
}

/** The candidates worth showing, numbered by their rank: the answer, and what is not next to impossible. */
const worthShowing = (reply) => reply.candidates.map((candidate, rank) => ({ ...candidate, number: rank }))
  .filter(({ confidence, number: rank }) => (reply.answer && rank === 0) || confidence >= LEAST_CONFIDENCE);
const others = (reply) => worthShowing(reply).filter(({ number: rank }) => !reply.answer || rank > 0);
const countOthers = (reply) => `Other candidates: ${others(reply).length}.`;

function showOthers(reply) {
  $("others-title").textContent = reply.answer ? "Other candidates" : "What came closest";
  $("others-part").hidden = !others(reply).length;
  const home = reply.answer ? 0 : -1;
  $("others").replaceChildren(...others(reply).map((candidate) => {
    const { text, confidence, number: rank } = candidate;
    const choose = button("", () => {
      pinned = pinned === rank ? home : rank;
      for (const each of $("others").querySelectorAll("button")) each.setAttribute("aria-pressed", String(each === choose && pinned === rank));
      point(pinned);
    }, { "aria-pressed": "false" });
    choose.append(element("bdi", oneLine(text)), element("span", placeOf(candidate), { class: "quiet" }), element("span", `${certainty(confidence)}, ${percent(confidence)}`, { class: "quiet" }));
    for (const kind of ["mouseenter", "focus"]) choose.addEventListener(kind, () => point(rank));
    for (const kind of ["mouseleave", "blur"]) choose.addEventListener(kind, () => point(pinned));
    return inItem(choose);
  }));
}

// Many questions

/** A table of all questions that were asked together. */
function showMany(entry) {
  const { replies } = entry.found;
  $("many").hidden = replies.length < 2;
  if (replies.length < 2) return;
  const head = ["question", "answer", "certainty", "confidence", "document", "page", "line", "start", "end", "sentence"];
  const cells = (reply) => {
    const { answer } = reply;
    const sure = [certainty(confidenceOf(reply)), Number(confidenceOf(reply).toFixed(4))];
    if (!answer) return [reply.question, "", ...sure, "", "", "", "", "", ""];
    return [reply.question, answer.text, ...sure, answer.document_name, answer.page, answer.line, answer.start, answer.end, answer.sentence];
  };
  $("many-bar").replaceChildren(
    element("h3", counted(replies.length, "question")), element("span", "", { class: "spring" }),
    ...tableButtons("answers", () => [head, ...replies.map(cells)], () => replies),
  );
  $("many-body").replaceChildren(...replies.map((reply) => {
    const row = document.createElement("tr");
    const choose = button(reply.question, () => {
      showEntry(sitting.find((each) => each.reply === reply));
      $("many-body").querySelector("[aria-current]").focus();
    }, { class: "plain" });
    if (reply === entry.reply) choose.setAttribute("aria-current", "true");
    for (const content of [choose, element("bdi", saidOf(reply, entry.documents)), wasRead(reply) ? confidenceMark(confidenceOf(reply)) : ""]) {
      const cell = document.createElement("td");
      cell.append(content);
      row.append(cell);
    }
    return row;
  }));
}

// Setting an answer right

function correctIt() {
  const { answer } = shown.reply;
  $("correct-part").hidden = false;
  if (answer && placeOnPage(shown, answer) !== texts.at) putTextsOf(shown, answer);
  if (isAboutFolder(shown) && !texts.all[texts.at].isHere) { showMarked(); return; } // none is open yet
  markAnswer();
}

/** Mark the answer in the text that is on show, if it stands there, to be set right. */
function markAnswer() {
  const { answer } = shown.reply;
  const here = texts.all[texts.at];
  const isHere = answer && !here.isOther && placeOnPage(shown, answer) === texts.at;
  const places = utf16Places(here.text, isHere ? [answer.start, answer.end] : []);
  const inBox = (place) => withLineFeeds({ text: here.text.slice(0, place) }).text.length; // which has bare line feeds
  markText(...(isHere ? [places.get(answer.start), places.get(answer.end)].map(inBox) : [0, 0]));
  showMarked();
}

function showMarked() {
  if ($("correct-part").hidden) return;
  $("correct-none").disabled = isAboutFolder(shown) && !texts.all[texts.at].isHere;
  const part = markedPart();
  $("marked").textContent = part ? shortened(oneLine(part.text), 200) : "nothing yet";
  $("correct-span").disabled = !part;
}

async function keepCorrection(answer) {
  const entry = shown;
  const sent = isAboutFolder(entry) ? [withLineFeeds(texts.all[texts.at])] : entry.documents;
  const documents = sent.map(({ name, text }) => ({ name, text }));
  if (!await sendCorrection({ question: entry.reply.question, documents, answer })) return;
  const none = isAboutFolder(entry) ? `it is not in ${documents[0].name}` : "the text does not tell";
  entry.said = `right: ${answer ? oneLine(markedPart()?.text ?? "") : none}`;
  showEntry(entry);
  $("correct").focus();
}

// Wiring

async function restore() {
  const found = await linkedSitting();
  if (!found) return;
  const questions = found.questions.filter((question) => question.trim());
  $("question").value = questions.join("\n");
  showHistory();
  if (questions.length && (found.documents.length || hasFolder())) await askFromForm();
}

function enterAsks(event) {
  if (event.key !== "Enter" || event.shiftKey || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  event.preventDefault();
  askFromForm();
}

async function start() {
  $("everything").addEventListener("click", () => askFromForm(0));
  $("question").addEventListener("keydown", enterAsks);
  $("question").addEventListener("input", showStale);
  $("correct").addEventListener("click", correctIt);
  $("correct-span").addEventListener("click", () => {
    const { start: from, end } = markedPart();
    keepCorrection({ document: isAboutFolder(shown) ? 0 : texts.at, start: from, end });
  });
  $("correct-none").addEventListener("click", () => keepCorrection(null));
  $("correct-cancel").addEventListener("click", () => { showEntry(shown); $("correct").focus(); });
  document.addEventListener("selectionchange", showMarked);
  $("text").addEventListener("select", showMarked);
  $("program").addEventListener("toggle", () => showPrograms("api/answers", hasFolder() ? { questions: PROGRAM.questions } : PROGRAM));
  whenTextShown = () => {
    const here = texts.all[texts.at];
    if (isOfFolder(here)) { if (here.isHere) showHere(); else fetchText(showHere); }
    else if (!$("correct-part").hidden) showMarked();
    else if (!$("reading").hidden) readMarked();
    showAsks();
  };
  arrows($("others"));
  whenMet = () => { if (hasFolder()) { beginWithFolder(); showFolder(); $("question").focus(); } };
  await startSitting({
    send: () => askFromForm(),
    stop: () => asking?.abort(),
    restore,
    example: () => { putTexts([newText("", EXAMPLE.text)]); editText(); $("question").value = EXAMPLE.question; askFromForm(); },
  });
}

start();
