"use strict";
// Entities in texts. A draft is the spans that are marked, and which suggestions were refused.

const N_COLOURS = 8;
const colourOf = (label) => `colour-${Math.max(0, server.labels.indexOf(label)) % N_COLOURS}`;
const digitOf = (i) => (i < 9 ? String(i + 1) : i === 9 ? "0" : "");
const meet = (one, other) => one.start < other.end && other.start < one.end;
const nameOf = ({ start, end, label }) => `${start}-${end}-${label}`;
const inOrder = (spans) => [...spans].sort((a, b) => a.start - b.start);
let last = null; // what was marked last: mark all like it

const task = {
  title: "Mark entities",
  help: "Choose words with the arrow keys and Shift, or by mouse, and give them a label by its digit.",
  keys: [
    ["1 … 9, 0", "mark what is chosen as that"], ["a", "mark all that reads the same"], ["Delete", "take the mark at the cursor away"],
    ["y", "accept the suggestion"], ["x", "refuse it"], ["Shift+Y", "accept all that are left"], ["+", "another label"],
    ["Enter", "save; suggestions that were not accepted are not kept"],
  ],
  blank: () => ({ spans: [], refused: [] }),
  draftOf: ({ spans }) => ({ spans, refused: [] }),
  answerOf: () => ({ spans: here.draft.spans.map(({ start, end, label }) => ({ start, end, label })) }),
  shortly: (answer) => (answer ? answer.spans.map((each) => `${textBetween(each.start, each.end)} (${each.label})`).join(", ") || "no entity" : ""),
  lacks: () => "",
  suggested: () => { if (open().length) $("announcement").textContent = `${counted(open().length, "suggestion")}`; },

  marks() {
    const kept = here.draft.spans.map((each) => ({ ...each, classes: `mk ${colourOf(each.label)}` }));
    const suggested = open().map((each, i) => ({ ...each, label: `${each.label}?`, classes: `suggested${i ? "" : " current"}` }));
    return [...kept, ...suggested];
  },

  show() {
    if (!$("labels")) $("task-part").append(element("div", "", { id: "labels" }), newLabel(), element("div", "", { id: "open" }), element("div", "", { id: "spans" }));
    const list = element("ul", "", { class: "choices", "aria-label": "Labels" });
    list.append(...server.labels.map((name, i) => {
      const made = button("", () => mark(name), { class: colourOf(name) });
      if (digitOf(i)) made.append(element("kbd", digitOf(i)), " ");
      made.append(element("bdi", name));
      return inItem(made);
    }));
    $("labels").replaceChildren(list);
    showOpen();
    const rows = here.draft.spans.map((each) => {
      const name = oneLine(textBetween(each.start, each.end));
      const row = inItem(element("bdi", name), element("span", each.label, { class: `tag ${colourOf(each.label)}` }),
        button("All like it", () => markAll(each), { "aria-label": `Mark all like ${name}` }),
        button("Take away", () => takeAway(each), { "aria-label": `Take away ${name}` }));
      row.className = "row";
      return row;
    });
    const marked = element("ol", "", { "aria-label": "Marked" });
    marked.append(...rows);
    $("spans").replaceChildren(rows.length ? marked : element("p", "Nothing is marked: saved so, it says that there is nothing.", { class: "quiet" }));
  },

  key(event) {
    const i = /^[0-9]$/.test(event.key) ? (Number(event.key) + 9) % 10 : -1;
    if (i >= 0 && i < server.labels.length) mark(server.labels[i]);
    else if (event.key === "a") markAll(spanAtCursor() ?? last);
    else if (["Delete", "Backspace"].includes(event.key)) takeAway(spanAtCursor());
    else if (event.key === "y") accept(open().slice(0, 1));
    else if (event.key === "Y") accept(open());
    else if (event.key === "x") refuse(open()[0]);
    else if (event.key === "+") $("new-label").focus();
    else return false;
    return true;
  },
};

/** The suggestions that are neither accepted nor refused, and lie on nothing that is marked. */
function open() {
  const { spans, refused } = here.draft;
  return (here.suggestion?.spans ?? []).filter((each) => !refused.includes(nameOf(each)) && !spans.some((other) => meet(each, other)));
}

function showOpen() {
  const [first, ...rest] = open();
  if (!first) {
    $("open").replaceChildren();
    return;
  }
  const line = element("p", "Suggested: ");
  line.append(element("bdi", oneLine(textBetween(first.start, first.end))), ` is ${first.label} (${percent(first.score)})${rest.length ? `, and ${rest.length} more` : ""}`);
  const bar = element("div", "", { class: "bar" });
  const keyed = (text, key, action) => {
    const made = button(`${text} `, action);
    made.append(element("kbd", key));
    return made;
  };
  bar.append(keyed("Accept", "y", () => accept([first])), keyed("Refuse", "x", () => refuse(first)), keyed("Accept all", "Y", () => accept(open())));
  $("open").replaceChildren(line, bar);
}

const add = (added) => {
  const left = here.draft.spans.filter((each) => !added.some((other) => meet(each, other)));
  change({ ...here.draft, spans: inOrder([...left, ...added]) });
};

function mark(label) {
  const part = chosen();
  if (!part) {
    complain("Choose the words first: with the arrow keys and Shift, or by mouse.");
    return;
  }
  complain("");
  last = { start: part.start, end: part.end, label };
  add([last]);
  $("announcement").textContent = `${oneLine(part.text)}: ${label}`;
}

function markAll(span) {
  if (!span) return;
  const text = textBetween(span.start, span.end);
  const free = occurrences(text).filter((each) => !here.draft.spans.some((other) => meet(each, other)));
  if (free.length) add(free.map((each) => ({ ...each, label: span.label })));
  say(`${counted(free.length, "more place")} marked as ${span.label}.`);
}

function takeAway(span) {
  if (span) change({ ...here.draft, spans: here.draft.spans.filter((each) => each !== span) });
}

function spanAtCursor() {
  const part = chosen();
  return part ? here.draft.spans.find((each) => meet(each, part)) ?? null : null;
}

function accept(spans) {
  if (spans.length) add(spans.map(({ start, end, label }) => ({ start, end, label })));
}

function refuse(span) {
  if (span) change({ ...here.draft, refused: [...here.draft.refused, nameOf(span)] });
}

function newLabel() {
  const form = element("form", "", { class: "row", autocomplete: "off" });
  form.append(element("label", "Another label", { for: "new-label" }), element("input", "", { id: "new-label", type: "text", maxlength: 200 }),
    element("button", "Add", { type: "submit" }));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const name = $("new-label").value.trim();
    if (!name) return;
    doing(async () => {
      server.labels = (await post("api/labels", { name })).labels;
      $("new-label").value = "";
      if (chosen()) mark(name);
      show();
      $("reading").focus();
    });
  });
  return form;
}
