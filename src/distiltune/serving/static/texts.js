"use strict";
// A page that sends texts and shows what comes back. Its own script says how, in `page`: `show(text, result)` puts one on
// the page and returns it in words; `said(result)` is that in short; `head` and `rows(result)` are cells of a table;
// `correction(text)` opens what sets it right; `example` is what to try.

const MOST_SHOWN = 200;
const TEXT_NAMES = ["text", "sentence", "review", "comment", "message", "content", "body", "tweet", "title", "description"];
let reading = null; // the AbortController of the requests on their way

tableEndings = [".csv", ".tsv"];

const isTable = ({ name, text }) => tableEndings.includes(endingOf(name)) && text.trim() !== "";

/** The head and rows of a table, and which column is likely to be the texts. */
function tableOf({ text }) {
  const [head = [], ...rows] = fromCsv(text);
  const named = head.findIndex((name) => TEXT_NAMES.includes(name.trim().toLowerCase()));
  const lengths = head.map((_, i) => rows.reduce((sum, row) => sum + (row[i]?.length ?? 0), 0));
  return { head, rows, column: named >= 0 ? named : lengths.indexOf(Math.max(...lengths)) };
}

/** Offer the columns of a table that is on show, or to take every line as a text of its own. */
function showChoices() {
  const shownText = texts.all[texts.at];
  const table = isTable(shownText) ? tableOf(shownText) : null;
  $("column-part").hidden = !table;
  $("lines-part").hidden = Boolean(table);
  if (!table) return;
  const chosen = $("column").value;
  $("column").replaceChildren(...table.head.map((name, i) => element("option", name || `column ${i + 1}`, { value: String(i) })));
  const isKept = $("column").dataset.head === JSON.stringify(table.head);
  $("column").value = isKept ? chosen : String(table.column);
  $("column").dataset.head = JSON.stringify(table.head);
}

/** What is to be read, one by one, with the cells that each stands beside. */
function itemsToRead(documents) {
  const item = (text, cells = [], head = []) => ({ text: wellFormed(text), cells, head });
  return documents.flatMap((each) => {
    if (isTable(each)) {
      const { head, rows, column } = tableOf(each);
      const at = $("column-part").hidden || texts.all[texts.at]?.name !== each.name ? column : Number($("column").value);
      return rows.map((row) => item(row[at] ?? "", head.map((_, i) => row[i] ?? ""), head));
    }
    if ($("lines").checked) return each.text.split("\n").map((line) => item(line.trim()));
    return [item(each.text, each.name ? [each.name] : [], each.name ? ["file"] : [])];
  }).filter(({ text, head }) => text.trim() || head.length > 1);
}

async function readTexts() {
  if (reading) return;
  complain("");
  say("");
  $("announcement").textContent = "";
  const documents = textsToSend();
  clearReply();
  const items = itemsToRead(documents);
  const wanted = items.filter(({ text }) => text.trim());
  if (!wanted.length) { complain("There is no text yet."); $("text").focus(); return; }
  const large = wanted.find(({ text }) => new Blob([text]).size + 100 > server.max_body_bytes);
  if (large) { complain(tooLarge(new Blob([large.text]).size)); return; }
  reading = new AbortController();
  busy(true);
  try {
    await readInTurn(wanted, reading.signal);
  } catch (error) {
    if (error.name === "AbortError") say("Stopped.");
    else complain(error instanceof TypeError ? UNREACHABLE : error.message);
  } finally {
    reading = null;
    busy(false);
  }
  if (wanted.some(({ result }) => result)) add(documents, items);
}

/** Read so many at a time as the server takes; what has been read stays if a later part fails. */
async function readInTurn(items, signal) {
  for (let done = 0; done < items.length;) {
    showProgress(items.length > 1 ? `${number(done)} of ${number(items.length)} texts read` : "Reading…", done, items.length > 1 ? items.length : 0);
    const part = [];
    let bytes = 100;
    for (const each of items.slice(done, done + (server.max_texts ?? 64))) {
      bytes += new Blob([JSON.stringify(each.text)]).size + 1;
      if (part.length && bytes > server.max_body_bytes) break;
      part.push(each);
    }
    const response = await postJson("api/predictions", JSON.stringify({ texts: part.map(({ text }) => text) }), signal);
    if (!response.ok) throw new Error(await problemOf(response));
    const { results } = await response.json();
    part.forEach((each, i) => { each.result = results[i]; });
    done += part.length;
  }
}

