"use strict";
// The desk: opens a text, holds its draft, saves it, goes on to the next; undoes and redoes without end. What an answer
// is, task.js says: `task` has blank, draftOf, answerOf, lacks, marks, show, key, keys, title, help and, where they
// matter, drawn, suggested and begin.

const WINDOW = Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");
const LOOK_MS = 2_000;
const LISTED = 50;
let here = null; // the text that is open: {item, draft, said, revision, suggestion}
const drafts = new Map(); // of texts that were left without being saved
const past = [];
const future = [];
let isBusy = false;
const early = []; // keys that were pressed meanwhile
let model = null;
let listedFrom = 0;

const [, keyGiven] = location.hash.match(/^#key=([\w-]+)$/) ?? [];
if (keyGiven) { // the address that is shared or kept has it no more; this window does
  sessionStorage.setItem("key", keyGiven);
  history.replaceState(null, "", location.pathname);
}
apiKey = sessionStorage.getItem("key") ?? "";

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);
const reach = async (path, options) => {
  try {
    return await call(path, options);
  } catch {
    throw new Error(UNREACHABLE); // and nothing else is called so
  }
};
const get = async (path) => {
  const response = await reach(path);
  if (!response.ok) throw new Error(await problemOf(response));
  return response.json();
};
const post = async (path, body, options = {}) => {
  const response = await reach(path, { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" }, ...options });
  if (!response.ok) throw Object.assign(new Error(await problemOf(response)), { status: response.status });
  return response.status === 204 ? null : response.json();
};
const hold = (key, options) => post("api/hold", { window: WINDOW, key }, options);

/** Do something that needs the server, one at a time; what goes wrong is told. */
async function doing(work) {
  if (isBusy) return undefined;
  isBusy = true;
  complain("");
  try {
    return await work();
  } catch (error) {
    complain(error.message);
    return undefined;
  } finally {
    isBusy = false;
    while (early.length && !isBusy) onKey(early.shift());
  }
}

// The open text

/** Open a text; `draft` in place of what stands of it. */
async function openText(key, draft) {
  const [item] = await Promise.all([get(`api/items/${encodeURIComponent(key)}`), hold(key)]);
  if (here && isUnsaved()) drafts.set(here.item.key, here.draft);
  const stands = item.answer ?? item.given;
  here = { item, revision: item.revision, said: { answer: item.answer, aside: item.aside }, suggestion: null, draft: null };
  takeText(item.text, item.words);
  here.draft = draft ?? drafts.get(key) ?? (stands ? task.draftOf(stands) : task.blank());
  drafts.delete(key);
  history.replaceState(null, "", `#${key}`);
  $("prompt").textContent = item.prompt;
  $("prompt").hidden = !item.prompt;
  $("place").textContent = [item.document, item.of > 1 ? `${number(item.number)} of ${number(item.of)}` : ""].filter(Boolean).join(" \u00b7 ");
  $("before").disabled = !item.before;
  $("after").disabled = !item.after;
  $("reading").scrollTop = 0;
  const stood = { skipped: "You skipped this text.", unsure: "You were unsure of this text." }[item.aside]
    ?? (item.answer ? "You have labelled this text." : item.given ? "This is what the data say: set it right or save it as it is." : "");
  say(stood);
  show();
  task.begin?.();
  suggest();
}

const isUnsaved = () => {
  const stands = here.item.answer ?? here.item.given;
  return !same(here.draft, stands ? task.draftOf(stands) : task.blank());
};

function show() {
  task.show();
  showText(task.marks());
  $("undo").disabled = !past.length;
  $("redo").disabled = !future.length;
}

/** Ask what the model would answer; the page does not wait for it. */
async function suggest(prompt = task.prompt?.() ?? "") {
  const asked = here;
  if (!model) return;
  try {
    const { suggestion } = await post(`api/items/${asked.item.key}/suggestion`, { prompt });
    if (here !== asked || !suggestion) return;
    here.suggestion = { ...suggestion, prompt };
    task.suggested?.();
    show();
  } catch { /* there is none, and labelling goes on */ }
}

/** Let the draft be another, so that it can be undone. */
function change(draft) {
  if (same(draft, here.draft)) return;
  past.push({ kind: "draft", key: here.item.key, before: here.draft, after: draft });
  future.length = 0;
  here.draft = draft;
  show();
}

// Keeping

async function put(said) {
  try {
    const { revision } = await post(`api/items/${here.item.key}`, { window: WINDOW, revision: here.revision, ...said });
    here.revision = revision;
    here.said = said;
    here.item.answer = said.answer;
    here.item.aside = said.aside;
    return true;
  } catch (error) {
    if (error.status !== 409) throw error;
    const now = await get(`api/items/${here.item.key}`);
    Object.assign(here, { revision: now.revision, said: { answer: now.answer, aside: now.aside } });
    complain(`${error.message} Saving again puts yours in its place; it now says: ${task.shortly(now.answer) || now.aside || "nothing"}.`);
    return false;
  }
}

function save(aside = "") {
  return doing(async () => {
    if (!here) return;
    const lacks = task.lacks(aside);
    if (lacks && aside !== "skipped") {
      complain(lacks);
      return;
    }
    const before = here.said;
    const draft = here.draft;
    const after = { answer: aside === "skipped" ? null : task.answerOf(), aside };
    if (!await put(after)) return;
    past.push({ kind: "save", key: here.item.key, before, after, draft });
    future.length = 0;
    drafts.delete(here.item.key);
    const saved = here.item.key;
    here.draft = after.answer ? task.draftOf(after.answer) : task.blank();
    const word = { skipped: "Skipped.", unsure: "Kept as unsure." }[aside] ?? "Saved.";
    const isOpen = await openNext(saved);
    $("announcement").textContent = isOpen ? `${word} The next text is open.` : word;
    look();
  });
}

/** Open the next text; whether there is one. Where there is none a text stays open, or one that is done is opened. */
async function openNext(besides = "") {
  const { key, held } = await post("api/next", { window: WINDOW, besides });
  if (key) {
    await openText(key);
    return true;
  }
  if (here) show();
  else {
    const items = await get(`api/items?n=${LISTED}`);
    await openText((items.find((each) => each.state) ?? items[0]).key);
  }
  const others = held === 1 ? "the other one is open in another window" : `the other ${number(held)} are open in other windows`;
  say(`All texts${held ? ` but ${number(held)}` : ""} are labelled, skipped or kept as unsure${held ? `; ${others}` : ""}. Any of them can be opened from the list.`);
  return false;
}

function undo() {
  return doing(async () => {
    const last = past.at(-1);
    if (!last) return;
    if (here.item.key !== last.key) await openText(last.key, last.kind === "draft" ? last.after : undefined);
    if (last.kind === "save") {
      if (!await put(last.before)) return;
      here.draft = last.draft;
      say("Taken back: it stands as it did before you saved it.");
    } else here.draft = last.before;
    future.push(past.pop());
    show();
    look();
  });
}

function redo() {
  return doing(async () => {
    const next = future.at(-1);
    if (!next) return;
    if (here.item.key !== next.key) await openText(next.key, next.kind === "draft" ? next.before : undefined);
    if (next.kind === "save") {
      if (!await put(next.after)) return;
      here.draft = next.after.answer ? task.draftOf(next.after.answer) : task.blank();
    } else here.draft = next.after;
    past.push(future.pop());
    show();
    look();
  });
}

const goBeside = (which) => doing(async () => { if (here?.item[which]) await openText(here.item[which]); });

// How far it is

async function look() {
  try {
    const { counts, training, suggestions } = await get("api/progress");
    showCounts(counts);
    showTraining(training, suggestions);
    const isNew = suggestions.model && !same(suggestions.model, model);
    model = suggestions.model;
    if (isNew && here) suggest();
  } catch { /* told by whatever is done next */ }
}

function showCounts(counts) {
  const besides = [counts.skipped && `${number(counts.skipped)} skipped`, counts.unsure && `${number(counts.unsure)} unsure`].filter(Boolean);
  $("counts-line").textContent = [`${number(counts.labelled)} of ${counted(counts.items, "text")} labelled`, ...besides].join(" \u00b7 ");
  $("kept-line").textContent = `Kept in ${server.output}, as training reads it; ${number(counts.for_validation)} of them are to measure on.`;
}

function showTraining(training, suggestions) {
  const running = training.state === "running";
  const by = suggestions.model ? `Suggestions are by the model ${suggestions.model.name}.` : "There is no model yet that suggests.";
  const state = {
    running: "Training; labelling need not wait.",
    failed: `The last training failed: ${oneLine(training.problem)}`,
    waiting: `The next training begins in ${counted(training.next_in, "label")}.`,
    off: "",
  }[training.state];
  const line = [by, state, training.state !== "failed" && training.problem, suggestions.problem].filter(Boolean).join(" ");
  if ($("training-line").textContent !== line) $("training-line").textContent = line;
  $("training-bar").hidden = !running;
  if (training.steps) $("training-bar").value = training.steps_done / training.steps;
  else $("training-bar").removeAttribute("value");
  $("train").disabled = running;
  $("advice").textContent = training.advice ? `Would more labels help? ${training.advice}` : "";
  showCurve(training.points);
}

/** The learning curve: the score after each training, with its interval. */
function showCurve(points) {
  $("curve").hidden = !points.length;
  if (!points.length) return;
  const [left, right, top, bottom] = [28, 312, 8, 100];
  const most = Math.max(...points.map((each) => each.n_labels));
  const x = (n) => left + ((right - left) * n) / most;
  const y = (value) => bottom - ((bottom - top) * value) / 100;
  const draw = (name, attributes, text = "") => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const at = (each, value) => `${x(each.n_labels).toFixed(1)},${y(value).toFixed(1)}`;
  const band = [...points.map((each) => at(each, each.high)), ...points.toReversed().map((each) => at(each, each.low))];
  $("curve-picture").replaceChildren(
    ...[0, 50, 100].flatMap((value) => [
      draw("line", { class: "axis", x1: left, x2: right, y1: y(value), y2: y(value) }),
      draw("text", { x: left - 4, y: y(value) + 3, "text-anchor": "end" }, String(value)),
    ]),
    draw("polygon", { class: "band", points: band.join(" ") }),
    draw("polyline", { class: "line", points: points.map((each) => at(each, each.value)).join(" ") }),
    ...points.flatMap((each) => [
      draw("line", { class: "line", x1: x(each.n_labels), x2: x(each.n_labels), y1: y(each.low), y2: y(each.high) }),
      draw("circle", { class: "dot", cx: x(each.n_labels), cy: y(each.value), r: 2.5 }),
    ]),
    draw("text", { x: left, y: 114 }, "0"),
    draw("text", { x: right, y: 114, "text-anchor": "end" }, `${most} labels`),
  );
  const last = points.at(-1);
  $("curve-title").textContent = `${last.metric} ${last.value.toFixed(1)} after ${counted(last.n_labels, "label")} `
    + `(${last.low.toFixed(0)} to ${last.high.toFixed(0)}), on ${counted(last.n_validation, "example")} kept for validation.`;
}

async function showList() {
  const items = await get(`api/items?first=${listedFrom}&n=${LISTED}`);
  $("list").replaceChildren(...items.map(({ key, text, state }) => {
    const made = button("", () => doing(() => {
      $("reading").focus(); // keys are for the text from here on; a task may have them begin in a field
      return openText(key);
    }));
    made.append(element("span", state || "open", { class: "quiet" }), element("bdi", text));
    return inItem(made);
  }));
  $("list-before").disabled = listedFrom === 0;
  $("list-after").disabled = items.length < LISTED;
}

// Keys

const KEYS = [
  ["Enter", "save, and open the next text"], ["s", "skip"], ["u", "save as unsure: kept, but not trained on"], ["z, Ctrl+Z", "undo"],
  ["r, Ctrl+Y", "redo"], ["PageUp, PageDown", "the text before or after this one"], ["arrows, Shift+arrows", "go over the words, choose several"],
  ["Escape", "from a field to the text"],
];
const isField = (target) => target instanceof Element && target.matches("input:not([type='checkbox']), textarea, select");

function onKey(event) {
  if (isField(event.target)) {
    if (event.key === "Escape") $("reading").focus();
    else task.fieldKey?.(event);
    return;
  }
  const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey;
  const isButton = event.target instanceof Element && event.target.matches("button, summary, input, a");
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") (event.shiftKey ? redo : undo)();
  else if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "y") redo();
  else if (event.key === "PageUp" || event.key === "PageDown") goBeside(event.key === "PageUp" ? "before" : "after");
  else if (event.target === $("reading") && movingKey(event)) { /* done */ }
  else if (!isPlain || (isButton && ["Enter", " "].includes(event.key))) return;
  else if (event.key === "Enter") { if (!event.repeat) save(); }
  else if (!$("single-keys").checked || event.repeat) return;
  else if (task.key(event)) { /* done */ }
  else if (event.key === "s") save("skipped");
  else if (event.key === "u") save("unsure");
  else if (event.key === "z") undo();
  else if (event.key === "r") redo();
  else return;
  event.preventDefault();
}

document.addEventListener("keydown", (event) => {
  if (!here || event.isComposing) return;
  // Whoever is quicker than the server loses no key: it is for the text that comes.
  const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey;
  if (isBusy && !isField(event.target) && (isPlain || ["z", "y"].includes(event.key.toLowerCase()))) {
    event.preventDefault();
    early.push(event);
  } else onKey(event);
});

for (const [id, action] of [
  ["save", () => save()], ["skip", () => save("skipped")], ["unsure", () => save("unsure")], ["undo", undo], ["redo", redo],
  ["before", () => goBeside("before")], ["after", () => goBeside("after")],
  ["train", () => doing(async () => { await post("api/training", {}); await look(); })],
  ["list-before", () => doing(() => { listedFrom = Math.max(0, listedFrom - LISTED); return showList(); })],
  ["list-after", () => doing(() => { listedFrom += LISTED; return showList(); })],
]) $(id).addEventListener("click", action);
$("list-part").addEventListener("toggle", () => { if ($("list-part").open) doing(showList); });

window.addEventListener("pagehide", () => { hold("", { keepalive: true }).catch(() => {}); }); // its text is free again

document.addEventListener("DOMContentLoaded", () => doing(async () => {
  server = { ...server, ...await get("api/label") };
  sessionStorage.setItem("key", apiKey);
  document.title = `${task.title} – distiltune`;
  $("title").textContent = task.title;
  $("reading-help").textContent = task.help;
  $("model").textContent = server.notes.join(" \u00b7 ") || `distiltune ${server.version}`;
  $("keys").replaceChildren(...[...task.keys, ...KEYS].flatMap(([keys, what]) => [element("dt", keys), element("dd", what)]));
  arrows($("list"));
  await look();
  const wanted = location.hash.slice(1);
  if (wanted) {
    try {
      await openText(wanted);
    } catch {
      await openNext();
    }
  } else await openNext();
  if (!document.activeElement || document.activeElement === document.body) $("reading").focus();
  setInterval(look, LOOK_MS);
}));