function add(documents, items) {
  const n = items.filter(({ result }) => result).length;
  const unread = items.filter(({ text, result }) => text.trim() && !result).length;
  if (unread) complain([$("problem").textContent, `${counted(unread, "text")} not read in time.`].filter(Boolean).join(" "));
  const isOne = items.length === 1;
  addEntries([{
    documents,
    question: "",
    title: shortened(oneLine(isOne ? items[0].text : documents.map(({ name, text }) => name || oneLine(text)).join(", "))),
    said: isOne ? page.said(items[0].result) : counted(n, "text"),
    items,
    at: isOne ? 0 : -1,
    show: showItems,
  }]);
}

/** One text with what is said of it, or a table of many. */
function showItems(entry) {
  $("reply").hidden = false;
  $("correct-part").hidden = true;
  const isMany = entry.items.length > 1;
  $("many").hidden = !isMany;
  if (isMany) showMany(entry);
  $("one").hidden = entry.at < 0;
  $("correct").hidden = !server.takes_corrections || entry.at < 0;
  if (entry.at < 0) {
    editText();
    $("announcement").textContent = `${counted(entry.items.length, "text")} read.`;
    return;
  }
  const { text, result } = entry.items[entry.at];
  $("announcement").textContent = page.show(text, result);
}

const cellsOf = ({ cells, head, text, result }) => {
  const own = head.length > 1 ? cells : [...cells, text];
  return (result ? page.rows(result, text) : [page.head.map(() => "")]).map((row) => [...own, ...row]);
};

function showMany(entry) {
  const [{ head }] = entry.items;
  const titles = [...(head.length > 1 ? head : [...head, "text"]), ...page.head];
  const rows = () => [titles, ...entry.items.flatMap(cellsOf)];
  const values = () => entry.items.map(({ text, result }) => ({ text, ...(result ?? {}) }));
  $("many-bar").replaceChildren(element("h3", counted(entry.items.length, "text")), element("span", "", { class: "spring" }), ...tableButtons("predictions", rows, values));
  const body = entry.items.slice(0, MOST_SHOWN).map((item, i) => {
    const row = document.createElement("tr");
    const cell = document.createElement("td");
    const choose = button(shortened(oneLine(item.text), 120) || "(nothing)", () => { entry.at = i; entry.show(entry); $("one").scrollIntoView({ block: "nearest" }); }, { class: "plain" });
    choose.disabled = !item.result;
    if (i === entry.at) choose.setAttribute("aria-current", "true");
    cell.append(choose);
    row.append(cell, ...page.shortCells(item.result).map((content) => { const each = document.createElement("td"); each.append(content); return each; }));
    return row;
  });
  $("many-head").replaceChildren(...["Text", ...page.shortHead].map((name) => element("th", name, { scope: "col" })));
  $("many-body").replaceChildren(...body);
  const more = entry.items.length - MOST_SHOWN;
  $("many-help").textContent = more > 0 ? `The first ${MOST_SHOWN} are shown; all are in the files.` : "Choose a text to see it by itself.";
}

async function restoreLink() {
  const found = await linkedSitting();
  if (found && found.documents.length) await readTexts();
}

function correctIt() {
  const { text } = shown.items[shown.at];
  $("correct-part").hidden = false;
  page.correct(text, shown.items[shown.at].result);
}

/** Send what is right, and close what it was said in. */
async function keepCorrection(right) {
  const entry = shown;
  if (!await sendCorrection({ text: entry.items[entry.at].text, ...right })) return;
  $("correct-part").hidden = true;
  entry.show(entry);
  $("correct").focus();
}

async function startReading() {
  $("correct").addEventListener("click", correctIt);
  $("correct-cancel").addEventListener("click", () => { shown.show(shown); $("correct").focus(); });
  $("program").addEventListener("toggle", () => showPrograms("api/predictions", { texts: [page.example] }));
  whenTextShown = showChoices;
  await startSitting({
    send: readTexts,
    stop: () => reading?.abort(),
    restore: restoreLink,
    example: () => { putTexts([newText("", page.example)]); editText(); readTexts(); },
  });
  $("text").addEventListener("input", showChoices);
  showChoices();
}

startReading();
